"""What a cluster costs beside one machine, and whether jobs ask for the memory that they need.

    .ci/through-slurm python -m benchmarks.cluster FOLDER [--part NAME ...]

Parts, each prints a table and writes `NAME.tsv`:

* `dry`: seconds and MiB of a dry run of 1,000 samples;
* `demo`: the demo on this machine and through Slurm, and where the time goes;
* `many`: the same for 200 samples of 500 cells;
* `memory`: 200 samples of 10 to 50,000 cells through Slurm up to `score`: what each submission
  asked for and used, and how many were killed for memory.

Without Slurm here, `demo` and `many` run on this machine only and `memory` not at all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from benchmarks.cluster.slurm import PLUGIN, Submission, submissions_of, watched
from benchmarks.samples import REPOSITORY
from benchmarks.speed.__main__ import environment, linked
from benchmarks.speed.jobs import Job, jobs_of
from benchmarks.speed.processes import measured_run
from benchmarks.speed.starts import seconds_of_parts

from ctcflow.settings.sample import SAMPLE_STEPS
from ctcflow.workflow.for_rules import Workflow

PROFILE = REPOSITORY / "workflow" / "profiles" / "slurm"
CORES = 2
DEMO = {"empty_droplets": 2000}
MANY = {"n_patients": 100, "n_healthy": 100, "cells_per_sample": 500, "n_genes": 20_000}
SIZES, OF_EACH, LARGEST = 20, 10, 50_000
"""Sizes of samples in part `memory`: closer together where they are small."""
ANY_FORMAT = 1000
"""Cells up to which a sample may be a table of text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=PARTS, action="append")
    options = parser.parse_args()
    folder = options.folder.resolve()
    for name in options.part or PARTS:
        table = PARTS[name](folder / name)
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.4g")
        print(f"{name}\n{table.to_string(index=False)}", flush=True)


def dry(folder: Path) -> pd.DataFrame:
    """A dry run of 1,000 samples of one cell."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    names = [f"s{k}" for k in range(1000)]
    for name in names:
        (folder / "data" / f"{name}.csv").write_text("gene,AAAC-1\nTP53,1\n")
    sheet = pd.DataFrame({"sample": names, "path": [f"../data/{name}.csv" for name in names]})
    _configure(folder, sheet)
    command = [sys.executable, "-m", "ctcflow", "run", str(folder), "-n", "--", "--quiet", "all"]
    cost = measured_run(
        command, folder=folder, environment=environment(CORES), log=folder / "log.txt"
    )
    return pd.DataFrame([{"samples": len(names), "s": cost.seconds, "MiB": cost.tree}])


def demo(folder: Path) -> pd.DataFrame:
    """The demo of `make demo`."""
    simulated(folder / "cohort", DEMO)
    return _compared(folder)


def many(folder: Path) -> pd.DataFrame:
    """Many small samples: most of the time goes where no step works."""
    simulated(folder / "cohort", {**MANY, "formats": ["10x_h5"]})
    return _compared(folder)


def memory(folder: Path) -> pd.DataFrame:
    """Submissions of samples of all sizes: asked for, used, killed."""
    if not PLUGIN:
        return pd.DataFrame([{"not run": "no Slurm here"}])
    sheets = []
    for k in range(SIZES):
        cells = round(10 * (LARGEST / 10) ** ((k / (SIZES - 1)) ** 2))
        params = {
            "n_patients": OF_EACH // 2,
            "n_healthy": OF_EACH // 2,
            "n_genes": 20_000,
            "seed": k,
        }
        params |= {"cells_per_sample": cells, "median_umis": 1500.0 * (1 + k % 2)}
        params |= {} if cells <= ANY_FORMAT else {"formats": ["10x_mtx", "10x_h5", "h5ad"]}
        part = folder / f"part{k}"
        simulated(part, params)
        sheet = pd.read_csv(part / "config" / "samples.tsv", sep="\t", dtype=str)
        paths = [str((part / "config" / path).resolve()) for path in sheet["path"]]
        names = [f"s{k}_{name}" for name in sheet["sample"]]
        sheets.append(pd.DataFrame({"sample": names, "path": paths, "cells": cells}))
    sheet = pd.concat(sheets)
    (folder / "run" / "config").mkdir(parents=True, exist_ok=True)
    _configure(folder / "run", sheet[["sample", "path"]])
    targets = [f"results/score/{name}.h5ad" for name in sheet["sample"]]
    with watched() as most:
        run_ctcflow(folder / "run", ["--profile", str(PROFILE), "--", *targets])
    asked = pd.DataFrame([s._asdict() for s in submissions_of(folder / "run", most)])
    asked.to_csv(folder.parent / "submissions.tsv", sep="\t", index=False)
    killed = int((asked["state"] == "OUT_OF_MEMORY").sum())
    # Slurm may fail to start one: the profile submits it again
    asked = asked[asked["end"] > asked["start"]]
    used = asked["used"].dropna()
    return pd.DataFrame(
        [
            {
                "samples": len(sheet),
                "submissions": len(asked),
                "killed for memory": killed,
                "asked, mean MiB": asked["asked"].mean(),
                "used, mean MiB": used.mean(),
                "asked / used": asked["asked"].mean() / used.mean(),
                "largest asked / used": (asked["asked"] / asked["used"]).max(),
            }
        ]
    )


def _compared(folder: Path) -> pd.DataFrame:
    """Where the time of a run goes, on this machine and through Slurm."""
    columns = {}
    for name, options in {
        "here": ["--cores", str(CORES)],
        "Slurm": ["--profile", str(PROFILE)],
    }.items():
        if name == "Slurm" and not PLUGIN:
            continue
        run = folder / name
        run.mkdir(exist_ok=True)
        linked(folder / "cohort", run)
        started = time.time()
        seconds = run_ctcflow(run, options)
        submitted = [
            submission
            for submission in submissions_of(run, {})
            if submission.submitted >= int(started)
        ]
        columns[name] = _where(run, seconds, started, submitted)
    return pd.DataFrame(columns).rename_axis("what").reset_index()


def _where(
    run: Path, seconds: float, started: float, submissions: list[Submission]
) -> dict[str, float]:
    """Seconds: the first three lines by the clock, the others summed over jobs and submissions."""
    jobs = jobs_of(run)
    config = yaml.safe_load((run / "config" / "config.yaml").read_text())
    small = Workflow(config, run=run, results="results").is_small
    inside = [j for j in jobs if submissions and (j.rule in SAMPLE_STEPS or not small)]
    # of jobs in a submission Snakemake records when it saw their end
    spans = [(job.start, job.end) for job in jobs if job not in inside]
    spans += [(submission.start, submission.end) for submission in submissions]
    first = min(start for start, _ in spans)
    worked = _worked(run, jobs)
    shells = sum(end - start for start, end in worked.values())
    parts = pd.DataFrame([seconds_of_parts((run / job.log).read_text()) for job in jobs]).sum()
    row = {
        "s in all": seconds,
        "s until the first job": first - started,
        "s without a job, from then on": started + seconds - first - _covered(spans),
        "jobs": len(jobs),
        "s of steps": parts["step"],
        "s of imports": parts["imports"],
        "s of reading and writing": parts["read"] + parts["write"],
        "s of starts of Python and shells": shells - parts.sum(),
        "submissions": len(submissions),
    }
    if submissions:
        held = sum(submission.end - submission.start for submission in submissions)
        # `normalize` and `score` of a sample run at the same time
        of_one: dict[str, list[tuple[float, float]]] = {}
        for job in inside:
            name = Path(job.log).stem
            of_one.setdefault(name, []).append(worked[job.log])
        busy = sum(map(_covered, of_one.values()))
        row["s of Snakemake and srun in submissions"] = held - busy
        row["s in the queue"] = sum(
            submission.start - submission.submitted for submission in submissions
        )
    return row


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in at least one of the spans."""
    total, last = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, last), 0.0)
        last = max(last, end)
    return total


