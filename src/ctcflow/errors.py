"""The two kinds of failure: a user's mistake (here) and a bug (any other exception)."""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Sequence
from typing import Final

DAMAGED: Final = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, zlib.error),
)
"""Exceptions that libraries (mostly h5py) raise on damaged files. They were found by fuzzing: see
`tests/fuzz`."""


class CtcflowError(Exception):
    """A mistake in the input that the user can correct.

    The message is one line: what is wrong, what was found, and what to do next.
    The command line prints it without a traceback and exits with code 2.

    Attributes
    ----------
    each
        One line per mistake. The message may shorten a long list; this holds all of them.
    """

    def __init__(self, message: str, each: Sequence[str] = ()) -> None:
        # the message may quote line ends from a damaged file
        super().__init__(printable(message))
        self.each = [printable(line) for line in each] or [str(self)]


CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that command a terminal, end a line, or turn the direction of what follows."""


def printable(text: str) -> str:
    """Make one line of a text, with what would command a terminal written out."""
    line = " ".join(text.splitlines())
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], line)


_ACTIONS: Final = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "ask its owner for access (`ls -ld` says who)"),
    errno.EROFS: "name a folder that can be written to",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room, then run again"),
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "correct the link, which leads back to itself",
    errno.ENOTDIR: "correct the path: a part of it is a file and no folder",
    errno.EISDIR: "correct the path: it is a folder",
    errno.EEXIST: "move away what is there under this name",
    errno.EMFILE: "allow more open files (`ulimit -n`)",
    errno.ENFILE: "close what has many files open on this machine",
    errno.ENOMEM: "give it more memory",
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ENXIO),
        "try again; if it stays, the disk or its server has a fault",
    ),
}
"""What to do about a failure that is no fault of a program and none of a file's content."""


def of_system(
    error: BaseException, path: object = None, *, done: str = "used"
) -> CtcflowError | None:
    """Say what the system refused, and what to do; None for an error of another kind.

    Permissions, full disks and failing ones say nothing about what a file holds, so nobody should
    be told to restore or delete it.

    Parameters
    ----------
    error
        Any exception.
    path
        What to name, where the error does not say it.
    done
        What could not be done with it.
    """
    if isinstance(error, MemoryError):
        where = f"`{path}`: " if path is not None else ""
        return CtcflowError(f"{where}the memory was not enough ({reason(error)}): give it more")
    if not isinstance(error, OSError) or error.errno not in _ACTIONS:
        return None
    named = error.filename2 or error.filename
    named = named if isinstance(named, str) else path
    where = "a file" if named is None else f"`{named}`"
    # h5py puts more than the reason into strerror
    short = os.strerror(error.errno)
    return CtcflowError(f"{where} cannot be {done} ({short}): {_ACTIONS[error.errno]}")


def reason(error: BaseException) -> str:
    """Message of an error, as one line of limited length."""
    return " ".join(str(error).split())[:160] or type(error).__name__
