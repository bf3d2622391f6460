"""A small cohort with known truth, run once per session through Snakemake."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
COHORT = (
    '{"cells_per_sample": 120, "n_genes": 2000, "n_patients": 2, "n_healthy": 1,'
    ' "ctc_rate": 0.04, "aggregate_rate": 0.01, "empty_droplets": 300,'
    ' "formats": ["10x_mtx", "10x_h5", "h5mu"]}'
)
TARGETS = {"all", "default"}
"""Rules that only name targets."""


class Ran(NamedTuple):
    """What a command left: its exit code, all that it printed, and how long it took."""

    code: int
    text: str
    seconds: float

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs per rule in the table that Snakemake prints, or in the first line of `ctcflow run`.

        Rules that only name targets are left out.
        """
        if line := re.search(r"to do: \d+ jobs? \((.*)\)$", self.text, re.MULTILINE):
            pairs = (pair.split() for pair in line[1].split(", "))
            return {rule: int(jobs) for rule, jobs in pairs}
        lines = [line.split() for line in self.text.splitlines()]
        start = next((k for k, words in enumerate(lines) if words == ["job", "count"]), None)
        if start is None:
            return {}
        end = next(k for k in range(start, len(lines)) if lines[k][:1] == ["total"])
        return {
            words[0]: int(words[1]) for words in lines[start + 2 : end] if words[0] not in TARGETS
        }

    @property
    def errors(self) -> list[str]:
        """Lines for the user."""
        return [line for line in self.text.splitlines() if line.startswith("error: ")]


