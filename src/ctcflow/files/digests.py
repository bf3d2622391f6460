"""Digests of files: kept in a hidden folder next to each result, compared whenever it is read.

In `.digests/` each file is named by a hash, so that tools that search the results for names such
as `*_mqc.tsv` or `*.h5ad` do not mistake a digest for a result.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ctcflow.errors import CtcflowError

_FOLDER = ".digests"


class _Known(NamedTuple):
    """State of a file at the time when its step had written it."""

    digest: str
    size: int
    changed_ns: int


def digest(*paths: Path) -> str:
    """Short BLAKE2b hash (16 hex digits) of a file's content; of several, of their hashes."""
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, _short_hash).hexdigest())
    return _of_all(hashes)


def checked(*paths: Path) -> str:
    """Digest of files, after checking that none has changed since its step wrote it.

    Files without a stored digest (raw data, tables) cannot be checked.

    Raises
    ------
    CtcflowError
        A file is missing, or has changed since it was written.
    """
    hashes = []
    for path in paths:
        if not path.is_file():
            raise CtcflowError(f"`{path}` is missing: run the step that writes it")
        current, written = digest(path), _known(path)
        if written is not None and written.digest != current:
            raise CtcflowError(
                f"`{path}` is not what its step wrote (digest {current}, written {written.digest}):"
                " delete it, the next run rebuilds it"
            )
        hashes.append(current)
    return _of_all(hashes)


def is_as_written(path: Path) -> bool | None:
    """Whether a file has the content that its step wrote; None where no digest says so."""
    written = _known(path)
    return None if written is None else digest(path) == written.digest


@contextlib.contextmanager
def unchanged(paths: Sequence[Path]) -> Iterator[None]:
    """Hold files still being written against what was read of them.

    Files with a stored digest are left out: they appear whole.

    Raises
    ------
    CtcflowError
        Size or times of a file are not the same before and after; it names the file.
    """
    given = [path for path in paths if path.is_file() and _known(path) is None]
    before = [state_of(path) for path in given]
    yield
    for path, state in zip(given, before, strict=True):
        if not path.is_file() or state_of(path) != state:
            raise CtcflowError(
                f"`{path}` changed while it was read: wait until it is complete, then run again"
            )


def state_of(path: Path) -> tuple[int, int, int]:
    """Size of a file (bytes), and when it was changed and was noticed to have changed (ns).

    The last is set by the file system alone: a copy that keeps the time of its source has another.
    """
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextlib.contextmanager
def recorded(path: Path) -> Iterator[None]:
    """Write a file, then store its digest; a file that was not finished has no digest.

    The digest file gets the file's modification time, so that the content of the digest does not
    depend on when it was written.
    """
    beside = _beside(path)
    beside.unlink(missing_ok=True)
    # left by an earlier version of ctcflow; MultiQC would read it as data
    path.with_name(f".{path.name}.digest").unlink(missing_ok=True)
    yield
    state = path.stat()
    beside.parent.mkdir(exist_ok=True)
    part = beside.with_name(f".{beside.name}.part")
    part.unlink(missing_ok=True)  # were it a link, another file would be written to
    part.write_text(f"{digest(path)} {state.st_size} {path.name}\n")
    os.utime(part, ns=(state.st_mtime_ns, state.st_mtime_ns))
    part.replace(beside)


def damaged(folder: Path) -> Iterator[Path]:
    """Files below a folder that changed after they were written, sorted by name.

    Only files whose size or modification time differ are read, and once: the time of a file that
    holds what was written is kept as the one to compare with. This finds files that were cut off,
    overwritten or restored wrongly; silent corruption on disk is found when a step reads the file.
    """
    for path in sorted(_recorded_below(folder)):
        written = _known(path)
        if written is None or not path.is_file():
            continue
        state = path.stat()
        if (state.st_size, state.st_mtime_ns) == (written.size, written.changed_ns):
            continue
        if state.st_size != written.size or digest(path) != written.digest:
            yield path
        else:
            with contextlib.suppress(OSError):
                os.utime(_beside(path), ns=(state.st_mtime_ns, state.st_mtime_ns))


def _recorded_below(folder: Path) -> Iterator[Path]:
    """Files below a folder that have a digest."""
    for beside in folder.rglob(f"{_FOLDER}/*"):
        with contextlib.suppress(OSError, ValueError):
            name = beside.read_text().rstrip("\n").split(" ", 2)[-1]
            yield beside.parent.with_name(name)


def _known(path: Path) -> _Known | None:
    """Read the digest of a file; None if it is missing or incomplete."""
    try:
        recorded_digest, size, _ = _beside(path).read_text().split(" ", 2)
        return _Known(recorded_digest, int(size), _beside(path).stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


def _beside(path: Path) -> Path:
    return path.parent / _FOLDER / short_hash(path.name.encode())


def short_hash(content: bytes) -> str:
    """BLAKE2b hash (16 hex digits) of bytes."""
    return str(_short_hash(content).hexdigest())


def _of_all(hashes: list[str]) -> str:
    return hashes[0] if len(hashes) == 1 else short_hash("".join(hashes).encode())


def _short_hash(data: bytes = b"") -> Any:
    return hashlib.blake2b(data, digest_size=8)
