"""Which small faults of the package no test sees.

    python -m benchmarks.mutation TABLE [--count N] [--seed N] [--processes N]

Draws mutants of `stats`, `evidence` and `steps`, and runs, for each in a copy of the checkout, the
tests that come by the changed lines, those of the module's own file first, until one fails. Rows
are added to TABLE; a second call goes on where the first stopped. Which tests come by which lines
is measured once and kept in TABLE.lines.json: delete it where tests were added.

Why not a library: mutmut 3 changes no constants outside of functions, where our limits stand, and
wraps every function, which tests of signatures and of digests of code forbid. cosmic-ray runs one
command for all mutants, and draws none: what is left of its work is `mutants.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

# before numpy is loaded: as many processes as cores run side by side, each with one thread
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import pandas as pd
from benchmarks.mutation.mutants import Mutant, mutated, of_package

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "ctcflow"
TESTS = (
    *("tests/test_calling_claims.py", "tests/stats", "tests/steps", "tests/evidence"),
    *("tests/test_contracts.py", "tests/test_python_use.py", "tests/test_calibrate.py"),
    *("tests/files", "tests/test_quality_claims.py"),
    *("tests/test_integration_claims.py", "tests/test_projection_claims.py"),
)
MOST_SECONDS = 12.0
"""Of tests per mutant, as they took without it; the slower ones are left out, and counted."""
GRACE, SLOWER = 60.0, 10.0
"""A mutant may take so many seconds, and so many times the seconds of its tests."""
COLUMNS = ("module", "line", "number", "before", "after", "result", "by", "tests", "left_out", "s")
WARM = ("anndata", "h5py", "hypothesis", "igraph", "pandas", "scipy.optimize", "scipy.stats")


class Chosen(NamedTuple):
    """Tests of a mutant."""

    tests: list[str]
    seconds: float
    left_out: int


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("table", type=Path)
    given.add_argument("--count", type=int, default=300)
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--processes", type=int, default=1)
    options = given.parse_args()
    options.table.parent.mkdir(parents=True, exist_ok=True)
    lines = options.table.with_name(options.table.name + ".lines.json")
    if not lines.exists():
        measure_lines(lines, options.processes)
    tests = {name: test for name, test in json.loads(lines.read_text()).items() if test["passed"]}
    drawn = draw(of_package(PACKAGE), count=options.count, seed=options.seed)
    done = pd.read_csv(options.table, sep="\t") if options.table.exists() else None
    known = set() if done is None else set(zip(done["module"], done["number"], strict=True))
    waiting = [one for one in drawn if (one.module, one.number) not in known]
    for name in WARM:
        __import__(name)
    import pytest  # noqa: F401 - each mutant is a fork of this process

    with tempfile.TemporaryDirectory() as folder:
        run_all(waiting, tests, options.table, Path(folder), options.processes)
    report(pd.read_csv(options.table, sep="\t", keep_default_na=False))


def draw(every: list[Mutant], *, count: int, seed: int) -> list[Mutant]:
    """So many mutants at random, in random order, so that a part of them is a sample too."""
    return random.Random(seed).sample(every, min(count, len(every)))


def measure_lines(file: Path, processes: int) -> None:
    """Run the tests once and write which lines each comes by.

    Raises
    ------
    SystemExit
        A path of `TESTS` gave no test.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(processes) as pool:
        parts = [Path(folder) / f"{number}.json" for number in range(len(TESTS))]
        list(pool.map(_measure, TESTS, parts))
        tests = [json.loads(part.read_text()) if part.exists() else {} for part in parts]
    empty = [path for path, of_path in zip(TESTS, tests, strict=True) if not of_path]
    if empty:
        raise SystemExit(f"no test ran in {', '.join(empty)}: correct TESTS")
    file.write_text(json.dumps({name: test for part in tests for name, test in part.items()}))


def _measure(path: str, part: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "benchmarks.mutation.covering", "-p"]
        + ["no:cacheprovider", "--lines-to", str(part), path],
        cwd=ROOT,
        check=False,
    )


def choose(mutant: Mutant, tests: dict[str, dict[str, Any]]) -> Chosen:
    """Tests that come by the changed lines, or by lines that name the changed constant."""
    wanted = _lines_of(mutant)
    name = Path(mutant.module).stem
    own = re.compile(rf"tests/.*test_{name}\.py::")
    found = [
        (not own.match(test), record["seconds"] + sum(record["fixtures"].values()), test)
        for test, record in tests.items()
        if any((module, line) in wanted for module, line in record["lines"])
    ]
    chosen, seconds = list[str](), 0.0
    ready = set[str]()
    for _, _, test in sorted(found):
        record = tests[test]
        # a fixture that tests share is set up once
        needed = {name: took for name, took in record["fixtures"].items() if name not in ready}
        took = record["seconds"] + sum(needed.values())
        if chosen and seconds + took > MOST_SECONDS:
            continue
        chosen.append(test)
        ready |= needed.keys()
        seconds += took
    return Chosen(chosen, seconds, len(found) - len(chosen))


