"""Apply a reviewer's verdicts to the classes of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.records.run import NotRun

Objects = npt.NDArray[np.object_]

_WORDS = {"confirm": "confirmed", "veto": "vetoed"}
_TUMOUR = ("CTC", "CTC aggregate", "uncertain")


class Reviewed(NamedTuple):
    """Cells after review; text fields are empty for cells without a verdict unless noted."""

    classes: Objects
    """(n,) class of each cell, reviewed or not."""
    reasons: Objects
    """(n,) reason of each cell; for reviewed cells, the verdict comes before ctcflow's reason."""
    before: Objects
    """(n,) class before review."""
    verdict: Objects
    """(n,) `confirm`, `veto`, or `confirm; veto` where reviewers disagree."""
    reviewer: Objects
    """(n,) names, separated by `; `."""
    not_applied: list[NotRun]
    """`what` and `reason` of verdicts on cells that do not exist."""


def apply(
    classes: Objects,
    reasons: Objects,
    *,
    barcodes: Objects,
    p_identity: npt.NDArray[np.float64],
    verdicts: pd.DataFrame,
    identity_p: float,
) -> Reviewed:
    """Change the classes of a sample's cells according to the verdicts.

    A confirmed cell becomes a `CTC`; an aggregate stays an aggregate. A vetoed cell gets the class
    that it would have without tumour evidence: `non-blood other` where blood identity is missing,
    else `blood`. Where reviewers disagree the cell is `uncertain`.

    Parameters
    ----------
    classes, reasons
        (n,) classes and reasons before review; not changed.
    barcodes
        (n,) barcodes of the cells that were kept.
    p_identity
        (n,) probability that a leukocyte lacks so much blood identity.
    verdicts
        Verdicts on this sample: `barcode`, `verdict` (`confirm` or `veto`), `reviewer`, `reason`.
    identity_p
        Blood identity is missing at or below this.
    """
    classes, reasons = classes.copy(), reasons.copy()
    before, verdict, reviewer = (np.full(classes.size, "", dtype=object) for _ in range(3))
    places = pd.Index(barcodes).get_indexer(pd.Index(verdicts["barcode"], dtype=object))
    of_cells: dict[int, list[Any]] = {}
    # not `groupby`: a million cells with a verdict would take minutes
    for place, row in zip(places.tolist(), verdicts.itertuples(index=False), strict=True):
        if place >= 0:
            of_cells.setdefault(place, []).append(row)
    for cell, verdicts_of_cell in of_cells.items():
        words = sorted({row.verdict for row in verdicts_of_cell})
        before[cell] = classes[cell]
        verdict[cell] = "; ".join(words)
        reviewer[cell] = "; ".join(dict.fromkeys(row.reviewer for row in verdicts_of_cell))
        foreign = bool(p_identity[cell] <= identity_p)
        classes[cell] = _class(words, str(before[cell]), foreign=foreign)
        reasons[cell] = _reason(verdicts_of_cell, machine=str(reasons[cell]))
    lost: list[NotRun] = [
        {
            "what": "verdict not applied",
            "reason": f"{row.barcode} ({row.verdict}, {row.reviewer}): no cell of this barcode"
            " was kept",
        }
        for row in verdicts[places < 0].itertuples()
    ]
    return Reviewed(classes, reasons, before, verdict, reviewer, lost)


def _class(words: list[str], machine: str, *, foreign: bool) -> str:
    if len(words) > 1:
        return "uncertain"
    if words == ["confirm"]:
        return "CTC aggregate" if machine == "CTC aggregate" else "CTC"
    if machine not in _TUMOUR:
        return machine
    return "non-blood other" if foreign else "blood"


def _reason(verdicts: Sequence[Any], *, machine: str) -> str:
    sentences = [f"{_WORDS[row.verdict]} by {row.reviewer}: {row.reason}" for row in verdicts]
    opening = "reviewers disagree; " if len({row.verdict for row in verdicts}) > 1 else ""
    return f"{opening}{'; '.join(sentences)}" + (f"; before review: {machine}" if machine else "")


def summary(verdict: Objects) -> str:
    """Say in words how many cells of a sample were reviewed; empty where none was."""
    phrases = [
        f"{count} {word}"
        for word, kind in (("confirmed", "confirm"), ("vetoed", "veto"))
        if (count := int((verdict == kind).sum()))
    ]
    disputed = int((verdict == "confirm; veto").sum())
    phrases += [f"{disputed} disputed"] if disputed else []
    return f"reviewed: {', '.join(phrases)}" if phrases else ""
