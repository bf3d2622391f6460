"""The table of a reviewer's verdicts, checked before the first job."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ctcflow.settings.mistakes import closest, shown
from ctcflow.settings.sheet import Kind, Problem, Row, read_sheet, refuse, refused_cells

_MOST_PROBLEMS = 100
WORDS = ("confirm", "veto")


class Verdict(NamedTuple):
    """The verdict of one reviewer on one cell."""

    sample: str
    barcode: str
    verdict: str
    """`confirm` or `veto`."""
    reviewer: str
    reason: str


_KIND = Kind("verdicts", "verdicts", f"{', '.join(Verdict._fields[:-1])} and {Verdict._fields[-1]}")


def load_verdicts(path: Path, samples: Iterable[str]) -> tuple[Verdict, ...]:
    """Read and check a reviewer's verdicts.

    Parameters
    ----------
    path
        Text, separated by tabs or commas, with the columns of `Verdict`. Other columns, and lines
        with neither verdict nor reviewer, are ignored, so an edited copy of `ctc.tsv` can be used.
    samples
        Names of the run's samples.

    Returns
    -------
    The verdicts in the order of the file; a verdict that one reviewer repeats is kept once.

    Raises
    ------
    CtcflowError
        Up to five problems in one line, each with its line number.
    """
    table = read_sheet(path, _KIND)
    problems = [Problem(table.header, sentence) for sentence in _columns(table.columns)]
    if problems:
        refuse(path, problems, _KIND)
    sample_names = dict.fromkeys(samples)
    problems += table.problems
    verdicts: dict[tuple[str, str, str], tuple[Verdict, int]] = {}
    for row in table.rows:
        if not row.cells["verdict"] and not row.cells["reviewer"]:
            continue
        if len(problems) >= _MOST_PROBLEMS:
            break  # to look for what was meant takes time
        mistakes = _mistakes(row, sample_names)
        problems += [Problem(row.line, mistake) for mistake in mistakes]
        if mistakes:
            continue
        verdict = Verdict(*(row.cells[name] for name in Verdict._fields))
        verdict = verdict._replace(verdict=verdict.verdict.lower())
        key = (verdict.sample, verdict.barcode, verdict.reviewer)
        first, line = verdicts.setdefault(key, (verdict, row.line))
        if first.verdict != verdict.verdict:
            sentence = (
                f"{verdict.reviewer} says {verdict.verdict} of {verdict.barcode} of"
                f" {verdict.sample} and {first.verdict} on line {line}: remove one"
            )
            problems.append(Problem(row.line, sentence))
    if problems:
        refuse(path, problems, _KIND)
    return tuple(verdict for verdict, _ in verdicts.values())


def _columns(columns: tuple[str, ...]) -> list[str]:
    problems = []
    others = [column for column in columns if column not in Verdict._fields]
    for required in Verdict._fields:
        if required in columns:
            continue
        match = closest(required, others, cutoff=0.75)
        hint = f"rename {match}" if match else "add it"
        problems.append(f"column {required} is missing (found: {', '.join(columns)}): {hint}")
    return problems


def _mistakes(row: Row, sample_names: Collection[str]) -> list[str]:
    problems = [
        f"{name} is empty: {action}"
        for name, action in (
            ("sample", "name the sample"),
            ("barcode", "give the barcode, as cells.tsv.gz has it"),
            ("verdict", "write confirm or veto"),
            ("reviewer", "say who"),
            ("reason", "say why"),
        )
        if not row.cells[name]
    ]
    problems += refused_cells(row, Verdict._fields)
    sample, verdict = row.cells["sample"], row.cells["verdict"]
    if sample and sample not in sample_names:
        match = closest(sample, sample_names, cutoff=0.6)
        hint = f"did you mean {match}?" if match else "name one of the sample sheet"
        problems.append(f"sample {shown(sample)} is not in this run: {hint}")
    if verdict and verdict.lower() not in WORDS:
        match = closest(verdict, WORDS, cutoff=0.5)
        hint = f"did you mean {match}?" if match else "write confirm or veto"
        problems.append(f"verdict is {shown(verdict)}: {hint}")
    return problems
