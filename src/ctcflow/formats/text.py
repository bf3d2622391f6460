"""The first lines of a text table: its separator, its header, and which columns hold counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.formats import words
from ctcflow.formats.bounds import opened
from ctcflow.formats.known_genes import KnownGenes, ensembl_share

_ROWS: Final = 20
"""Rows that are looked at."""
_MOST_CHARACTERS: Final = 20_000_000
"""Characters after which no more rows are looked at."""
MIN_GENE_SHARE: Final = 0.1
"""Smallest share of known genes among the names of genes."""
_MOST: Final = 0.5
_MISSING: Final = ("", "na", "nan")


class Row(NamedTuple):
    """A line of a table: its number, from 0, and its fields."""

    line: int
    fields: list[str]

    @property
    def is_of_numbers(self) -> bool:
        """Whether all fields but the first are numbers."""
        return len(self.fields) > 1 and all(is_number(field) for field in self.fields[1:])


class Head(NamedTuple):
    """What the first lines say of a table."""

    separator: str
    header: list[str]
    names: list[str]
    """A name for each column; R writes none above the names of rows."""
    n_columns: int
    first: int
    """Lines before the first row."""
    rows: list[Row]

    def column(self, at: int) -> list[str]:
        """Fields of a column in the rows that were looked at."""
        return [row.fields[at] for row in self.rows if at < len(row.fields)]

    def is_text(self, at: int) -> bool:
        """Whether a column holds something else than numbers."""
        return any(not _may_be_count(field) for field in self.column(at))


class Columns(NamedTuple):
    """Where names and counts stand in a table."""

    names: int
    ids: int | None
    types: int | None
    counts: list[int]
    left: list[str]
    """Names of columns that hold no counts."""
    skipped: list[Row]
    """Rows that hold no counts."""
    genes_in_rows: bool


def head_of(path: Path) -> Head:
    """Look at the first lines of a table.

    Raises
    ------
    CtcflowError
        The file has no lines or is no text.
    """
    with io.TextIOWrapper(opened(path), encoding="utf-8-sig") as file:
        comments, lines = _first_lines(file)
    if not lines:
        raise CtcflowError(f"`{path}` has no lines: copy it again")
    if "\0" in lines[0][1]:
        raise CtcflowError(f"`{path}` is not a text file: check its format or copy it again")
    separator = _separator(lines[0][1], lines[min(1, len(lines) - 1)][1])
    first, *rows = (Row(number, _split(line, separator)) for number, line in lines)
    header = _header_among(comments, first, separator)
    if header is not None:
        rows, first = [first, *rows], header
    n_columns = len(rows[0].fields) if rows else len(first.fields)
    if len(first.fields) == 1 and not (rows and any(rows[0].fields[1:])):
        n_columns = 1
    names = [""] * (n_columns - len(first.fields)) + first.fields
    return Head(separator, first.fields, names, n_columns, first.line + 1, rows)


def _first_lines(file: IO[str]) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Lines that begin with `#` before all others, and the first others; with their numbers."""
    comments, lines = list[tuple[int, str]](), list[tuple[int, str]]()
    number, characters = -1, 0
    while len(lines) <= _ROWS and characters < _MOST_CHARACTERS:
        line = file.readline()
        number, characters = number + 1, characters + len(line)
        if not line:
            break
        if line.startswith("#") and not lines:
            comments.append((number, line))
        elif line.strip():
            lines.append((number, line))
    return comments, lines


def _separator(first: str, second: str) -> str:
    """What is most in the second line, and in the first as often or, in R's header, once less."""
    counted = {s: second.count(s) for s in ("\t", ",", ";", " ")}
    fitting = [s for s, n in counted.items() if n and n - first.count(s) in (0, 1)]
    return max(fitting or counted, key=lambda s: counted[s])


def _header_among(comments: list[tuple[int, str]], first: Row, separator: str) -> Row | None:
    """The last line that begins with `#`, where it is the header and no comment."""
    if not comments or not first.is_of_numbers or words.plain(first.fields[0]) in words.SYMBOLS:
        return None
    number, line = comments[-1]
    fields = _split(line.lstrip("#"), separator)
    return Row(number, fields) if len(first.fields) - len(fields) in (0, 1) else None


def _split(line: str, separator: str) -> list[str]:
    try:
        fields = next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"the first lines: {error}") from error
    return [field.strip() for field in fields]


