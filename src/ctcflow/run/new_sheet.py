"""Write the libraries that were found to the sample sheet of a new run, or add them to a sheet."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.files.io import write_bytes
from ctcflow.formats.detect import locate
from ctcflow.run.libraries import Found, Library, free_name
from ctcflow.settings.sample import is_name
from ctcflow.settings.sheet import Row, Sheet, read_sheet, refuse

SHEET_COLUMNS: Final = (
    *("sample", "path", "raw_path", "patient", "day", "role", "batch", "chemistry"),
    *("cancer_type", "draw", "volume_ml", "fraction_loaded", "recovery", "guessed"),
)
"""Columns of a new sheet: those that affect the results of a run, and `guessed`."""
_DAY: Final = re.compile(r"(.*[A-Za-z0-9])[_.-]+(?:day|d)[_-]?(\d{1,4})(?:[_.-].*)?", re.IGNORECASE)
"""Pattern of a patient and a day in a name: `P01_d28`, `P01-D28_L1`, `P01_day_3`."""
_NOBODY: Final = re.compile(r"(sample|library|lib|run|lane|donor|patient|draw|pool)", re.IGNORECASE)
"""Words before a day that do not name a patient."""


class Added(NamedTuple):
    """What was added to a sheet."""

    sheet: Path
    libraries: list[Library]
    known: int
    """Libraries that were in the sheet already."""


def guessed(name: str) -> dict[str, str]:
    """Patient and day guessed from a name, and `guessed` with these columns; empty if unknown."""
    match = _DAY.fullmatch(name)
    if match is None or _NOBODY.fullmatch(match[1]) or not is_name(match[1]):
        return {}
    return {"patient": match[1], "day": str(int(match[2])), "guessed": "patient, day"}


def new_run(folder: Path, found: Found, template: Path) -> Path:
    """Create a run folder with a configuration, and a sample sheet for the user to complete.

    Parameters
    ----------
    folder
        Folder of the run; created if it does not exist.
    found
        Libraries for the sheet.
    template
        Configuration that is copied.

    Returns
    -------
    Path of the sheet.

    Raises
    ------
    CtcflowError
        The folder has a configuration or a sheet already.
    """
    config = folder / "config"
    sheet, settings = config / "samples.tsv", config / "config.yaml"
    for path in (sheet, settings):
        if os.path.lexists(path):  # a link to a missing file would be written through
            raise CtcflowError(
                f"`{path}` is there already: complete it, add libraries to it with"
                f" `ctcflow init {folder} --add DATA`, or give another folder"
            )
    config.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(SHEET_COLUMNS), *_lines(map(_cells, found.libraries), SHEET_COLUMNS, "\t")]
    lines_of_template = template.read_text().splitlines(keepends=True)
    # the first line tells editors where the schema is; that path is valid only for the template
    settings.write_text("".join(x for x in lines_of_template if "language-server" not in x))
    sheet.write_text("\n".join(lines) + "\n")
    return sheet


def add(sheet: Path, found: Found) -> Added:
    """Add a line to a sheet for each library that is not in it; existing lines are not changed.

    Missing columns that the new lines need are added at the end, empty in the existing lines.

    Parameters
    ----------
    sheet
        Sample sheet of a run.
    found
        Libraries, including those that the sheet already has.

    Raises
    ------
    CtcflowError
        The sheet cannot be read.
    """
    existing = read_sheet(sheet)
    if existing.problems:
        refuse(sheet, list(existing.problems))
    there = {_counts(row, sheet.absolute().parent) for row in existing.rows}
    new = [library for library in found.libraries if _file(library.path, None) not in there]
    names = {row.cells.get("sample", "") for row in existing.rows}
    named = []
    for library in new:
        named.append(library._replace(name=free_name(library.name, names)))
        names.add(named[-1].name)
    if named:
        _append(sheet, existing, [_cells(library) for library in named])
    return Added(sheet, named, len(found.libraries) - len(new))


def _cells(library: Library) -> dict[str, str]:
    raw = "" if library.raw_path is None else str(library.raw_path)
    files = {"sample": library.name, "path": str(library.path), "raw_path": raw}
    return files | guessed(library.name)


def _counts(row: Row, folder: Path) -> str:
    return _file(folder / row.cells.get("path", ""), row.cells.get("format") or None)


def _file(path: Path, format: str | None) -> str:
    """The first file of a library: paths that lead to the same file are the same library."""
    try:
        return os.path.realpath(locate(path, format=format).files[0])
    except CtcflowError:
        return os.path.realpath(path)


def _append(sheet: Path, existing: Sheet, rows: Sequence[Mapping[str, str]]) -> None:
    content = sheet.read_bytes().decode("utf-8")
    end = "\r\n" if "\r\n" in content else "\n"
    lines = re.split(r"\r\n|\n|\r", content)
    while lines and not lines[-1].strip(" \t,"):
        lines.pop()
    delimiter = "\t" if "\t" in lines[existing.header - 1] else ","
    needed = {column for row in rows for column, cell in row.items() if cell}
    more = [x for x in SHEET_COLUMNS if x in needed and x not in existing.columns]
    lines[existing.header - 1] += "".join(f"{delimiter}{column}" for column in more)
    for row in existing.rows:
        lines[row.line - 1] += delimiter * len(more)
    lines += _lines(rows, (*existing.columns, *more), delimiter)
    # where the sheet is a link, what it leads to is completed and the link stays
    write_bytes(sheet.resolve(), (end.join(lines) + end).encode())


def _lines(rows: Iterable[Mapping[str, str]], columns: Sequence[str], delimiter: str) -> list[str]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue().splitlines()
