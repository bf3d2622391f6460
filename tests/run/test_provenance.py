"""Provenance files of a run, for a run made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pandas as pd
import pytest

from ctcflow.run import plan, provenance
from ctcflow.run.progress import SOFTWARE

ROOT = Path(__file__).parents[2]
MEASURED = "s\th:m:s\tmax_rss\tcpu_time\n{}\t0:00:01\t{}\t0.5\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("qc:\n  min_genes: 7\n")
    (tmp_path / "config" / "samples.tsv").write_text("sample\tpath\nb\tb.csv\na\ta.csv\n")
    for name in "ab":
        (tmp_path / "config" / f"{name}.csv").write_text(f"gene,c\nTP53,{ord(name)}\n")
    for name, seconds in (("qc/a", 3), ("qc/gone", 9), ("call", 2)):
        path = tmp_path / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MEASURED.format(seconds, 100))
    (tmp_path / "results" / "ingest").mkdir(parents=True)
    record = {"steps": {"ingest": {"inputs": {"data": "0123456789abcdef"}}}}
    with h5py.File(tmp_path / "results" / "ingest" / "a.h5ad", "w") as file:
        file["uns/ctcflow"] = json.dumps(record)
    return tmp_path


def table(run: Path, name: str) -> pd.DataFrame:
    path = run / "results" / "provenance" / name
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def test_jobs_inputs_versions_and_parameters_are_kept(run):
    provenance.write(plan.opened(run), run)
    assert sorted(path.name for path in (run / "results" / "provenance").iterdir()) == sorted(
        provenance.FILES
    )
    jobs = table(run, "jobs.tsv")
    assert jobs.to_dict("records") == [
        {"step": "qc", "sample": "a", "s": 3, "cpu_s": 0.5, "mib": 100},
        {"step": "call", "sample": "", "s": 2, "cpu_s": 0.5, "mib": 100},
    ]
    inputs = table(run, "inputs.tsv")
    assert inputs["sample"].tolist() == ["b", "a"]
    assert inputs["digest"].tolist() == ["", "0123456789abcdef"]
    parameters = json.loads((run / "results" / "provenance" / "parameters.json").read_text())
    assert parameters["qc"]["min_genes"] == 7
    assert parameters["call"]["fdr"] == 0.05


def test_versions_are_those_that_the_jobs_had_and_a_mixture_is_said(run, capsys):
    for log, numpy in (("qc/a", "2.3.1"), ("qc/b", "2.3.1"), ("call", "2.0.0")):
        path = run / "logs" / f"{log}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{SOFTWARE}ctcflow 0.2.0, numpy {numpy}"
        path.write_text(f"qc: read in 0.1 s\n{line}\nqc: 100 MiB at most\n")
    provenance.write_or_say(plan.opened(run), run)
    software = table(run, "software.tsv")
    of_jobs = software[software["name"].isin(["ctcflow", "numpy"])].to_dict("records")
    assert of_jobs == [
        {"name": "ctcflow", "version": "0.2.0", "jobs": "3"},
        {"name": "numpy", "version": "2.0.0", "jobs": "1"},
        {"name": "numpy", "version": "2.3.1", "jobs": "2"},
    ]
    said = capsys.readouterr().err
    assert "not the same software (numpy 2.0.0 in 1 jobs, 2.3.1 in 2 jobs)" in said


def test_results_elsewhere_have_none(run):
    (run / "results").rename(run / "moved")
    provenance.write(plan.opened(run), run)
    assert not (run / "results").exists()


def test_a_run_is_not_lost_where_it_cannot_be_written(run, capsys):
    (run / "results" / "provenance").write_text("a file")
    provenance.write_or_say(plan.opened(run), run)
    assert "results/provenance was not written" in capsys.readouterr().err
