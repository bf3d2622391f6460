"""`results/provenance/`: inputs, software, time and memory of a finished run.

This is the only folder of results whose bytes differ between identical runs, because it holds times
and versions. It is written by the main Snakemake process after the last job.
"""

from __future__ import annotations

import csv
import json
import platform
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ctcflow.files import io
from ctcflow.run.progress import SOFTWARE
from ctcflow.settings.sample import SAMPLE_STEPS
from ctcflow.workflow.for_rules import Workflow

FILES: Final = ("jobs.tsv", "software.tsv", "inputs.tsv", "parameters.json")
_OF_SAMPLES: Final = (*SAMPLE_STEPS, "project")
_MEASURED: Final = {"s": "s", "cpu_time": "cpu_s", "max_rss": "mib"}
"""Columns of Snakemake's benchmark files (seconds, seconds, MiB), and their names here."""


def write(run: Workflow, folder: Path) -> None:
    """Write the files of `FILES` to `results/provenance/`; nothing where results are elsewhere.

    Parameters
    ----------
    run
        Configuration and sheet.
    folder
        Folder of the run.
    """
    results = folder / "results"
    if not results.is_dir():
        return
    target = results / "provenance"
    target.mkdir(exist_ok=True)
    _table(target / "jobs.tsv", ("step", "sample", *_MEASURED.values()), _jobs(run, folder))
    _table(target / "software.tsv", ("name", "version", "jobs"), _software(run, folder))
    _table(target / "inputs.tsv", ("sample", "path", "digest"), _inputs(run, results))
    parameters = json.dumps(run.config.model_dump(mode="json"), indent=1, sort_keys=True)
    io.write_bytes(target / "parameters.json", (parameters + "\n").encode())


def _jobs(run: Workflow, folder: Path) -> Iterator[Sequence[str]]:
    """Time and memory of each job in its last run, samples in the order of the sheet."""
    places = [(step, name) for step in _OF_SAMPLES for name in run.samples]
    places += [(path.stem, "") for path in sorted((folder / "benchmarks").glob("*.tsv"))]
    for step, name in places:
        path = folder / "benchmarks" / (f"{step}/{name}.tsv" if name else f"{step}.tsv")
        if path.is_file():
            with path.open(newline="") as file:
                row = next(csv.DictReader(file, delimiter="\t"), {})
            yield (step, name, *(row.get(column, "") for column in _MEASURED))


def _software(run: Workflow, folder: Path) -> Iterator[Sequence[str]]:
    """Versions as the jobs wrote them into their logs, and how many jobs had each."""
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}", ""
    yield "snakemake", version("snakemake"), ""
    for name, versions in sorted(software_of_jobs(run, folder).items()):
        for each, jobs in sorted(versions.items()):
            yield name, each, str(jobs)


def software_of_jobs(run: Workflow, folder: Path) -> dict[str, Counter[str]]:
    """How many jobs had each version of each library, as their logs say."""
    found = defaultdict[str, Counter[str]](Counter)
    logs = [folder / "logs" / step / f"{name}.log" for step in _OF_SAMPLES for name in run.samples]
    for log in [*logs, *sorted((folder / "logs").glob("*.log"))]:
        if log.is_file():
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith(SOFTWARE):
                    for pair in line.removeprefix(SOFTWARE).split(", "):
                        name, _, each = pair.partition(" ")
                        found[name][each] += 1
    return found


def mixture(run: Workflow, folder: Path) -> str:
    """Say which libraries the jobs of a run had in several versions; empty where none."""
    several = {
        name: versions
        for name, versions in software_of_jobs(run, folder).items()
        if len(versions) > 1
    }
    shown = "; ".join(
        f"{name} {', '.join(f'{each} in {n} jobs' for each, n in sorted(versions.items()))}"
        for name, versions in sorted(several.items())
    )
    return f"its jobs had not the same software ({shown}): numbers may differ" if shown else ""


def _inputs(run: Workflow, results: Path) -> Iterator[Sequence[str]]:
    """Digest of each sample's count files, as read by `ingest`."""
    for sample in run.sheet:
        path = results / "ingest" / f"{sample.sample}.h5ad"
        digest = ""
        if path.is_file():
            digest = _digest(io.read_record(path))
        yield sample.sample, str(sample.path), digest


def _digest(record: Mapping[str, object]) -> str:
    steps = record.get("steps")
    ingest = steps.get("ingest") if isinstance(steps, dict) else None
    return str(ingest["inputs"].get("data", "")) if isinstance(ingest, dict) else ""


def _table(path: Path, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    lines = ["\t".join(columns), *("\t".join(row) for row in rows)]
    io.write_bytes(path, ("\n".join(lines) + "\n").encode())


def write_or_say(run: Workflow, folder: Path) -> None:
    """Call `write`; a failure does not fail the finished run, but is reported on stderr."""
    try:
        write(run, folder)
        if sentence := mixture(run, folder):
            print(f"to keep in mind: {sentence}", file=sys.stderr)
    except (OSError, ValueError, KeyError) as error:
        print(f"results/provenance was not written: {error}", file=sys.stderr)
