"""Snakemake decides once per job that ends, and not many times a second."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from ctcflow.scheduling import without_limit_on_starts


def test_the_default_limit_is_taken_off():
    settings = SchedulingSettings(max_jobs_per_timespan=MaxJobsPerTimespan.parse_choice("100/1s"))
    without_limit_on_starts(settings)
    assert settings.max_jobs_per_timespan is None


@pytest.mark.parametrize("text", ["10/1m", "100/1m", "5/1s"])
def test_a_limit_of_the_user_stays(text):
    given = MaxJobsPerTimespan.parse_choice(text)
    settings = SchedulingSettings(max_jobs_per_timespan=given)
    without_limit_on_starts(settings)
    assert settings.max_jobs_per_timespan is given


def test_nothing_is_asked_of_other_versions():
    without_limit_on_starts(None)
    without_limit_on_starts(SimpleNamespace())


def test_a_run_decides_once_per_job(own_copy, snakemake):
    ran = snakemake(own_copy, "--forceall", "--verbose")
    assert ran.code == 0, ran.text
    decisions = ran.text.count("Resources before job selection")
    assert decisions <= sum(ran.jobs.values()) + 3
