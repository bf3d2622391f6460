"""Counts in a storage such as S3: known by their address, and fetched by Snakemake's plugin."""

from __future__ import annotations

from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import FILE_SUFFIXES

_FOLDER: Final = "10x_mtx"
_CELL_RANGER: Final = ("matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz")


class Stored(NamedTuple):
    """A format and the addresses of its files; of 10x_mtx matrix, features, barcodes."""

    format: str
    addresses: tuple[str, ...]


def locate_stored(address: str, *, format: str | None) -> Stored:
    """Name the files of a count matrix in a storage; nothing is looked up there.

    Parameters
    ----------
    address
        A file, or a folder as Cell Ranger 3 and later leave it.
    format
        One of `detect.FORMATS`, or None to know it by the ending: none of a file is a folder.

    Raises
    ------
    CtcflowError
        The format is a folder that would have to be listed.
    """
    endings = {end: known for known, ends in FILE_SUFFIXES.items() for end in ends}
    by_ending = (kind for end, kind in endings.items() if address.lower().endswith(end))
    format = format or next(by_ending, _FOLDER)
    if format == _FOLDER:
        return Stored(format, tuple(f"{address.rstrip('/')}/{name}" for name in _CELL_RANGER))
    if format in FILE_SUFFIXES:
        return Stored(format, (address,))
    raise CtcflowError(
        f"`{address}`: a folder of format `{format}` cannot be listed in a storage: give one file"
        " (.h5, .h5ad, .h5mu, a table) or a Cell Ranger folder (version 3 or later)"
    )
