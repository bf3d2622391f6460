"""Memory and time of every step against the size of its input: the lines that jobs ask by.

    python -m benchmarks.resources FOLDER [--run RUN ...] [--slower FACTOR] [--of MiB]

Runs cohorts of samples of 10 to 50,000 cells, shallow and deep, in every format, with unfiltered
droplets, with and without a frozen reference, of which some are grown to more cells; `--run` adds
finished runs, such as those of `benchmarks.speed`. Prints and writes `demand.tsv` (every job: where
it lies on the axes, MiB and seconds, what the lines give for it), `workflow/demand.tsv` (lines),
`docs/demand.tsv` (every job and its MiB: a test holds the lines against them), `docs/demand.png`.
`--slower` multiplies seconds, where a slower machine is known; with `--of MiB` the lines of the
seconds stay as they are, for a machine that has other work too.

The line of a step lies above all of its jobs by a tenth; no slope is negative. Of such lines and
those that ask for no more than twice what any job took (where there are none: that come near to
it), it is the one nearest to all jobs (linear programming).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from benchmarks.resources.picture import picture
from benchmarks.samples import REPOSITORY
from benchmarks.speed.__main__ import environment, linked, snakemake
from benchmarks.speed.processes import measured_run
from scipy.optimize import linprog

from ctcflow.contracts import STEPS
from ctcflow.files import bundle
from ctcflow.workflow.demand import AXES
from ctcflow.workflow.for_rules import Workflow

MARGIN, MOST, NEAR = 1.1, 2.0, 1.2
UNITS = ("MiB", "s")
DOCS = REPOSITORY / "docs"
LINES = REPOSITORY / "workflow" / "demand.tsv"
SPARSE = ["10x_h5"]
COHORTS: dict[str, dict[str, Any]] = {
    "tiny": {"cells_per_sample": 10, "n_genes": 8000},
    "small": {"cells_per_sample": 100, "n_genes": 20_000},
    "formats": {"cells_per_sample": 700, "n_healthy": 5, "n_genes": 20_000, "formats": None},
    "droplets": {"cells_per_sample": 1500, "empty_droplets": 60_000, "n_genes": 20_000},
    "shallow": {"cells_per_sample": 10_000, "median_umis": 800.0, "n_genes": 20_000},
    "deep": {"cells_per_sample": 3000, "median_umis": 20_000.0, "n_genes": 30_000},
    "counts": {"cells_per_sample": 5000, "median_umis": 4000.0, "n_genes": 20_000},
    "many": {"cells_per_sample": 40, "n_healthy": 20, "n_genes": 20_000},
    "large": {"cells_per_sample": 50_000, "n_healthy": 0, "n_patients": 1, "n_genes": 20_000},
}
GROWN = {"small": 1_000_000, "shallow": 200_000}
"""Cells that the reference of a cohort is grown to, for one more run mapped onto it."""
OF_CELLS = ("embedding", "umap", "cluster", "cell_type", "group", "type_scores")
"""Arrays of a reference with a row per cell."""
SEED = 0
EXPORT = "results/cluster/cohort_counts.h5ad"
_PEAK = re.compile(r"^(\w+): (\d+) MiB at most$", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path, action="append", default=[], help="finished runs")
    parser.add_argument("--slower", type=float, default=1.0, help="factor on seconds")
    parser.add_argument("--of", choices=UNITS, action="append", help="fit this alone")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    folder = options.folder.resolve()
    runs = [path.resolve() for path in options.run]
    for name, params in COHORTS.items():
        runs += made(folder / name, params, grown_to=GROWN.get(name), threads=options.threads)
    jobs = pd.DataFrame([job for run in runs for job in jobs_of(run)])
    jobs["s"] *= options.slower
    units = options.of or UNITS
    lines = pd.concat([fitted(jobs, units), _kept(set(UNITS) - set(units))])
    for unit in UNITS:
        jobs[f"line_{unit}"] = [
            float(lines.loc[(row["step"], unit)] @ row[list(AXES)].to_numpy(float))
            for _, row in jobs.iterrows()
        ]
    jobs.to_csv(folder / "demand.tsv", sep="\t", index=False, float_format="%.4g")
    measured = jobs[["step", "run", "sample", *AXES, "MiB"]]
    measured.to_csv(DOCS / "demand.tsv", sep="\t", index=False, float_format="%.5g")
    table = lines.loc[[(step, unit) for step in jobs["step"].unique() for unit in UNITS]]
    table.reset_index().to_csv(LINES, sep="\t", index=False, float_format="%.4g")
    picture(jobs).savefig(DOCS / "demand.png", dpi=110)
    print(summary(jobs, units).to_string())


def _kept(units: set[str]) -> pd.DataFrame:
    """The lines of these units as they are."""
    lines = pd.read_csv(LINES, sep="\t").set_index(["step", "of"])
    lines = lines[lines.index.isin(units, level="of")]
    return lines.reindex(columns=[*AXES], fill_value=0.0)


def made(
    folder: Path, params: Mapping[str, Any], *, grown_to: int | None, threads: int
) -> list[Path]:
    """A cohort, its run with a frozen reference at the end, and runs mapped onto that."""
    run = folder / "run"
    if not (folder / "cohort" / "config" / "config.yaml").exists():
        wanted = {"formats": SPARSE, "n_patients": 1, "n_healthy": 1, **params}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        command = [sys.executable, "-m", "ctcflow", "simulate", str(folder / "cohort")]
        command += ["--threads", str(threads), "--params", json.dumps(wanted)]
        _measured(command, folder, threads)
    if not (run / "done").exists():
        run.mkdir(parents=True, exist_ok=True)
        linked(folder / "cohort", run)
        _finish(run, ["all", "freeze", EXPORT], threads)
    frozen = run / "results" / "freeze" / "reference.zip"
    references = {"mapped": frozen}
    if grown_to is not None:
        references["mapped_grown"] = grown(frozen, folder / "grown.zip", grown_to)
    for name, reference in references.items():
        mapped = folder / name
        if not (mapped / "done").exists():
            shutil.rmtree(mapped, ignore_errors=True)
            # as it is, so that the steps of samples need not run again
            shutil.copytree(run, mapped, symlinks=True, ignore=shutil.ignore_patterns("done"))
            (mapped / "config").unlink()
            _configure(mapped, run, reference)
            _finish(mapped, [], threads)
    return [run, *(folder / name for name in references)]


def grown(own: Path, path: Path, cells: int) -> Path:
    """The reference with its cells over and over, each a little elsewhere; made once."""
    if path.exists():
        return path
    reference = bundle.read(own)
    rng = np.random.default_rng(SEED)
    again = np.resize(np.arange(reference.cluster.size), cells)
    arrays = {name: getattr(reference, name)[again] for name in OF_CELLS}
    noise = rng.standard_normal(arrays["embedding"].shape, dtype=np.float32)
    arrays["embedding"] = arrays["embedding"] + noise
    manifest = {**reference.manifest, "cells": cells}
    path.write_bytes(bundle.packed(reference._replace(manifest=manifest, **arrays)))
    return path


def _finish(run: Path, targets: list[str], threads: int) -> None:
    _measured([*snakemake(run, threads)[:-2], *targets, "--quiet", "all"], run, threads)
    (run / "done").touch()


def _configure(mapped: Path, run: Path, reference: Path) -> None:
    """The same samples at the same paths, and the frozen reference."""
    config = yaml.safe_load((run / "config" / "config.yaml").read_text())
    sheet = pd.read_csv(run / "config" / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    for column in {"path", "raw_path"} & {*sheet}:
        paths = sheet[column]
        sheet[column] = [path and os.path.abspath(run / "config" / path) for path in paths]
    (mapped / "config").mkdir()
    sheet.to_csv(mapped / "config" / "samples.tsv", sep="\t", index=False)
    text = yaml.safe_dump({**config, "reference": str(reference)})
    (mapped / "config" / "config.yaml").write_text(text)


def _measured(command: list[str], folder: Path, threads: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    measured_run(command, folder=folder, environment=environment(threads), log=folder / "log.txt")


def jobs_of(run: Path) -> Iterator[dict[str, Any]]:
    """Every job of a finished run: where it lies on the axes, and what it took."""
    config = yaml.safe_load((run / "config" / "config.yaml").read_text())
    rules = Workflow(config, run=run, results="results")
    configured = (run / "config" / "config.yaml").stat().st_mtime
    for step in (*STEPS, "export"):
        for log in sorted([*run.glob(f"logs/{step}.log"), *run.glob(f"logs/{step}/*.log")]):
            peak = [float(mib) for name, mib in _PEAK.findall(log.read_text()) if name == step]
            # what is older than the configuration is of the run that was copied
            if not peak or log.stat().st_mtime < configured:
                continue
            sample = log.stem if log.parent.name == step else ""
            place = Path(step) / f"{sample}.tsv" if sample else Path(f"{step}.tsv")
            times = pd.read_csv(run / "benchmarks" / place, sep="\t")
            where = rules.axes(step, SimpleNamespace(sample=sample))
            yield {
                "step": step,
                "run": run.parent.name if (run.parent / "cohort").exists() else run.name,
                "sample": sample,
                **dict(zip(AXES, where, strict=True)),
                "MiB": peak[-1],
                "s": float(times["s"].iloc[-1]),
            }


def fitted(jobs: pd.DataFrame, units: Sequence[str]) -> pd.DataFrame:
    """Coefficients per step and unit, none negative, above every job by `MARGIN`."""
    rows = {}
    for step, part in jobs.groupby("step", sort=False):
        places = part[list(AXES)].to_numpy(float)
        for unit in units:
            relative = places / part[unit].to_numpy(float)[:, None]
            rows[step, unit] = nearest_above(relative)
    index = pd.MultiIndex.from_tuples(rows, names=["step", "of"])
    return pd.DataFrame(list(rows.values()), index=index, columns=list(AXES))


def nearest_above(relative: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Coefficients of a line that is everywhere at least `MARGIN`; see the head of this file."""
    n, ones = len(relative), np.ones((len(relative), 1))
    above = np.hstack([-relative, 0 * ones]), np.full(n, -MARGIN)
    below = np.hstack([relative, -ones]), np.zeros(n)
    bounds = np.vstack([above[0], below[0]]), np.concatenate([above[1], below[1]])
    price = np.append(np.zeros(relative.shape[1]), 1.0)
    largest = max(NEAR * linprog(price, *bounds).x[-1], MOST)
    limited = [(0, None)] * relative.shape[1] + [(0, largest)]
    return linprog(np.append(relative.sum(axis=0), 0.0), *bounds, bounds=limited).x[:-1]


def summary(jobs: pd.DataFrame, units: Sequence[str]) -> pd.DataFrame:
    """Per step: jobs, and how far the lines lie above them."""
    return pd.DataFrame(
        {
            step: {
                "jobs": len(part),
                **{
                    f"{unit}: {name}": value
                    for unit in units
                    for name, value in _ratios(part[f"line_{unit}"] / part[unit])
                },
            }
            for step, part in jobs.groupby("step", sort=False)
        }
    ).T


def _ratios(above: pd.Series) -> list[tuple[str, float]]:
    return [("mean", above.mean()), ("largest", above.max())]


if __name__ == "__main__":
    main()