def _lines_of(mutant: Mutant) -> set[tuple[str, int]]:
    if mutant.inside:
        return {(mutant.module, line) for line in range(mutant.lines[0], mutant.lines[1] + 1)}
    if not mutant.name:
        text = (PACKAGE / mutant.module).read_text().splitlines()
        return {(mutant.module, line) for line in range(1, len(text) + 1)}
    named = re.compile(rf"\b{mutant.name}\b")
    files = [PACKAGE / mutant.module]
    if not mutant.name.startswith("_"):
        files = [file for room in ("stats", "evidence", "steps") for file in _files(room)]
    return {
        (file.relative_to(PACKAGE).as_posix(), number)
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if named.search(line)
    }


def _files(room: str) -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


def run_all(
    waiting: list[Mutant],
    tests: dict[str, dict[str, Any]],
    table: Path,
    folder: Path,
    processes: int,
) -> None:
    """Keep so many copies busy; write each row as it is known."""
    free = [copied(folder / str(number)) for number in range(processes)]
    if fork(free[0], None, Chosen([min(tests, key=lambda t: tests[t]["seconds"])], 1.0, 0))[0]:
        raise SystemExit("a test fails in the copy without any change")
    running: dict[int, tuple[Path, Mutant, Chosen, float]] = {}
    while waiting or running:
        while waiting and free:
            mutant = waiting.pop(0)
            chosen = choose(mutant, tests)
            if not chosen.tests:
                write(table, mutant, "not covered", "", chosen, 0.0)
                continue
            copy = free.pop()
            running[start(copy, mutant, chosen)] = (copy, mutant, chosen, time.monotonic())
        time.sleep(0.05)
        for child, (copy, mutant, chosen, began) in list(running.items()):
            spent = time.monotonic() - began
            finished, status = os.waitpid(child, os.WNOHANG)
            late = not finished and spent > GRACE + SLOWER * chosen.seconds
            if not finished and not late:
                continue
            if late:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            result = "timeout" if late else "killed" if status else "survived"
            by = (copy / "first_failure").read_text() if result == "killed" else ""
            write(table, mutant, result, by, chosen, spent)
            restore(copy, mutant)
            del running[child]
            free.append(copy)


def copied(copy: Path) -> Path:
    """A checkout of its own, with the data beside it."""
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*cache", "demo", "results")
    shutil.copytree(ROOT, copy / "checkout", ignore=ignored)
    shared = ROOT.parent / "shared"
    if shared.exists():
        (copy / "shared").symlink_to(shared.resolve())
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(copy / "checkout" / "src")], check=True
    )
    return copy


def start(copy: Path, mutant: Mutant | None, chosen: Chosen) -> int:
    """Fork a process that runs the tests with the change; gives its number."""
    (copy / "first_failure").write_text("")
    if mutant is not None:
        file = copy / "checkout" / "src" / "ctcflow" / mutant.module
        file.write_text(mutated(file.read_text(), mutant.number))
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os._exit(_tested(copy, chosen))
    finally:
        os._exit(70)


def fork(copy: Path, mutant: Mutant | None, chosen: Chosen) -> tuple[int, str]:
    """Run it and wait."""
    _, status = os.waitpid(start(copy, mutant, chosen), 0)
    return status, (copy / "first_failure").read_text()


def _tested(copy: Path, chosen: Chosen) -> int:
    import pytest

    class First:
        """Writes down which test fails first, or that a module cannot be imported."""

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                (copy / "first_failure").write_text(report.nodeid)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                (copy / "first_failure").write_text("import")

    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    checkout = copy / "checkout"
    os.chdir(checkout)
    sys.path[:0] = [str(checkout / "src"), str(checkout)]
    sys.dont_write_bytecode = True
    # hypothesis is imported before pytest could rewrite it
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider"]
    options = ["-x", "-q", *quiet, f"--basetemp={copy / 'basetemp'}"]
    return int(pytest.main([*options, *chosen.tests], plugins=[First()]))


def restore(copy: Path, mutant: Mutant) -> None:
    """Put the module back, with its time, so that what was compiled of it holds."""
    shutil.copy2(PACKAGE / mutant.module, copy / "checkout" / "src" / "ctcflow" / mutant.module)


def write(
    table: Path, mutant: Mutant, result: str, by: str, chosen: Chosen, seconds: float
) -> None:
    """Add one row."""
    line, numbers = mutant.lines[0], (len(chosen.tests), chosen.left_out, round(seconds, 1))
    row = (mutant.module, line, mutant.number, mutant.before, mutant.after, result, by, *numbers)
    frame = pd.DataFrame([row], columns=list(COLUMNS))
    frame.to_csv(table, sep="\t", index=False, mode="a", header=not table.exists())
    print(*row, sep="\t", flush=True)


def report(table: pd.DataFrame) -> None:
    """Score and survivors."""
    counts = table["result"].value_counts()
    caught = int(counts.get("killed", 0) + counts.get("timeout", 0))
    print(f"\n{len(table)} mutants, {caught} seen by tests ({caught / len(table):.1%})")
    print(counts.to_string(), f"\n{table['s'].mean():.1f} s per mutant\n")
    missed = table[table["result"].isin(["survived", "not covered"])]
    shown = missed.sort_values(["module", "line"])[[*COLUMNS[:2], "before", "after", "result"]]
    print(shown.to_csv(sep="\t", index=False))


if __name__ == "__main__":
    main()
