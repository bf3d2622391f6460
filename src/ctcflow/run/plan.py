"""`ctcflow check`: what a run would do (jobs, memory, time), and warnings, before it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from ctcflow.errors import CtcflowError
from ctcflow.files.shipped import shipped
from ctcflow.files.tables import SHIPPED
from ctcflow.run.not_as_written import by, not_as_written, some
from ctcflow.run.progress import EXPECTED
from ctcflow.settings import strict_yaml
from ctcflow.settings.sample import SAMPLE_STEPS, Sample
from ctcflow.workflow import code_in_use, mapped_genes
from ctcflow.workflow.count_files import in_words
from ctcflow.workflow.for_rules import Workflow

_JOBS: Final = re.compile(r"^(\w+)\s+(\d+)$", re.MULTILINE)
_OF_BLOOD: Final = re.compile(r"(?i)leuk|lymphom|myelom|myelodys|\b(?:aml|all|cll|cml|mds|dlbcl)\b")
_SAYS_NOTHING: Final = ("Using workflow specific profile", "host:", "Building DAG of jobs")
"""Starts of lines that Snakemake prints whatever happens."""
_MOST_LINES: Final = 6
_BLANKS: Final = 20
"""Fewest control draws for a limit of blank (CLSI EP17)."""


class Planned(NamedTuple):
    """Jobs of one rule."""

    step: str
    jobs: int
    mib: int
    """Memory that the largest job requests."""
    seconds: float
    """Time of all its jobs together, estimated from measurements on two cores."""


def opened(folder: Path) -> Workflow:
    """Read and check the configuration, the sheet and the files of a run, as Snakemake will.

    Parameters
    ----------
    folder
        Folder of the run, with `config/config.yaml`.

    Raises
    ------
    CtcflowError
        Anything in the configuration, the sheet, the files it names or the verdicts is wrong.
    """
    raw = configuration(folder)
    try:
        return Workflow(raw, run=folder, results="results", storage=_not_asked)
    except SystemExit as stopped:
        # in Snakemake all mistakes have to be in one line; here each gets a line of its own
        if isinstance(stopped.__cause__, CtcflowError):
            raise stopped.__cause__ from None
        raise


def configuration(folder: Path) -> Any:
    """Read `config/config.yaml` of a run, unchecked.

    Raises
    ------
    CtcflowError
        The file does not exist, or is not YAML.
    """
    path = folder / "config" / "config.yaml"
    if not path.is_file():
        raise CtcflowError(
            f"`{folder}` has no config/config.yaml: give the folder of a run, or make one with"
            " `ctcflow init FOLDER --from DATA`"
        )
    return strict_yaml.read(path)


def _not_asked(address: str) -> Any:
    """Stand-in for a file in remote storage, whose size is not looked up before the run."""
    return SimpleNamespace(flags={"storage_object": SimpleNamespace(size=lambda: 0)})


def check_tables(run: Workflow) -> list[str]:
    """Read the user's own tables of gene sets; Snakemake only checks that they exist.

    Returns
    -------
    Names of the tumour panels, the user's own or the shipped ones.

    Raises
    ------
    CtcflowError
        One of them is not a table of gene sets.
    """
    from ctcflow.files import io

    paths = {"panels": shipped("resources") / SHIPPED["panels"], **run.own_tables}
    tables = {name: io.read_gene_sets(path) for name, path in paths.items()}
    panels = tables["panels"]
    return [str(name) for name in panels.loc[panels["direction"] == 1, "set"].unique()]


def check_panels(run: Workflow, panels: Sequence[str]) -> None:
    """Refuse a panel that is not in the table of panels, before `score` would.

    Parameters
    ----------
    run
        Configuration and sheet.
    panels
        Names of the tumour panels.

    Raises
    ------
    CtcflowError
        The panel is unknown; the message names it and the known panels.
    """
    of_rows = [sample.overrides.get("score", {}).get("panel") for sample in run.sheet]
    for panel in (run.config.score.panel, *filter(None, of_rows)):
        if panel not in ("auto", *panels):
            raise CtcflowError(
                f"score.panel is `{panel}`, which the panel table does not have (it has"
                f" {', '.join(panels)}): choose one of these, or `auto`"
            )


def check_files(run: Workflow) -> None:
    """Open the count files whose header states their length (HDF5), to find damaged ones.

    Raises
    ------
    CtcflowError
        One of them is damaged; the message names its sample.
    """
    from ctcflow.formats.detect import Source
    from ctcflow.formats.size import check_head
    from ctcflow.workflow.sources import droplets_of, source_of

    for sample in run.sheet:
        for source in (source_of(sample), *droplets_of(sample)):
            try:
                if isinstance(source, Source):
                    check_head(source)
            except CtcflowError as error:
                raise CtcflowError(f"sample `{sample.sample}`: {error}") from error


def jobs_of(folder: Path) -> dict[str, int]:
    """Number of jobs per rule, from a dry run of Snakemake; empty where all is done.

    Raises
    ------
    CtcflowError
        Snakemake fails; the message is its last line.
    """
    done = subprocess.run(
        [*code_in_use.snakemake(folder), "--dry-run", "--quiet", "rules", "host"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **code_in_use.variables(os.environ), **code_in_use.cache(folder)},
    )
    output = done.stdout + done.stderr
    if done.returncode != 0:
        raise CtcflowError(_complaint(output))
    _, table, rest = output.partition("Job stats:")
    counts = {name: int(jobs) for name, jobs in _JOBS.findall(rest.partition("total")[0])}
    return {name: jobs for name, jobs in counts.items() if name != "all"} if table else {}


def _complaint(output: str) -> str:
    """The line of Snakemake's output that says what is wrong, which need not be its last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(_SAYS_NOTHING)]
    own = [line for line in said if line.startswith("error: ")]
    return " ".join(own[-1:] or said[-_MOST_LINES:] or ["Snakemake failed"]).removeprefix("error: ")


