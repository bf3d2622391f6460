"""`uns["ctcflow"]`: the row of the sheet, and what each step so far was run with."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

Params = dict[str, Any]
"""All parameters of a step, as dumped by its pydantic model, perhaps of another version."""


class StepRecord(TypedDict):
    """How a step was run."""

    version: str
    """Version of ctcflow."""
    params: Params
    inputs: NotRequired[dict[str, str]]
    """Digest of each input; missing where the records of several samples are merged."""
    cells_in: NotRequired[int | None]
    cells_out: NotRequired[int]
    overrides: NotRequired[dict[str, Params]]
    """For several samples: parameters by sample, where they differ from `params`."""


class RunRecord(TypedDict):
    """The record that every file of a run holds."""

    sample: dict[str, Any] | None
    """The row of the sample sheet, including the user's own columns; None in cohort files."""
    steps: dict[str, StepRecord]


class NotRun(TypedDict):
    """Something that could not be computed."""

    what: str
    reason: str
