"""What Slurm's accounts and the groups of processes of its jobs say of the submissions of a run.

The accounts take each step of a submission apart, every two seconds. Its limit is on all of them
together, the Snakemake that starts the steps and the step that runs, so `watched` looks there.
"""

from __future__ import annotations

import math
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

PLUGIN = os.environ.get("CTCFLOW_SLURM_PLUGIN", "")
"""Folder of Snakemake's plugin; empty where there is no cluster."""
_FIELDS = "jobid,state,submit,start,end,reqmem,workdir"
_GROUPS = Path("/sys/fs/cgroup/memory")
"""Of the first version of cgroups, which is what this was measured on."""
_EVERY = 0.1
_MIB = 2**20


class Submission(NamedTuple):
    """One submission: times in seconds since the epoch, memory in MiB."""

    job: str
    state: str
    submitted: float
    start: float
    end: float
    asked: float
    used: float
    """Most that all of its processes held together; NaN where nobody looked."""


@contextmanager
def watched() -> Iterator[Mapping[str, float]]:
    """Most memory that each job of this machine's nodes holds while the block runs.

    MiB by job, of all of its processes together without cached files (`total_rss`), looked at ten
    times a second. Empty where the groups of Slurm's jobs are not in `/sys/fs/cgroup/memory`.
    """
    most: dict[str, float] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(_EVERY):
            for group in _GROUPS.glob("slurm*/uid_*/job_*"):
                try:
                    counts = dict(
                        line.split() for line in (group / "memory.stat").read_text().splitlines()
                    )
                except OSError:  # it ended between the two looks
                    continue
                job = group.name.removeprefix("job_")
                most[job] = max(most.get(job, 0.0), int(counts["total_rss"]) / _MIB)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        over.set()
        looking.join()


def submissions_of(run: Path, used: Mapping[str, float]) -> list[Submission]:
    """Submissions whose working directory is the run's, in their order; none without a cluster.

    `used` is what `watched` gave.
    """
    if not PLUGIN:
        return []
    command = ["sacct", "-n", "-P", "--units=M", "-o", _FIELDS]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split("|") for line in text.splitlines()]
    states = {job: state.split()[0] for job, state, *_ in rows}
    return [
        Submission(
            job,
            # a step that was killed for memory leaves its submission as merely failed
            states.get(f"{job}.0", states[job]) if states[job] == "FAILED" else states[job],
            _seconds(submit),
            _seconds(start),
            _seconds(end),
            _mib(asked),
            used.get(job, math.nan),
        )
        for job, _, submit, start, end, asked, folder in rows
        if folder == str(run)
    ]


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _mib(text: str) -> float:
    return float(text.rstrip("MGKcn") or 0)
