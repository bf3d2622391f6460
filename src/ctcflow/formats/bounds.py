"""Files that hold little and unfold to more than memory: refused before they do."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from ctcflow.errors import CtcflowError

if TYPE_CHECKING:
    import h5py

_FREE: Final = 100_000_000
"""Bytes that any file may unfold to."""
_MOST_TEXT: Final = 200
"""Times that a table of counts shrinks at most: one of zeros alone shrinks 1,000 times."""
_MOST_ARRAY: Final = 1100
"""Times that an array shrinks at most: deflate, which most tools use, reaches 1,032."""


class _Bounded(gzip.GzipFile):
    """A gzip file that stops where it has unfolded to too much."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._path = path
        self._left = _FREE + _MOST_TEXT * path.stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        # a reader that asks for everything gets it piece by piece, so that the limit holds
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        return self._counted(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._counted(super().read1(size))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise _refused(self._path, "text", _MOST_TEXT)
        return data


def opened(path: Path) -> IO[bytes]:
    """Open a text file to be read, compressed by gzip where its name says so.

    Raises
    ------
    CtcflowError
        While it is read: it unfolds to more than a table of counts can.
    """
    if path.name.lower().endswith(".gz"):
        return cast(IO[bytes], _Bounded(path))
    return path.open("rb")


def check_arrays(path: Path, file: h5py.File) -> None:
    """Refuse a file whose arrays are far larger than what is stored of them.

    Raises
    ------
    CtcflowError
        An array is.
    """
    import h5py

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            stored = item.id.get_storage_size()
            if item.nbytes > _FREE + _MOST_ARRAY * stored:
                raise _refused(path, f"array `{name}`", _MOST_ARRAY)

    file.visititems(check)


def _refused(path: Path, what: str, most: int) -> CtcflowError:
    return CtcflowError(
        f"`{path}`: its {what} unfolds to more than {most} times what is stored, which counts do"
        " not: copy it again, or give the counts in another format"
    )
