"""Hostile texts at every place where the sheet, the verdicts, the panels and a run hold a name."""

from __future__ import annotations

import csv
import io as texts
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.attacks.rows import COMMANDS, HOSTILE, Attack, one_line_or, refused

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.settings.config import load_config, load_samples, sample_row
from ctcflow.settings.review import load_verdicts
from ctcflow.workflow.for_rules import Workflow

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
COUNTS = "gene,AAAC-1,AAAG-1\nTP53,1,2\nEPCAM,0,1\nPTPRC,3,1\n"


Taking = Callable[[Callable[[], Any]], Any]


def take_of(what: str) -> Taking:
    """How a text is given to a reader: commands have to be refused, others may be taken."""
    return refused if what in COMMANDS else one_line_or


def rows() -> Iterator[Attack]:
    """All rows of these areas."""
    for what, text in HOSTILE.items():
        for place in ("sample", "patient", "batch", "cancer_type", "stage"):
            yield Attack(f"sheet: {place}", what, _in_sheet(place, text, take_of(what)))
        for column in ("reviewer", "reason", "barcode"):
            yield Attack(f"verdicts: {column}", what, _in_verdicts(column, text, take_of(what)))
        for column in ("set", "gene"):
            yield Attack(f"panels: {column}", what, _in_panels(column, text, take_of(what)))
        if text not in (".", "..") and not set(text) & set("/\0\ud800") and len(text) < 200:
            yield Attack("folder of counts", what, _as_folder(text))


def table(*lines: dict[str, str]) -> str:
    """A table as a spreadsheet writes it, with quotes where they are needed."""
    out = texts.StringIO()
    writer = csv.DictWriter(out, list(lines[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def write(path: Path, text: str) -> Path:
    """Write a text, also one that is no UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    return path


def _in_sheet(place: str, text: str, take: Taking):
    def act(folder: Path) -> None:
        write(folder / "counts.csv", COUNTS)
        line = {"sample": "s1", "patient": "p1", "path": "counts.csv", place: text}
        sheet = write(folder / "samples.tsv", table(line))
        found = take(lambda: load_samples(sheet, load_config({})))
        if found is None:
            return
        (sample,) = found
        if place == "sample":
            assert _SAFE.fullmatch(sample.sample), sample.sample
            results = folder / "results"
            assert (results / f"{sample.sample}.h5ad").resolve().parent == results.resolve()
        shown = sample.model_dump()
        if not text.strip():
            return  # an empty cell
        value = shown.get(place, (shown.get("metadata") or shown).get(place))
        assert value is None or str(value) == text.strip() or str(value) == text, value
        assert "\n" not in sample_row(sample)
        assert not (folder / "owned").exists()

    return act


def _in_verdicts(column: str, text: str, take: Taking):
    def act(folder: Path) -> None:
        line = {"sample": "s1", "barcode": "AAAC-1", "verdict": "veto", "reviewer": "AB"}
        path = write(folder / "verdicts.tsv", table({**line, "reason": "debris", column: text}))
        found = take(lambda: load_verdicts(path, ["s1"]))
        for verdict in found or ():
            assert getattr(verdict, column) in (text, text.strip())

    return act


def _in_panels(column: str, text: str, take: Taking):
    def act(folder: Path) -> None:
        line = {"set": "breast", "gene": "EPCAM", "direction": "1"}
        path = write(folder / "panels.tsv", table(line, {**line, column: text}))
        found = take(lambda: io.read_gene_sets(path))
        if found is not None:
            assert str(found[column].iloc[1]) in (text, text.strip())

    return act


def _as_folder(text: str):
    def act(folder: Path) -> None:
        write(folder / text / "counts.csv", COUNTS)
        sheet = table({"sample": "s1", "path": f"../{text}/counts.csv"})
        write(folder / "config" / "samples.tsv", sheet)

        def take() -> list[Path]:
            try:
                run = Workflow({}, run=folder, results="results")
            except SystemExit as stopped:
                raise CtcflowError(str(stopped.code)) from None
            return [path for of in run.all_read() for path in of.files]

        found = one_line_or(take)
        if found is not None:
            assert [path.read_text() for path in found] == [COUNTS]
            assert found[0].resolve() == (folder / text / "counts.csv").resolve()

    return act