def replaced(run: Workflow, *, deep: bool = False) -> list[str]:
    """Say, one sentence each, whose count files are not those that the results came from.

    Parameters
    ----------
    run
        Configuration and sheet.
    deep
        Read all files anew, also those whose size and times are as they were.
    """
    if deep:
        found = [of for of in run.all_read() if run.count_files.differ(of)]
    else:
        for of in run.all_read():
            run.count_files.token(of)
        found = run.count_files.replaced
    return in_words(found)


def planned(run: Workflow, jobs: Mapping[str, int]) -> list[Planned]:
    """Estimate memory and time of the jobs of each rule, from the headers of the input files.

    If only some samples have a job of a step, each is given the mean time over all samples.
    """
    rows = []
    for step, n_jobs in jobs.items():
        names = run.samples if step in (*SAMPLE_STEPS, "project") else [""]
        places = [SimpleNamespace(sample=name) for name in names]
        mib = max(run.memory(step)(place, 1) for place in places)
        seconds = sum(run.seconds(step)(place) for place in places) / len(places)
        rows.append(Planned(step, n_jobs, mib, seconds * n_jobs))
    return rows


def words(run: Workflow, rows: Sequence[Planned], cores: int, panels: Sequence[str]) -> list[str]:
    """Lines for the user: the samples, the jobs that would run, and warnings.

    Parameters
    ----------
    run
        Configuration and sheet.
    rows
        Result of `planned`.
    cores
        Number of cores that the jobs share.
    panels
        Names of the tumour panels.
    """
    samples = run.sheet
    lines = [_cohort(samples, run.cells)]
    if rows:
        wide = max(len(row.step) for row in rows)
        lines += ["", f"{'step':{wide}}  jobs  MiB of a job  minutes"]
        lines += [
            f"{row.step:{wide}}  {row.jobs:>4,}  {row.mib:>12,}  {row.seconds / 60:>7.1f}"
            for row in rows
        ]
        at_once = sum(row.seconds / min(cores, row.jobs) for row in rows) / 60
        lines += [
            "",
            f"{sum(row.jobs for row in rows):,} jobs, about {max(at_once, 0.1):.1f} minutes on"
            f" {cores} cores; the largest job asks for {max(row.mib for row in rows):,} MiB",
        ]
    else:
        lines += ["", "nothing to do: all results are there and up to date"]
    unused = not_as_written(samples, run.config, panels)
    if unused:
        lines += ["", "not used as written:", *(f"* {remark}" for remark in unused)]
    remarks = [*keep_in_mind(samples), *mapped_genes.remarks(run)]
    if remarks:
        lines += ["", "to keep in mind:", *(f"* {remark}" for remark in remarks)]
    return lines


