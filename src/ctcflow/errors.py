"""The two kinds of failure: a user's mistake (here) and a bug (any other exception)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

DAMAGED: Final = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, zlib.error),
)
"""What libraries raise on damaged files; h5py nearly all of it. Fuzzed: `tests/fuzz`."""


class CtcflowError(Exception):
    """A mistake in the input that the user can mend.

    The message is one line: what it is about, what was found, and the next action.
    The command line prints it without a traceback and exits with code 2.

    Attributes
    ----------
    each
        The same with one line per mistake, where several were found; all of them.
    """

    def __init__(self, message: str, each: Sequence[str] = ()) -> None:
        # what it quotes of a damaged file may hold ends of lines
        super().__init__(" ".join(message.splitlines()))
        self.each = [" ".join(line.splitlines()) for line in each] or [str(self)]


def reason(error: BaseException) -> str:
    """What an error says, in one line that is not too long."""
    return " ".join(str(error).split())[:160] or type(error).__name__
