"""What Snakemake's scheduler is told."""

from __future__ import annotations

from typing import Any

_DEFAULT = (100, 1)


def without_limit_on_starts(scheduler: Any) -> None:
    """Take off Snakemake's default limit of 100 starts per second; a user's own limit stays.

    With a limit, Snakemake (9.27) sets a timer at each decision, and each timer leads to a decision
    and so to a timer: after n jobs it decides n times per second. Of 400 jobs on two cores, half a
    core went into that (100 samples of 10,000 cells).

    Parameters
    ----------
    scheduler
        `workflow.scheduler`, which is there when the handler `onstart` is called.
    """
    limiter = getattr(scheduler, "job_rate_limiter", None)
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == _DEFAULT:
        scheduler.job_rate_limiter = None
