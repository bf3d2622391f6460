"""Combine samples that were mapped onto a frozen reference into one object, for the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.records.integrate import Integrate
from ctcflow.records.project import Project
from ctcflow.settings.params import GatherParams
from ctcflow.steps import delivery

if TYPE_CHECKING:
    from anndata import AnnData

_POINTS: Final = (keys.X_PCA, keys.X_INTEGRATED, keys.X_UMAP)
_LABELS: Final = (keys.CLUSTER, keys.CELL_TYPE)
_NUMBERS: Final = (keys.CONFIDENCE, keys.NOVELTY)
_CARRIED: Final = ("patient", "condition", "batch", "chemistry")


def gather(adata: AnnData, cohort: Iterable[AnnData], *, params: GatherParams) -> AnnData:
    """Combine all mapped samples into one object; nothing is computed over samples.

    Parameters
    ----------
    adata
        Result of `call`.
    cohort
        Result of `project` for each sample; iterated once.
    params
        There are no parameters.

    Returns
    -------
    AnnData
        `adata` with the slots of `project`; the cell type of a cell whose class is not `blood` is
        its class, as in `cluster`; obs `score_<signature>` and colours in uns; uns `integrate`
        (JSON) says that there is no joint embedding.

    Raises
    ------
    CtcflowError
        The cells of `call` are not those that were mapped.
    """
    samples = list(cohort)
    parts = [_obs(sample) for sample in samples]
    obs = pd.concat(parts)
    if not obs.index.equals(adata.obs_names):
        raise CtcflowError("the cells of `call` are not those of `project`: run both again")
    blood = (adata.obs[keys.CLASS.key].astype(str) == "blood").to_numpy()
    for slot in _NUMBERS:
        adata.obs[slot.key] = obs[slot.key].to_numpy(np.float64)
    for column in [*(slot.key for slot in _LABELS), *_CARRIED]:
        if column in obs and (obs[column] != "").any():
            adata.obs[column] = pd.Categorical(obs[column].to_numpy(dtype=object))
    named = np.where(
        blood,
        obs[keys.CELL_TYPE.key].to_numpy(dtype=object),
        adata.obs[keys.CLASS.key].astype(str).to_numpy(dtype=object),
    )
    adata.obs[keys.CELL_TYPE.key] = pd.Categorical(named)
    for slot in _POINTS:
        adata.obsm[slot.key] = np.concatenate([sample.obsm[slot.key] for sample in samples])
    io.write_record(adata, keys.INTEGRATE, _report(samples))
    delivery.add_scores(adata, adata.obsm.get(keys.SIGNATURES.key))
    delivery.add_colours(adata)
    return adata


def _obs(sample: AnnData) -> pd.DataFrame:
    row = io.sheet_row(sample)
    names = [f"{row['sample']}:{barcode}" for barcode in sample.obs_names]
    columns: dict[str, npt.NDArray[Any] | str] = {
        slot.key: sample.obs[slot.key].to_numpy(dtype=object) for slot in (*_LABELS, *_NUMBERS)
    }
    columns |= {name: row.get(name) or "" for name in _CARRIED}
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def _report(samples: list[AnnData]) -> Mapping[str, object]:
    """Record of what was mapped onto which reference, and which samples could not be mapped.

    `Integrate`, and further keys `<what>_reason`: see `render.tables.of_run.not_run_table`.
    """
    report: Integrate = {"method": "mapping onto a frozen reference"}
    reasons: dict[str, str] = {}
    for sample in samples:
        name = io.sheet_row(sample)["sample"]
        record = io.record(sample, keys.PROJECT, Project)
        cells = record["reference"]["cells"]
        report["reason"] = f"no joint embedding: mapped onto a frozen reference of {cells} cells"
        if record["not_mapped"]:
            reasons[f"mapping of {name}_reason"] = f"not mapped: {record['not_mapped']}"
        elif record["missing_genes"]:
            reasons[f"some genes of {name}_reason"] = (
                f"{record['missing_genes']} of {record['genes']} genes of the reference are not in"
                f" its matrix: they are not seen, and the confidence of its types is"
                f" {record['seen_share']:.3f} of what it would be"
            )
        if record["reason"]:
            reasons[f"correction of {name}_reason"] = record["reason"]
    return {**report, **reasons}
