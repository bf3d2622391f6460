"""The first screen of the page: what was found in each draw, and how certain that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, cast

from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.call import Dispersion, Draw, Healthy, SampleCounts
from ctcflow.render.page import draws_in_words
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Column, Content, table

_COLUMNS: Final = (
    Column("Patient"),
    Column("Draw"),
    Column("Day", "number"),
    Column("CTCs called"),
    Column("Per mL of blood"),
    Column("Against blanks"),
    Column("Of these in aggregates", "count"),
    Column("Uncertain", "count"),
    Column("Cells examined", "count"),
    Column("To keep in mind"),
)


class ShownDraw(Draw):
    """The record of a draw, with what is only recorded for its samples."""

    libraries: int
    """Number of its samples, at least 1."""
    names: list[str]
    """Names of its samples."""
    n_aggregate: float | None
    n_uncertain: float | None
    flags: list[str]
    """Sentences."""


def draws_of(draws: Sequence[Draw], samples: Sequence[SampleCounts]) -> list[ShownDraw]:
    """Add to the records of draws what is only recorded for their samples.

    Parameters
    ----------
    draws
        Records of `call`; where there are none, each sample counts as a draw.
    samples
        Records of `call`.

    Returns
    -------
    The draws, sorted by patient and day, controls last.
    """
    if draws:
        shown = [_completed(draw, _samples_of(draw, samples)) for draw in draws]
    else:
        shown = [_completed(_draw_of(s), _named(samples, [_name(s)])) for s in samples]
    return sorted(shown, key=_place)


def first_screen(
    draws: Sequence[ShownDraw],
    healthy: Healthy,
    dispersion: Dispersion,
    notes: Sequence[Markup],
    confidence: float | None,
) -> Markup:
    """Write the first screen: a sentence, remarks, and one row per draw.

    Parameters
    ----------
    draws
        Result of `draws_of`.
    healthy
        False calls in the controls: see `draws_in_words.controls`.
    dispersion
        `source`: where the overdispersion of counts comes from.
    notes
        Remarks on the whole run.
    confidence
        Confidence of the intervals (fraction); None where it is not known.
    """
    patients = [draw for draw in draws if not _is_control(draw)]
    controls = [draw for draw in draws if _is_control(draw)]
    level = "exact" if confidence is None else f"{100 * confidence:g} %"
    rows = [_row(draw, level) for draw in patients]
    caption = draws_in_words.caption(patients, dispersion, level)
    empty = "There is no draw of a patient in this run."
    tables = [table(caption, _COLUMNS, rows, search=len(rows) > 12, empty=empty)]
    if controls:
        caption = "Healthy and blank controls: every call here is a false one."
        tables.append(table(caption, _COLUMNS, [_row(draw, level) for draw in controls]))
    return fill(
        "sections/answer",
        **_headline(patients),
        controls=_false_calls(controls, healthy, level),
        notes=notes,
        tables=tables,
    )


def no_control_note(samples: Sequence[SampleCounts], healthy: Healthy) -> Markup | None:
    """Say if no healthy sample was run, and what a frozen reference recorded instead."""
    if any(numbers.text(sample.get("role")) == "healthy" for sample in samples):
        return None
    frozen = numbers.number_or_none(healthy.get("samples"))
    # in a run with blanks only, `healthy` is about these
    told = frozen and not any(_is_control(sample) for sample in samples)
    return fill(
        "notes/no_control",
        frozen=numbers.plural(int(frozen), "control sample") if frozen and told else "",
        called=numbers.count(healthy.get("called")),
        cells=numbers.count(healthy.get("cells")),
    )


def flag_words(flag: str) -> str:
    """Turn a flag into words: `no_leukocytes` is `no leukocytes`."""
    words = numbers.text(flag)
    return words if " " in words else words.replace("_", " ")


def _place(draw: ShownDraw) -> tuple[bool, str, float, str]:
    day = numbers.number_or_none(draw.get("day"))
    return (
        _is_control(draw),
        numbers.text(draw.get("patient")),
        float("inf") if day is None else day,
        numbers.text(draw.get("draw")),
    )


def _draw_of(sample: SampleCounts) -> Draw:
    """A sample as a draw, where a file has no records of draws; numbers may be missing there."""
    low: float | None = sample.get("rate_low")
    high: float | None = sample.get("rate_high")
    return {
        "draw": sample.get("draw"),
        "patient": sample.get("patient"),
        "day": sample.get("day"),
        "role": sample.get("role"),
        "samples": sample.get("sample"),
        "cells": sample.get("cells"),
        "count": cast("int", _total([sample.get("n_CTC"), sample.get("n_aggregate")])),
        "judged": numbers.text(sample.get("judged")),
        "count_low": cast("float", low),
        "count_high": cast("float", high),
        "interval": "",
        "count_without_diploid": 0,
        "volume_ml": None,
        "per_ml": None,
        "per_ml_low": None,
        "per_ml_high": None,
        "recovery": None,
        "per_ml_corrected": None,
        "per_ml_corrected_low": None,
        "per_ml_corrected_high": None,
        "limit_of_blank": None,
        "above_blank": "",
        "cutoff": "",
        "note": "",
    }


def _samples_of(draw: Draw, samples: Sequence[SampleCounts]) -> list[SampleCounts]:
    """The samples that the draw names, else those of its patient and name."""
    named: str | None = draw.get("samples")
    if isinstance(named, str):
        return _named(samples, named.split(", "))
    return [sample for sample in samples if _patient_and_draw(sample) == _patient_and_draw(draw)]


def _named(samples: Sequence[SampleCounts], names: Sequence[str | None]) -> list[SampleCounts]:
    return [sample for sample in samples if _name(sample) in names]


def _name(sample: SampleCounts) -> str | None:
    return sample.get("sample")


def _patient_and_draw(of: Draw | SampleCounts) -> tuple[str | None, str | None]:
    return of.get("patient"), of.get("draw")


def _completed(draw: Draw, samples: Sequence[SampleCounts]) -> ShownDraw:
    flags = [flag_words(flag) for sample in samples for flag in sample.get("flags") or []]
    return {
        **draw,
        "libraries": len(samples) or 1,
        "names": [numbers.text(sample.get("sample")) for sample in samples],
        "n_aggregate": _total(sample.get("n_aggregate") for sample in samples),
        "n_uncertain": _total(sample.get("n_uncertain") for sample in samples),
        "flags": list(dict.fromkeys([*flags, *draws_in_words.remarks(draw)])),
    }


def _total(values: Iterable[numbers.Value]) -> float | None:
    amounts = [numbers.number_or_none(value) for value in values]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _is_control(of: Draw | SampleCounts) -> bool:
    return numbers.text(of.get("role")) in ("healthy", "blank")


def _count(draw: Draw) -> float:
    return numbers.number_or_none(draw.get("count")) or 0.0


def _headline(draws: Sequence[Draw]) -> dict[str, str | int]:
    """Number of calls, in which draws, and how many draws their files do not let judge.

    `where` is empty if no draw was examined.
    """
    people = len({numbers.text(draw.get("patient")) for draw in draws} - {""})
    of = f" of {numbers.plural(people, 'patient')}" if people else ""
    positive = sum(_count(draw) > 0 for draw in draws)
    share = "" if len(draws) == 1 else "all " if positive == len(draws) else f"{positive} of "
    return {
        "called": int(sum(_count(draw) for draw in draws)),
        "share": share,
        "unjudged": sum(bool(numbers.text(draw.get("judged"))) for draw in draws),
        "where": f"{numbers.plural(len(draws), 'draw')}{of}" if draws else "",
    }


def _false_calls(controls: Sequence[Draw], healthy: Healthy, level: str) -> Markup | None:
    if not controls:
        return None
    called = int(sum(_count(draw) for draw in controls))
    cells = sum(numbers.number_or_none(draw.get("cells")) or 0 for draw in controls)
    return draws_in_words.controls(called, cells, len(controls), healthy, level)


def _row(draw: ShownDraw, level: str) -> list[Content]:
    name = numbers.text(draw.get("draw")) or ", ".join(draw["names"])
    libraries = "this library" if draw["libraries"] == 1 else f"these {draw['libraries']} libraries"
    return [
        numbers.text(draw.get("patient")) or "not named",
        name,
        draw.get("day"),
        draws_in_words.called(draw, level, libraries),
        draws_in_words.per_ml(draw),
        draws_in_words.against_blanks(draw),
        draw["n_aggregate"],
        draw["n_uncertain"],
        draw.get("cells"),
        "; ".join(draw["flags"]),
    ]
