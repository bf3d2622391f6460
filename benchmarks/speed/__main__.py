"""Time and memory beside scanpy scripts: whole processes, the same simulated cohort, in turn.

    python -m benchmarks.speed FOLDER [--cells N] [--samples N] [--side NAME] [--threads N]

Sides: `ctcflow` (a whole run by Snakemake), `tutorial` and `expert` (scanpy in one script), `floor`
(every count read once, neighbours and Leiden by bare library calls). Prints and writes
`speed_CELLS_SAMPLES.tsv`: seconds, MiB, and the adjusted Rand index of clusters (resolution 1) to
the simulated cell types; and `stages_...tsv`, seconds of each part.

The scripts do not do what `score`, `call` and `report` do. `same work` leaves these out of a run:
each moment of it counts by the share of the busy cores that worked on other steps; what Snakemake
does between jobs counts in full.

A script that takes all memory of the machine but `SPARED` is killed: its row says in which part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from benchmarks.samples import REPOSITORY
from benchmarks.speed.jobs import job_seconds, jobs_of, same_work
from benchmarks.speed.processes import Cost, measured_run
from sklearn.metrics import adjusted_rand_score

SIDES = ("ctcflow", "tutorial", "expert", "floor")
APART = ("score", "call", "report")
SEED = 0
SPARED = 1500.0
"""MiB that are left to the machine."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--side", choices=SIDES, action="append", help="all sides without it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--genes", type=int, default=20_000)
    options = parser.parse_args()
    name = f"{options.cells}_{options.samples}"
    cohort = options.folder.resolve() / f"cohort_{name}"
    simulated(cohort, options.cells, options.samples, options.genes)
    rows, stages = [], []
    for side in options.side or SIDES:
        row, parts = run(side, cohort, threads=options.threads)
        rows.append({"side": side, "cells": options.cells, "samples": options.samples, **row})
        stages += [{"side": side, "stage": part, "seconds": value} for part, value in parts.items()]
        print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    _write(options.folder / f"speed_{name}.tsv", pd.DataFrame(rows))
    _write(options.folder / f"stages_{name}.tsv", pd.DataFrame(stages))


def _write(path: Path, rows: pd.DataFrame) -> None:
    """Sides that were not run now keep what was measured."""
    if path.exists():
        before = pd.read_csv(path, sep="\t")
        rows = pd.concat([before[~before["side"].isin(rows["side"])], rows])
    rows.to_csv(path, sep="\t", index=False, float_format="%.4g")


def simulated(cohort: Path, cells: int, samples: int, genes: int) -> None:
    """A cohort with known truth, half of the samples of patients; made once per size."""
    if (cohort / "config" / "config.yaml").exists():
        return
    params = {
        "n_patients": samples - samples // 2,
        "n_healthy": samples // 2,
        "cells_per_sample": cells // samples,
        "n_genes": genes,
        "ctc_rate": 0.002,
        "n_batches": 2,
        "formats": ["10x_h5"],
        "seed": SEED,
    }
    command = [sys.executable, "-m", "ctcflow", "simulate", str(cohort), "--threads", "2"]
    cohort.parent.mkdir(parents=True, exist_ok=True)
    measured_run(
        [*command, "--params", json.dumps(params)],
        folder=REPOSITORY,
        environment=environment(2),
        log=cohort.parent / f"{cohort.name}.simulate.log",
    )


def run(side: str, cohort: Path, *, threads: int) -> tuple[dict[str, Any], dict[str, float]]:
    """One side: its row, and the seconds of its parts."""
    out = cohort.parent / f"{cohort.name}_{side}"
    out.mkdir(exist_ok=True)
    log = out / "log.txt"
    if side != "ctcflow":
        sheet = cohort / "config" / "samples.tsv"
        module = f"benchmarks.speed.{side}"
        command = [sys.executable, "-m", module, str(sheet), str(out)]
        (out / "clusters.tsv").unlink(missing_ok=True)
        cost = measured_run(
            command,
            folder=REPOSITORY,
            environment=environment(threads),
            log=log,
            most=psutil.virtual_memory().total / 2**20 - SPARED,
        )
        row = _row(cost, cost.seconds, out / "clusters.tsv", cohort)
        if cost.killed:
            row["failed"] = [line["begins"] for line in _lines(log) if "begins" in line][-1]
        return row, {x["stage"]: x["seconds"] for x in _lines(log) if "stage" in x}
    linked(cohort, out)
    cost = measured_run(
        snakemake(out, threads), folder=out, environment=environment(threads), log=log
    )
    jobs = jobs_of(out)
    _clusters_of_run(out)
    row = _row(cost, same_work(jobs, cost.seconds, apart=APART), out / "clusters.tsv", cohort)
    return row, job_seconds(jobs)


def linked(cohort: Path, out: Path) -> None:
    """A run folder of its own on the cohort's data, without an earlier run."""
    for name in ("results", ".snakemake"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("config", "data"):
        if not (out / name).exists():
            (out / name).symlink_to(cohort / name)


def snakemake(out: Path, threads: int) -> Sequence[str]:
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile")]
    return [*command, "--directory", str(out), "--cores", str(threads), "--quiet", "all"]


def environment(threads: int) -> dict[str, str]:
    limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")])
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, **limits, "PYTHONPATH": path, "PATH": tools}


def _lines(log: Path) -> list[dict[str, Any]]:
    """What `stage` printed."""
    starts = ('{"begins"', '{"stage"')
    return [json.loads(x) for x in log.read_text().splitlines() if x.startswith(starts)]


def _clusters_of_run(out: Path) -> None:
    import anndata
    from benchmarks.speed.stages import write_clusters

    obs = anndata.read_h5ad(out / "results" / "cluster" / "cohort.h5ad", backed="r").obs
    write_clusters(obs, "leiden_1", out / "clusters.tsv")


def _row(cost: Cost, same: float, clusters: Path, cohort: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "seconds": cost.seconds,
        "same_work_seconds": same,
        "tree_mib": cost.tree,
        "largest_mib": cost.largest,
    }
    if clusters.exists():
        truth = pd.read_csv(cohort / "truth.tsv", sep="\t", keep_default_na=False)
        single = truth[truth["kind"] == "cell"]
        both = single.merge(pd.read_csv(clusters, sep="\t"), on=["sample", "barcode"])
        found["ari"] = adjusted_rand_score(both["cell_type"], both["cluster"])
        found["cells_judged"] = len(both)
    return found


if __name__ == "__main__":
    main()
