"""Text about one draw: its count, its concentration, and comparison with the blanks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.call import Dispersion, Draw, Healthy
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Valued

_NO_VOLUME: Final = "per mL not given"
_NO_CUTOFF: Final = "no cut-off"


def remarks(draw: Draw) -> list[str]:
    """List the remarks on a draw: its notes, tissue of origin, and the cut-off of its cancer.

    If there is no concentration, the reason is given in its place and not here.
    """
    notes = [note for note in _notes(draw) if not note.startswith(_NO_VOLUME)]
    origin = numbers.text(draw.get("tissue_of_origin"))
    cutoff = numbers.text(draw.get("cutoff"))
    shown = cutoff and not cutoff.startswith(_NO_CUTOFF)
    return [*notes, *([origin] if origin else []), *([cutoff] if shown else [])]


def called(draw: Draw, level: str, libraries: str) -> Valued:
    """Show the count with its interval; without a call, the upper limit."""
    count = numbers.number_or_none(draw.get("count"))
    if count is None or numbers.number_or_none(draw.get("cells")) == 0:
        return Valued("no cell to examine", -1.0)
    if count == 0 and (judged := numbers.text(draw.get("judged"))):
        return Valued(judged, -1.0)
    if count == 0:
        high = numbers.short(draw.get("count_high"))
        limit = "" if high == numbers.MISSING else f"{level} upper limit {high} in {libraries}"
        return Valued(fill("cells/called", count=0, interval=limit), 0.0)
    between = numbers.interval(draw.get("count_low"), draw.get("count_high"))
    interval = f"{level} interval {between}" if between else ""
    return Valued(fill("cells/called", count=count, interval=interval), count)


def per_ml(draw: Draw) -> Valued:
    """Show the concentration with its interval, also corrected for recovery."""
    value = numbers.number_or_none(draw.get("per_ml"))
    if numbers.text(draw.get("judged")):
        return Valued(numbers.MISSING, -1.0)
    if value is None:
        notes = [note for note in _notes(draw) if note.startswith(_NO_VOLUME)]
        why = notes[0].removeprefix("per mL ") if notes else "volume not given"
        return Valued(why, -1.0)
    shown = _concentration(value, draw.get("per_ml_low"), draw.get("per_ml_high"))
    corrected = numbers.number_or_none(draw.get("per_ml_corrected"))
    if corrected is not None:
        ends = draw.get("per_ml_corrected_low"), draw.get("per_ml_corrected_high")
        recovery = numbers.short(draw.get("recovery"))
        shown += f"; with recovery {recovery}: {_concentration(corrected, *ends)}"
    return Valued(shown, value)


def against_blanks(draw: Draw) -> Valued:
    """Say whether a count lies above the limit of blank, or why that is not known."""
    if numbers.text(draw.get("judged")):
        return Valued(numbers.MISSING, -2.0)
    above = numbers.text(draw.get("above_blank"))
    limit = numbers.short(draw.get("limit_of_blank"))
    count = numbers.number_or_none(draw.get("count")) or 0.0
    if above == "yes":
        return Valued(f"above the limit of blank ({limit})", count)
    if above == "no":
        return Valued(f"not above the limit of blank ({limit})", -1.0)
    return Valued(above or numbers.MISSING, -2.0)


def controls(total: int, cells: float, draws: int, healthy: Healthy, level: str) -> Markup:
    """Write the sentence on false calls: the observed rate with its interval, and the claimed rate.

    Parameters
    ----------
    total
        Number of cells called in controls.
    cells
        Number of cells examined in controls.
    draws
        Number of control draws.
    healthy
        `rate_low`, `rate_high`, `claimed` (per cell), `flag` (a sentence, or empty).
    level
        Confidence of the interval, in words.
    """
    rates = healthy.get("rate_low"), healthy.get("rate_high"), healthy.get("claimed")
    low, high, claimed = (
        None if rate is None else 1000 * rate for rate in map(numbers.number_or_none, rates)
    )
    between = numbers.interval(low, high)
    claim = "" if claimed is None else f"; at most {numbers.short(claimed)} claimed"
    rate = f" ({level} interval {between} per 1,000 cells{claim})" if between else ""
    what = "No cell was" if total == 0 else f"{numbers.plural(total, 'cell')} falsely"
    where = numbers.plural(draws, "control draw")
    sentence = f"{what} called among {numbers.count(cells)} cells of {where}{rate}."
    flag = numbers.text(healthy.get("flag"))
    return fill("notes/controls", sentence=sentence, flag=f"{flag[:1].upper()}{flag[1:]}")


def caption(draws: Sequence[Draw], dispersion: Dispersion, level: str) -> str:
    """Caption of the table of draws: meaning of the numbers, kind of intervals, and caveats."""
    interval = f"exact {level} interval" if level != "exact" else "exact interval"
    kinds = ", ".join(dict.fromkeys(numbers.text(draw.get("interval")) for draw in draws))
    source = numbers.text(dispersion.get("source"))
    why = f"; variance over mean {source}" if source else ""
    cutoffs = [numbers.text(draw.get("cutoff")) for draw in draws]
    sentences = [
        f"CTCs per draw, aggregates included, with the {interval} of the count"
        f"{f': {kinds}{why}' if kinds else ''}.",
        "Uncertain cells are not counted.",
        "The limit of blank is the 95th percentile of what is called in healthy and blank draws;"
        " it takes 20 of them.",
    ]
    if any(cutoff == f"{_NO_CUTOFF}: they belong to CellSearch" for cutoff in cutoffs):
        sentences.append("Prognostic cut-offs belong to CellSearch and are not shown elsewhere.")
    return " ".join(sentences)


def _concentration(value: float, low: float | None, high: float | None) -> str:
    if value == 0:
        return f"0 (up to {numbers.short(high)})"
    between = numbers.interval(low, high)
    return f"{numbers.short(value)}{f' ({between})' if between else ''}"


def _notes(draw: Draw) -> list[str]:
    return [note for note in numbers.text(draw.get("note")).split("; ") if note]
