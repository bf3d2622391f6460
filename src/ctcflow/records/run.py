"""`uns["ctcflow"]`: the row of the sheet, and what each step so far was run with."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class StepRecord(TypedDict):
    """How a step was run."""

    version: str
    """Of ctcflow."""
    params: dict[str, Any]
    """As its model gives them."""
    inputs: NotRequired[dict[str, str]]
    """Digest of each input; left out where the steps of several samples are summed up."""
    cells_in: NotRequired[int | None]
    cells_out: NotRequired[int]
    overrides: NotRequired[dict[str, dict[str, Any]]]
    """Of several samples: parameters by sample, where they differ from `params`."""


class RunRecord(TypedDict):
    """What every file of a run holds."""

    sample: dict[str, Any] | None
    """The row of the sheet, with the columns of users; None in the files of the cohort."""
    steps: dict[str, StepRecord]


class NotRun(TypedDict):
    """Something that could not be computed."""

    what: str
    reason: str
