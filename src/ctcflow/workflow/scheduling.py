"""Settings of Snakemake's scheduler."""

from __future__ import annotations

from typing import Any

_DEFAULT = (100, 1)


def without_limit_on_starts(scheduler: Any) -> None:
    """Remove Snakemake's default limit of 100 job starts per second, but not a user's own limit.

    With a limit, Snakemake (9.27) sets a timer at each scheduling decision, and each timer triggers
    another decision and timer: after n jobs it decides n times per second. For 400 jobs on two
    cores (100 samples of 10,000 cells), this took half a core.

    Parameters
    ----------
    scheduler
        `workflow.scheduler`, which exists when the handler `onstart` is called.
    """
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == _DEFAULT:
        scheduler.job_rate_limiter = None
