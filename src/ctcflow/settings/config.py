"""The configuration of a run and its sample sheet, checked before the first job."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from ctcflow.errors import CtcflowError, of_system
from ctcflow.settings.mistakes import describe, shown
from ctcflow.settings.params import StepsParams
from ctcflow.settings.sample import (
    COLUMNS,
    UNKNOWN,
    Sample,
    across_rows,
    column_problems,
    is_address,
)
from ctcflow.settings.sheet import Problem, Row, read_sheet, refuse, refused_cells

_DATE = re.compile(
    r"\d[-/.]\w+[-/.]\d|\d \w+ \d{2}|[A-Za-z]{3,9}\.? \d{1,2}, ?\d{4}|^(19|20)\d{6}$|^\d{4}-\d{2}$"
)
_LONGEST_OVERRIDE = 500


class Config(StepsParams):
    """The whole of `config/config.yaml`; what it leaves out has its default."""

    samples: Annotated[str, Field(min_length=1)] = "config/samples.tsv"
    """The sample sheet (path, relative to the run directory)."""
    panels: Annotated[str, Field(min_length=1)] | None = None
    """Your own tumour panels, TSV or GMT; null for those shipped (path, relative to the run
    directory)."""
    cell_types: Annotated[str, Field(min_length=1)] | None = None
    """Your own cell-type markers, TSV or GMT; null for those shipped (path, relative to the run
    directory)."""
    gene_programs: Annotated[str, Field(min_length=1)] | None = None
    """Your own programme signatures, TSV or GMT; null for those shipped (path, relative to the run
    directory)."""
    verdicts: Annotated[str, Field(min_length=1)] | None = None
    """A reviewer's verdicts on cells, TSV; null for none (path, relative to the run directory)."""
    export: Literal["cohort", "full"] = "cohort"
    """`cohort` delivers `cluster/cohort.h5ad`, whose genes `cluster.genes` chooses; `full` writes
    all raw counts into one more file too, `cluster/cohort_counts.h5ad`, sample by sample."""
    reference: Annotated[str, Field(min_length=1)] | None = None
    """A frozen reference (`freeze` of another run) that each sample is mapped onto, instead of a
    joint embedding; null for none (path, relative to the run directory)."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.reference is not None and self.export == "full":
            raise ValueError(
                "export is full and reference is set: a mapped run has no joint file of counts,"
                " leave one of the two out"
            )
        return self


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a configuration and fill in the defaults.

    Parameters
    ----------
    raw
        The parsed YAML; an empty section (`qc:`) gets the defaults.

    Raises
    ------
    CtcflowError
        Unknown keys, wrong types and values out of bounds, all in one line.
    """
    if not isinstance(raw, Mapping):
        raise CtcflowError(f"the configuration is {shown(raw)}: must be keys (`key: value`)")
    entries = {k: v for k, v in raw.items() if v is not None or k not in StepsParams.model_fields}
    wrong = [f"unknown key {shown(key)}: keys are text" for key in entries if type(key) is not str]
    if wrong:
        raise CtcflowError("; ".join(wrong), wrong)
    try:
        return Config.model_validate(entries)
    except ValidationError as error:
        sentences = describe(error, Config)
        raise CtcflowError("; ".join(sentences), sentences) from None


def own_tables(config: Config, run: Path) -> dict[str, Path]:
    """Find the user's own panel tables: `panels`, `cell_types`, `gene_programs`, where set.

    Raises
    ------
    CtcflowError
        A table does not exist.
    """
    named = {name: getattr(config, name) for name in ("panels", "cell_types", "gene_programs")}
    paths = {name: run / path for name, path in named.items() if path is not None}
    for name, path in paths.items():
        if not path.is_file():
            raise CtcflowError(
                f"{name} is {shown(named[name])}: no such file in {run}: correct the path, "
                "or remove the key for the table that is shipped"
            )
    return paths


def load_samples(sheet: Path, config: Config) -> tuple[Sample, ...]:
    """Read and check the sample sheet.

    Parameters
    ----------
    sheet
        Text, separated by tabs or commas; paths in it are absolute or relative to its folder.
    config
        Configuration whose parameters a row's `step.parameter` columns override.

    Returns
    -------
    The rows in their order, with absolute paths.

    Raises
    ------
    CtcflowError
        Up to five problems in one line, each with its line number.
    """
    text = read_sheet(sheet)
    problems = [Problem(text.header, sentence) for sentence in column_problems(text.columns)]
    if problems:
        refuse(sheet, problems)
    if not text.rows and not text.problems:
        raise CtcflowError(f"sample sheet {sheet}: has no samples: add a line below the header")
    samples: dict[int, Sample] = {}
    problems.extend(text.problems)
    for row in text.rows:
        sample, mistakes = _sample(row, sheet.absolute().parent, config)
        problems += [Problem(row.line, mistake) for mistake in mistakes]
        if sample is not None:
            samples[row.line] = sample
    problems += across_rows(samples)
    if problems:
        refuse(sheet, problems)
    return tuple(samples.values())


