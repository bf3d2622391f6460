"""What `ctcflow run` does before Snakemake starts, and what it passes on to it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.run import lock as run_lock
from ctcflow.run import start

OURS = (
    *("call/.cells.tsv.gz.ab_cd123.part", "report/.report.html.00000000.part"),
    *("qc/.digests/.0123456789abcdef.part", "provenance/.inputs.tsv.4711.part"),
)
OF_USERS = (
    *(".notes.part", "call/.film.mkv.part", "call/.film.abcdefgh.part", "call/cells.tsv.part"),
    *("qc/.P1.h5ad.part", "qc/.P1.h5ad.ABCDEFGH.part"),
)


def _written(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("half")


def _there(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _put_right(run: Path) -> list[str]:
    with run_lock.held(run) as lock:
        return start._put_right(run, lock, take_over=False)


def test_only_files_that_we_began_are_removed(tmp_path: Path) -> None:
    _written(tmp_path / "results", (*OURS, *OF_USERS))
    _written(tmp_path / "results" / "cluster" / ".cohort.zarr.abcdefgh.part", (".zgroup",))
    assert _put_right(tmp_path) == [f"removed {len(OURS) + 1} files that were begun"]
    assert _there(tmp_path / "results") == set(OF_USERS)


def test_a_name_of_each_writer_is_one_of_ours(tmp_path: Path) -> None:
    for name in ("a.tsv", "b.tsv.gz", "c.h5ad", "d.png", "e.svg", "f.html", "g.zip", "h.json"):
        with io.whole_file(tmp_path / "written" / name) as part:
            _written(tmp_path / "results", (part.name,))
    assert _put_right(tmp_path) == ["removed 8 files that were begun"]


@pytest.mark.parametrize("below", ["", "call"])
def test_nothing_is_removed_through_a_link_out_of_the_run(tmp_path: Path, below: str) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    _written(elsewhere, OURS)
    link = run / "results" / below if below else run / "results"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere, target_is_directory=True)
    assert _put_right(run) == []
    assert _there(elsewhere) == set(OURS)


def test_a_link_with_a_name_of_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / OURS[0].rpartition("/")[2]).symlink_to(tmp_path / "anything")
    assert _put_right(tmp_path) == []


def test_of_the_locks_of_a_dead_snakemake_only_those_are_removed(tmp_path: Path) -> None:
    locks = tmp_path / ".snakemake" / "locks"
    _written(locks, ("0.input.lock", "0.output.lock", "mine.txt"))
    _put_right(tmp_path)
    assert _there(locks) == {"mine.txt"}


def test_the_locks_of_another_run_stay(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    _written(other / "locks", ("0.input.lock",))
    (run / ".snakemake").symlink_to(other, target_is_directory=True)
    with pytest.raises(CtcflowError, match="leads out of the run"):
        _put_right(run)
    assert _there(other) == {"locks/0.input.lock"}


_SNAKEMAKE = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], "w").write("asked to end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("works", flush=True)
time.sleep(60)
"""
_OURS = """
import os, sys
import signal
import subprocess
import sys
from pathlib import Path
from ctcflow.run import lock, start
signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell's background jobs ignore it
with lock.held(Path(sys.argv[1])) as held:
    command = [sys.executable, "-c", sys.argv[2], sys.argv[3]]
    sys.exit(start._snakemake(command, dict(os.environ), held))
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGXCPU"])
def test_snakemake_ends_where_we_are_ended(tmp_path: Path, name: str) -> None:
    said = tmp_path / "said"
    command = [sys.executable, "-c", _OURS, str(tmp_path), _SNAKEMAKE, str(said)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "works\n"
        process.send_signal(signal.Signals[name])
        assert process.wait(20) == 0
    assert said.read_text() == "asked to end"


def test_nohup_is_heeded(tmp_path: Path) -> None:
    said = tmp_path / "said"
    command = ["nohup", sys.executable, "-c", _OURS, str(tmp_path), _SNAKEMAKE, str(said)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "works\n"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert said.exists()
