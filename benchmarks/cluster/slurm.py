"""What Slurm's accounts say of the submissions of a run."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

PLUGIN = os.environ.get("CTCFLOW_SLURM_PLUGIN", "")
"""Folder of Snakemake's plugin; empty where there is no cluster."""
_FIELDS = "jobid,state,submit,start,end,reqmem,maxrss,workdir"


class Submission(NamedTuple):
    """One submission: times in seconds since the epoch, memory in MiB."""

    job: str
    state: str
    submitted: float
    start: float
    end: float
    asked: float
    used: float | None
    """Largest memory that was seen, every two seconds; None where it ended before."""


def submissions_of(run: Path) -> list[Submission]:
    """Submissions whose working directory is the run's, in their order; none without a cluster."""
    if not PLUGIN:
        return []
    command = ["sacct", "-n", "-P", "--units=M", "-o", _FIELDS]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split("|") for line in text.splitlines()]
    used: dict[str, float] = {}
    for job, _, _, _, _, _, most, _ in rows:
        if most:
            name = job.split(".")[0]
            used[name] = max(used.get(name, 0.0), _mib(most))
    states = {job: state.split()[0] for job, state, *_ in rows}
    return [
        Submission(
            job,
            # a step that was killed for memory leaves its submission as merely failed
            states.get(f"{job}.0", states[job]) if states[job] == "FAILED" else states[job],
            *(datetime.fromisoformat(time).timestamp() for time in (submit, start, end)),
            _mib(asked),
            used.get(job),
        )
        for job, _, submit, start, end, asked, _, folder in rows
        if folder == str(run)
    ]


def _mib(text: str) -> float:
    return float(text.rstrip("MGKcn") or 0)
