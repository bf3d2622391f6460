"""Refuse small files that would unpack to more data than fits into memory."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from ctcflow.errors import CtcflowError
from ctcflow.untrusted import refuse_other_files

if TYPE_CHECKING:
    import h5py

_GZIP: Final = b"\x1f\x8b"
_POINTER: Final = b"version https://git-lfs"
_FREE: Final = 100_000_000
"""Unpacked bytes that are always allowed."""
_MOST_TEXT: Final = 200
"""Largest allowed compression ratio of a text table; a table of zeros alone reaches 1,000."""
_MOST_ARRAY: Final = 1100
"""Largest allowed compression ratio of an array; deflate, which most tools use, reaches 1,032."""


class _Bounded(gzip.GzipFile):
    """A gzip file that raises an error once too many bytes have been unpacked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._path = path
        self._left = _FREE + _MOST_TEXT * path.stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        # a request for everything is served in pieces, so that the limit is checked between them
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
    """Open a text file for reading; it is unpacked if it is gzipped, whatever its name says.

    Browsers unpack a file that they fetch and leave `.gz` in its name.

    Raises
    ------
    CtcflowError
        It is a pointer of Git LFS; or, while it is read, it unpacks to more than a table of counts
        plausibly can.
    """
    if is_gzipped(path):
        return cast(IO[bytes], _Bounded(path))
    return path.open("rb")


def is_gzipped(path: Path) -> bool:
    """Whether a file is gzipped, by its first bytes.

    Raises
    ------
    CtcflowError
        It is a pointer of Git LFS.
    """
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    if start == _POINTER:
        raise CtcflowError(
            f"`{path}` is a pointer of Git LFS and not the file itself: run `git lfs pull` where it"
            " comes from, and copy it again"
        )
    return start.startswith(_GZIP)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give the path of a file, or of a copy that is unpacked if it is gzipped.

    For libraries that read no streams. The copy is in the folder for temporary files (`TMPDIR`)
    and is deleted afterwards.

    Raises
    ------
    CtcflowError
        As `opened`; or there is no room in the folder for temporary files.
    """
    if not is_gzipped(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ctcflow-") as folder:
        whole = Path(folder) / path.stem
        with opened(path) as packed, whole.open("wb") as file:
            _copied(packed, file, Path(folder).parent)
        yield whole


def _copied(packed: IO[bytes], file: IO[bytes], folder: Path) -> None:
    while block := packed.read(1 << 20):
        try:
            file.write(block)
        except OSError as error:
            raise CtcflowError(
                f"there is no room to unpack in `{folder}` ({error.strerror}): name another folder"
                " for temporary files in the variable TMPDIR"
            ) from error


def check_arrays(path: Path, file: h5py.File) -> None:
    """Refuse a file that leads to other files, or declares arrays far larger than what it stores.

    Raises
    ------
    CtcflowError
        A part of it is in another file, or an array is too large for what is stored.
    """
    import h5py

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape:
            stored = item.id.get_storage_size()
            if item.nbytes > _FREE + _MOST_ARRAY * stored:
                raise _refused(path, f"array `{name}`", _MOST_ARRAY)

    refuse_other_files(path, file)
    file.visititems(check)


def _refused(path: Path, what: str, most: int) -> CtcflowError:
    return CtcflowError(
        f"`{path}`: its {what} unfolds to more than {most} times what is stored, which counts do"
        " not: copy it again, or give the counts in another format"
    )
