"""The formats of count files: a row each says what it is, how its files end, what reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from ctcflow.formats.raw import Parts

FormatName = Literal[
    "10x_mtx", "10x_h5", "starsolo", "mtx", "h5ad", "h5mu", "loom", "table", "per_cell"
]
"""The values of the `format` column of the sample sheet: the names of `FORMATS`."""


class Format(NamedTuple):
    """What is known of the files of one format before any is opened, and their reader."""

    meaning: str
    """What the `path` of the sample sheet is (Markdown)."""
    endings: tuple[str, ...]
    """Of the name of the one file, in lower case; empty where the format is a folder."""
    read: Callable[[tuple[Path, ...], pd.DataFrame | None], Parts]
    """Takes the files as `detect.locate` orders them, and the table of known genes."""


# Each reader is imported when it is called: h5py, anndata and the text parsers are slow to import,
# and the Snakefile asks for the names of files only.
def _mtx(files: tuple[Path, ...], genes: pd.DataFrame | None) -> Parts:
    from ctcflow.formats.mtx import read_mtx

    return read_mtx(files, genes)


def _hdf5(name: str) -> Callable[[tuple[Path, ...], pd.DataFrame | None], Parts]:
    def read(files: tuple[Path, ...], genes: pd.DataFrame | None) -> Parts:
        from ctcflow.formats.hdf5 import read_hdf5

        return read_hdf5(files[0], name)

    return read


def _table(files: tuple[Path, ...], genes: pd.DataFrame | None) -> Parts:
    from ctcflow.formats.tables import read_table

    return read_table(files[0], genes)


def _per_cell(files: tuple[Path, ...], genes: pd.DataFrame | None) -> Parts:
    from ctcflow.formats.tables import read_per_cell

    return read_per_cell(files)


FORMATS: Final[dict[str, Format]] = {
    "10x_mtx": Format(
        "a folder with `matrix.mtx`, `barcodes.tsv` and `features.tsv` or `genes.tsv`, gzipped or"
        " not (Cell Ranger v2, v3)",
        endings=(),
        read=_mtx,
    ),
    "10x_h5": Format(
        "Cell Ranger's HDF5 file",
        endings=(".h5", ".hdf5", ".h5.gz", ".hdf5.gz"),
        read=_hdf5("10x_h5"),
    ),
    "starsolo": Format("a STARsolo folder", endings=(), read=_mtx),
    "mtx": Format(
        "a folder (or its `.mtx` file) in which Parse, kb-python, alevin-fry or the authors of a"
        " download named a Matrix Market file and its lists of genes and cells",
        endings=(),
        read=_mtx,
    ),
    "h5ad": Format(
        "an AnnData file with raw counts", endings=(".h5ad", ".h5ad.gz"), read=_hdf5("h5ad")
    ),
    "h5mu": Format(
        "a MuData file: modality `rna` (or `gex`), and proteins and hashtags beside it",
        endings=(".h5mu", ".h5mu.gz"),
        read=_hdf5("h5mu"),
    ),
    "loom": Format(
        "a Loom file (velocyto, loompy)", endings=(".loom", ".loom.gz"), read=_hdf5("loom")
    ),
    "table": Format(
        "genes x cells or cells x genes, as text, or a long table of gene, cell and count",
        endings=(".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
        read=_table,
    ),
    "per_cell": Format("a folder with one count table per cell", endings=(), read=_per_cell),
}
