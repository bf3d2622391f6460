"""What the number of samples costs: interpreter starts, imports and files of each job.

    python -m benchmarks.speed.starts FOLDER [--cells N] [--samples N] [--threads N]

A run in which Python writes down the time of every import (`PYTHONPROFILEIMPORTTIME`). Prints and
writes `starts_CELLS_SAMPLES.tsv`: per rule the jobs, the seconds of a job, and of these what went
into imports, reading, the step itself and writing (each without the imports made meanwhile); the
rest is the start of shell and interpreter, and Snakemake's own work around a job.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
from benchmarks.speed.__main__ import environment, linked, simulated, snakemake
from benchmarks.speed.jobs import jobs_of
from benchmarks.speed.processes import measured_run

PARTS = ("imports", "read", "step", "write", "rest")
_IMPORT = re.compile(r"^import time:\s+(\d+) \|")
_BEGINS = re.compile(r"^import time:.*\| +ctcflow\.pipeline$")
"""The last import before a step."""
_ENDS = re.compile(r"^\w+: (read|done|written) in (\d+\.\d+) s$")
_PART = {"read": "read", "done": "step", "written": "write"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    name = f"{options.cells}_{options.samples}"
    cohort = options.folder.resolve() / f"cohort_{name}"
    simulated(cohort, options.cells, options.samples, 20_000)
    rows, seconds = starts(cohort, threads=options.threads)
    rows.to_csv(options.folder / f"starts_{name}.tsv", sep="\t", index=False, float_format="%.3g")
    print(rows.to_string(index=False))
    sums = rows[["seconds", *PARTS]].mul(rows["jobs"], axis=0).sum()
    shares = ", ".join(f"{part} {sums[part] / sums['seconds']:.0%}" for part in PARTS)
    print(f"whole run {seconds:.0f} s, its jobs {sums['seconds']:.0f} s: {shares}")


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
    jobs_of_rule: dict[str, list[dict[str, float]]] = defaultdict(list)
    for job in jobs_of(out):
        parts = seconds_of_parts((out / job.log).read_text())
        seconds = job.end - job.start
        rest = seconds - sum(parts.values())
        jobs_of_rule[job.rule].append({"seconds": seconds, **parts, "rest": rest})
    rows = [
        {"rule": rule, "jobs": len(jobs), **pd.DataFrame(jobs).mean()}
        for rule, jobs in sorted(jobs_of_rule.items())
    ]
    return pd.DataFrame(rows, columns=["rule", "jobs", "seconds", *PARTS])


def seconds_of_parts(log: str) -> dict[str, float]:
    """Seconds of all imports of a job, and of its parts without the imports made in them."""
    seconds = dict.fromkeys(("imports", "read", "step", "write"), 0.0)
    meanwhile = 0.0
    for line in log.splitlines():
        if seen := _IMPORT.match(line):
            seconds["imports"] += int(seen[1]) / 1e6
            # nothing before a step counts as made in it
            meanwhile = 0.0 if _BEGINS.match(line) else meanwhile + int(seen[1]) / 1e6
        elif seen := _ENDS.match(line):
            seconds[_PART[seen[1]]] += max(float(seen[2]) - meanwhile, 0.0)
            meanwhile = 0.0
    return seconds


if __name__ == "__main__":
    main()
