"""All ways to start the workflow: the same jobs, the same bytes, one copy of ctcflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.workflow.installed import built, environment_with

ROOT = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PARTS = ("src", "workflow", "resources", "config")
"""What a run takes of a checkout."""
NO_CACHE = shutil.ignore_patterns("__pycache__", ".snakemake")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the commands of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    return environment_with(built(folder, "wheel"), folder / "env")


@pytest.fixture(scope="session")
def ran_installed(environment, sheet, new_run, called, tmp_path_factory) -> tuple[Path, Any]:
    """The cohort, run by the wheel, and what that said; nobody writes to it."""
    run = new_run(tmp_path_factory.mktemp("by_wheel") / "run", sheet)
    return run, called(run.parent, environment / "ctcflow", "run", "run", "--cores", "2")


# ---- from a checkout


def test_the_entry_of_the_catalogue_makes_everything(finished, sheet, new_run, called, tmp_path):
    run = new_run(tmp_path / "run", sheet)
    entry = ROOT / "workflow" / "Snakefile"
    dry = called(run, SNAKEMAKE, "-s", entry, "--cores", "1", "-n")
    assert dry.code == 0, dry.text
    assert sum(dry.jobs.values()) == 17
    done = called(finished, SNAKEMAKE, "-s", entry, "--cores", "1", "-n")
    assert "Nothing to be done" in done.text


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Another checkout of the same commit, all of whose files are newer."""
    folder = tmp_path / "clone"
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=NO_CACHE)
    for path in folder.rglob("*"):
        os.utime(path)
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


@pytest.mark.parametrize("name", ["Snakefile", "workflow/Snakefile"])
def test_a_second_clone_has_nothing_to_do(own_copy, clone, called, name):
    dry = called(own_copy, SNAKEMAKE, "-s", clone / name, "-n")
    assert dry.code == 0, dry.text
    assert "Nothing to be done" in dry.text


def test_the_code_beside_the_rules_is_parsed_and_run(own_copy, clone, called):
    """The environment has this checkout installed."""
    step = clone / "src" / "ctcflow" / "steps" / "report.py"
    step.write_text(step.read_text() + '\nimport logging\n\nlogging.info("of the clone")\n')
    ran = called(own_copy, SNAKEMAKE, "-s", clone / "Snakefile", "--cores", "2")
    assert ran.code == 0, ran.text
    assert ran.jobs == {"report": 1}
    assert "of the clone" in (own_copy / "logs" / "report.log").read_text()


def test_where_another_ctcflow_was_imported_one_line_says_which(own_copy, clone, called):
    ran = called(
        own_copy, SNAKEMAKE, "-s", clone / "Snakefile", "--cores", "1", "--logger", "ctcflow"
    )
    assert ran.code == 2
    (line,) = ran.errors
    assert f"`{clone}/src/ctcflow`" in line
    assert f"`{ROOT}/src/ctcflow`" in line
    assert "Traceback" not in ran.text


def test_where_there_is_no_ctcflow_one_line_says_so(own_copy, called, tmp_path):
    shutil.copytree(ROOT / "workflow", tmp_path / "alone" / "workflow", ignore=NO_CACHE)
    code = "import sys; sys.modules['ctcflow'] = None; from snakemake.cli import main; main()"
    entry = tmp_path / "alone" / "workflow" / "Snakefile"
    ran = called(own_copy, sys.executable, "-c", code, "-s", entry, "--cores", "1")
    assert ran.code == 2
    assert "install ctcflow" in ran.errors[0]


# ---- as a module


def importing(run: Path, source: str) -> None:
    """Write a workflow of one's own that uses ctcflow, its rules under other names."""
    lines = [
        'rule mine:\n    input:\n        "results/report/report.html",\n        "mine.txt",\n',
        'rule own:\n    output:\n        "mine.txt",\n    shell:\n        "echo mine > {output}"\n',
        f"module ctcflow:\n    snakefile:\n        {source}\n",
        "use rule * from ctcflow as blood_*\n",
        "onsuccess:\n    ctcflow.onsuccess()\n",
    ]
    (run / "Snakefile").write_text("\n".join(lines))


def of_the_module(ran: Any) -> dict[str, int]:
    names = {name: name.removeprefix("blood_") for name in ran.jobs if name.startswith("blood_")}
    return {short: ran.jobs[name] for name, short in names.items() if short != "all"}


