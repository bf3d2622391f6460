"""Size of a count matrix, from the headers of its files: nothing else is read."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ctcflow.errors import DAMAGED
from ctcflow.formats.detect import Source
from ctcflow.formats.triplets import genes_in_rows
from ctcflow.untrusted import refuse_other_files

if TYPE_CHECKING:
    import h5py

_HEAD: Final = 1_000_000
_BLOCK: Final = 64 * 1024
_VALUES_OF_CELL: Final = 500  # low for a cell: better to overestimate the number of cells


class Size(NamedTuple):
    """The numbers that memory and time depend on."""

    cells: int
    """Barcodes in the file, whether called as cells or not."""
    values: int
    """Stored values: non-zero ones in sparse files, all in dense ones."""
    entries: int = 0
    """Values of a text table, including zeros."""


def size_of(source: Source) -> Size:
    """Estimate the size from the headers of the files of a count matrix.

    Text tables have no such header: their size is extrapolated from the first million characters.
    A damaged file is no error here: `ingest` reports what is wrong with it.

    Parameters
    ----------
    source
        Format and files, as `detect.locate` finds them.
    """
    read = _READERS.get(source.format)
    try:
        if read is not None:
            return read(source.files)
    except DAMAGED:
        pass
    return _text(source.files)


def check_head(source: Source) -> None:
    """Open a count matrix whose header states its length (HDF5); `ingest` checks other formats.

    What is gzipped is not unpacked for it.

    Raises
    ------
    CtcflowError
        It should be HDF5 but is not, or it is truncated.
    """
    if source.format in _HDF5 and not _is_packed(source.files[0]):
        from ctcflow.formats.h5 import opened

        with opened(source.files[0]):
            pass


def size_of_bytes(n_bytes: int) -> Size:
    """Estimate from the number of bytes alone: a compressed count takes at least one byte."""
    return Size(n_bytes // _VALUES_OF_CELL, n_bytes)


def _hdf5(files: tuple[Path, ...]) -> Size:
    import h5py

    from ctcflow.formats.hdf5 import content_of

    if _is_packed(files[0]):
        return size_of_bytes(files[0].stat().st_size)
    with h5py.File(files[0], "r") as file:
        refuse_other_files(files[0], file)
        content = content_of(file)
        if content == "h5ad":
            return _annotated(file)
        if content == "h5mu":
            return _largest([_annotated(part) for part in file["mod"].values()])
        if content == "loom":
            n_genes, n_cells = file["matrix"].shape
            return Size(int(n_cells), int(n_cells) * int(n_genes))
        groups = [group for group in file.values() if isinstance(group, h5py.Group)]
        return _largest([_sparse(group) for group in groups if "indptr" in group])


def _is_packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _annotated(group: h5py.Group) -> Size:
    """Counts may be in X, in `raw` or in a layer: the largest is returned."""
    matrices = [group[name] for name in ("X", "raw/X") if name in group]
    matrices += list(group["layers"].values()) if "layers" in group else []
    return _largest([_matrix(part) for part in matrices])


def _matrix(part: Any) -> Size:
    if not hasattr(part, "shape"):
        return _sparse(part)
    n_cells, n_genes = part.shape
    return Size(int(n_cells), int(n_cells) * int(n_genes))


def _sparse(group: h5py.Group) -> Size:
    return Size(int(group["indptr"].shape[0]) - 1, int(group["data"].shape[0]))


def _largest(sizes: list[Size]) -> Size:
    return max(sizes, key=lambda size: size.values)


def _mtx(files: tuple[Path, ...]) -> Size:
    head, _ = _head(files[0])
    line = next(line for line in [*head.splitlines(), ""] if not line.startswith("%"))
    n_rows, n_columns, n_values = map(int, line.split())
    by_producer = {True: n_columns, False: n_rows, None: max(n_rows, n_columns)}
    return Size(by_producer[genes_in_rows(files)], n_values)


def _text(files: tuple[Path, ...]) -> Size:
    head, share = _head(files[0])
    entries = re.split(r"[,;\t\n ]", head)
    filled = sum(entry not in ("0", "0.0", "") for entry in entries) / len(entries)
    n_bytes = sum(path.stat().st_size for path in files if path.exists())
    n_entries = round(len(entries) * n_bytes / max(share, 1))
    values = round(filled * n_entries)
    if len(files) > 1:  # one per cell, read one after the other
        return Size(len(files), values)
    return Size(values // _VALUES_OF_CELL, values, n_entries)


def _head(path: Path) -> tuple[str, int]:
    """First characters of a file, and how many bytes on disk hold them."""
    with path.open("rb") as raw:
        if path.suffix != ".gz":
            text = raw.read(_HEAD)
            return text.decode(errors="replace"), len(text)
        # not with `gzip`, which reads ahead without saying how far
        stream, text = zlib.decompressobj(wbits=31), b""
        while len(text) < _HEAD and (more := raw.read(_BLOCK)):
            try:
                text += stream.decompress(more)
            except zlib.error:
                break
        return text.decode(errors="replace"), raw.tell()


_HDF5: Final = ("10x_h5", "h5ad", "h5mu", "loom")
_READERS: Final[dict[str, Callable[[tuple[Path, ...]], Size]]] = {
    **dict.fromkeys(_HDF5, _hdf5),
    **dict.fromkeys(("10x_mtx", "starsolo", "mtx"), _mtx),
}
