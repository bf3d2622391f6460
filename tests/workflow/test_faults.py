"""Crashes and damaged files between runs: the next `ctcflow run` gives the same bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ctcflow.run import lock as run_lock

KILLS = int(os.environ.get("CTCFLOW_KILLS", "5"))
"""Kills of one run, and `make test-faults` asks for more."""
FIRST_KILL = 4.0
LAST_KILL = 30.0


def owner(run: Path) -> dict[str, object]:
    return run_lock.owner(run)


@pytest.fixture
def empty(own_copy):
    """The run before its first job."""
    for name in ("results", ".snakemake", "logs", "benchmarks"):
        shutil.rmtree(own_copy / name)
    return own_copy


def killed_snakemake(process: subprocess.Popen[bytes], run: Path) -> None:
    """Snakemake alone: its jobs go on as orphans."""
    child = owner(run).get("snakemake")
    if child is None:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        os.kill(int(str(child)), signal.SIGKILL)
    process.wait()


def killed_all(process: subprocess.Popen[bytes], run: Path) -> None:
    """Everything at once, as a machine does that loses power."""
    del run
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_anywhere_a_run_ends_with_the_same_bytes(empty, differing, popen, ctcflow):
    rng = random.Random(0)
    times = [rng.uniform(FIRST_KILL, LAST_KILL) for _ in range(KILLS)]
    print(f"{KILLS} kills, after {', '.join(f'{after:.1f}' for after in times)} s")
    for number, after in enumerate(times):
        process = popen(empty, "--cores", "2")
        try:
            code = process.wait(after)
        except subprocess.TimeoutExpired:
            (killed_all if number % 2 else killed_snakemake)(process, empty)
        else:
            assert code == 0, (empty / "log.txt").read_text()
            assert differing(empty) == []
            for name in ("results", ".snakemake", "logs", "benchmarks"):
                shutil.rmtree(empty / name)
            continue
        # digests of files that were just finished may be missing; orphans may write parts
        left = differing(empty, missing=False)
        assert [name for name in left if not name.endswith(".part")] == []
    again = ctcflow(empty, "run", str(empty), "--cores", "2")
    assert again.code == 0, again.text
    assert differing(empty) == []
    assert owner(empty) == {}


def test_an_orphan_is_stopped_before_its_job_is_started_again(
    own_copy, differing, popen, ctcflow, snakemake
):
    shutil.rmtree(own_copy / "results" / "cluster")
    (own_copy / "logs" / "cluster.log").unlink()
    process = popen(own_copy, "--cores", "2")
    deadline = time.monotonic() + 120
    while not (own_copy / "logs" / "cluster.log").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed_snakemake(process, own_copy)
    plain = snakemake(own_copy)
    assert plain.code != 0
    assert plain.errors == [line for line in plain.text.splitlines() if "did not end" in line]
    assert len(plain.errors) == 1
    assert "`ctcflow run` puts that right" in plain.errors[0]
    assert "Traceback" not in plain.text
    assert snakemake(own_copy, "-n").code == 0
    part = own_copy / "results" / "cluster" / ".cohort.h5ad.ab_c12xy.part"
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"half")
    again = ctcflow(own_copy, "run", str(own_copy), "--cores", "2")
    assert again.code == 0, again.text
    assert set(again.jobs) == {"cluster", "report"}
    assert "going on from there" in again.text
    assert differing(own_copy) == []


def test_of_two_runs_in_one_folder_the_second_is_refused(own_copy, ctcflow, snakemake):
    with run_lock.held(own_copy) as lock:
        lock.write()
        second = ctcflow(own_copy, "run", str(own_copy))
        assert (second.code, len(second.errors)) == (2, 1)
        assert f"pid {os.getpid()}" in second.errors[0]
        plain = snakemake(own_copy)
        assert plain.code != 0
        assert "another `ctcflow run` works in" in plain.errors[0]
        lock.clear()
    assert ctcflow(own_copy, "run", str(own_copy)).code == 0


def test_what_died_on_another_machine_is_not_taken_over_unasked(own_copy, ctcflow):
    (own_copy / ".ctcflow").mkdir(exist_ok=True)
    (own_copy / run_lock.FILE).write_text(json.dumps({"host": "elsewhere", "pid": 7}))
    refused = ctcflow(own_copy, "run", str(own_copy))
    assert (refused.code, len(refused.errors)) == (2, 1)
    assert "pid 7 on elsewhere" in refused.errors[0]
    taken = ctcflow(own_copy, "run", str(own_copy), "--take-over")
    assert taken.code == 0, taken.text
    assert "Nothing to be done" in taken.text
    assert owner(own_copy) == {}


def test_a_lock_of_a_dead_plain_snakemake_is_put_right(own_copy, ctcflow, snakemake):
    locks = own_copy / ".snakemake" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.output.lock").write_text("results/call/call.h5ad\n")
    plain = snakemake(own_copy)
    assert plain.code != 0
    assert len(plain.errors) == 1
    assert "or died there" in plain.errors[0]
    assert ctcflow(own_copy, "run", str(own_copy)).code == 0
    assert snakemake(own_copy).code == 0


@pytest.mark.parametrize(
    ("name", "damage", "jobs"),
    [
        ("qc/P1_d0.h5ad", "cut", {"qc", "normalize", "score", "call", "reduce"}),
        ("call/ctc.tsv", "garbage", {"call"}),
        ("cluster/cohort.h5ad", "garbage", {"cluster", "report"}),
        ("report/figures/umap.png", "cut", {"report"}),
    ],
)
def test_a_damaged_result_is_named_and_made_again(own_copy, differing, ctcflow, name, damage, jobs):
    path = own_copy / "results" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"x" * len(whole))
    again = ctcflow(own_copy, "run", str(own_copy), "--cores", "2")
    assert again.code == 0, again.text
    assert f"`results/{name}` is not what was written" in again.text
    assert jobs <= set(again.jobs)
    assert "ingest" not in again.jobs
    assert differing(own_copy) == []


def test_a_result_that_rots_without_a_trace_is_never_read_as_one(own_copy, ctcflow, snakemake):
    path = own_copy / "results" / "qc" / "P1_d0.h5ad"
    state, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    ran = snakemake(own_copy, "--forcerun", "results/normalize/P1_d0.h5ad")
    assert ran.code != 0
    assert len(ran.errors) == 1
    assert "`results/qc/P1_d0.h5ad` is not what its step wrote" in ran.errors[0]
    assert "Traceback" not in ran.text


def test_a_folder_without_a_configuration_is_no_run(ctcflow, tmp_path):
    refused = ctcflow(tmp_path, "run", str(tmp_path))
    assert (refused.code, len(refused.errors)) == (2, 1)
    assert "has no config/config.yaml" in refused.errors[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("starter", ["ctcflow", "snakemake"])
def test_a_step_that_fails_after_a_change_leaves_no_old_results(
    own_copy, differing, sheet, new_run, ctcflow, snakemake, once, starter
):
    failing = once("score", "echo injected >&2; exit 1")
    override = ["10" if name == "H1" else "" for name in sheet["sample"]]
    new_run(own_copy, sheet.assign(**{"score.min_leukocytes": override}))
    first = ctcflow(own_copy, "run", str(own_copy), "--cores", "2", PYTHONPATH=failing)
    assert first.code == 1
    assert "injected" in first.text
    jobs = {"score": 1, "call": 1, "integrate": 1, "cluster": 1, "report": 1}
    assert first.jobs == jobs
    if starter == "ctcflow":
        second = ctcflow(own_copy, "run", str(own_copy), "--cores", "2")
    else:
        second = snakemake(own_copy)
    assert second.code == 0, second.text
    assert second.jobs == jobs
    third = snakemake(new_run(own_copy, sheet))
    assert third.code == 0, third.text
    assert differing(own_copy) == []


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, and what changes its size (MB)."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def size(megabytes: int, *more: str) -> bool:
        option = ",".join([*more, f"size={megabytes}m"])
        command = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if os.geteuid() != 0 or not size(4):
        pytest.skip("no file system can be mounted here (not root, or not allowed)")
    yield folder, size
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_next_run_goes_on(small_disk, empty, differing, ctcflow):
    disk, size = small_disk
    run = disk / "run"
    shutil.copytree(empty, run)
    first = ctcflow(run, "run", str(run), "--cores", "2", "--", "--keep-going")
    assert first.code != 0
    assert "No space left on device" in first.text
    assert size(500, "remount")
    second = ctcflow(run, "run", str(run), "--cores", "2")
    assert second.code == 0, second.text
    assert differing(run) == []


def test_no_step_needs_a_network(empty, differing, ctcflow):
    alone = ["unshare", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here (not root, or not allowed)")
    ran = ctcflow(empty, "run", str(empty), "--cores", "2", before=alone)
    assert ran.code == 0, ran.text
    assert differing(empty) == []
