"""Correct the embedding for batches, without moving tumour cells towards blood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.files import io
from ctcflow.records.integrate import Association, Batch, Integrate
from ctcflow.settings.params import HarmonyParams, IntegrateParams, LinearParams
from ctcflow.stats.embedding import confounding, linear
from ctcflow.stats.embedding.conservation import neighbor_purity
from ctcflow.stats.embedding.embedding_metrics import NEIGHBORS, measure
from ctcflow.stats.embedding.harmony import harmony, mean_shift
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

MIN_CELLS: Final = 20
"""Fewest leukocytes for fitting a correction (cells)."""
MIN_LINEAGE: Final = 10
"""Fewest leukocytes of a lineage in a batch for `linear` to compare batches by it (cells)."""
BLOOD: Final = "blood"
_TUMOUR: Final = ("CTC", "CTC aggregate")
_COMPARED: Final = ("condition", "role", "patient", "chemistry")
_PERMUTATIONS: Final = 1999
_MOST_MEASURED: Final = 20_000
_MOST_TUMOUR: Final = 500
_TUMOUR_NEIGHBORS: Final = 15

Embedding = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


class _Cells(NamedTuple):
    """Properties of each cell other than its coordinates."""

    blood: Flags
    tumour: Flags
    samples: Codes
    batches: Codes
    batch_names: npt.NDArray[np.object_]
    lineages: Codes
    lineage_names: npt.NDArray[np.object_]

    def table(self) -> npt.NDArray[np.int64]:
        """Leukocytes per batch and lineage."""
        shape = (self.batch_names.size, self.lineage_names.size)
        return linear.cell_table(self.batches[self.blood], self.lineages[self.blood], shape=shape)


def integrate(adata: AnnData, *, params: IntegrateParams) -> AnnData:
    """Correct the principal components for batches.

    The correction is fitted on cells of class `blood` only. With Harmony every other cell is moved
    by the mean correction of the leukocytes of its sample (of its batch if the sample has none),
    with `linear` by the shift of its batch. So other cells neither affect the correction nor are
    drawn towards blood. A batch that cannot be compared with others, because it has no leukocytes
    or shares no lineage, is not corrected.

    Parameters
    ----------
    adata
        Result of `reduce`, with obs `class` and `lineage`.
    params
        Method, batch column and seed.

    Returns
    -------
    AnnData
        The same object with obs `batch_used`, obsm `X_integrated` (n_cells, k) float32, uns
        `correction` (arrays, see `keys.CORRECTION`) and uns `integrate` (JSON: method; batches,
        with the reason if one was not corrected; confounding of batch with other columns of the
        sheet; and, before and after the correction, mixing and conserved lineages of leukocytes and
        separation of tumour cells).
    """
    points: Embedding = np.asarray(adata.obsm[keys.X_PCA.key], dtype=np.float64)
    labels = _batches(adata.obs, params.batch)
    adata.obs[keys.BATCH.key] = labels
    cells = _cells(adata.obs, labels)
    fewest = MIN_LINEAGE if isinstance(params.method, LinearParams) else 1
    left = linear.not_comparable(cells.table(), fewest=fewest)
    reason = _reason(params, points, cells, left)
    corrected, arrays = points, _correction(points.shape[1])
    if not reason:
        fitted = np.array([not why for why in left], dtype=np.bool_)
        if isinstance(params.method, HarmonyParams):
            corrected, arrays = _harmony(points, cells, fitted, params.method)
        else:
            corrected, arrays = _linear(points, cells, fitted)
    report: Integrate = {
        "method": "none" if reason else params.method.method,
        "batch": params.batch,
        "reason": reason,
        "batches": _batch_records(cells, left, reason),
        "confounding": _confounding(adata.obs, params),
    }
    _add_mixing(report, points, corrected, cells, params.seed)
    _add_separability(report, points, corrected, cells.tumour, params.seed)
    adata.obsm[keys.X_INTEGRATED.key] = corrected.astype(np.float32)
    adata.uns[keys.CORRECTION.key] = arrays
    io.write_record(adata, keys.INTEGRATE, report)
    return adata


def _batches(obs: pd.DataFrame, column: str) -> npt.NDArray[np.object_]:
    samples: npt.NDArray[np.object_] = obs[keys.SAMPLE.key].to_numpy(dtype=object)
    if column not in obs:
        return samples.copy()
    values = obs[column].to_numpy(dtype=object)
    empty = pd.isna(values) | (values == "")
    return np.array([str(v) for v in np.where(empty, samples, values)], dtype=object)


def _cells(obs: pd.DataFrame, labels: npt.NDArray[np.object_]) -> _Cells:
    classes = obs[keys.CLASS.key].astype(object)
    batches, batch_names = pd.factorize(labels, sort=True)
    lineages, lineage_names = pd.factorize(obs[keys.LINEAGE.key].to_numpy(dtype=object), sort=True)
    return _Cells(
        blood=(classes == BLOOD).to_numpy(dtype=np.bool_),
        tumour=classes.isin(_TUMOUR).to_numpy(dtype=np.bool_),
        samples=pd.factorize(obs[keys.SAMPLE.key].to_numpy(dtype=object), sort=True)[0],
        batches=batches,
        batch_names=batch_names,
        lineages=lineages,
        lineage_names=lineage_names,
    )


def _reason(params: IntegrateParams, points: Embedding, cells: _Cells, left: list[str]) -> str:
    """Say why nothing can be corrected; empty where it can."""
    n_blood, n_batches = int(cells.blood.sum()), np.unique(cells.batches[cells.blood]).size
    if params.method.method == "none":
        return "method is none"
    if n_blood < MIN_CELLS:
        return f"{n_blood} leukocytes in the cohort, at least {MIN_CELLS} are needed"
    if n_batches < 2:
        return f"leukocytes of one batch only (column {params.batch})"
    if points.shape[1] == 0:
        return "there are no components"
    if all(left):
        return f"no two of {n_batches} batches can be compared: {max(left, key=len)}"
    return ""


def _correction(n_components: int) -> dict[str, npt.NDArray[Any]]:
    return {
        "cluster_sizes": np.zeros(0),
        "cluster_sums": np.zeros((0, n_components)),
        "lineages": np.zeros(0, dtype=object),
        "lineage_means": np.zeros((0, n_components)),
    }


def _harmony(
    points: Embedding, cells: _Cells, fitted: Flags, method: HarmonyParams
) -> tuple[Embedding, dict[str, npt.NDArray[Any]]]:
    corrected = points.copy()
    used = cells.blood & fitted[cells.batches]
    harmonised = harmony(
        points[used],
        batches=cells.batches[used],
        theta=method.theta,
        max_iterations=method.max_iterations,
        seed=method.seed,
    )
    corrected[used] = harmonised.points
    shifts = (corrected - points)[used]
    others = np.flatnonzero(~cells.blood & fitted[cells.batches])
    for groups in (cells.batches, cells.samples):
        # Samples come last, so that the batch's correction is kept if a sample has no leukocytes.
        means = mean_shift(shifts, groups=groups[used], n_groups=int(groups.max()) + 1)
        with_shift = others[~np.isnan(means[groups[others]]).any(axis=1)]
        corrected[with_shift] = points[with_shift] + means[groups[with_shift]]
    arrays = _correction(points.shape[1])
    arrays |= {"cluster_sizes": harmonised.cluster_sizes, "cluster_sums": harmonised.cluster_sums}
    return corrected, arrays


def _linear(
    points: Embedding, cells: _Cells, fitted: Flags
) -> tuple[Embedding, dict[str, npt.NDArray[Any]]]:
    # Two batches must not be compared by a few cells with a wrong lineage alone.
    compared = (cells.table() >= MIN_LINEAGE) & fitted[:, None]
    used = cells.blood & compared[cells.batches, cells.lineages]
    lineages, n_lineages = cells.lineages[used], cells.lineage_names.size
    effects = linear.batch_effects(
        points[used],
        lineages=lineages,
        batches=cells.batches[used],
        n_lineages=n_lineages,
        n_batches=cells.batch_names.size,
    )
    corrected = points - effects[cells.batches]
    means = mean_shift(corrected[used], groups=lineages, n_groups=n_lineages)
    compared_lineages = np.unique(lineages)
    arrays = _correction(points.shape[1])
    arrays |= {
        "lineages": cells.lineage_names[compared_lineages],
        "lineage_means": means[compared_lineages],
    }
    return corrected, arrays


def _batch_records(cells: _Cells, left: list[str], reason: str) -> dict[str, Batch]:
    sizes = np.bincount(cells.batches, minlength=cells.batch_names.size)
    leukocytes = cells.table().sum(axis=1)
    return {
        str(name): {
            "cells": int(sizes[code]),
            "leukocytes": int(leukocytes[code]),
            "reason": reason or left[code],
        }
        for code, name in enumerate(cells.batch_names)
    }


def _confounding(obs: pd.DataFrame, params: IntegrateParams) -> list[Association]:
    """Association of batch with other columns of the sheet, over samples."""
    samples = obs.drop_duplicates(keys.SAMPLE.key)
    associations: list[Association] = []
    for column in _COMPARED:
        if column not in samples or column == params.batch:
            continue
        values = samples[column].to_numpy(dtype=object)
        filled = ~(pd.isna(values) | (values == ""))
        record = confounding.associate(
            pd.factorize(samples.loc[filled, keys.BATCH.key], sort=True)[0],
            pd.factorize(values[filled], sort=True)[0],
            name=column,
            n_permutations=_PERMUTATIONS,
            seed=params.seed,
        )
        associations += [record] if record else []
    return associations


def _add_mixing(
    report: Integrate, before: Embedding, after: Embedding, cells: _Cells, seed: int
) -> None:
    """Mixing of batches and conservation of lineages among leukocytes, before and after."""
    chosen = np.flatnonzero(cells.blood)
    if chosen.size > _MOST_MEASURED:
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(chosen, _MOST_MEASURED, replace=False))
    batches, n_batches = _codes(cells.batches[chosen])
    labels, n_labels = _codes(cells.lineages[chosen])
    if n_batches < 2 or before.shape[1] == 0:
        why = "leukocytes of fewer than two batches"
        report["mixing"], report["mixing_reason"], report["conservation"] = None, why, None
        return
    measured = [
        measure(points[chosen], batches=batches, labels=labels, n_threads=blas_threads())
        for points in ((before,) if after is before else (before, after))
    ]
    shares = np.bincount(batches) / batches.size
    report["mixing"] = {"before": measured[0].mixing, "after": measured[-1].mixing}
    report["mixing_neighbors"] = min(NEIGHBORS, chosen.size) - 1
    report["iLISI_of_random"] = float((1 / (shares**2).sum() - 1) / (n_batches - 1))
    report["conservation"], report["conservation_reason"] = None, "leukocytes of one lineage only"
    if n_labels > 1:
        before_after = (measured[0].conservation, measured[-1].conservation)
        report["conservation"] = {"before": before_after[0], "after": before_after[1]}
        report["conservation_reason"] = ""


def _codes(codes: Codes) -> tuple[Codes, int]:
    new_codes, values = pd.factorize(codes, sort=True)
    return new_codes, values.size


def _add_separability(
    report: Integrate, before: Embedding, after: Embedding, tumour: Flags, seed: int
) -> None:
    """Share of the neighbours of tumour cells that are tumour cells, before and after."""
    rows = np.flatnonzero(tumour)
    n = rows.size
    if n < 2 or before.shape[1] == 0:
        why = f"{n} CTCs or aggregates, at least 2 are needed" if n < 2 else "no components"
        report["separability"], report["separability_reason"] = None, why
        return
    if n > _MOST_TUMOUR:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MOST_TUMOUR, replace=False))
    k = min(_TUMOUR_NEIGHBORS, n - 1)
    shares = [
        neighbor_purity(points, members=tumour, rows=rows, k=k)
        for points in ((before,) if after is before else (before, after))
    ]
    report["separability_reason"] = ""
    report["separability"] = {
        "before": shares[0],
        "after": shares[-1],
        "cells": n,
        "neighbors": k,
        "measured": int(rows.size),
    }
