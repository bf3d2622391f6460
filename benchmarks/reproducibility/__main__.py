"""The demo again and again: which results are the same bytes, step by step.

    [.ci/through-slurm] python -m benchmarks.reproducibility FOLDER PAGE

Runs the demo with two threads, again with two, with one, and through Slurm where it is there, each
from nothing in a folder of its own. Prints and writes the page: per step, files, bytes, and in how
many of them each run differs from the first. Exit code 1 where any does.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from benchmarks.cluster.__main__ import DEMO, PROFILE, run_ctcflow, simulated
from benchmarks.cluster.slurm import PLUGIN
from benchmarks.speed.__main__ import linked

from ctcflow.files.digests import digest

RUNS = {
    "two threads": ["--cores", "2"],
    "again": ["--cores", "2"],
    "one thread": ["--cores", "1"],
    "through Slurm": ["--profile", str(PROFILE)],
}
LIBRARIES = ("numpy", "scipy", "scikit-learn", "harmonypy", "igraph", "pandas", "anndata", "h5py")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    options = parser.parse_args()
    folder = options.folder.resolve()
    simulated(folder / "cohort", DEMO)
    files_of_run = {}
    for name, how in RUNS.items():
        if name == "through Slurm" and not PLUGIN:
            continue
        run = folder / name.replace(" ", "_")
        run.mkdir(exist_ok=True)
        linked(folder / "cohort", run)
        run_ctcflow(run, how)
        files_of_run[name] = results(run)
    table = compared(files_of_run)
    options.page.write_text("\n".join(page(table, list(files_of_run))))
    print(table.to_string(index=False))
    return int(table[list(files_of_run)[1:]].sum().sum() > 0)


def results(run: Path) -> pd.DataFrame:
    """Every file below `results/`: its step, size and digest."""
    folder = run / "results"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if not path.is_relative_to(folder / "provenance")]
    names = [str(path.relative_to(folder)) for path in files]
    return pd.DataFrame(
        {
            "step": [name.split("/")[0] for name in names],
            "bytes": [path.stat().st_size for path in files],
            "digest": [digest(path) for path in files],
        },
        index=names,
    )


def compared(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Per step: files and bytes of the first run, and files of each other run that differ."""
    first, *others = found
    rows = []
    for step, part in found[first].groupby("step", sort=False):
        row = {"step": step, "files": len(part), "bytes": int(part["bytes"].sum())}
        for name in others:
            digests = found[name][found[name]["step"] == step]["digest"]
            both = part["digest"].to_frame("a").join(digests.to_frame("b"), how="outer")
            row[name] = int((both["a"] != both["b"]).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def page(table: pd.DataFrame, runs: list[str]) -> list[str]:
    """The page in Markdown."""
    header = ["step", "files", "bytes", *(f"differ: {name}" for name in runs[1:])]
    lines = [
        "# Reproducibility",
        "",
        "The same input, parameters and seed give the same bytes, at any number of threads and on",
        "a cluster as on one machine. `python -m benchmarks.reproducibility` wrote this page: it",
        f"ran the demo {len(runs)} times from nothing ({', '.join(runs)}) and compared every file",
        "below `results/` with the first run. Times and memory are not in `results/`.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
    ]
    for row in table.itertuples(index=False):
        step, files, size, *differ = row
        lines.append("| " + " | ".join([step, f"{files}", f"{size:,}", *map(str, differ)]) + " |")
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    lines += ["", f"Python {platform.python_version()} on {platform.machine()}; {libraries}.", ""]
    lines += [
        "Not promised: the same bytes on another kind of processor, with another kernel of the"
        " BLAS (`OPENBLAS_CORETYPE`) or with other versions of",
        "these libraries, which sum in another order. `requirements.lock` holds the versions.",
        "",
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
