"""The two kinds of failure: a user's mistake (here) and a bug (any other exception)."""

from __future__ import annotations

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
        super().__init__(" ".join(message.splitlines()))
        self.each = [" ".join(line.splitlines()) for line in each] or [str(self)]


def reason(error: BaseException) -> str:
    """Message of an error, as one line of limited length."""
    return " ".join(str(error).split())[:160] or type(error).__name__
