"""The first screen of the page: what was found in each draw, and how certain that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from ctcflow import numbers
from ctcflow.render.page import draws_in_words
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Column, table

Record = Mapping[str, Any]

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


def draws_of(draws: Sequence[Record], samples: Sequence[Record]) -> list[dict[str, Any]]:
    """Add to the records of draws what is only recorded for their samples.

    Parameters
    ----------
    draws
        Records of `call`; where there are none, each sample counts as a draw.
    samples
        Records of `call`.

    Returns
    -------
    The record of each draw, with `libraries` (number), `n_aggregate`, `n_uncertain` and `flags`;
    sorted by patient and day, controls last.
    """
    found = draws or [_draw_of(sample) for sample in samples]
    return sorted((_completed(draw, samples) for draw in found), key=_place)


def first_screen(
    draws: Sequence[Record],
    healthy: Record,
    dispersion: Record,
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


def no_control_note(samples: Sequence[Record], healthy: Record) -> Markup | None:
    """Say if no healthy sample was run, and what a frozen reference recorded instead."""
    if any(numbers.text(sample.get("role")) == "healthy" for sample in samples):
        return None
    frozen = numbers.number_or_none(healthy.get("samples"))
    # in a run with blanks only, `healthy` is about these
    told = frozen and not any(map(_is_control, samples))
    return fill(
        "notes/no_control",
        frozen=numbers.plural(int(frozen), "control sample") if frozen and told else "",
        called=numbers.count(healthy.get("called")),
        cells=numbers.count(healthy.get("cells")),
    )


def flag_words(flag: Any) -> str:
    """Turn a flag into words: `no_leukocytes` is `no leukocytes`."""
    words = numbers.text(flag)
    return words if " " in words else words.replace("_", " ")


def _place(draw: Record) -> tuple[bool, str, float, str]:
    day = numbers.number_or_none(draw.get("day"))
    return (
        _is_control(draw),
        numbers.text(draw.get("patient")),
        float("inf") if day is None else day,
        numbers.text(draw.get("draw")),
    )


def _draw_of(sample: Record) -> dict[str, Any]:
    parts = [numbers.number_or_none(sample.get(key)) for key in ("n_CTC", "n_aggregate")]
    called = [part for part in parts if part is not None]
    return {
        **{key: sample.get(key) for key in ("draw", "patient", "day", "role", "cells")},
        "samples": [sample.get("sample")],
        "count": sum(called) if called else None,
        "count_low": sample.get("rate_low"),
        "count_high": sample.get("rate_high"),
    }


def _completed(draw: Record, samples: Sequence[Record]) -> dict[str, Any]:
    named = draw.get("samples")
    if isinstance(named, str):
        named = named.split(", ")
    if isinstance(named, list | tuple):
        mine = [sample for sample in samples if sample.get("sample") in named]
    else:
        place = (draw.get("patient"), draw.get("draw"))
        mine = [s for s in samples if (s.get("patient"), s.get("draw")) == place]
    flags = [flag_words(flag) for sample in mine for flag in sample.get("flags") or []]
    return {
        **draw,
        "libraries": len(mine) or 1,
        "names": [numbers.text(sample.get("sample")) for sample in mine],
        "n_aggregate": _total(mine, "n_aggregate"),
        "n_uncertain": _total(mine, "n_uncertain"),
        "flags": list(dict.fromkeys([*flags, *draws_in_words.remarks(draw)])),
    }


def _total(samples: Sequence[Record], key: str) -> float | None:
    found = [numbers.number_or_none(sample.get(key)) for sample in samples]
    known = [value for value in found if value is not None]
    return sum(known) if known else None


def _is_control(draw: Record) -> bool:
    return numbers.text(draw.get("role")) in ("healthy", "blank")


def _count(draw: Record) -> float:
    return numbers.number_or_none(draw.get("count")) or 0.0


def _headline(draws: Sequence[Record]) -> dict[str, Any]:
    """Number of calls, and in which draws; `where` is empty if no draw was examined."""
    people = len({numbers.text(draw.get("patient")) for draw in draws} - {""})
    of = f" of {numbers.plural(people, 'patient')}" if people else ""
    positive = sum(_count(draw) > 0 for draw in draws)
    share = "" if len(draws) == 1 else "all " if positive == len(draws) else f"{positive} of "
    return {
        "called": int(sum(_count(draw) for draw in draws)),
        "share": share,
        "where": f"{numbers.plural(len(draws), 'draw')}{of}" if draws else "",
    }


def _false_calls(controls: Sequence[Record], healthy: Record, level: str) -> Markup | None:
    if not controls:
        return None
    called = int(sum(_count(draw) for draw in controls))
    cells = sum(numbers.number_or_none(draw.get("cells")) or 0 for draw in controls)
    return draws_in_words.controls(called, cells, len(controls), healthy, level)


def _row(draw: Record, level: str) -> list[Any]:
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
