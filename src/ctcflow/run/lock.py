"""Lock a run folder for one process at a time, and detect the locks of crashed runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ctcflow.errors import CtcflowError

FILE: Final = ".ctcflow/owner.json"
"""File in the run folder that names the process working there; empty after a normal end."""
_MOST: Final = 65_536
"""Bytes of it that are read: it holds one short line."""
_BEGINS: Final = b'{"host": '
"""How each content that `Lock.write` has written begins."""
STARTED: Final = "CTCFLOW_STARTED"
"""Environment variable set for a Snakemake that `ctcflow run` started: the run folder."""
_LOOKS_ONLY: Final = re.compile(
    r"--(unlock|dry-?run|lint|list.*|summary|detailed-summary|dag|rulegraph|filegraph|d3dag|help"
    r"|version|report|archive|print-compilation|cleanup-metadata|conda-create-envs-only"
    r"|containerize)(=.*)?|-[npqr]*n[npqr]*|-[lSDhv]"
)


class Lock:
    """A lock held by `ctcflow run` and the Snakemake that it starts, until both have ended.

    Attributes
    ----------
    left
        What a crashed run had written about itself; empty otherwise.
    """

    def __init__(self, descriptor: int, left: dict[str, Any]) -> None:
        self.left = left
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int:
        """Descriptor of the open file, to be passed to a process that shares the lock."""
        return self._descriptor

    def write(self, **facts: Any) -> None:
        """Write who works here: `host`, `pid`, `started`, and more."""
        started = time.strftime("%Y-%m-%d %H:%M:%S %z")
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "started": started, **facts}
        self._replace(json.dumps(owner, sort_keys=True))

    def clear(self) -> None:
        """Mark the run as ended normally."""
        self._replace("")

    def _replace(self, text: str) -> None:
        # write in place: the lock belongs to this file, so it must not be replaced
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.truncate(self._descriptor, 0)
        os.write(self._descriptor, text.encode())
        os.fsync(self._descriptor)


@contextlib.contextmanager
def held(run: Path) -> Iterator[Lock]:
    """Hold the lock of a run folder.

    Raises
    ------
    CtcflowError
        Another process holds it, the file system has no locks, or what is there is not ours.
    """
    descriptor = _opened(run, os.O_RDWR | os.O_CREAT)
    try:
        _refuse_of_others(run / FILE, os.pread(descriptor, _MOST, 0))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CtcflowError(f"{in_words(run, owner(run))}: wait for it, or stop it") from None
        except OSError as error:
            raise CtcflowError(
                f"`{run}` is on a file system without locks ({error.strerror}), so that two runs"
                " could write the same file: run it on another one"
            ) from error
        yield Lock(descriptor, owner(run))
    finally:
        os.close(descriptor)


def owner(run: Path) -> dict[str, Any]:
    """The process that works in a run folder, or crashed there; empty if there is none."""
    try:
        descriptor = _opened(run, os.O_RDONLY)
    except (OSError, CtcflowError):
        return {}
    try:
        content = json.loads(os.pread(descriptor, _MOST, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    finally:
        os.close(descriptor)
    return content if isinstance(content, dict) else {}


def _opened(run: Path, flags: int) -> int:
    """Open the file of the lock, never through a link: its content will be replaced.

    Raises
    ------
    CtcflowError
        The file or its folder is a link, or of another kind.
    OSError
        It is missing, or must not be opened.
    """
    path = run / FILE
    if flags & os.O_CREAT:
        path.parent.mkdir(exist_ok=True)
    folder = _entered(path.parent)
    try:
        # without O_NONBLOCK, opening a named pipe would wait for ever
        safe = flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path.name, safe, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _not_ours(path) from error
        error.filename = str(path)
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_ours(path)
    return descriptor


def _entered(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _not_ours(folder) from error
        raise


def _refuse_of_others(path: Path, content: bytes) -> None:
    """Refuse to replace a content that no run has written: a hard link leads to any file."""
    content = content.strip(b"\0 \n")  # a crashed machine may leave zeros
    if not (content.startswith(_BEGINS) or _BEGINS.startswith(content)):
        raise _not_ours(path)


def _not_ours(path: Path) -> CtcflowError:
    return CtcflowError(
        f"`{path}` is not what `ctcflow run` makes there (it is a link, of another kind, or holds"
        " something else), and is not written to: move it away"
    )


def is_held(run: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = _opened(run, os.O_RDWR)
    except (OSError, CtcflowError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def only_looks(arguments: Sequence[str]) -> bool:
    """Whether command-line arguments of Snakemake ask for nothing that changes a folder."""
    return any(map(_LOOKS_ONLY.fullmatch, arguments))


def stop_unless_alone(run: Path, *, arguments: Sequence[str], is_main: bool) -> None:
    """Stop a Snakemake that would work in the same folder as another one, or after a crashed one.

    Parameters
    ----------
    run
        Folder of the run.
    arguments
        Command-line arguments; commands that change nothing (`--dry-run`, ...) are allowed.
    is_main
        True unless this process is a job of another Snakemake.

    Raises
    ------
    SystemExit
        With a message of one line.
    """
    by_us = os.environ.get(STARTED) == str(run.resolve())
    if by_us or not is_main or only_looks(arguments):
        return
    holder, locks = owner(run), run / ".snakemake" / "locks"
    if is_held(run):
        raise SystemExit(f"error: {in_words(run, holder)}: wait for it, or stop it")
    if holder:
        raise SystemExit(
            f"error: a run in `{run}` did not end in order (host {holder.get('host')}, pid"
            f" {holder.get('pid')}), and its jobs may still write:"
            " `ctcflow run` puts that right and goes on"
        )
    if locks.is_dir() and any(locks.iterdir()):
        raise SystemExit(
            f"error: another Snakemake works in `{run}`, or died there:"
            " `ctcflow run` finds out which, and goes on after a dead one"
        )


def in_words(run: Path, holder: dict[str, Any]) -> str:
    """Describe who works in the folder."""
    who = ", ".join(
        f"{name} {holder[name]}" for name in ("host", "pid", "started") if name in holder
    )
    return f"another `ctcflow run` works in `{run}` ({who or 'it has not said who it is'})"
