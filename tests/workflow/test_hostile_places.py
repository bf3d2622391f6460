"""Folders, files and texts of a run that would be commands, through the doors that meet them."""

from __future__ import annotations

import shutil

import pytest
from tests.workflow.conftest import make_run

OWNS = "from pathlib import Path\nPath({owned!r}).write_text('x')\n"


def test_names_that_snakemake_would_expand_are_only_names(tmp_path, sheet, ctcflow):
    run = tmp_path / "a 'b' $HOME; touch owned"
    shutil.copytree(sheet["path"][0], run / "data" / "{sample} {wildcards.sample}")
    row = sheet.iloc[[0]].assign(path="../data/{sample} {wildcards.sample}", raw_path="")
    panels = run / "config" / "{sample}.tsv"
    config = "report: {title: '{sample} {0} {x!r}'}\npanels: 'config/{sample}.tsv'\n"
    make_run(run, row.assign(note="{sample} {0}"), config)
    panels.write_text("set\tgene\tdirection\n{sample}\tEPCAM\t1\n{sample}\tKRT8\t1\n")
    target = f"results/qc/{sheet['sample'][0]}.h5ad"
    ran = ctcflow(tmp_path, "run", run, "--cores", "2", "--", target)
    assert ran.code == 0, ran.text
    assert (run / target).is_file()
    again = ctcflow(tmp_path, "run", run, "--cores", "2", "--", target)
    assert "Nothing to be done" in again.text


@pytest.mark.parametrize("name", ["{sample}", "a {0} b", "x{", "}"])
def test_a_run_folder_that_snakemake_would_expand_is_refused(
    tmp_path, sheet, snakemake, ctcflow, name
):
    run = make_run(tmp_path / name, sheet)
    for ran in (snakemake(run, "-n"), ctcflow(run, "check", ".")):
        assert ran.code == 2, ran.text
        assert "has braces in its path" in ran.text
        assert "Traceback" not in ran.text


@pytest.mark.parametrize("name", ["pandas.py", "numpy.py", "json.py", "snakemake.py", "sqlite3.py"])
def test_no_job_imports_from_the_run_folder(tmp_path, sheet, ctcflow, name):
    run = tmp_path / "run"
    make_run(run, sheet.iloc[[0]].assign(raw_path=""))
    (run / name).write_text(OWNS.format(owned=str(tmp_path / "owned")))
    (run / "ctcflow").mkdir()
    (run / "ctcflow" / "__init__.py").write_text(OWNS.format(owned=str(tmp_path / "owned")))
    target = f"results/ingest/{sheet['sample'][0]}.h5ad"
    ran = ctcflow(tmp_path, "run", "run", "--cores", "1", "--", target)
    assert ran.code == 0, ran.text
    assert not (tmp_path / "owned").exists()


CODE = (
    "__use_yte__: true\n__definitions__:\n"
    "  - from pathlib import Path\n  - Path({owned!r}).touch()\n"
)


def test_a_configuration_runs_no_code_at_any_door(tmp_path, sheet, snakemake, ctcflow):
    run = make_run(tmp_path / "run", sheet, CODE.format(owned=str(tmp_path / "owned")))
    for ran in (
        snakemake(run, "-n"),
        ctcflow(run, "run", ".", "-n"),
        ctcflow(run, "run", "."),
        ctcflow(run, "check", "."),
    ):
        assert ran.code != 0
        assert "by which Snakemake would run code" in ran.text
        assert "Traceback" not in ran.text
    assert not (tmp_path / "owned").exists()


def test_check_says_what_snakemake_said(tmp_path, sheet, ctcflow):
    run = make_run(tmp_path / "run", sheet)
    ran = ctcflow(run, "check", ".", SNAKEMAKE_PROFILE="nosuch")
    assert ran.code == 2
    assert "nosuch" in ran.errors[0]
    assert "Using workflow specific profile" not in ran.errors[0]
