"""The two kinds of failure: a user's mistake (here) and a bug (any other exception)."""

from __future__ import annotations


class CtcflowError(Exception):
    """A mistake in the input that the user can mend.

    The message is one line: what it is about, what was found, and the next action.
    The command line prints it without a traceback and exits with code 2.
    """
