"""One row of the sample sheet: the meaning of its columns, and checks across rows."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ctcflow import keys
from ctcflow.formats.known import FormatName
from ctcflow.settings.mistakes import closest, shown, submodels
from ctcflow.settings.params import StepsParams
from ctcflow.settings.sample_params import Params, SampleSteps
from ctcflow.settings.sheet import Problem

SAMPLE_STEPS = tuple(SampleSteps.model_fields)
"""Steps that see one sample, so that a row of the sheet may override their parameters."""

_NAME = r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*\.?$"
LONGEST_NAME = 64
UNKNOWN = frozenset({"na", "n/a", "nan", "null", "."})
"""What people write for what is not known; no sample may be named so."""
_ADDRESS = r"^[a-z][a-z0-9+.-]*://.+$"
Address = Annotated[str, Field(pattern=_ADDRESS)]
"""A file in remote storage for which Snakemake has a plugin."""


def is_address(path: object) -> bool:
    """Whether a path of the sheet is an address such as `s3://bucket/sample.h5`."""
    return isinstance(path, str) and re.match(_ADDRESS, path) is not None


def is_name(text: str) -> bool:
    """Whether a sample may have this name in a sheet."""
    fits = re.fullmatch(_NAME, text) is not None and "\n" not in text
    return fits and len(text) <= LONGEST_NAME and text.lower() not in UNKNOWN


class Sample(Params):
    """One row of the sample sheet: one library."""

    sample: Annotated[str, Field(max_length=LONGEST_NAME, pattern=_NAME)]
    """Name of the library, used in file names (letters, digits, `_`, `.`, `-`; no `..`)."""
    path: Address | Path
    """Counts of the library: a file or a folder (path, relative to the sheet; or an address such as
    s3://bucket/file.h5)."""
    raw_path: Address | Path | None = None
    """Unfiltered droplets of the library, for the ambient estimate (path, relative to the
    sheet; or an address)."""
    format: FormatName | None = None
    """Format of `path`; empty to detect it."""
    matrix: str | None = None
    """Which matrix of an `.h5ad` or `.h5mu` holds the counts: `X`, `raw.X` or the name of a layer;
    empty to take the one with whole numbers and most genes."""
    patient: str = Field(default_factory=lambda row: row["sample"])
    """Patient or donor; empty for the name of the sample."""
    day: Annotated[int, Field(ge=0, le=36500)] | None = None
    """Days since the patient's first draw; no dates (days)."""
    role: Literal["patient", "healthy", "blank"] = "patient"
    """`healthy` donors and `blank` controls show how often blood is called tumour."""
    condition: str | None = None
    """Treatment arm, response or any other group."""
    batch: str | None = None
    """What was processed together."""
    chemistry: str | None = None
    """Chemistry of the library, such as `10x_3p_v3`."""
    cancer_type: str | None = None
    """Cancer of the patient; with `score.panel: auto` it chooses the panel of that name."""
    draw: str = Field(default_factory=lambda row: row["sample"])
    """Blood draw; lanes of one draw share it and are counted together; empty for the sample's
    name."""
    enrichment: str | None = None
    """How tumour cells were enriched, or `none`."""
    volume_ml: Annotated[float, Field(gt=0)] | None = None
    """Blood of the draw that was processed (mL)."""
    fraction_loaded: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the processed cells that went into this library (fraction)."""
    recovery: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of tumour cells that survive enrichment and loading, from spike-ins (fraction)."""
    expected_cells: Annotated[int, Field(gt=0)] | None = None
    """Cells that the loading should give (cells)."""
    n_ctc: Annotated[int, Field(ge=0)] | None = None
    """Tumour cells in this library as seen by the person who picked them (cells)."""
    n_wbc: Annotated[int, Field(ge=0)] | None = None
    """Leukocytes in this library as seen by the person who picked them (cells)."""
    hours_to_processing: Annotated[float, Field(ge=0)] | None = None
    """Time from draw to processing (hours)."""
    guessed: str | None = None
    """Columns that `ctcflow init` filled in from the name; empty them here when you have looked."""
    extra: dict[str, str] = Field(default_factory=dict)
    """Other columns of the row, where not empty."""
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Step, parameter and value of the row's `step.parameter` columns, where not empty."""


COLUMNS = tuple(name for name in Sample.model_fields if name not in {"extra", "overrides"})
"""Columns of the sample sheet that have a meaning of their own."""


def column_problems(columns: tuple[str, ...]) -> list[str]:
    """Find missing, misspelt and impossible columns in the header of a sheet."""
    problems = []
    for column in columns:
        if "." in column:
            problems += _override_problems(column)
        elif column not in COLUMNS:
            problems += _extra_problems(column, columns)
    for required in ("sample", "path"):
        if required not in columns and not any(f"mean {required}?" in p for p in problems):
            problems.append(f"column {required} is missing (found: {', '.join(columns)}): add it")
    return problems


def _override_problems(column: str) -> list[str]:
    step, _, parameter = column.partition(".")
    if step not in StepsParams.model_fields:
        match = closest(step, SAMPLE_STEPS, cutoff=0.6)
        hint = f"did you mean {match}.{parameter}?" if match else "rename it without the dot"
        return [f"column {column} looks like step.parameter but no step is named {step}: {hint}"]
    if step not in SAMPLE_STEPS:
        return [f"column {column}: {step} sees all samples at once: set it in config.yaml"]
    (model,) = submodels(StepsParams.model_fields[step].annotation)
    if parameter in model.model_fields:
        return []
    match = closest(parameter, model.model_fields, cutoff=0.6)
    hint = f"did you mean {step}.{match}?" if match else "remove it"
    return [f"unknown column {column}: {hint}"]


def _extra_problems(column: str, columns: tuple[str, ...]) -> list[str]:
    match = closest(column, COLUMNS, cutoff=0.85)
    bare = re.sub(r"[ _-]?(id|name)$", "", column.lower())
    if match is None and bare in COLUMNS and bare not in columns:
        match = bare
    if match is not None:
        return [f"unknown column {column}: did you mean {match}?"]
    slots = (slot for slot in vars(keys).values() if isinstance(slot, keys.Slot))
    if column in {slot.key for slot in slots if slot.container == "obs"}:
        return [f"column {column}: ctcflow writes a column of this name: rename it"]
    if "/" in column or column in {"index", "_index"}:
        return [f"column {column}: an h5ad file cannot hold a column of this name: rename it"]
    return []


def across_rows(samples: Mapping[int, Sample]) -> list[Problem]:
    """Find equal names, equal files, and lanes of one draw that contradict each other."""
    problems = []
    names: dict[str, int] = {}
    files: dict[str | Path, int] = {}
    draws: dict[str, int] = {}
    for line, sample in samples.items():
        first = names.setdefault(sample.sample, line)
        if first != line:
            sentence = f"sample {sample.sample} is also on line {first}: rename one"
            problems.append(Problem(line, sentence))
        first = files.setdefault(
            sample.path if is_address(sample.path) else os.path.realpath(sample.path), line
        )
        if first != line:
            sentence = f"path is the same file as on line {first}: correct or remove one"
            problems.append(Problem(line, sentence))
        first = draws.setdefault(sample.draw, line)
        problems += [
            Problem(line, contradiction)
            for contradiction in _draw_problems(sample, samples[first], first)
        ]
    return problems


def _draw_problems(sample: Sample, other: Sample, line: int) -> list[str]:
    problems = []
    for field in ("patient", "day", "role", "volume_ml"):
        here, there = getattr(sample, field), getattr(other, field)
        if here != there:
            values = " and ".join(
                f"{'empty' if value is None else shown(value)} {place}"
                for value, place in ((here, "here"), (there, f"on line {line}"))
            )
            problems.append(
                f"draw {sample.draw}: {field} is {values}: lanes of one draw must agree"
            )
    return problems
