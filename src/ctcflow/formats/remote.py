"""Counts in remote storage such as S3: given by an address, fetched by a Snakemake plugin."""

from __future__ import annotations

from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.formats.known import FORMATS

_FOLDER: Final = "10x_mtx"
_CELL_RANGER: Final = ("matrix.mtx.gz", "features.tsv.gz", "barcodes.tsv.gz")


class Stored(NamedTuple):
    """A format and the addresses of its files; for 10x_mtx: matrix, features, barcodes."""

    format: str
    addresses: tuple[str, ...]


def locate_stored(address: str, *, format: str | None) -> Stored:
    """Name the files of a count matrix in remote storage, without contacting it.

    Parameters
    ----------
    address
        A file, or an output folder of Cell Ranger 3 or later.
    format
        One of `known.FORMATS`, or None to infer it from the ending; an address without the ending
        of a known file format is taken as a folder.

    Raises
    ------
    CtcflowError
        The format needs a folder to be listed, which is not possible in remote storage.
    """
    endings = {end: name for name, entry in FORMATS.items() for end in entry.endings}
    by_ending = (kind for end, kind in endings.items() if address.lower().endswith(end))
    format = format or next(by_ending, _FOLDER)
    if format == _FOLDER:
        return Stored(format, tuple(f"{address.rstrip('/')}/{name}" for name in _CELL_RANGER))
    if FORMATS[format].endings:
        return Stored(format, (address,))
    raise CtcflowError(
        f"`{address}`: a folder of format `{format}` cannot be listed in a storage: give one file"
        " (.h5, .h5ad, .h5mu, a table) or a Cell Ranger folder (version 3 or later)"
    )
