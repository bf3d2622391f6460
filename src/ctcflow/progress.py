"""What `ctcflow run` says while Snakemake works: one line per finished or failed job.

Plain lines, without colours and without moving up on the screen, so that a log of them can be
searched with grep: `done: qc P01 (12 s); jobs 7 of 21, samples 1 of 4, about 3 min left`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctcflow.sample import SAMPLE_STEPS

EXPECTED: Final = "CTCFLOW_EXPECTED_SECONDS"
"""Environment variable: JSON object of the seconds of a job per rule."""
_LINES_READ: Final = 65_536
"""Bytes of a log's end in which the reason of a failure is looked for."""


class _Job(NamedTuple):
    rule: str
    sample: str
    started: float

    @property
    def name(self) -> str:
        return f"{self.rule} {self.sample}".strip()


class Progress:
    """What is known of a run from Snakemake's events, and the lines that follow from it.

    Parameters
    ----------
    expected
        Seconds that one job of a rule is expected to take; rules that are not there take the mean.
    now
        Seconds of a clock that only goes forward.
    """

    def __init__(self, expected: Mapping[str, float], now: Callable[[], float]) -> None:
        self._expected, self._now = dict(expected), now
        self._jobs: dict[int, _Job] = {}
        self._left: dict[str, int] = {}
        self._of: dict[str, int] = {}
        self._work_done = 0.0
        self._started = now()

    def planned(self, stats: Mapping[str, int]) -> str:
        """Jobs per rule, as Snakemake counts them before the first one."""
        self._of = {rule: int(jobs) for rule, jobs in stats.items() if rule not in ("all", "total")}
        self._left, self._started = dict(self._of), self._now()
        what = ", ".join(f"{rule} {jobs}" for rule, jobs in self._of.items())
        return f"to do: {sum(self._of.values())} jobs ({what})"

    def begins(self, job: int, rule: str, wildcards: Mapping[str, str]) -> str | None:
        """A job was started, or submitted; steps of the cohort are long enough for a line."""
        self._jobs[job] = _Job(rule, wildcards.get("sample", ""), self._now())
        return None if wildcards or rule == "all" else f"begins: {rule}"

    def ends(self, job: int) -> str | None:
        """A job is done."""
        known = self._jobs.pop(job, None)
        if known is None or known.rule == "all":
            return None
        self._left[known.rule] = max(self._left.get(known.rule, 1) - 1, 0)
        self._work_done += self._seconds(known.rule)
        took = self._now() - known.started
        return f"done: {known.name} ({took:.0f} s); {self._where()}"

    def fails(self, job: int, log: Sequence[str]) -> str | None:
        """A job failed: why, as far as its log tells. None where it is said already."""
        known = self._jobs.pop(job, None)
        if known is None:
            return None
        return f"failed: {known.name}: {reason_of(log)}"

    def _seconds(self, rule: str) -> float:
        known = self._expected.values()
        return self._expected.get(rule, sum(known) / len(known) if known else 1.0)

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


def spoken(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def reason_of(logs: Sequence[str]) -> str:
    """Why a job failed, from the end of its logs, and where these are."""
    for log in logs:
        path = Path(log)
        if path.is_file():
            with path.open("rb") as file:
                file.seek(max(path.stat().st_size - _LINES_READ, 0))
                text = file.read().decode(errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            mistakes = [line for line in lines if line.startswith("error: ")]
            # the last line of a traceback names the exception
            said = (mistakes or lines or ["its log is empty: it was killed, or never started"])[-1]
            return f"{said.removeprefix('error: ')} (log: {path.absolute()})"
    return "it left no log: it was killed, or never started"
