"""Snakemake's logger plugin `ctcflow`: prints the lines of `ctcflow.run.progress` for its events.

Snakemake finds plugins by the name of their module.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

_SAID = ("Nothing to be done",)
"""First words of messages that Snakemake logs without an event and that users need to see."""
_KNOWN = (
    "At least one job did not complete successfully",
    "CalledProcessError in file",
    "Exiting because a job execution failed",
)
"""Messages about failed jobs, for each of which a line was printed already."""


class LogHandler(LogHandlerBase):
    """Lines for people on the terminal; Snakemake's own log file stays as it is."""

    def __post_init__(self) -> None:
        # Imported here, because Snakemake imports every plugin before it reads a Snakefile, which
        # may belong to another ctcflow.
        from ctcflow.run.progress import Progress, expected_seconds

        self._progress = Progress(expected_seconds, time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of an event, where it has one."""
        try:
            line = self._line(record)
            if line:
                print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
        except Exception:  # a failure to print a line must never stop a run
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> str | None:
        event, given = getattr(record, "event", None), record.__dict__
        text = record.getMessage() if record.msg else ""
        if event == LogEvent.RUN_INFO:
            return self._progress.planned(given["stats"])
        if event == LogEvent.JOB_INFO:
            benchmark = given["benchmark"]
            return self._progress.begins(
                given["jobid"],
                given["rule_name"],
                given["wildcards"],
                timed=Path(benchmark) if benchmark else None,
            )
        if event == LogEvent.JOB_FINISHED:
            return self._progress.ends(given["job_id"])
        if event == LogEvent.JOB_ERROR:
            return self._progress.fails(
                given["jobid"],
                given["log"],
                said=given["rule_msg"] or "",
                in_group=given["indent"],
            )
        if event == LogEvent.GROUP_ERROR:
            logs = ", ".join(given["aux_logs"]) or "none"
            return f"failed: jobs that were submitted together (log of the submission: {logs})"
        if any(known in text for known in _KNOWN):
            return None
        if record.levelno >= logging.WARNING or text.startswith(_SAID):
            return text
        return None

    @property
    def writes_to_stream(self) -> bool:
        """True: it replaces Snakemake's own output."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """False: it writes no file."""
        return False

    @property
    def has_filter(self) -> bool:
        """False: Snakemake's filter (`--quiet`) applies; all else is decided here."""
        return False

    @property
    def has_formatter(self) -> bool:
        """True: lines need no further formatting."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """False: the rule graph is not needed."""
        return False
