"""`ctcflow run`: run Snakemake in a run folder, after cleaning up what a crashed run left."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ctcflow.errors import CtcflowError
from ctcflow.files import digests, parts
from ctcflow.run import last_words, orphans
from ctcflow.run import lock as run_lock
from ctcflow.workflow import code_in_use

_SNAKEMAKES_LOCK: Final = re.compile(r"\d+\.(input|output)\.lock")
_STOPPING: Final = (
    *(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGALRM, signal.SIGXCPU, signal.SIGPIPE),
)
"""Signals that would end this process alone: a closed terminal, Ctrl-\\, a batch system's warning.
Snakemake knows SIGTERM."""
_LONGEST_WAIT: Final = 5.0
"""Seconds after which signals are looked at, whatever happens."""
_OWN_WORDS: Final = ("--logger", "--verbose", "--printshellcmds", "-p", "--debug")
"""Options of Snakemake with which its own output is shown instead of progress lines."""


def run(folder: Path, *, options: Sequence[str], dry_run: bool, take_over: bool) -> int:
    """Run the workflow in a folder, after cleaning up what a crashed run left there.

    Parameters
    ----------
    folder
        Run folder with `config/config.yaml`.
    options
        Options for Snakemake.
    dry_run
        Only say what would run; nothing is locked or cleaned up.
    take_over
        The user confirms that a run that crashed on another machine has ended, with all its jobs.

    Returns
    -------
    int
        Exit code of Snakemake; 1 if it was killed.

    Raises
    ------
    CtcflowError
        There is no configuration, another run works there, or a crashed run cannot be cleaned up.
    """
    folder = folder.resolve()
    if not (folder / "config" / "config.yaml").is_file():
        raise CtcflowError(
            f"`{folder}` has no config/config.yaml: give the folder of a run, or make one with"
            " `ctcflow init FOLDER --from DATA`"
        )
    _refuse_without_access(folder)
    command = code_in_use.snakemake(folder)
    environment = {
        **os.environ,
        **code_in_use.variables(os.environ),
        **code_in_use.cache(folder),
    }
    environment[run_lock.STARTED] = str(folder)
    if dry_run:
        command += ["--dry-run", *options]
        return subprocess.run(command, env=environment, check=False).returncode
    with run_lock.held(folder) as lock:
        sentences = _put_right(folder, lock, take_over=take_over)
        damaged = [str(path.relative_to(folder)) for path in digests.damaged(folder / "results")]
        sentences += [f"`{name}` is not what was written: it is made again" for name in damaged]
        for sentence in sentences:
            print(f"ctcflow run: {sentence}", file=sys.stderr)
        forced = ["--forcerun", *damaged] if damaged else []
        if not any(text.startswith(_OWN_WORDS) for text in options):
            command += ["--logger", "ctcflow"]
        # A flag without values has to follow `--forcerun`, else a target in `options` would be
        # taken as one of its values.
        command += [*forced, *_pool(options), "--rerun-incomplete", *options]
        code = _snakemake(command, environment, lock)
        # Snakemake has given the new results another time: read them now, and not at each start
        for path in digests.damaged(folder / "results"):
            print(f"ctcflow run: `{path}` is not what was written", file=sys.stderr)
    if code == 0:
        _say_answer(folder)
    return code


def _refuse_without_access(folder: Path) -> None:
    """Refuse what Snakemake would fail on after its start.

    Raises
    ------
    OSError
        The configuration cannot be read, or a folder not be written to.
    """
    with (folder / "config" / "config.yaml").open("rb"):
        pass
    for name in (".", "results", "logs", "benchmarks", ".snakemake", ".ctcflow"):
        path = folder / name
        if path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _say_answer(folder: Path) -> None:
    """Print the last lines: counts per draw, comparison with a simulated truth, the report."""
    page = folder / "results" / "report" / "report.html"
    comparison = last_words.against_truth(folder)
    lines = [*last_words.draws(folder), *([f"{comparison}; open {page}"] if comparison else [])]
    if page.is_file() and not comparison:
        lines.append(f"report: {page}")
    print("\n".join(lines), end="\n" if lines else "", file=sys.stderr)


def _pool(options: Sequence[str]) -> list[str]:
    """Limit the memory that local jobs request together to what this machine has.

    A single job that requests more runs alone. On a cluster the scheduler takes care of memory.
    """
    named = any(text.startswith(("--profile", "--executor", "-e")) for text in options)
    if named or os.environ.get("SNAKEMAKE_PROFILE"):
        return []
    return ["--resources", f"mem_mb={available_memory()}"]


def available_memory() -> int:
    """Memory available without swapping, within the limit of a container (MiB)."""
    meminfo, limit = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) // 1024
    else:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    text = limit.read_text().strip() if limit.exists() else "max"
    return available if text == "max" else min(available, int(text) // 2**20)


def _snakemake(command: Sequence[str], environment: dict[str, str], lock: run_lock.Lock) -> int:
    # written before the start, so that a crash is detected at any moment
    lock.write()
    to_stop = _stopped_with_us()
    process = subprocess.Popen(command, env=environment, pass_fds=[lock.descriptor])
    to_stop(process)
    lock.write(snakemake=process.pid)
    # Snakemake stops its jobs itself, and has received the terminal's interrupt already
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = _waited_for(process)
    if code < 0:
        print(
            f"ctcflow run: Snakemake was killed (signal {-code}): call `ctcflow run` again, it"
            " goes on from there",
            file=sys.stderr,
        )
        return 1
    lock.clear()
    return code


def _waited_for(process: subprocess.Popen[bytes]) -> int:
    """Exit code of a process; a signal that comes just before an endless wait is heard after it."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=_LONGEST_WAIT)


