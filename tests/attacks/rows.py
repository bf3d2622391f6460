"""What an attack is: something that a file, a name or a folder may hold, and what must happen.

A row is withstood if the product takes the input exactly as it is written, or refuses it in one
line. Silently another value, a traceback, and anything outside of the run folder are lost rows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ctcflow.errors import CtcflowError


class Attack(NamedTuple):
    """One row of the table."""

    area: str
    what: str
    """The instance, in a few words; unique within its area."""
    act: Callable[[Path], None]
    """Does it in an empty folder; raises `AssertionError`, or any exception that a user would see
    as a traceback, where it is not withstood."""


def one_line_or(take: Callable[[], Any]) -> Any:
    """What `take` returns; None where it refuses in one line that a terminal can show."""
    try:
        return take()
    except CtcflowError as error:
        check_line(str(error))
        return None


def refused(take: Callable[[], Any], *parts: str) -> None:
    """Check that something is refused in one line that holds each part."""
    try:
        found = take()
    except CtcflowError as error:
        check_line(str(error))
        missing = [part for part in parts if part not in str(error)]
        assert not missing, f"`{error}` does not say {missing}"
        return
    raise AssertionError(f"it was taken: {found!r:.200}")


def check_line(text: str) -> None:
    """Check that a message is one line, of a length to be read, that changes no terminal."""
    assert text.strip(), "an empty message"
    assert len(text) < 4000, f"{len(text)} characters"
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp")}
    assert not bad, f"control characters {bad!r} in `{text!r:.300}`"


HOSTILE = {
    "parent folder": "../../etc/passwd",
    "dots": "..",
    "a dot": ".",
    "absolute": "/etc/passwd",
    "home": "~root",
    "variable": "$HOME",
    "command": "$(touch owned)",
    "backticks": "`touch owned`",
    "semicolon": "a; touch owned",
    "pipe": "a | tee owned",
    "ampersand": "a && touch owned",
    "redirect": "a > owned",
    "option": "-rf",
    "long option": "--help",
    "quote": "a'b",
    "double quote": 'a"b',
    "both quotes": "'\"'\"'",
    "backslash": "a\\b",
    "wildcard of Snakemake": "{sample}",
    "attribute of a format": "{0.__class__.__mro__}",
    "lone brace": "a{b",
    "lone closing brace": "a}b",
    "percent": "%s%n%(x)s",
    "glob": "*",
    "question mark": "a?b",
    "brackets": "[a-z]",
    "markup": "<script>alert(1)</script>",
    "attribute of markup": '" onmouseover="alert(1)',
    "entity": "&lt;b&gt;",
    "closing script": "</script><b>",
    "template": "{{ 7*7 }}{% raw %}",
    "formula": '=HYPERLINK("http://x","y")',
    "formula with plus": "+cmd|'/C calc'!A0",
    "formula with minus": "-2+3+cmd|'/C calc'!A0",
    "formula with at": "@SUM(1+1)",
    "formula after a tab": "\t=1+1",
    "line end": "a\nb",
    "carriage return": "a\rb",
    "null byte": "a\0b",
    "bell": "a\x07b",
    "colour": "\x1b[31mred\x1b[0m",
    "cursor up": "\x1b[1A\x1b[2K",
    "right to left": "a\u202egnp.exe",
    "zero width": "a\u200bb",
    "byte order mark": "\ufeffa",
    "line separator": "a\u2028b",
    "combining": "e\u0301" * 30,
    "emoji": "\U0001f9ec",
    "dotless i": "\u0131",
    "not a number": "NaN",
    "none": "None",
    "true": "true",
    "number": "1e5",
    "octal": "007",
    "date": "1-Mar",
    "device": "CON",
    "device with ending": "nul.txt",
    "trailing dot": "a.",
    "trailing blank": "a ",
    "blanks": "   ",
    "reserved word": "results",
    "hidden": ".snakemake",
    "dunder": "__proto__",
    "python": "__import__('os').system('touch owned')",
    "pickle": "cos\nsystem\n(S'touch owned'\ntR.",
    "sql": "'; DROP TABLE cells; --",
    "url": "http://169.254.169.254/latest",
    "unc": "\\\\host\\share",
    "long": "A" * 20_000,
    "half a surrogate in utf-8": "a\ud800b",
}
"""Texts that somebody's file may hold where a name is wanted."""

COMMANDS = frozenset(
    {
        *(what for what in HOSTILE if what.startswith("formula")),
        *("null byte", "bell", "colour", "cursor up", "right to left", "long"),
    }
)
"""Those of them that command a spreadsheet or a terminal, or are too long: to be refused."""
