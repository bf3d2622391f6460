"""Wall time of whole processes, and memory of all of them together and of the largest one."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_EVERY = 0.25
_MIB = 2**20


class Cost(NamedTuple):
    """What a command took. Memory in MiB: `tree` is the largest sum at one time, with what
    processes share counted once (PSS); `largest` that of one process (RSS)."""

    seconds: float
    tree: float
    largest: float
    killed: bool = False
    """For more memory than it was given; the numbers are those until then."""


def measured_run(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    most: float = float("inf"),
) -> Cost:
    """Run a command in a folder, and look at its processes four times a second.

    A command whose processes take more than `most` MiB together is killed.

    Raises
    ------
    RuntimeError
        The command failed: the end of its log.
    """
    start = time.perf_counter()
    tree = largest = 0.0
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=file, stderr=subprocess.STDOUT
        )
        # should it be faster than this looks, it goes first when the machine has no more
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")
        while process.poll() is None:
            sizes = _sizes(process.pid)
            tree = max(tree, sum(pss for pss, _ in sizes))
            largest = max([largest, *(rss for _, rss in sizes)])
            if tree > most * _MIB:
                _kill(process.pid)
            time.sleep(_EVERY)
    seconds = time.perf_counter() - start
    killed = tree > most * _MIB or process.returncode == -signal.SIGKILL
    if process.returncode and not killed:
        raise RuntimeError(f"{command[:4]} failed: {log.read_text()[-2000:]}")
    return Cost(seconds, tree / _MIB, largest / _MIB, killed)


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (*parent.children(recursive=True), parent):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _sizes(pid: int) -> list[tuple[int, int]]:
    found = []
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            try:
                info = process.memory_full_info()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            found.append((info.pss, info.rss))
    except psutil.NoSuchProcess:
        pass
    return found