def columns_of(path: Path, head: Head, known: KnownGenes) -> Columns:
    """Tell names, counts and descriptions apart, by the header and the first rows.

    Raises
    ------
    CtcflowError
        A column holds text and is not known to describe genes or cells.
    """
    in_columns = known.share(head.header)
    in_rows = max(known.share(head.column(at)) for at in _first_texts(head))
    genes_in_rows = in_rows >= in_columns or in_columns < MIN_GENE_SHARE
    skipped = _rows_of_cells(head, known) if genes_in_rows else []
    looked = head._replace(rows=[row for row in head.rows if row not in skipped])
    describes = words.is_of_genes if genes_in_rows else words.is_of_cells
    left = {at for at, name in enumerate(head.names) if at and describes(name)}
    texts = [at for at in range(1, head.n_columns) if at not in left and looked.is_text(at)]
    types = None
    if genes_in_rows:
        types = next((at for at in texts if words.plain(head.names[at]) in words.TYPES), None)
        names, ids = _names_of_genes(looked, [at for at in texts if at != types], known)
    else:
        names, ids = _names_of_cells(looked, texts), None
    used = {names, ids, types}
    for at in texts:
        if at not in used and not _is_name(looked, at, known, genes_in_rows):
            raise _text_in(path, looked, at)
    left = {0, *left, *texts} - used
    counts = [at for at in range(1, head.n_columns) if at not in left and at not in used]
    named = [head.names[at] or "row numbers" for at in sorted(left)]
    return Columns(names, ids, types, counts, named, skipped, genes_in_rows)


def _first_texts(head: Head) -> list[int]:
    """The first column, and the next few that hold text: one of them names the rows."""
    return [0, *(at for at in range(1, min(head.n_columns, 10)) if head.is_text(at))]


def _rows_of_cells(head: Head, known: KnownGenes) -> list[Row]:
    """Rows that describe cells, above those of the genes: no gene has a blank in its name."""
    found, above = list[Row](), True
    for row in head.rows:
        name = row.fields[0]
        above = above and not known.has(name)
        if words.is_of_cells(name) or (above and " " in name):
            found.append(row)
    return found


def _is_name(head: Head, at: int, known: KnownGenes, genes_in_rows: bool) -> bool:
    """Whether a column of text names the rows."""
    word = words.plain(head.names[at])
    if not genes_in_rows:
        return word in words.CELLS
    told = word in words.SYMBOLS or word in words.IDS
    return told or known.share(head.column(at)) >= MIN_GENE_SHARE


def _names_of_genes(head: Head, texts: Sequence[int], known: KnownGenes) -> tuple[int, int | None]:
    """The columns of symbols and ids, of which one may be missing."""
    found = [at for at in texts if _is_name(head, at, known, genes_in_rows=True)]
    if not found:
        return 0, None
    if not _are_row_numbers(head):
        found = [0, *found]
    # files of symbols have ids where a gene has no symbol
    ids = [at for at in found if ensembl_share(head.column(at)) > _MOST]
    symbols = [at for at in found if at not in ids]
    symbols.sort(key=lambda at: -known.share(head.column(at)))
    if not symbols:
        return ids[0], None
    return symbols[0], (ids[0] if ids else None)


def _names_of_cells(head: Head, texts: Sequence[int]) -> int:
    named = [at for at in texts if words.plain(head.names[at]) in words.CELLS]
    return named[0] if named and _are_row_numbers(head) else 0


def _are_row_numbers(head: Head) -> bool:
    """Whether the first column counts from 0 or 1 and has no name of its own."""
    column = head.column(0)
    if words.plain(head.names[0]) not in words.ROW_NUMBERS or column[:1] not in (["0"], ["1"]):
        return False
    return column == [str(int(column[0]) + at) for at in range(len(column))]


def _text_in(path: Path, head: Head, at: int) -> CtcflowError:
    seen = next(field for field in head.column(at) if not _may_be_count(field))
    return text_error(path, at, head.names[at], seen)


def text_error(path: Path, at: int, name: str, seen: str) -> CtcflowError:
    """Say that a column holds text.

    Parameters
    ----------
    path, at, name
        File, and number and name of the column.
    seen
        The text.
    """
    called = f" under `{name[:40]}`" if name else ""
    return CtcflowError(
        f"`{path}` holds text where counts should be (column {at}: `{seen[:40]}`){called}: keep"
        " one column of names, and leave out what describes genes or cells"
    )


def is_number(text: str) -> bool:
    """Whether Python reads it as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _may_be_count(field: str) -> bool:
    return field.lower() in _MISSING or is_number(field)
