"""The first screen: what was found in each draw, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ctcflow.render import html, numbers
from ctcflow.render.html import Column, Markup, Valued

Record = Mapping[str, Any]

_NO_VOLUME: Final = "per mL not given"
_COLUMNS: Final = (
    Column("Patient"),
    Column("Draw"),
    Column("Day", "number"),
    Column("CTCs called"),
    Column("Per mL of blood"),
    Column("Of these in aggregates", "count"),
    Column("Uncertain", "count"),
    Column("Cells examined", "count"),
    Column("To keep in mind"),
)


def draws_of(draws: Sequence[Record], samples: Sequence[Record]) -> list[dict[str, Any]]:
    """Complete the records of draws with what only their samples know.

    Parameters
    ----------
    draws
        Records of `call`; where there are none, each sample counts as a draw.
    samples
        Records of `call`.

    Returns
    -------
    Per draw the record, with `libraries` (number), `n_aggregate`, `n_uncertain` and `flags`; by
    patient and day, controls last.
    """
    found = draws or [_draw_of(sample) for sample in samples]
    return sorted((_completed(draw, samples) for draw in found), key=_place)


def first_screen(
    draws: Sequence[Record],
    healthy: Record,
    notes: Sequence[Markup],
    confidence: float | None,
) -> Markup:
    """Write the answer: a sentence, what to keep in mind, and one row per draw.

    Parameters
    ----------
    draws
        From `draws_of`.
    healthy
        Rate of false calls in the controls: `rate_low`, `rate_high` (per cell).
    notes
        What holds for the whole run.
    confidence
        Of the intervals (fraction); None where it is not known.
    """
    patients = [draw for draw in draws if not _is_control(draw)]
    controls = [draw for draw in draws if _is_control(draw)]
    level = "exact" if confidence is None else f"{100 * confidence:g} %"
    parts = [html.paragraph(_headline(patients), kind="answer")]
    if controls:
        parts.append(html.paragraph(_controls_sentence(controls, healthy, level)))
    if notes:
        parts.append(
            html.tag("ul", *(html.tag("li", n) for n in notes), attributes={"class": "notes"})
        )
    caption = (
        f"CTCs per draw, aggregates included, with the exact {level} interval of the count. "
        "Uncertain cells are not counted."
    ).replace("exact exact", "exact")
    rows = [_row(draw, level) for draw in patients]
    parts.append(
        html.table(
            caption,
            _COLUMNS,
            rows,
            search=len(rows) > 12,
            empty="There is no draw of a patient in this run.",
        )
    )
    if controls:
        parts.append(
            html.table(
                "Healthy and blank controls: every call here is a false one.",
                _COLUMNS,
                [_row(draw, level) for draw in controls],
            )
        )
    return html.tag(
        "section",
        html.tag("h2", "The answer", attributes={"id": "answer-heading"}),
        *parts,
        attributes={"id": "answer", "aria-labelledby": "answer-heading"},
    )


def no_control_note(samples: Sequence[Record]) -> Markup | None:
    """Say that nothing healthy was run, where that is so."""
    if any(numbers.text(sample.get("role")) == "healthy" for sample in samples):
        return None
    return html.join(
        [
            html.tag("strong", "No healthy control in this run. "),
            "The error rate is the one expected from the leukocytes of each sample; "
            "it was not checked on healthy blood.",
        ]
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
    note = numbers.text(draw.get("note"))
    # Why there is no concentration is said where the concentration would stand.
    about_volume = note.startswith(_NO_VOLUME)
    return {
        **draw,
        "libraries": len(mine) or 1,
        "names": [numbers.text(sample.get("sample")) for sample in mine],
        "n_aggregate": _total(mine, "n_aggregate"),
        "n_uncertain": _total(mine, "n_uncertain"),
        "flags": list(dict.fromkeys([*flags, *([note] if note and not about_volume else [])])),
    }


def _total(samples: Sequence[Record], key: str) -> float | None:
    found = [numbers.number_or_none(sample.get(key)) for sample in samples]
    known = [value for value in found if value is not None]
    return sum(known) if known else None


def _is_control(draw: Record) -> bool:
    return numbers.text(draw.get("role")) in ("healthy", "blank")


def _count(draw: Record) -> float:
    return numbers.number_or_none(draw.get("count")) or 0.0


def _headline(draws: Sequence[Record]) -> Markup:
    if not draws:
        return html.join(["No draw of a patient was examined."])
    total = int(sum(_count(draw) for draw in draws))
    people = len({numbers.text(draw.get("patient")) for draw in draws} - {""})
    of = f" of {numbers.plural(people, 'patient')}" if people else ""
    where = f"{numbers.plural(len(draws), 'draw')}{of}"
    if total == 0:
        return html.join(
            [
                html.tag("strong", "No CTC was called"),
                f" in {where}. ",
                "That is a result: the table gives the number that may have been missed by chance.",
            ]
        )
    positive = sum(_count(draw) > 0 for draw in draws)
    noun = "CTC was" if total == 1 else "CTCs were"
    share = "" if len(draws) == 1 else "all " if positive == len(draws) else f"{positive} of "
    return html.join([html.tag("strong", f"{total:,} {noun} called"), f" in {share}{where}."])


def _controls_sentence(draws: Sequence[Record], healthy: Record, level: str) -> str:
    total = int(sum(_count(draw) for draw in draws))
    cells = numbers.count(sum(numbers.number_or_none(d.get("cells")) or 0 for d in draws))
    called = "No cell was" if total == 0 else f"{numbers.plural(total, 'cell')} falsely"
    ends = [numbers.number_or_none(healthy.get(key)) for key in ("rate_low", "rate_high")]
    per = [None if end is None else 1000 * end for end in ends]
    rate = (
        f" ({level} interval {numbers.interval(*per)} per 1,000 cells)" if None not in per else ""
    )
    where = numbers.plural(len(draws), "control draw")
    return f"{called} called among {cells} cells of {where}{rate}."


def _row(draw: Record, level: str) -> list[Any]:
    name = numbers.text(draw.get("draw")) or ", ".join(draw["names"])
    libraries = "this library" if draw["libraries"] == 1 else f"these {draw['libraries']} libraries"
    return [
        numbers.text(draw.get("patient")) or "not named",
        name,
        draw.get("day"),
        _called(draw, level, libraries),
        _per_ml(draw),
        draw["n_aggregate"],
        draw["n_uncertain"],
        draw.get("cells"),
        "; ".join(draw["flags"]),
    ]


def _called(draw: Record, level: str, libraries: str) -> Any:
    count = numbers.number_or_none(draw.get("count"))
    if count is None or numbers.number_or_none(draw.get("cells")) == 0:
        return Valued("no cell to examine", -1.0)
    if count == 0:
        high = numbers.short(draw.get("count_high"))
        limit = f" ({level} upper limit {high} in {libraries})" if high != numbers.MISSING else ""
        return Valued(_wide(f"0 CTC{limit}"), 0.0)
    between = numbers.interval(draw.get("count_low"), draw.get("count_high"))
    shown = html.tag("strong", f"{count:,.0f} CTC", attributes={"class": "many"})
    return Valued(_wide(shown, f" ({level} interval {between})" if between else ""), count)


def _wide(*children: str) -> Markup:
    return html.tag("span", *children, attributes={"class": "called"})


def _per_ml(draw: Record) -> Any:
    value = numbers.number_or_none(draw.get("per_ml"))
    if value is None:
        note = numbers.text(draw.get("note"))
        why = note.removeprefix("per mL ") if note.startswith(_NO_VOLUME) else "volume not given"
        return Valued(why, -1.0)
    if value == 0:
        return Valued(f"0 (up to {numbers.short(draw.get('per_ml_high'))})", 0.0)
    between = numbers.interval(draw.get("per_ml_low"), draw.get("per_ml_high"))
    return Valued(f"{numbers.short(value)}{f' ({between})' if between else ''}", value)
