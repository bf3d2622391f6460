"""Lists of genes and cells beside a Matrix Market file, with a header or without."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ctcflow.errors import CtcflowError
from ctcflow.formats import words
from ctcflow.formats.bounds import opened
from ctcflow.formats.known_genes import ensembl_share
from ctcflow.formats.raw import Names, reading

_HEADS = words.SYMBOLS | words.IDS | words.CELLS | words.ROW_NUMBERS | words.OF_CELLS


def features_of(files: Sequence[Path]) -> tuple[Names, Names | None, Names | None]:
    """Names, ids and types of the features of a matrix; None where the lists do not have them.

    Parameters
    ----------
    files
        As `triplets.Triplet` has them.

    Raises
    ------
    CtcflowError
        A list is damaged, or two lists of the genes are not of one length.
    """
    header, columns = _columns(files[1])
    found = _by_header(header, columns) if header else _by_place(columns)
    if len(files) > 3:
        found = _with_symbols(files, found, _columns(files[3], may_be_empty=True)[1][0])
    names, ids, types = found
    if names is not None:
        return names, ids, types
    return (columns[0] if ids is None else ids), None, types


def _by_header(header: list[str], columns: list[Names]) -> tuple[Names | None, ...]:
    return tuple(_named(header, columns, of) for of in (words.SYMBOLS, words.IDS, words.TYPES))


def _by_place(columns: list[Names]) -> tuple[Names | None, ...]:
    """Columns as Cell Ranger has them: id, name, type."""
    types = columns[2] if len(columns) > 2 else None
    if len(columns) == 1:
        return None, columns[0], types
    ids, names = columns[:2]
    if ensembl_share(names) > ensembl_share(ids):
        ids, names = names, ids
    return names, ids, types


def _with_symbols(
    files: Sequence[Path], found: tuple[Names | None, ...], symbols: Names
) -> tuple[Names | None, ...]:
    names, ids, types = found
    beside = ids if ids is not None else names
    if beside is not None and symbols.size != beside.size:
        raise CtcflowError(
            f"`{files[3]}` has {symbols.size} lines, but {files[1].name} has {beside.size}: copy"
            " the files again"
        )
    # kb leaves a line empty where a gene has no symbol
    named = symbols if beside is None else np.where(symbols == "", beside, symbols)
    return named, beside, types


def cells_of(files: Sequence[Path]) -> Names:
    """Names of the cells of a matrix.

    Parameters
    ----------
    files
        As `triplets.Triplet` has them.

    Raises
    ------
    CtcflowError
        The list is damaged.
    """
    header, columns = _columns(files[2])
    named = _named(header, columns, words.CELLS) if header else None
    return columns[0] if named is None else named


def _named(header: Sequence[str], columns: Sequence[Names], of: Collection[str]) -> Names | None:
    return next((c for h, c in zip(header, columns, strict=True) if words.plain(h) in of), None)


def _columns(path: Path, *, may_be_empty: bool = False) -> tuple[list[str], list[Names]]:
    """The header, empty where there is none, and the columns without row numbers.

    `may_be_empty`: a line without a name counts as one.
    """
    with reading(path, "a list of names"):
        header, columns = _fields(path, may_be_empty)
        if len(columns) > 1 and _are_row_numbers(columns[0]):
            header, columns = header[1:], columns[1:]
    return header, columns


def _are_row_numbers(column: Names) -> bool:
    """Whether a column counts from 0 or 1, as R writes names of rows."""
    first = str(column[0]) if column.size else ""
    if first not in ("0", "1"):
        return False
    wanted = range(int(first), int(first) + column.size)
    return all(str(name) == str(number) for name, number in zip(column, wanted, strict=True))


def _fields(path: Path, may_be_empty: bool) -> tuple[list[str], list[Names]]:
    with opened(path) as file:
        lines = [file.readline().decode("utf-8-sig", errors="replace") for _ in range(2)]
        # 10x writes types of two words: blanks separate nothing
        separator = "," if "\t" not in lines[0] and _has_commas(path, lines[0]) else "\t"
        first, second = (line.rstrip("\r\n").split(separator) for line in lines)
        has_header = lines[0].strip() != "" and words.plain(_bare(first[0])) in _HEADS
        # R writes no name above those of rows
        above = [""] * (has_header and len(second) - len(first) == 1)
        header = [*above, *map(_bare, first)] if has_header else []
        file.seek(0)
        try:
            frame = pd.read_csv(
                file,
                sep=separator,
                header=None,
                names=[0] if may_be_empty else None,
                skiprows=int(has_header),
                dtype=np.dtype(object),
                keep_default_na=False,
                skip_blank_lines=not may_be_empty,
                quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL,
                encoding="utf-8-sig",
            )
        except pd.errors.EmptyDataError:
            # A library in which no cell was found has an empty list of barcodes.
            return header, [np.array([], dtype=object)] * max(len(header), 1)
    if header and len(header) != frame.shape[1]:
        raise ValueError(f"{len(header)} names above {frame.shape[1]} columns")
    return header, [_without_quotes(frame[column]) for column in frame]


def _has_commas(path: Path, first: str) -> bool:
    """Whether a list is separated by commas: by its name, or by a header that is known."""
    named = ".csv" in path.name.lower()
    return "," in first and (named or words.plain(_bare(first.split(",")[0])) in _HEADS)


def _bare(field: str) -> str:
    """A name without the quotes that R writes around it."""
    field = field.strip()
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field


def _without_quotes(column: pd.Series) -> Names:
    fields = column.to_numpy(dtype=object)
    if not any(name[:1] == '"' for name in fields):
        return np.asarray(fields, dtype=object)
    return np.array([_bare(name) for name in fields], dtype=object)