def environment() -> dict[str, str]:
    """Environment of a user who has this interpreter's environment activated."""
    hidden = ("PYTHONPATH", "PYTHONWARNINGS", "SNAKEMAKE_PROFILE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def _run(
    command: list[str], folder: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> Ran:
    return _collected(command, folder, environment() | variables)


def _collected(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Ran:
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, time.perf_counter() - start)


def snakemake_command(run: Path, *options: str) -> list[str]:
    """Command that runs the workflow in a run directory."""
    start = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile")]
    return [*start, "--directory", str(run), "--cores", "2", *options]


@pytest.fixture(scope="session")
def snakemake() -> Callable[..., Ran]:
    """`snakemake(run, *options)` in a process of its own."""

    def start(run: Path, *options: str) -> Ran:
        return _run(snakemake_command(run, *options), run)

    return start


@pytest.fixture(scope="session")
def popen() -> Callable[..., subprocess.Popen[bytes]]:
    """`popen(run, *options)` starts `ctcflow run` in a session of its own, to be killed.

    What it says goes to `log.txt`; other names are environment variables.
    """

    def start(run: Path, *options: str, **variables: str) -> subprocess.Popen[bytes]:
        with (run / "log.txt").open("ab") as log:
            return subprocess.Popen(
                ctcflow_command("run", run, *options),
                cwd=run,
                env=environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    return start


def ctcflow_command(*arguments: str | Path) -> list[str]:
    """Command line of `ctcflow`, this checkout's code."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); "
    code += "from ctcflow.cli import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *map(str, arguments)]


@pytest.fixture(scope="session")
def ctcflow() -> Callable[..., Ran]:
    """`ctcflow(folder, *arguments)` in a process of its own, this checkout's code.

    `before` is a command that starts it; other names are environment variables.
    """

    def start(folder: Path, *arguments: str, before: Sequence[str] = (), **variables: str) -> Ran:
        return _run([*before, *ctcflow_command(*arguments)], folder, variables)

    return start


@pytest.fixture(scope="session")
def called(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """`called(folder, *command)`: by its path, by somebody who has activated nothing."""
    # the machine may name the kernel of its BLAS: another one sums in another order
    machine = [name for name in os.environ if name.startswith("OPENBLAS_")]
    kept = {name: os.environ[name] for name in ("TMPDIR", "LANG", *machine) if name in os.environ}
    bare = kept | {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path_factory.mktemp("home")),
    }

    def start(folder: Path, *command: str | Path) -> Ran:
        return _collected(list(map(str, command)), folder, bare)

    return start


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory, ctcflow: Callable[..., Ran]) -> Path:
    """Folder of a simulated cohort: `data/`, `truth.tsv`, `config/`."""
    folder = tmp_path_factory.mktemp("cohort")
    made = ctcflow(folder, "simulate", str(folder), "--params", COHORT)
    assert made.code == 0, made.text
    return folder


@pytest.fixture(scope="session")
def sheet(cohort: Path) -> pd.DataFrame:
    """The cohort's sample sheet, all cells text, with absolute paths."""
    table = pd.read_csv(cohort / "config" / "samples.tsv", sep="\t", dtype=str, na_filter=False)
    for column in ("path", "raw_path"):
        table[column] = [str((cohort / "config" / path).resolve()) for path in table[column]]
    return table


def make_run(run: Path, sheet: pd.DataFrame, config: str = "") -> Path:
    """Make a run directory, or change the sheet and configuration of one."""
    (run / "config").mkdir(parents=True, exist_ok=True)
    (run / "config" / "config.yaml").write_text(f"samples: config/samples.tsv\n{config}")
    sheet.to_csv(run / "config" / "samples.tsv", sep="\t", index=False)
    return run


def other_counts(folder: Path, target: Path) -> Path:
    """Copy a 10x folder, with barcodes of another lane: other files of the same shape."""
    copy = Path(shutil.copytree(folder, target))
    (barcodes,) = copy.glob("barcodes.tsv.gz")
    other = gzip.decompress(barcodes.read_bytes()).replace(b"-1\n", b"-2\n")
    barcodes.write_bytes(gzip.compress(other, mtime=0))
    return copy


@pytest.fixture(scope="session")
def new_run() -> Callable[..., Path]:
    """`new_run(folder, sheet, config="")` makes a run directory or changes one."""
    return make_run


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, sheet: pd.DataFrame, snakemake: Callable[..., Ran]
) -> Path:
    """A finished run of the cohort; nobody writes to it."""
    run = make_run(tmp_path_factory.mktemp("finished") / "run", sheet)
    ran = snakemake(run)
    assert ran.code == 0, ran.text
    print(f"{len(sheet)} samples of 120 cells: {ran.seconds:.0f} s")
    return run


@pytest.fixture
def own_copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to change and to run again."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def _results(run: Path) -> dict[str, bytes]:
    folder, found = run / "results", {}
    for path in sorted(folder.rglob("*")):
        if path.is_relative_to(folder / "provenance"):
            continue
        # what an orphan of a killed run was writing may be renamed meanwhile
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.fixture
def differing(finished: Path) -> Callable[..., list[str]]:
    """`differing(run)`: files below `results/` that are not byte for byte those of `finished`.

    With `missing=False` only of those that are there.
    """

    def compare(run: Path, *, missing: bool = True) -> list[str]:
        found, whole = _results(run), _results(finished)
        names = found.keys() | (whole.keys() if missing else set())
        return sorted(name for name in names if found.get(name) != whole.get(name))

    return compare


_ONCE = """
import os, sys
words, done = sys.orig_argv, {done!r}
if words[1:4] == ["-Pm", "ctcflow", {step!r}] and not os.path.exists(done):
    open(done, "x").close()
    os.execv("/bin/bash", ["bash", "-c", {action!r} + '; exec "$@"', "bash", *words])
"""


@pytest.fixture
def once(tmp_path: Path) -> Callable[[str, str], str]:
    """`once(step, action)`: a folder for PYTHONPATH with which a job of a step does as bash says.

    Only the first such job, and only before it begins.
    """

    def make(step: str, action: str) -> str:
        folder = tmp_path / "once"
        folder.mkdir()
        text = _ONCE.format(done=str(folder / "done"), step=step, action=action)
        # Python imports a module of this name at its start
        (folder / "sitecustomize.py").write_text(text)
        return str(folder)

    return make