def git(folder: Path, *command: str) -> str:
    author = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *author, *command], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of git that holds `workflow/` and nothing else."""
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "workflow", folder / "workflow", ignore=NO_CACHE)
    git(tmp_path, "init", "--quiet", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "workflow")
    return folder


def by_git(repository: Path) -> str:
    commit = git(repository, "rev-parse", "HEAD")
    return f'gitfile("{repository}", path="workflow/Snakefile", commit="{commit}")'


@pytest.mark.parametrize("way", ["path", "git"])
def test_as_a_module(
    way, environment, repository, sheet, new_run, own_copy, called, differing, tmp_path
):
    """By path with this environment; the rules from a repository with the code of the wheel."""
    source = repr(str(ROOT / "workflow" / "Snakefile")) if way == "path" else by_git(repository)
    snakemake = [SNAKEMAKE] if way == "path" else [environment / "python", "-m", "snakemake"]
    run = new_run(tmp_path / "new", sheet)
    importing(run, source)
    dry = called(run, *snakemake, "--cores", "2", "-n")
    assert dry.code == 0, dry.text
    assert sum(of_the_module(dry).values()) == 17
    assert {"mine", "own"} <= set(dry.jobs)
    # a run of the checkout: nothing has to be made again, and what is made is the same
    importing(own_copy, source)
    assert "Nothing to be done" in called(own_copy, *snakemake, "blood_all", "-n").text
    (own_copy / "results" / "score" / "H1.h5ad").unlink()
    shutil.rmtree(own_copy / "results" / "provenance")
    ran = called(own_copy, *snakemake, "--cores", "2", "blood_all", "own")
    assert ran.code == 0, ran.text
    steps = ("score", "call", "integrate", "cluster", "report")
    assert of_the_module(ran) == dict.fromkeys(steps, 1)
    assert differing(own_copy) == []
    assert (own_copy / "mine.txt").is_file()
    assert (own_copy / "results" / "provenance" / "jobs.tsv").is_file()


def test_rules_of_another_version_are_refused(environment, repository, own_copy, called):
    entry = repository / "workflow" / "Snakefile"
    entry.write_text(entry.read_text().replace('version="', 'version="9.'))
    git(repository, "commit", "--quiet", "-am", "another version")
    importing(own_copy, by_git(repository))
    ran = called(own_copy, environment / "python", "-m", "snakemake", "--cores", "1")
    assert ran.code == 2
    assert "two ctcflow" in ran.errors[0]
    assert str(environment.parent) in ran.errors[0]


# ---- installed


def test_the_wheel_gives_the_same_bytes(ran_installed, differing):
    run, ran = ran_installed
    assert ran.code == 0, ran.text
    assert sum(ran.jobs.values()) == 17
    assert differing(run) == []


def test_the_wheel_finds_nothing_to_do_in_a_run_of_the_checkout(environment, own_copy, called):
    checked = called(own_copy, environment / "ctcflow", "check", ".")
    assert checked.code == 0, checked.text
    assert "nothing to do" in checked.text


def test_the_wheel_simulates_and_begins_a_run(environment, cohort, called, tmp_path):
    params = '{"cells_per_sample": 20, "n_genes": 500, "n_patients": 1, "n_healthy": 0}'
    made = called(tmp_path, environment / "ctcflow", "simulate", "demo", "--params", params)
    assert made.code == 0, made.text
    begun = called(tmp_path, environment / "ctcflow", "init", "mine", "--from", cohort / "data")
    assert begun.code == 0, begun.text
    readme = begun.text.split("(columns: ")[1].split(")")[0]
    assert Path(readme).is_relative_to(environment.parent)
    assert Path(readme).is_file()
    checked = called(tmp_path, environment / "ctcflow", "check", "mine")
    assert checked.code == 0, checked.text
    assert "17 jobs" in checked.text


def test_the_wheel_explains_freezes_and_maps(
    environment, ran_installed, sheet, new_run, called, tmp_path
):
    run = Path(shutil.copytree(ran_installed[0], tmp_path / "old"))
    barcode = (run / "results/call/ctc.tsv").read_text().splitlines()[1].split("\t")[1]
    sample = (run / "results/call/ctc.tsv").read_text().splitlines()[1].split("\t")[0]
    told = called(run, environment / "ctcflow", "explain", sample, barcode)
    assert told.code == 0, told.text
    frozen = called(run, environment / "ctcflow", "run", ".", "--cores", "2", "--", "freeze")
    assert frozen.code == 0, frozen.text
    assert frozen.jobs == {"freeze": 1}
    config = "reference: ../old/results/freeze/reference.zip\n"
    mapped = called(
        new_run(tmp_path / "new", sheet.iloc[[2]], config),
        *(environment / "ctcflow", "run", ".", "--cores", "2"),
    )
    assert mapped.code == 0, mapped.text
    assert mapped.jobs["project"] == 1


def test_generated_files_are_not_written_into_an_environment(environment, called, tmp_path):
    ran = called(tmp_path, environment / "ctcflow", "schema")
    assert ran.code == 2
    assert "installed package" in ran.errors[0]


def test_what_is_imported_is_the_wheel(environment: Path, called, tmp_path: Path) -> None:
    code = (
        "import ctcflow, snakemake_logger_plugin_ctcflow as p; print(ctcflow.__file__, p.__file__)"
    )
    where: Sequence[str] = called(tmp_path, environment / "python", "-c", code).text.split()
    assert all(Path(path).is_relative_to(environment.parent) for path in where)