def _cohort(samples: Sequence[Sample], cells: int) -> str:
    people = {x.patient for x in samples if x.role == "patient"}
    draws = {x.draw for x in samples if x.role == "patient"}
    controls = sum(x.role != "patient" for x in samples)
    number = f"{len(samples):,} sample" + ("" if len(samples) == 1 else "s")
    barcodes = f" with {cells:,} barcodes" if cells else ""
    return (
        f"{number}{barcodes}: patients {len(people):,}, their draws {len(draws):,},"
        f" healthy and blank samples {controls:,}"
    )


def keep_in_mind(samples: Sequence[Sample]) -> list[str]:
    """What the results will lack because the sample sheet does not have it."""
    sentences = []
    controls = {x.draw for x in samples if x.role != "patient"}
    if not controls:
        sentences.append(
            "no sample has role healthy or blank: the error rate is the one expected from"
            " leukocytes, it is not checked"
        )
    elif len(controls) < _BLANKS:
        sentences.append(
            f"{len(controls)} control draw(s): from {_BLANKS} on there is a limit of blank"
        )
    patients = [x for x in samples if x.role == "patient"]
    without = [x.sample for x in patients if x.volume_ml is None]
    if without:
        sentences.append(f"no volume_ml for {some(without)}: no counts per mL there")
    unknown = [x.sample for x in samples if x.chemistry is None]
    if unknown:
        sentences.append(
            f"no chemistry for {some(unknown)}: likely doublets are not looked for there"
        )
    of_blood = [x.sample for x in samples if _OF_BLOOD.search(x.cancer_type or "")]
    if of_blood:
        sentences.append(
            f"{some(of_blood)}: tumours of blood cells are out of scope; a tumour cell here is one"
            " that is no leukocyte, so theirs are `blood`"
        )
    for columns, names in by(samples, lambda x: x.guessed).items():
        sentences.append(
            f"{columns} of {some(names)} guessed from the name: correct what is wrong, then empty"
            " the column `guessed`"
        )
    batches = {x.batch for x in samples}
    if len(samples) > 1 and batches == {None}:
        sentences.append("no batch is named: each sample is taken for a batch of its own")
    elif len(samples) > 1 and len(batches) == 1:
        sentences.append("all samples have the same batch: nothing is corrected between them")
    return sentences


def tell_progress(run: Workflow) -> None:
    """Leave the expected seconds per job where `ctcflow run`'s progress lines find them.

    Called in the process of Snakemake when there are jobs to run.
    """
    os.environ[EXPECTED] = json.dumps(expected_seconds(run))


def expected_seconds(run: Workflow) -> dict[str, float]:
    """Expected seconds per job of each step (mean over samples), to estimate the time left."""
    jobs = dict.fromkeys([*SAMPLE_STEPS, "call", "reduce", "integrate", "cluster", "report"], 1)
    jobs |= dict.fromkeys(["project", "gather"], 1) if run.references else {}
    return {row.step: round(row.seconds, 1) for row in planned(run, jobs)}
