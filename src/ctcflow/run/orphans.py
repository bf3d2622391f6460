"""Find and stop jobs that are still running after the Snakemake that started them has died."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ctcflow.errors import CtcflowError
from ctcflow.workflow.code_in_use import MARK

_PROCESSES: Final = Path("/proc")
_MODES_OF_JOBS: Final = frozenset({"remote", "subprocess"})
"""Values of `--mode` with which Snakemake starts itself to run a job."""
_PATIENCE: Final = 10.0
_SLURM_PATIENCE: Final = 180.0


def stop(run: Path) -> list[str]:
    """Stop jobs that still write in the folder of a crashed run, and wait until they have ended.

    Slurm jobs are recognised by their working directory, processes on this machine by their
    environment variables. Results only appear when they are complete, so stopping a job loses
    nothing but time.

    Returns
    -------
    list[str]
        What was stopped, one sentence each.

    Raises
    ------
    CtcflowError
        Slurm does not answer, or a job does not end.
    """
    jobs = _slurm_jobs(run)
    if jobs:
        subprocess.run(["scancel", *jobs], check=False, capture_output=True)
        if not _gone(lambda: bool(_slurm_jobs(run)), _SLURM_PATIENCE):
            raise CtcflowError(
                f"Slurm jobs {', '.join(_slurm_jobs(run))} of the dead run do not end: stop them,"
                " then call `ctcflow run` again"
            )
    processes = processes_of(run)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes_of(run):
            _send(process, number)
        if _gone(lambda: bool(processes_of(run)), _PATIENCE):
            break
    else:
        left = ", ".join(map(str, processes_of(run)))
        raise CtcflowError(
            f"processes {left} of the dead run do not end: stop them, then call `ctcflow run` again"
        )
    sentences = [f"cancelled {len(jobs)} Slurm jobs of the dead run"] if jobs else []
    return [*sentences, *([f"stopped {len(processes)} processes of it"] if processes else [])]


def processes_of(run: Path) -> list[int]:
    """Process ids of the run's jobs on this machine, if visible to this user (Linux only)."""
    wanted = f"{MARK}={run}".encode()
    ids = []
    for folder in _PROCESSES.glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            is_dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:  # the process has ended, or belongs to another user
            continue
        if wanted in environment and not is_dead and int(folder.name) != os.getpid():
            ids.append(int(folder.name))
    return sorted(ids)


def snakemakes_in(run: Path) -> list[int]:
    """Main Snakemake processes on this machine that work in the folder, without their jobs."""
    ids = []
    for folder in _PROCESSES.glob("[0-9]*"):
        try:
            words = [os.fsdecode(x) for x in (folder / "cmdline").read_bytes().split(b"\0")]
            here = (folder / "cwd").resolve() == run
        except OSError:
            continue
        is_job = any(word.strip("'") in _MODES_OF_JOBS for word in words)
        is_snakemake = "snakemake" in {Path(word).name for word in words}
        if here and is_snakemake and not is_job and int(folder.name) != os.getpid():
            ids.append(int(folder.name))
    return sorted(ids)


def _slurm_jobs(run: Path) -> list[str]:
    """Slurm jobs of this user whose working directory is the run folder."""
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--noheader", "--me", "--format=%i|%Z"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if answer.returncode:
        if (run / ".snakemake" / "slurm_logs").exists():
            why = (answer.stderr or answer.stdout).strip().splitlines()
            raise CtcflowError(
                "Slurm does not say which jobs of the dead run still work"
                f" ({why[-1] if why else 'squeue failed'}): try again when `squeue` answers"
            )
        return []
    rows = (line.split("|", 1) for line in answer.stdout.splitlines() if "|" in line)
    # `sbatch --wrap "ctcflow run ."` in the folder of the run: this process is a job there itself
    own = {os.environ.get("SLURM_JOB_ID"), _own_task(os.environ)}
    return [job for job, folder in rows if Path(folder.strip()).resolve() == run and job not in own]


def _own_task(variables: Mapping[str, str]) -> str:
    """How `squeue` names the task of an array that this process runs in."""
    return f"{variables.get('SLURM_ARRAY_JOB_ID')}_{variables.get('SLURM_ARRAY_TASK_ID')}"


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _gone(still_there: Callable[[], bool], patience: float) -> bool:
    end = time.monotonic() + patience
    while still_there():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
