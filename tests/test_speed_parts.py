"""Times of imports and parts in the log of a job, as `benchmarks.speed.starts` reads them."""

from __future__ import annotations

import pytest
from benchmarks.speed.starts import seconds_of_parts

LOG = """
import time: self [us] | cumulative | imported package
import time:    200000 |     200000 |     pydantic
import time:    300000 |     500000 |   ctcflow.pipeline
import time:    100000 |     100000 | ctcflow.steps.score
import time:    400000 |     400000 | anndata
score: read in 0.90 s
import time:    250000 |     250000 | scipy.special
score: done in 1.25 s
score: 90 cells in, 88 cells out
import time:     50000 |      50000 | ctcflow.render.tables
score: written in 0.07 s
score: 151 MiB at most
"""


def test_imports_count_once_and_parts_without_those_made_in_them() -> None:
    found = seconds_of_parts(LOG)
    wanted = {"imports": 1.3, "read": 0.4, "step": 1.0, "write": 0.02}
    assert found == pytest.approx(wanted)