def step_params(config: Config, step: str, sample: Sample | None = None) -> str:
    """Section of one step as JSON; equal values give equal text.

    Parameters
    ----------
    config
        The configuration.
    step
        Name of the step, such as `qc`.
    sample
        The row whose overrides apply; None for a cohort step.
    """
    section = _section(config, step, {} if sample is None else sample.overrides.get(step, {}))
    return _stable(section.model_dump(mode="json"))


def sample_row(sample: Sample) -> str:
    """Metadata of a row as stable JSON, without paths, overrides and the column of `init`."""
    left_out = {"path", "raw_path", "overrides", "guessed"}
    return _stable(sample.model_dump(mode="json", exclude=left_out))


def _stable(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _section(config: Config, step: str, override: Mapping[str, Any]) -> BaseModel:
    section: BaseModel = getattr(config, step)
    return (
        type(section).model_validate({**section.model_dump(), **override}) if override else section
    )


def _sample(row: Row, folder: Path, config: Config) -> tuple[Sample | None, list[str]]:
    """Make one sample, or list everything that is wrong with the row."""
    filled_cells = {column: cell for column, cell in row.cells.items() if cell}
    fields: dict[str, Any] = {c: cell for c, cell in filled_cells.items() if c in COLUMNS}
    mistakes = refused_cells(row, filled_cells)
    for column in [c for c, cell in fields.items() if cell.lower() in UNKNOWN]:
        cell = fields.pop(column) if column != "sample" else fields[column]
        mistakes.append(f"{column} is {shown(cell)}: leave the cell empty where it is not known")
    if _DATE.search(fields.get("day", "")):
        mistakes.append(
            f"day is {shown(fields.pop('day'))}: dates are refused, since they identify people: "
            "give the days since the patient's first draw"
        )
    for column in [c for c in ("path", "raw_path") if c in fields and not is_address(fields[c])]:
        fields[column] = Path(os.path.abspath(folder / fields[column]))
        refused = _why_not_looked_at(fields[column])
        if refused:
            mistakes.append(f"{column} is {shown(filled_cells[column])}: {refused}")
        elif not os.path.exists(fields[column]):
            mistakes.append(
                f"{column} is {shown(filled_cells[column])}: there is no {fields[column]}: correct "
                "the path (relative to the sheet's folder, or absolute)"
            )
    overrides, wrong = _overrides(filled_cells, config)
    extra = {c: cell for c, cell in filled_cells.items() if c not in COLUMNS and "." not in c}
    try:
        sample = Sample.model_validate(fields | {"extra": extra, "overrides": overrides})
    except ValidationError as error:
        return None, mistakes + describe(error, Sample) + wrong
    return sample, mistakes + wrong


def _why_not_looked_at(path: Path) -> str:
    """Why it cannot be known whether a path exists; empty where it can."""
    try:
        os.stat(path)
    except OSError as error:
        return "" if isinstance(error, FileNotFoundError) else str(of_system(error, path) or "")
    return ""


def _overrides(
    filled_cells: Mapping[str, str], config: Config
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    overrides: dict[str, dict[str, Any]] = {}
    mistakes = []
    for column in (column for column in filled_cells if "." in column):
        step, _, parameter = column.partition(".")
        if len(filled_cells[column]) > _LONGEST_OVERRIDE:
            mistakes.append(f"{column} is {shown(filled_cells[column])}: must be shorter")
            continue
        try:
            overrides.setdefault(step, {})[parameter] = yaml.safe_load(filled_cells[column])
        except (yaml.YAMLError, ValueError, RecursionError):
            mistakes.append(
                f"{column} is {shown(filled_cells[column])}: must be a value as in YAML"
            )
    for step, values in overrides.items():
        try:
            section = _section(config, step, values).model_dump(mode="json")
            overrides[step] = {parameter: section[parameter] for parameter in values}
        except ValidationError as error:
            mistakes += describe(error, type(getattr(config, step)), prefix=step)
    return overrides, mistakes
