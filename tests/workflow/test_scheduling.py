"""Snakemake makes one scheduling decision per finished job, not many per second."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.settings.types import MaxJobsPerTimespan

from ctcflow.workflow.scheduling import without_limit_on_starts


def scheduler(limit: str) -> SimpleNamespace:
    return SimpleNamespace(job_rate_limiter=JobRateLimiter(MaxJobsPerTimespan.parse_choice(limit)))


def test_the_default_limit_is_taken_off():
    default = scheduler("100/1s")
    without_limit_on_starts(default)
    assert default.job_rate_limiter is None


@pytest.mark.parametrize("limit", ["10/1m", "100/1m", "5/1s"])
def test_a_limit_of_the_user_stays(limit):
    given = scheduler(limit)
    without_limit_on_starts(given)
    assert given.job_rate_limiter is not None


def test_nothing_is_asked_of_other_versions():
    without_limit_on_starts(None)
    without_limit_on_starts(SimpleNamespace())


def test_a_run_decides_once_per_job(own_copy, snakemake):
    ran = snakemake(own_copy, "--forceall", "--verbose")
    assert ran.code == 0, ran.text
    decisions = ran.text.count("Resources before job selection")
    assert decisions <= sum(ran.jobs.values()) + 3