def _stopped_with_us() -> Callable[[subprocess.Popen[bytes]], None]:
    """Ask a process to end where this one is; returns the function that names it."""
    heard: list[int] = []
    processes: list[subprocess.Popen[bytes]] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        for process in processes:
            process.send_signal(signal.SIGTERM)

    def name(process: subprocess.Popen[bytes]) -> None:
        processes.append(process)
        if heard:  # between the two calls
            process.send_signal(signal.SIGTERM)

    for number in _STOPPING:
        # `nohup ctcflow run` asked for it not to be heard
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, hear)
    return name


def _put_right(folder: Path, lock: run_lock.Lock, *, take_over: bool) -> list[str]:
    """Clean up after a crashed run; say what was done, one sentence each."""
    sentences = []
    locks = folder / ".snakemake" / "locks"
    if lock.left or (locks.is_dir() and any(locks.iterdir())):
        living = orphans.snakemakes_in(folder)
        if living:
            raise CtcflowError(
                f"Snakemake (pid {', '.join(map(str, living))}) works in `{folder}`: wait for it,"
                " or stop it"
            )
        host = lock.left.get("host")
        if host not in (None, socket.gethostname()) and not take_over:
            raise CtcflowError(
                f"the last run in `{folder}` (pid {lock.left.get('pid')} on {host}) did not end in"
                f" order: call `ctcflow run` on {host}, or with --take-over if nothing of it is"
                " left there"
            )
        lock.write()
        sentences.append(f"the last run in `{folder}` did not end in order; going on from there")
        sentences += orphans.stop(folder)
        _unlock(folder, locks)
    return sentences + _without_parts(folder)


def _unlock(folder: Path, locks: Path) -> None:
    """Remove the locks of a dead Snakemake; what else may be there stays."""
    if not locks.is_dir():
        return
    if not locks.resolve().is_relative_to(folder):
        raise CtcflowError(
            f"`{locks}` leads out of the run, to `{locks.resolve()}`, where another run may work:"
            " make it a folder of its own, or remove its locks with `snakemake --unlock`"
        )
    for path in locks.iterdir():
        if _SNAKEMAKES_LOCK.fullmatch(path.name):
            path.unlink()


def _without_parts(folder: Path) -> list[str]:
    """Remove incomplete files of jobs that crashed, where they are in the run itself."""
    results = folder / "results"
    if not results.resolve().is_relative_to(folder):
        return []
    begun = sorted(parts.begun_below(results))
    for path in begun:
        parts.remove(path)
    return [f"removed {len(begun)} files that were begun"] if begun else []
