"""Memory that jobs request, and the limit of a machine on their sum."""

from __future__ import annotations

import re

from ctcflow.run.start import available_memory

REPORT = "results/report/report.html"
OWN_WORDS = ("--printshellcmds",)
"""Snakemake says then what it gives, and `ctcflow run` does not speak in its place."""


def test_jobs_of_a_machine_ask_for_no_more_than_it_has(own_copy, ctcflow):
    ran = ctcflow(own_copy, "run", own_copy, "--", *OWN_WORDS, "--forcerun", REPORT)
    assert ran.code == 0, ran.text
    assert ran.jobs == {"report": 1}
    pool = int(re.search(r"Provided resources:.*?mem_mb\D+(\d+)", ran.text)[1])
    asked = int(re.search(r"resources:.*\bmem_mb=(\d+)", ran.text.split("rule report")[1])[1])
    assert 100 < asked < pool
    assert 0.5 < pool / available_memory() < 2


def test_a_job_that_asks_for_more_than_there_is_runs_alone(own_copy, ctcflow):
    options = (*OWN_WORDS, "--resources", "mem_mb=120", "--forcerun", REPORT)
    ran = ctcflow(own_copy, "run", own_copy, "--", *options)
    assert ran.code == 0, ran.text
    assert ran.jobs == {"report": 1}
    assert "mem_mb=120" in ran.text.split("rule report")[1]
