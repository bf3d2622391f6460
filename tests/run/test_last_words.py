"""Summary at the end of a run: one line per draw, and comparison with a simulated truth."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ctcflow.run import last_words

DRAWS = (
    "draw\trole\tcells\tcount\tcount_low\tcount_high\tper_ml\n"
    "P1\tpatient\t500\t12\t6.201\t20.96\t3.2\nP2\tpatient\t500\t0\t0\t3.689\t\n"
    "P3\tpatient\t0\t0\t0\t3.689\t\nH1\thealthy\t500\t1\t0.02532\t5.572\t0.13\n"
)
SAMPLES = "sample\tdraw\tflags\na\tP1\t\nb\tP2\tonly 3 leukocytes: p rests on shipped blood rates\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    call = tmp_path / "results" / "call"
    call.mkdir(parents=True)
    (call / "draws.tsv").write_text(DRAWS)
    (call / "samples.tsv").write_text(SAMPLES)
    return tmp_path


def test_each_draw_has_a_line(run):
    assert last_words.draws(run) == [
        "CTCs called per draw (exact interval):",
        "P1: 12 CTCs (6.2 to 21), 3.2 per mL",
        "P2: 0 CTCs (at most 3.7); only 3 leukocytes: p rests on shipped blood rates",
        "P3: no cell to examine",
        "H1 (healthy): 1 CTC (0.025 to 5.6), 0.13 per mL",
    ]


def test_a_large_cohort_is_read_in_its_table(run):
    path = run / "results" / "call" / "draws.tsv"
    head, first, *_ = path.read_text().splitlines()
    path.write_text("\n".join([head, *[first] * 100]) + "\n")
    lines = last_words.draws(run)
    assert len(lines) == 42
    assert lines[-1] == f"and 60 more draws: {path}"


def test_without_results_nothing_is_said(tmp_path):
    assert last_words.draws(tmp_path) == []
    assert last_words.against_truth(tmp_path) == ""


def test_calls_are_compared_with_the_truth_of_a_simulated_cohort(run):
    cells = "sample\tbarcode\tclass\na\tA-1\tCTC\na\tB-1\tuncertain\na\tC-1\tCTC aggregate\n"
    (run / "results" / "call" / "cells.tsv.gz").write_bytes(gzip.compress(cells.encode()))
    assert last_words.against_truth(run) == ""
    (run / "truth.tsv").write_text("a table of somebody\n1\n")
    assert last_words.against_truth(run) == ""
    truth = "sample\tbarcode\tis_ctc\na\tA-1\tTrue\na\tB-1\tTrue\na\tC-1\tFalse\na\tD-1\tTrue\n"
    (run / "truth.tsv").write_text(truth)
    said = last_words.against_truth(run)
    assert said == "1 of 3 simulated CTCs called (1 uncertain), 1 false"


def test_a_draw_that_cannot_be_judged_has_no_zero(run):
    path = run / "results" / "call" / "draws.tsv"
    head, _, zero, *_ = path.read_text().splitlines()
    path.write_text(f"{head}\tjudged\n{zero}\tcannot be judged: 12 of 61 panel genes in the data\n")
    assert last_words.draws(run)[1] == (
        "P2: cannot be judged: 12 of 61 panel genes in the data;"
        " only 3 leukocytes: p rests on shipped blood rates"
    )
