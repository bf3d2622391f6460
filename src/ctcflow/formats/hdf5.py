"""Read an HDF5 file by what it holds, whatever its name says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import h5py

from ctcflow.errors import CtcflowError
from ctcflow.formats.h5 import of_10x_h5, of_h5ad, of_h5mu, opened
from ctcflow.formats.loom import of_loom
from ctcflow.formats.raw import Parts

_READERS: Final[dict[str, Callable[[Path, h5py.File], Parts]]] = {
    "10x_h5": of_10x_h5,
    "loom": of_loom,
}
_OF_MATRICES: Final[dict[str, Callable[[Path, h5py.File, str | None], Parts]]] = {
    "h5ad": of_h5ad,
    "h5mu": of_h5mu,
}
"""Formats that may hold several matrices, of which one is chosen."""
_CELLBENDER: Final = {"droplet_latents", "global_latents"}
"""Groups that CellBender adds to a file of Cell Ranger."""


def read_hdf5(path: Path, format: str, matrix: str | None = None) -> Parts:
    """Read a file of Cell Ranger, AnnData, MuData or Loom.

    Parameters
    ----------
    path
        The file, gzipped or not.
    format
        What its name or the user says it is; a note says where it is another one.
    matrix
        Which matrix of an AnnData or MuData holds the counts; None to look at all that may.

    Raises
    ------
    CtcflowError
        The file is damaged, is none of them, or has no such matrix.
    """
    with opened(path) as file:
        content = content_of(file) or format
        if content in _OF_MATRICES:
            parts = _OF_MATRICES[content](path, file, matrix)
        elif matrix is not None:
            raise CtcflowError(
                f"`{path}` is of the format `{content}` and has one matrix: leave `matrix` empty"
            )
        else:
            parts = _READERS[content](path, file)
        if not _CELLBENDER.isdisjoint(file):
            parts.notes.append("CellBender took ambient counts off")
    if content != format:
        parts.notes.append(f"the file is of the format `{content}`, not `{format}`")
    return parts


def content_of(file: h5py.File) -> str | None:
    """Format of an open file, by its groups; None where it is none that is known."""
    names = set(file)
    if "matrix/features" in file:
        return "10x_h5"
    if {"matrix", "row_attrs", "col_attrs"} <= names:
        return "loom"
    if "mod" in names:
        return "h5mu"
    if {"obs", "var"} <= names:
        return "h5ad"
    genomes = (group for group in file.values() if isinstance(group, h5py.Group))
    return "10x_h5" if any("gene_names" in group for group in genomes) else None
