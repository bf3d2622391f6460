"""What Snakemake's scheduler is told."""

from __future__ import annotations

from typing import Any

_DEFAULT = (100, 1)


def without_limit_on_starts(settings: Any) -> None:
    """Take off Snakemake's default limit of 100 starts per second; a user's own limit stays.

    With a limit, Snakemake (9.27) sets a timer at each decision, and each timer leads to a decision
    and so to a timer: after n jobs it decides n times per second. Of 400 jobs on two cores, half a
    core went into that (100 samples of 10,000 cells).

    Parameters
    ----------
    settings
        `workflow.scheduling_settings`; None where nothing is scheduled.
    """
    limit = getattr(settings, "max_jobs_per_timespan", None)
    if limit is not None and (limit.max_jobs, limit.timespan) == _DEFAULT:
        settings.max_jobs_per_timespan = None
