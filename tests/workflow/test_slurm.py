"""The workflow through a real Slurm, and what can go wrong there: always the same bytes.

Needs a cluster: `make test-slurm` brings one up on this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctcflow.run import lock as run_lock

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "workflow" / "profiles" / "slurm"
PLUGIN = os.environ.get("CTCFLOW_SLURM_PLUGIN", "")
"""Folder of the plugin; empty where there is no cluster."""
ONE = "results/score/H1.h5ad"
"""The file that is made again where a whole run would show no more."""
MADE_OF_IT = ["call", "integrate", "cluster", "report"]

pytestmark = pytest.mark.skipif(not PLUGIN, reason="no Slurm here: `make test-slurm` brings one up")


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def jobs_of(run: Path) -> list[str]:
    lines = said("squeue", "--noheader", "--me", "--format=%i|%Z").splitlines()
    return [job for job, folder in (line.split("|") for line in lines) if folder == str(run)]


def states(run: Path) -> list[str]:
    """Final states of the jobs of a run, as submitted; of a failed one, that of its step."""
    lines = said("sacct", "-n", "-P", "-o", "jobid,state,workdir").splitlines()
    rows = [line.split("|") for line in lines]
    steps = {job: state.split()[0] for job, state, _ in rows}
    jobs = [job for job, _, folder in rows if folder == str(run)]
    return [steps[f"{job}.0"] if steps[job] == "FAILED" else steps[job] for job in jobs]


@pytest.fixture
def through_slurm(ctcflow):
    """`through_slurm(run, *options)`: a whole run, each job a submission."""

    def start(run: Path, *options: str, **variables: str):
        return ctcflow(
            run,
            "run",
            str(run),
            "--profile",
            str(PROFILE),
            "--",
            *options,
            **{"PYTHONPATH": PLUGIN, **variables},
        )

    return start


def test_the_whole_run_is_the_same_as_on_one_machine(own_copy, differing, through_slurm):
    for name in ("results", ".snakemake", "logs", "benchmarks"):
        shutil.rmtree(own_copy / name)
    ran = through_slurm(own_copy)
    assert ran.code == 0, ran.text
    print(f"three samples of 120 cells through Slurm: {ran.seconds:.0f} s")
    assert differing(own_copy) == []
    # one submission per sample; the steps of so small a cohort run where Snakemake runs
    assert states(own_copy) == ["COMPLETED"] * 3


FAULTS = {
    "exits 1": ("exit 1", (), "FAILED"),
    # well above what the Snakemake of the job holds by itself, or that is killed in its place
    "needs more memory": (
        f"exec {sys.executable} -c 'x = bytearray(1_500_000_000); import time; time.sleep(60)'",
        ("--set-resources", "score:mem_mb=1000 * 4 ** (attempt - 1)"),
        "OUT_OF_MEMORY",
    ),
    "passes its time": ("sleep 200", ("--set-resources", "score:runtime=1"), "TIMEOUT"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_job_that_fails_once_is_submitted_again(own_copy, differing, through_slurm, once, fault):
    action, options, state = FAULTS[fault]
    path = f"{once('score', action)}{os.pathsep}{PLUGIN}"
    ran = through_slurm(own_copy, *options, "--forcerun", ONE, "--", ONE, PYTHONPATH=path)
    assert ran.code == 0, ran.text
    assert states(own_copy) == [state, "COMPLETED"]
    assert differing(own_copy) == []


@pytest.fixture
def running(own_copy, once, popen):
    """A run whose one job sleeps in Slurm, and the `ctcflow run` that leads it."""
    log = own_copy / "logs" / "score" / "H1.log"
    log.unlink()
    process = popen(
        own_copy,
        "--profile",
        str(PROFILE),
        "--",
        "--forcerun",
        ONE,
        "--",
        ONE,
        PYTHONPATH=f"{once('score', 'sleep 300')}{os.pathsep}{PLUGIN}",
    )
    wait_for(log.exists, 120)
    yield own_copy, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_cancelled_job_is_submitted_again(running, differing):
    run, process = running
    said("scancel", *jobs_of(run))
    assert process.wait(300) == 0, (run / "log.txt").read_text()
    assert states(run) == ["CANCELLED", "COMPLETED"]
    assert differing(run) == []


def test_a_job_whose_node_is_lost_is_submitted_again(running, differing):
    run, process = running
    (job,) = jobs_of(run)
    node = said("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    said("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        assert process.wait(300) == 0, (run / "log.txt").read_text()
    finally:
        # it may have come back by itself
        back = ["scontrol", "update", f"nodename={node}", "state=resume"]
        subprocess.run(back, check=False, capture_output=True)
    assert states(run) == ["NODE_FAIL", "COMPLETED"]
    assert differing(run) == []


def test_jobs_of_a_killed_controller_are_cancelled_before_anything_is_submitted(
    running, differing, through_slurm, snakemake
):
    run, process = running
    os.kill(int(run_lock.owner(run)["snakemake"]), signal.SIGKILL)
    assert process.wait(30) == 1
    assert len(jobs_of(run)) == 1
    plain = snakemake(run)
    assert plain.code != 0
    assert "did not end in order" in plain.errors[0]
    again = through_slurm(run)
    assert again.code == 0, again.text
    assert "cancelled 1 Slurm jobs of the dead run" in again.text
    assert states(run) == ["CANCELLED", "COMPLETED"]
    assert again.jobs == dict.fromkeys(["score", *MADE_OF_IT], 1)
    assert differing(run) == []
