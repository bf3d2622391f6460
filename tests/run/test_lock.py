"""Lock of the run folder: which process may work in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctcflow.errors import CtcflowError
from ctcflow.run import lock as run_lock
from ctcflow.run import orphans
from ctcflow.workflow import code_in_use


def stopped(run: Path, *arguments: str, is_main: bool = True) -> str:
    with pytest.raises(SystemExit) as stop:
        run_lock.stop_unless_alone(run, arguments=arguments, is_main=is_main)
    return str(stop.value)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A folder in which a run died."""
    (tmp_path / ".ctcflow").mkdir()
    (tmp_path / run_lock.FILE).write_text(json.dumps({"host": "here", "pid": 7}))
    return tmp_path


def test_a_lock_is_held_by_one_and_free_again(tmp_path: Path) -> None:
    with run_lock.held(tmp_path) as lock:
        lock.write(snakemake=3)
        assert run_lock.is_held(tmp_path)
        assert run_lock.owner(tmp_path)["snakemake"] == 3
        with pytest.raises(CtcflowError, match=f"pid {os.getpid()}"), run_lock.held(tmp_path):
            pass
        lock.clear()
    assert not run_lock.is_held(tmp_path)
    assert run_lock.owner(tmp_path) == {}


def test_a_process_that_inherits_the_lock_holds_it_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with run_lock.held(tmp_path) as lock:
        lock.write()
        child = subprocess.Popen(command, pass_fds=[lock.descriptor])
    try:
        assert run_lock.is_held(tmp_path)
    finally:
        child.kill()
        child.wait()
    assert not run_lock.is_held(tmp_path)
    with run_lock.held(tmp_path) as lock:
        assert lock.left["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_half_a_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".ctcflow").mkdir()
    (tmp_path / run_lock.FILE).write_text(text)
    assert run_lock.owner(tmp_path) == {}
    run_lock.stop_unless_alone(tmp_path, arguments=[], is_main=True)


@pytest.mark.parametrize(
    "arguments", [[], ["--cores", "all"], ["-call"], ["-c4", "freeze"], ["-j"]]
)
def test_a_snakemake_that_works_is_stopped(left: Path, arguments: list[str]) -> None:
    assert "did not end in order (host here, pid 7)" in stopped(left, *arguments)


@pytest.mark.parametrize(
    "arguments", [["-n"], ["-np"], ["--dry-run"], ["--dryrun"], ["--unlock"], ["--lint"], ["-l"]]
)
def test_a_snakemake_that_looks_is_not(left: Path, arguments: list[str]) -> None:
    run_lock.stop_unless_alone(left, arguments=["--cores", "2", *arguments], is_main=True)


def test_jobs_and_what_ctcflow_started_are_not(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_lock.stop_unless_alone(left, arguments=[], is_main=False)
    monkeypatch.setenv(run_lock.STARTED, str(left))
    run_lock.stop_unless_alone(left, arguments=[], is_main=True)
    monkeypatch.setenv(run_lock.STARTED, str(left / "another"))
    assert "did not end in order" in stopped(left)


def test_a_job_is_known_by_its_run_and_stopped(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    # one that does not listen to SIGTERM
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    started = {
        run: subprocess.Popen(
            [sys.executable, "-c", code if run is mine else "import time; time.sleep(60)"],
            env=os.environ | {code_in_use.MARK: str(run)},
        )
        for run in (mine, other)
    }
    try:
        assert orphans.processes_of(mine) == [started[mine].pid]
        assert orphans.stop(mine) == ["stopped 1 processes of it"]
        assert started[mine].wait() < 0
        assert orphans.processes_of(other) == [started[other].pid]
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def test_a_job_of_snakemake_is_no_snakemake_of_a_user(tmp_path: Path) -> None:
    script = tmp_path / "snakemake"
    script.write_text("import time; time.sleep(60)")
    for more, expected in (([], 1), (["--mode", "remote"], 0)):
        process = subprocess.Popen([sys.executable, str(script), *more], cwd=tmp_path)
        try:
            assert len(orphans.snakemakes_in(tmp_path)) == expected
        finally:
            process.kill()
            process.wait()


def _links(run: Path, precious: Path, kind: str) -> None:
    """Put something of another kind where the lock is."""
    owner = run / run_lock.FILE
    if kind == "folder is a link":
        owner.parent.symlink_to(precious.parent, target_is_directory=True)
        return
    owner.parent.mkdir()
    if kind == "link":
        owner.symlink_to(precious)
    elif kind == "dangling link":
        owner.symlink_to(run / "made")
    elif kind == "hard link":
        owner.hardlink_to(precious)
    elif kind == "folder":
        owner.mkdir()
    elif kind == "pipe":
        os.mkfifo(owner)


@pytest.mark.parametrize(
    "kind", ["link", "dangling link", "hard link", "folder", "pipe", "folder is a link"]
)
def test_only_a_file_of_the_lock_is_written_to(tmp_path: Path, kind: str) -> None:
    precious, run = tmp_path / "home" / "owner.json", tmp_path / "run"
    precious.parent.mkdir()
    precious.write_text("the only copy")
    run.mkdir()
    _links(run, precious, kind)
    with pytest.raises(CtcflowError, match="is not what `ctcflow run` makes there"):  # noqa: SIM117
        with run_lock.held(run) as lock:
            lock.write()
    assert precious.read_text() == "the only copy"
    assert run_lock.owner(run) == {}
    assert not run_lock.is_held(run)
    assert not (run / "made").exists()


@pytest.mark.parametrize("left", ["", "\0" * 90, '{"ho', '{"host": "here", "pid": 7}'])
def test_what_a_crash_leaves_in_the_lock_is_replaced(tmp_path: Path, left: str) -> None:
    (tmp_path / ".ctcflow").mkdir()
    (tmp_path / run_lock.FILE).write_text(left)
    with run_lock.held(tmp_path) as lock:
        lock.write()
        assert run_lock.owner(tmp_path)["pid"] == os.getpid()


def test_the_slurm_job_that_this_is_is_no_orphan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text(
        f"#!/bin/sh\necho '7|{tmp_path}'\necho '8|{tmp_path}'\necho '5_3|{tmp_path}'\n"
    )
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert orphans._slurm_jobs(tmp_path) == ["7"]
