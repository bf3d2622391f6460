"""The files of one sample merged into one AnnData, and the samples of a cohort one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.keys import CORRECTED, CTCFLOW, KEEP, SIZE_FACTOR
from ctcflow.records.run import RunRecord, StepRecord
from ctcflow.untrusted import refuse_other_files

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Part = Literal["all", "described", "values"]

_CONTAINERS: Final = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers")
_DESCRIBED: Final = ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")


def load_sample(
    files: Mapping[str, Path],
    *,
    kept: bool,
    lognorm: bool,
    corrected: bool,
    part: Part = "all",
) -> AnnData:
    """Merge the files of the later steps into the counts of one sample.

    Parameters
    ----------
    files
        Path of the sample's file per step; the first is the base (usually `ingest`).
    kept
        Drop the cells that `qc` set aside.
    lognorm
        Replace counts by log1p(counts / size factor), float32 (needs `normalize`).
    corrected
        Replace counts by those corrected for ambient RNA, where a file has them.
    part
        `described` leaves out X and layers, `values` all but X, `obs` and the names of the genes.

    Returns
    -------
    AnnData with the slots of all files; if two files have the same key, the later file wins. Counts
    corrected for ambient RNA are X if `corrected` is set, else a layer. `uns["ctcflow"]` holds the
    records of all steps.
    """
    paths = list(files.values())
    adata = io.read_h5ad(paths[0]) if part == "all" else _read_parts(paths[0], part, None, ())
    record = io.record(adata, CTCFLOW, RunRecord)
    for path in paths[1:]:
        if part == "all":
            layer = io.read_h5ad(path)
        else:
            layer = _read_parts(path, part, adata.var_names, (CORRECTED.key,) if corrected else ())
        if layer.n_obs != adata.n_obs or not adata.obs_names.equals(layer.obs_names):
            adata = _same_cells(adata, layer, path)
        _lay_over(adata, layer)
        if corrected and CORRECTED.key in layer.layers:
            adata.X = adata.layers.pop(CORRECTED.key)
        for key in layer.uns:
            if key == CTCFLOW.key:
                record["steps"].update(io.record(layer, CTCFLOW, RunRecord)["steps"])
            else:
                adata.uns[key] = layer.uns[key]
        if kept and KEEP.key in layer.obs and not bool(layer.obs[KEEP.key].all()):
            adata = adata[adata.obs[KEEP.key].to_numpy()].copy()
    io.write_record(adata, CTCFLOW, record)
    if lognorm and part != "described":
        log_normalise(adata)
    return adata


def _same_cells(adata: AnnData, layer: AnnData, path: Path) -> AnnData:
    """The cells that a later file has, in its order."""
    places = adata.obs_names.get_indexer(layer.obs_names)
    if (places < 0).any():
        raise CtcflowError(
            f"`{path}` has cells that the other files of the sample do not have (e.g."
            f" `{layer.obs_names[int((places < 0).argmax())]}`): give files of one sample"
        )
    return adata[places].copy()


def _lay_over(adata: AnnData, layer: AnnData) -> None:
    """Add the contents of a later file of the same cells; X and uns stay as they are."""
    for container in _CONTAINERS:
        source, target = getattr(layer, container), getattr(adata, container)
        for key in source:
            if key is not None:  # anndata lists X among the layers
                target[key] = source[key]


def log_normalise(adata: AnnData) -> None:
    """Replace counts by log1p(counts / size factor), float32 CSR."""
    import numpy as np

    factors = adata.obs[SIZE_FACTOR.key].to_numpy(np.float64)
    matrix = adata.X.astype(np.float32)
    # in place: a float64 copy would be the largest array of the steps that read samples
    values = np.repeat(factors, np.diff(matrix.indptr))
    np.divide(matrix.data, values, out=values)
    matrix.data = np.log1p(values, out=values).astype(np.float32)
    adata.X = matrix


@dataclass(frozen=True)
class Cohort:
    """The samples of a run, read one at a time; it can be iterated repeatedly.

    Attributes
    ----------
    samples
        Names in the order of the sheet.
    files
        Per step, the path of its file with the placeholder `{sample}`; the first is the base.
    lognorm
        Yield log-normalised values instead of counts.
    corrected
        Yield counts, or values, corrected for ambient RNA where a sample has them.
    """

    samples: tuple[str, ...]
    files: Mapping[str, str]
    lognorm: bool = False
    corrected: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[AnnData]:
        return self._samples("all")

    def described(self) -> Iterator[AnnData]:
        """The same samples without X and layers."""
        return self._samples("described")

    def values(self) -> Iterator[AnnData]:
        """The same samples with X, `obs` and the names of the genes only."""
        return self._samples("values")

    def _samples(self, part: Part) -> Iterator[AnnData]:
        for sample in self.samples:
            yield load_sample(
                self.paths(sample),
                kept=True,
                lognorm=self.lognorm,
                corrected=self.corrected,
                part=part,
            )

    def paths(self, sample: str) -> dict[str, Path]:
        """File of one sample per step."""
        return {step: Path(path.replace("{sample}", sample)) for step, path in self.files.items()}

    def steps(self) -> dict[str, StepRecord]:
        """How the steps were run: the record of the first sample, and where others differ."""
        common: dict[str, StepRecord] = {}
        for name, record in zip(self.samples, self.records(), strict=True):
            for step, step_record in record["steps"].items():
                common_record = common.setdefault(
                    step,
                    {
                        "version": step_record["version"],
                        "params": step_record["params"],
                        "overrides": {},
                    },
                )
                changed = {
                    k: v
                    for k, v in step_record["params"].items()
                    if v != common_record["params"].get(k)
                }
                if changed:
                    common_record["overrides"][name] = changed
        return common

    def records(self) -> Iterator[RunRecord]:
        """Per sample, its row and the records of its steps; nothing else is read."""
        for sample in self.samples:
            record: RunRecord = {"sample": {}, "steps": {}}
            for path in self.paths(sample).values():
                stored = io.read_record(path)
                record = {"sample": stored["sample"], "steps": record["steps"] | stored["steps"]}
            yield record


def described(cohort: Iterable[AnnData]) -> Iterable[AnnData]:
    """The samples without X if they are in files; samples in memory are returned unchanged."""
    return cohort.described() if isinstance(cohort, Cohort) else cohort


def values(cohort: Iterable[AnnData]) -> Iterable[AnnData]:
    """The samples with only X, `obs` and gene names if they are in files; else unchanged."""
    return cohort.values() if isinstance(cohort, Cohort) else cohort


def _read_parts(path: Path, part: Part, genes: pd.Index | None, layers: tuple[str, ...]) -> AnnData:
    """Read an h5ad that ctcflow wrote: all but X and layers, or only X, some layers and the cells.

    If only X is wanted, pass the names of the genes as `genes` if they are known: reading tens of
    thousands of names takes longer than reading the values of a small sample.
    """
    import anndata
    import h5py
    import pandas as pd

    if not path.is_file():
        raise CtcflowError(f"`{path}` is missing: run the step that writes it")
    try:
        with h5py.File(path) as file:
            refuse_other_files(path, file)
            read = anndata.io.read_elem
            if part == "described":
                held = [name for name in _DESCRIBED if name in file]
                return anndata.AnnData(**{name: read(file[name]) for name in held})
            if genes is None:
                genes = pd.Index(read(file["var"][file["var"].attrs["_index"]]))
            held = [name for name in layers if name in file.get("layers", ())]
            return anndata.AnnData(
                read(file["X"]) if "X" in file else None,
                obs=read(file["obs"]),
                var=pd.DataFrame(index=genes),
                layers={name: read(file["layers"][name]) for name in held},
                uns={CTCFLOW.key: read(file[str(CTCFLOW)])},
            )
    except CtcflowError:
        raise
    except Exception as error:  # h5py and anndata raise many types of error on damaged files
        raise io.unreadable(path, error) from error
