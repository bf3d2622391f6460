"""Sections on provenance: parameters, versions, inputs, and what was not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.run import Params, StepRecord
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Column, Content, table

Steps = Mapping[str, StepRecord]

_PARAMETERS: Final = (
    Column("Parameter", "code"),
    Column("Value", "code"),
    Column("Default", "code"),
    Column("Changed"),
)


def not_run(missing: pd.DataFrame) -> Markup:
    """Write what was not run, and why."""
    rows = [
        [
            numbers.text(row.what) or "not named",
            numbers.text(row.sample) or "the cohort",
            numbers.text(row.reason) or "no reason given",
        ]
        for row in missing.itertuples(index=False)
    ]
    columns = (Column("What"), Column("Where"), Column("Reason"))
    caption = f"What could not be computed, and why ({len(rows):,})."
    search = len(rows) > 12
    return fill(
        "sections/not_run",
        table=table(caption, columns, rows, search=search, empty="Everything was run."),
    )


def parameters(steps: Steps, defaults: Mapping[str, Params]) -> Markup:
    """Write all recorded parameters; those that differ from the default are marked."""
    rows: list[list[Content]] = []
    changed = 0
    for step, record in steps.items():
        values = dict(_flat(record.get("params") or {}))
        usual = dict(_flat(defaults.get(step, {})))
        for name, value in values.items():
            differs = name not in usual or value != usual[name]
            changed += differs
            rows.append(_parameter(f"{step}.{name}", value, usual.get(name), differs=differs))
    absent = [step for step in defaults if step not in steps]
    differ = "1 differs" if changed == 1 else f"{changed} differ"
    caption = f"Parameters of the run; {differ} from the default."
    empty = "No parameters were recorded."
    return fill(
        "sections/parameters",
        table=table(caption, _PARAMETERS, rows, search=len(rows) > 12, empty=empty),
        elsewhere=absent if steps else [],
    )


def versions(steps: Steps) -> Markup:
    """Write versions, cells in and out, and digests of the input."""
    ran: list[list[Content]] = [
        [step, numbers.text(record.get("version")), record.get("cells_in"), record.get("cells_out")]
        for step, record in steps.items()
    ]
    digests = [
        [step, name, numbers.text(value)]
        for step, record in steps.items()
        for name, value in _flat(record.get("inputs") or {})
    ]
    return fill(
        "sections/provenance",
        steps=table(
            "Steps, with the version that ran and the cells that went in and came out.",
            (
                Column("Step"),
                Column("Version", "code"),
                Column("Cells in", "count"),
                Column("Cells out", "count"),
            ),
            ran,
            empty="No step was recorded.",
        ),
        digests=table(
            "Digests of the input.",
            (Column("Step"), Column("Input", "code"), Column("Digest", "code")),
            digests,
            search=len(digests) > 12,
            empty="No input was recorded.",
        ),
    )


def _parameter(
    name: str, value: numbers.Value, usual: numbers.Value, *, differs: bool
) -> list[Content]:
    shown = numbers.text(value)
    return [
        name,
        fill("cells/changed_value", value=shown) if differs else shown,
        numbers.text(usual),
        fill("cells/changed", differs=differs),
    ]


def _flat(value: numbers.Value, prefix: str = "") -> Iterator[tuple[str, numbers.Value]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
