"""Read a user's table as rows of text with line numbers, whatever its columns mean.

Accepted are tabs or commas, a byte order mark, any line ending, blanks and quotes around a cell,
lines that begin with ``#``, and empty lines at the end. Anything else is reported with its line.
"""

from __future__ import annotations

import csv
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from ctcflow.errors import CtcflowError
from ctcflow.untrusted import why_refused

_MOST: Final = 500_000_000
"""Bytes of a sheet; a million verdicts have 60 million."""
_MOST_PROBLEMS: Final = 100
"""Problems after which the others are only counted."""


class Kind(NamedTuple):
    """The kind of a table, in words for error messages."""

    name: str
    key: str
    """Key of the configuration that names it."""
    columns: str
    """The columns that it must have."""


SAMPLE_SHEET = Kind("sample sheet", "samples", "sample and path")


class Problem(NamedTuple):
    """One thing that is wrong in a sheet."""

    line: int
    sentence: str


class Row(NamedTuple):
    """One line of a sheet; `cells` has an entry for each column, including empty ones."""

    line: int
    cells: dict[str, str]


class Sheet(NamedTuple):
    """A sheet as it was read; rows with a problem are not in `rows`."""

    header: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def refuse(path: Path, problems: list[Problem], kind: Kind = SAMPLE_SHEET) -> NoReturn:
    """Raise one line that names up to five problems, each with its line number.

    Raises
    ------
    CtcflowError
        Always; its `each` has a line for every problem.
    """
    ordered = sorted(problems, key=lambda problem: problem.line)
    named = "; ".join(f"line {problem.line}: {problem.sentence}" for problem in ordered[:5])
    more = f"; and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    each = [
        f"{kind.name} {path}: line {problem.line}: {problem.sentence}"
        for problem in ordered[:_MOST_PROBLEMS]
    ]
    if len(ordered) > len(each):
        each.append(f"{kind.name} {path}: and {len(ordered) - len(each):,} more")
    raise CtcflowError(f"{kind.name} {path}: {named}{more}", each)


def read_sheet(path: Path, kind: Kind = SAMPLE_SHEET) -> Sheet:
    """Read the text of a table.

    Parameters
    ----------
    path
        A text file, UTF-8, with a header.
    kind
        Kind of the table, for error messages.

    Returns
    -------
    Columns and rows, with the problems of single rows for the caller to add to its own.

    Raises
    ------
    CtcflowError
        The file cannot be read, has no header, or the header cannot be understood.
    """
    lines = _lines(path, kind)
    if not lines:
        raise CtcflowError(
            f"{kind.name} {path}: is empty: the first line must name the columns, "
            f"at least {kind.columns}"
        )
    header, text = lines[0]
    delimiter = "\t" if "\t" in text else ","
    try:
        columns = _cells(text, delimiter)
    except ValueError as mistake:
        refuse(path, [Problem(header, str(mistake))], kind)
    problems = [Problem(header, sentence) for sentence in _column_problems(columns, text)]
    if problems:
        refuse(path, problems, kind)
    rows = []
    for number, line in lines[1:]:
        try:
            rows.append(_row(number, line, delimiter, columns))
        except ValueError as mistake:
            problems.append(Problem(number, str(mistake)))
    return Sheet(header, tuple(columns), tuple(rows), tuple(problems))


def why_refused_cell(text: str) -> str:
    """Why a text must not be a cell of a sheet, or would be read otherwise; empty if it may."""
    if text != text.strip():
        return "it begins or ends with a blank: remove that"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "it is not UTF-8: rename it"
    if len(text.splitlines()) > 1:
        return "it has a line end: remove that"
    return why_refused(text)


def refused_cells(row: Row, columns: Iterable[str]) -> list[str]:
    """One sentence for each cell of a row that must not be used."""
    found = ((column, why_refused_cell(row.cells[column])) for column in columns)
    return [f"{column} is {row.cells[column][:40]!r}: {why}" for column, why in found if why]


def _lines(path: Path, kind: Kind) -> list[tuple[int, str]]:
    """Split into lines, numbered from 1, without comments and empty lines at the end."""
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size > _MOST:
            raise CtcflowError(
                f"{kind.name} {path}: has {found.st_size:,} bytes: at most {_MOST:,} are read"
            )
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise CtcflowError(f"{kind.name} {path}: is no file: name a table")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise CtcflowError(
            f"{kind.name} {path}: does not exist: create it, or set `{kind.key}` in config.yaml"
        ) from None
    except OSError as error:
        raise CtcflowError(
            f"{kind.name} {path}: cannot be read ({error.strerror}): "
            "check that it is a file that you may read"
        ) from None
    except UnicodeDecodeError:
        raise CtcflowError(
            f"{kind.name} {path}: is not UTF-8 text: save it as tab-separated text in UTF-8"
        ) from None
    if "\0" in text:
        raise CtcflowError(
            f"{kind.name} {path}: is not a text file: save it as tab-separated text in UTF-8"
        )
    numbered = list(enumerate(re.split(r"\r\n|\n|\r", text), start=1))
    lines = [(number, line) for number, line in numbered if not line.lstrip().startswith("#")]
    while lines and not lines[-1][1].strip(" \t,"):
        lines.pop()
    return lines


def _cells(line: str, delimiter: str) -> list[str]:
    """Split one line; a cell never spans lines, so that line numbers match those of an editor."""
    if line.count('"') % 2:
        raise ValueError('has an unpaired quote ("): pair it or remove it')
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error as error:
        raise ValueError(f"cannot be split into cells ({error})") from None
    return [cell.strip() for cell in cells]


def _row(number: int, line: str, delimiter: str, columns: list[str]) -> Row:
    if not line.strip(" \t,"):
        raise ValueError("is empty: remove it")
    cells = _cells(line, delimiter)
    if len(cells) != len(columns):
        separator = "tabs" if delimiter == "\t" else "commas"
        raise ValueError(
            f"has {len(cells)} fields and the header has {len(columns)}: "
            f"separate them by {separator}, as the header does"
        )
    return Row(number, dict(zip(columns, cells, strict=True)))


def _column_problems(columns: list[str], text: str) -> list[str]:
    if not any(columns):
        return ["is empty: the first line must name the columns"]
    if len(columns) == 1 and ";" in text:
        return ["columns are separated by semicolons: use tabs or commas"]
    problems = [
        f"column {position} is named {column[:40]!r}: {why}"
        for position, column in enumerate(columns, start=1)
        if (why := why_refused_cell(column))
    ]
    problems += [
        f"column {position} has no name: name it or remove it"
        for position, column in enumerate(columns, start=1)
        if not column
    ]
    repeated = [c for c in dict.fromkeys(columns) if c and columns.count(c) > 1]
    return problems + [f"column {c} is there twice: remove one" for c in repeated]
