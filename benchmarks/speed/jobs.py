"""Start and end times of the jobs of a finished run, from the records of Snakemake."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple


class Job(NamedTuple):
    """One job: its rule, its log, and its start and end (seconds since the epoch)."""

    rule: str
    log: str
    start: float
    end: float


def jobs_of(run: Path) -> list[Job]:
    """Jobs of a run; one per job, however many outputs it has."""
    records = set()
    for path in sorted((run / ".snakemake" / "metadata").rglob("*")):
        if path.is_file():
            record = json.loads(path.read_text())
            log = tuple(record.get("log") or ())
            records.add((record["rule"], log, record["starttime"], record["endtime"]))
    # outputs of one job share its log; their end times differ by what was recorded meanwhile
    merged: dict[tuple[str, tuple[str, ...]], Job] = {}
    for rule, log, start, end in sorted(records, key=str):
        job = merged.get((rule, log), Job(rule, "".join(log[:1]), start, end))
        merged[rule, log] = job._replace(start=min(job.start, start), end=max(job.end, end))
    return list(merged.values())


def job_seconds(jobs: Sequence[Job]) -> dict[str, float]:
    """Seconds of all jobs of each rule."""
    found: dict[str, float] = {}
    for job in jobs:
        found[job.rule] = found.get(job.rule, 0.0) + job.end - job.start
    return found


def same_work(jobs: Sequence[Job], seconds: float, *, apart: Collection[str]) -> float:
    """Seconds of a run without some rules.

    Each moment counts by the share of the jobs that ran then and belong to other rules; moments
    without a job count in full.
    """
    times = sorted({time for job in jobs for time in (job.start, job.end)})
    left_out = 0.0
    for first, last in zip(times, times[1:], strict=False):
        running = [job.rule for job in jobs if job.start <= first and job.end >= last]
        if running:
            left_out += (last - first) * sum(rule in apart for rule in running) / len(running)
    return seconds - left_out
