"""The cohort as a MuData file (muon, mudata): counts of RNA, surface proteins and hashtags.

Written in the format of mudata 0.3, with h5py and anndata only: an HDF5 file with a user block that
names the format, one AnnData per modality below `mod`, and the rows that each modality has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import __version__, keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io, sample_files
from ctcflow.files.export import append_counts

if TYPE_CHECKING:
    from anndata import AnnData

RNA: Final = "rna"
"""Name of the modality that holds the counts of genes."""
_USER_BLOCK: Final = 512
_TABLES: Final = (
    ("protein", keys.PROTEIN, keys.PROTEIN_FEATURES),
    ("hashtag", keys.HASHTAG, keys.HASHTAG_FEATURES),
)
"""The other modalities: name, slot of its table in obsm, slot of the original feature names."""


@dataclass
class _Panel:
    """What the samples hold of one modality."""

    slot: keys.Slot
    described: keys.Slot
    features: dict[str, dict[str, str]] = field(default_factory=dict)
    """Per column of the tables: name, id and type, from the first sample that has the column."""
    cells: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    """For each sample, one value per kept cell: whether the sample has the table."""
    wide: bool = False
    """Counts need int64."""
    ragged: bool = False
    """Samples have different features."""

    def add(self, sample: AnnData) -> None:
        """Add what one more sample has."""
        there = self.slot.key in sample.obsm
        self.cells.append(np.full(sample.n_obs, there))
        if not there or sample.n_obs == 0:
            return
        table = sample.obsm[self.slot.key]
        named = io.record(sample, self.described, dict)
        self.wide |= any(kind.itemsize > np.dtype(np.int32).itemsize for kind in table.dtypes)
        self.ragged |= bool(self.features) and set(self.features) != set(table.columns)
        for at, column in enumerate(table.columns):
            self.features.setdefault(column, {key: named[key][at] for key in named})

    @property
    def which(self) -> npt.NDArray[np.bool_]:
        """Cells of the cohort that have the table."""
        return np.concatenate([np.zeros(0, dtype=bool), *self.cells])

    def values(self, sample: AnnData) -> npt.NDArray[Any] | None:
        """The table of one sample over all features: NaN where a feature was not measured."""
        if self.slot.key not in sample.obsm:
            return None
        table = sample.obsm[self.slot.key].reindex(columns=list(self.features))
        return np.asarray(table.to_numpy(), dtype=self.dtype)

    @property
    def dtype(self) -> Any:
        """Whole numbers, or floating point where some were not measured."""
        if self.ragged:
            return np.float64 if self.wide else np.float32
        return np.int64 if self.wide else np.int32


def export_h5mu(path: Path, cohort: AnnData, samples: sample_files.Cohort) -> None:
    """Write a MuData file; it appears only when it is complete.

    At most one sample's counts are in memory.

    Parameters
    ----------
    path
        The h5mu. Modality `rna`: X raw counts of all genes (n_cells, n_genes), CSR int32, with the
        cohort's obsm. `protein` and `hashtag`, if any sample has them: X counts of the cells of
        these samples, int32; if the antibody panels differ, float32 with NaN for features that a
        sample was not stained for. obs of the file and of each modality: the columns of the cohort,
        with the calls. var: `name`, `id`, `type` as in the files of the samples.
    cohort
        As `cluster` writes it.
    samples
        Counts of the same samples (`ingest`, `qc`).

    Raises
    ------
    CtcflowError
        There are no cells, the cells of a sample are not those of the cohort, or `path` is a
        folder.
    """
    import anndata
    import h5py

    if cohort.n_obs == 0:
        raise CtcflowError("the cohort has no cell: there is nothing to export")
    if path.is_dir():
        raise CtcflowError(f"`{path}` is a folder: name a .h5mu file")
    genes, panels = _seen(samples)
    modalities = {RNA: _frame(cohort, genes)}
    for name, panel in panels.items():
        taken = {each for frame in modalities.values() for each in frame.var_names}
        var = _features(name, panel, taken)
        modalities[name] = anndata.AnnData(obs=_rows(cohort, panel), var=var)
    with io.whole_file(path) as part:
        with (
            anndata.settings.override(allow_write_nullable_strings=False),
            h5py.File(part, "w", userblock_size=_USER_BLOCK) as file,
        ):
            _write_frames(file, cohort.obs, modalities)
            append_counts(file["mod"][RNA], modalities[RNA], _noting(file, panels, samples))
        with part.open("r+b") as raw:
            words = f"MuData (format-version=0.1.0;creator=ctcflow;creator-version={__version__})"
            raw.write(words.encode().ljust(_USER_BLOCK, b"\0"))


def _seen(samples: sample_files.Cohort) -> tuple[pd.DataFrame, dict[str, _Panel]]:
    """Genes of all samples in order of first appearance, and the other modalities."""
    genes = dict[str, str]()
    panels = {name: _Panel(slot, described) for name, slot, described in _TABLES}
    for sample in samples.described():
        ids = sample.var[keys.GENE_ID.key].astype(str)
        for gene, gene_id in zip(sample.var_names, ids, strict=True):
            genes[gene] = genes.get(gene) or gene_id
        for panel in panels.values():
            panel.add(sample)
    index = pd.Index(list(genes), dtype=object)
    var = pd.DataFrame({keys.GENE_ID.key: list(genes.values())}, index=index, dtype=object)
    return var, {name: panel for name, panel in panels.items() if panel.features}


def _frame(cohort: AnnData, genes: pd.DataFrame) -> AnnData:
    """The RNA modality without its counts."""
    import anndata

    frame = anndata.AnnData(obs=cohort.obs.copy(), var=genes)
    for key, value in cohort.obsm.items():
        frame.obsm[key] = value
    frame.uns[keys.CTCFLOW.key] = cohort.uns[keys.CTCFLOW.key]
    return frame


def _rows(cohort: AnnData, panel: _Panel) -> pd.DataFrame:
    if panel.which.size != cohort.n_obs:
        raise CtcflowError(
            f"the samples have {panel.which.size} kept cells, the cohort {cohort.n_obs}: the"
            " samples changed since `cluster`; run it again"
        )
    return cohort.obs[panel.which].copy()


def _features(name: str, panel: _Panel, taken: set[str]) -> pd.DataFrame:
    """Names as in the files; the modality is added to a name that a gene has too."""
    var = pd.DataFrame(list(panel.features.values()), dtype=object).fillna("")
    once = ~var["name"].duplicated(keep=False)
    named = var["name"].where(once & (var["name"] != ""), pd.Series(list(panel.features)))
    unique = [f"{name}:{each}" if each in taken else each for each in named]
    var.index = pd.Index(unique, dtype=object)
    return var


def _write_frames(file: Any, obs: pd.DataFrame, modalities: dict[str, AnnData]) -> None:
    """Write everything except the matrices."""
    from anndata.io import write_elem

    packed = {"compression": "gzip"}
    attributes = {"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0}
    file.attrs.update({**attributes, "encoder": "ctcflow", "encoder-version": __version__})
    group = file.create_group("mod")
    group.attrs["mod-order"] = list(modalities)
    for name, frame in modalities.items():
        write_elem(group, name, frame, dataset_kwargs=packed)
    write_elem(file, "obs", obs, dataset_kwargs=packed)
    names = [each for frame in modalities.values() for each in frame.var_names]
    write_elem(file, "var", pd.DataFrame(index=pd.Index(names, dtype=object)))
    for axis, index in (("obs", obs.index), ("var", pd.Index(names, dtype=object))):
        places = {
            name: getattr(frame, f"{axis}_names").get_indexer(index) + 1
            for name, frame in modalities.items()
        }
        write_elem(file, f"{axis}map", {k: v.astype(np.uint32) for k, v in places.items()})
        write_elem(file, f"{axis}m", {k: v > 0 for k, v in places.items()})
        write_elem(file, f"{axis}p", {})
    write_elem(file, "uns", {})


def _noting(
    file: Any, panels: dict[str, _Panel], samples: sample_files.Cohort
) -> Iterator[AnnData]:
    """Yield the samples one at a time, and write their protein and hashtag tables meanwhile."""
    sets = {name: _dataset(file["mod"][name], panel) for name, panel in panels.items()}
    at = dict.fromkeys(panels, 0)
    for sample in samples:
        for name, panel in panels.items():
            values = panel.values(sample)
            if values is not None and len(values):
                sets[name][at[name] : at[name] + len(values)] = values
                at[name] += len(values)
        yield sample


def _dataset(group: Any, panel: _Panel) -> Any:
    if "X" in group:  # anndata may write a placeholder for a missing X
        del group["X"]
    shape: Sequence[int] = (int(panel.which.sum()), len(panel.features))
    dataset = group.create_dataset("X", shape, dtype=panel.dtype, compression="gzip")
    dataset.attrs["encoding-type"] = "array"
    dataset.attrs["encoding-version"] = "0.2.0"
    return dataset
