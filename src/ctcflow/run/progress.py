"""Progress of `ctcflow run`: one line per finished or failed job.

Plain lines without colours or cursor movement, so that a log of them can be searched with grep:
`done: qc P01 (12 s); jobs 7 of 21, samples 1 of 4, about 3 min left`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.settings.sample import SAMPLE_STEPS

EXPECTED: Final = "CTCFLOW_EXPECTED_SECONDS"
"""Environment variable: JSON object of the expected seconds per job, by rule."""
SOFTWARE: Final = "software: "
"""Start of the line with which a job says in its log which versions it had."""
_IN_ORDER: Final = re.compile(r"\w+: \d+ MiB at most")
"""Last line of the log of a job that ended normally."""
_LINES_READ: Final = 65_536
"""Bytes at the end of a log that are searched for the reason of a failure."""


def expected_seconds() -> dict[str, float]:
    """What `plan.tell_progress` has left in the environment; empty where it has not."""
    return dict(json.loads(os.environ.get(EXPECTED, "{}")))


class _Job(NamedTuple):
    rule: str
    sample: str
    started: float
    timed: Path | None

    @property
    def name(self) -> str:
        return f"{self.rule} {self.sample}".strip()


class Progress:
    """State of a run, from Snakemake's events, and the progress lines to print.

    Parameters
    ----------
    expected
        Returns the expected seconds per job, by rule; other rules are given the mean. It is first
        called when a job has ended.
    now
        Returns the seconds of a monotonic clock.
    """

    def __init__(
        self, expected: Callable[[], Mapping[str, float]], now: Callable[[], float]
    ) -> None:
        self._expected, self._now = expected, now
        self._jobs: dict[int, _Job] = {}
        self._left: dict[str, int] = {}
        self._of: dict[str, int] = {}
        self._work_done = 0.0
        self._started = now()

    def planned(self, stats: Mapping[str, int]) -> str:
        """Handle the number of jobs per rule, which Snakemake reports before the first job."""
        self._of = {rule: int(jobs) for rule, jobs in stats.items() if rule not in ("all", "total")}
        self._left, self._started = dict(self._of), self._now()
        what = ", ".join(f"{rule} {jobs}" for rule, jobs in self._of.items())
        jobs = sum(self._of.values())
        return f"to do: {jobs} {'job' if jobs == 1 else 'jobs'} ({what})"

    def begins(
        self, job: int, rule: str, wildcards: Mapping[str, str], *, timed: Path | None = None
    ) -> str | None:
        """Handle the start or submission of a job; only cohort steps are long enough for a line.

        Parameters
        ----------
        job
            Number of the job.
        rule
            Name of its rule.
        wildcards
            Values of the rule's wildcards.
        timed
            Benchmark file in which Snakemake writes the seconds of the job (tab-separated, column
            `s`). For submitted jobs the time between events is no use: a job waits in the queue,
            and its end is reported only when its group ends.
        """
        self._jobs[job] = _Job(rule, wildcards.get("sample", ""), self._now(), timed)
        return None if wildcards or rule == "all" else f"begins: {rule}"

    def ends(self, job: int) -> str | None:
        """Handle the end of a job."""
        running = self._jobs.pop(job, None)
        if running is None or running.rule == "all":
            return None
        self._left[running.rule] = max(self._left.get(running.rule, 1) - 1, 0)
        self._work_done += self._seconds(running.rule)
        took = _timed(running.timed)
        took = self._now() - running.started if took is None else took
        return f"done: {running.name} ({took:.0f} s); {self._where()}"

    def fails(self, job: int, log: Sequence[str], *, said: str, in_group: bool) -> str | None:
        """Handle the failure of a job: give the reason, from Snakemake and the job's log.

        Parameters
        ----------
        job
            Number of the job.
        log
            Paths of its logs.
        said
            Message of Snakemake, mostly passed on from a cluster; empty for none.
        in_group
            True if it was submitted in a group of jobs, all of which count as failed.

        Returns
        -------
        None where the log shows that the job ended normally, or never started.
        """
        running = self._jobs.pop(job, None)
        if running is None:
            return None
        why = reason_of(log)
        if in_group and why is None:
            return None
        why = why or "it left no log, or one without an error: it was killed, or never started"
        return f"failed: {running.name}: " + "; ".join(filter(None, [why, " ".join(said.split())]))

    def _seconds(self, rule: str) -> float:
        expected = self._expected()
        return expected.get(rule, sum(expected.values()) / len(expected) if expected else 1.0)

    def _where(self) -> str:
        total, left = sum(self._of.values()), sum(self._left.values())
        parts = [f"jobs {total - left} of {total}"] if total else []
        of_samples = [step for step in (*SAMPLE_STEPS, "project") if self._of.get(step)]
        if of_samples:
            last = of_samples[-1]
            parts.append(f"samples {self._of[last] - self._left[last]} of {self._of[last]}")
        remaining = sum(self._seconds(rule) * jobs for rule, jobs in self._left.items())
        if remaining and self._work_done:
            passed = self._now() - self._started
            parts.append(f"about {spoken(passed * remaining / self._work_done)} left")
        return ", ".join(parts)


def _timed(file: Path | None) -> float | None:
    """Seconds of a job from its benchmark file; None where it cannot be read."""
    try:
        names, *_, last = (file or Path()).read_text().splitlines()
        return float(last.split("\t")[names.split("\t").index("s")])
    except (OSError, ValueError, IndexError):
        return None


def spoken(seconds: float) -> str:
    """Format seconds in the unit that a person would use."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def reason_of(logs: Sequence[str]) -> str | None:
    """Why a job failed, from the end of its logs, with the paths of the logs.

    Returns
    -------
    None where there is no log, or the log shows that the job ended normally.
    """
    for log in logs:
        path = Path(log)
        if path.is_file():
            with path.open("rb") as file:
                file.seek(max(path.stat().st_size - _LINES_READ, 0))
                text = file.read().decode(errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines and _IN_ORDER.fullmatch(lines[-1]):
                return None
            return f"{_of_lines(lines)} (log: {path.absolute()})"
    return None


def _of_lines(lines: Sequence[str]) -> str:
    mistakes = [line for line in lines if line.startswith("error: ")]
    if mistakes:
        return mistakes[-1].removeprefix("error: ")
    if any(line.startswith("Traceback") for line in lines):
        return lines[-1]  # the line of a traceback that names the exception
    last = f"after `{lines[-1]}`" if lines else "before its first line"
    return f"it ended without an error of its own, killed perhaps, {last}"