def _worked(run: Path, jobs: Sequence[Job]) -> dict[str, tuple[float, float]]:
    """When the shell of each job began and ended, by its log.

    Its log ends with it, and Snakemake times it where it runs. Of the files that Snakemake writes
    the times are set anew when the group of the job has ended.
    """
    spans = {}
    for job in jobs:
        file = (run / "benchmarks" / Path(job.log).relative_to("logs")).with_suffix(".tsv")
        end = (run / job.log).stat().st_mtime
        spans[job.log] = (end - float(pd.read_csv(file, sep="\t")["s"].iloc[-1]), end)
    return spans


def run_ctcflow(run: Path, options: list[str]) -> float:
    command = [sys.executable, "-m", "ctcflow", "run", str(run), *options]
    variables = environment(CORES)
    variables["PYTHONPATH"] = ":".join(filter(None, [variables["PYTHONPATH"], PLUGIN]))
    variables["PYTHONPROFILEIMPORTTIME"] = "1"
    return measured_run(command, folder=run, environment=variables, log=run / "log.txt").seconds


def simulated(cohort: Path, params: Mapping[str, Any]) -> None:
    if (cohort / "config" / "config.yaml").exists():
        return
    cohort.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ctcflow", "simulate", str(cohort), "--threads", str(CORES)]
    measured_run(
        [*command, "--params", json.dumps(params)],
        folder=REPOSITORY,
        environment=environment(CORES),
        log=cohort.parent / f"{cohort.name}.log",
    )


def _configure(run: Path, sheet: pd.DataFrame) -> None:
    (run / "config" / "config.yaml").write_text("samples: config/samples.tsv\n")
    sheet.to_csv(run / "config" / "samples.tsv", sep="\t", index=False)


PARTS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "dry": dry,
    "demo": demo,
    "many": many,
    "memory": memory,
}

if __name__ == "__main__":
    main()
