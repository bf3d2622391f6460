"""What the number of samples costs: interpreter starts, imports and files of each job.

    python -m benchmarks.speed.starts FOLDER [--samples N] [--threads N]

A run of samples with 50 cells each, in which Python writes down the time of every import
(`PYTHONPROFILEIMPORTTIME`). Prints and writes `starts.tsv`: per rule the jobs, the seconds of a
job, of its imports, and of the step itself (with what it imports); what is left are the start of
shell and interpreter, reading and writing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd
from benchmarks.speed.__main__ import environment, linked, simulated, snakemake
from benchmarks.speed.jobs import jobs_of
from benchmarks.speed.processes import measured_run

CELLS_PER_SAMPLE = 50
_IMPORT = re.compile(r"^import time:\s+(\d+) \|", re.MULTILINE)
_STEP = re.compile(r"^(\w+): (\d+\.\d) s$", re.MULTILINE)


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("folder", type=Path)
    given.add_argument("--samples", type=int, default=10)
    given.add_argument("--threads", type=int, default=2)
    options = given.parse_args()
    cells = CELLS_PER_SAMPLE * options.samples
    cohort = options.folder.resolve() / f"cohort_{cells}_{options.samples}"
    simulated(cohort, cells, options.samples, 20_000)
    rows, seconds = starts(cohort, threads=options.threads)
    rows.to_csv(options.folder / "starts.tsv", sep="\t", index=False, float_format="%.3g")
    print(rows.to_string(index=False))
    jobs = rows["jobs"] * rows["seconds"]
    share = (rows["jobs"] * rows["imports"]).sum() / jobs.sum()
    print(f"whole run {seconds:.0f} s, its jobs {jobs.sum():.0f} s, imports {share:.0%} of these")


def starts(cohort: Path, *, threads: int) -> tuple[pd.DataFrame, float]:
    """Means per rule of a run, and the seconds of the whole run."""
    out = cohort.parent / f"{cohort.name}_starts"
    out.mkdir(exist_ok=True)
    linked(cohort, out)
    cost = measured_run(
        snakemake(out, threads),
        folder=out,
        environment={**environment(threads), "PYTHONPROFILEIMPORTTIME": "1"},
        log=out / "log.txt",
    )
    return seconds_per_rule(out), cost.seconds


def seconds_per_rule(out: Path) -> pd.DataFrame:
    """Means per rule of a finished run whose logs tell the time of every import."""
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for job in jobs_of(out):
        text = (out / job.log).read_text()
        step = sum(float(value) for name, value in _STEP.findall(text) if name == job.rule)
        imports = sum(map(int, _IMPORT.findall(text))) / 1e6
        found[job.rule].append((job.end - job.start, imports, step))
    rows = []
    for rule, jobs in found.items():
        means = [sum(values) / len(jobs) for values in zip(*jobs, strict=True)]
        rows.append((rule, len(jobs), *means, means[0] - means[1] - means[2]))
    columns = ["rule", "jobs", "seconds", "imports", "step", "rest"]
    return pd.DataFrame(rows, columns=columns).sort_values("rule")


if __name__ == "__main__":
    sys.exit(main())
