"""From an empty folder to the evidence for one cell, with the commands of a user."""

from __future__ import annotations

import re
import shutil

import pandas as pd
import pytest


def test_a_new_user_comes_from_data_to_a_checked_run(cohort, tmp_path, ctcflow):
    run = tmp_path / "my_run"
    made = ctcflow(tmp_path, "init", "my_run", "--from", cohort / "data")
    assert made.code == 0, made.text
    sheet = pd.read_csv(run / "config" / "samples.tsv", sep="\t", dtype=str)
    assert set(sheet["sample"]) == {"P1_d0", "P2_d0", "H1"}
    checked = ctcflow(tmp_path, "check", "my_run", "--cores", "2")
    assert checked.code == 0, checked.text
    assert "3 samples with" in checked.text
    assert "17 jobs, about" in checked.text
    assert "no sample has role healthy or blank" in checked.text
    assert not (run / "results").exists()
    again = ctcflow(tmp_path, "init", "my_run", "--from", cohort / "data")
    assert again.code == 2
    assert again.errors == [line for line in again.text.splitlines() if "is there already" in line]


def test_a_folder_without_libraries_is_refused(tmp_path, ctcflow):
    refused = ctcflow(tmp_path, "init", "my_run", "--from", tmp_path)
    assert refused.code == 2
    assert "no library below" in refused.errors[0]
    assert not (tmp_path / "my_run").exists()


def test_a_finished_run_has_nothing_to_do(finished, ctcflow):
    checked = ctcflow(finished, "check", ".")
    assert checked.code == 0, checked.text
    assert "nothing to do" in checked.text


def test_check_names_what_of_the_sheet_is_not_used(sheet, new_run, tmp_path, ctcflow):
    odd = sheet.assign(cancer_type=["brest", "", ""], fraction_loaded="")
    checked = ctcflow(tmp_path, "check", new_run(tmp_path / "run", odd))
    assert checked.code == 0, checked.text
    said = checked.text.partition("not used as written:")[2].partition("to keep in mind")[0]
    assert "cancer_type brest of P1_d0" in said
    assert "did you mean breast?" in said
    assert "volume_ml of P1_d0, P2_d0, H1: fraction_loaded is not given" in said


@pytest.mark.parametrize(("config", "column"), [("score: {panel: nosuch}\n", {}), ("", "nosuch")])
def test_check_refuses_a_panel_that_there_is_none_of(
    sheet, new_run, tmp_path, ctcflow, config, column
):
    rows = sheet.assign(**{"score.panel": column}) if column else sheet
    checked = ctcflow(tmp_path, "check", new_run(tmp_path / "run", rows, config))
    assert checked.code == 2
    (line,) = checked.errors
    assert "score.panel is `nosuch`" in line
    assert "pan_epithelial" in line


@pytest.mark.parametrize("cores", ["0", "-1", "many"])
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_number_of_cores_is_one_or_more(sheet, new_run, tmp_path, ctcflow, command, cores):
    # Snakemake waits for ever with none
    ran = ctcflow(tmp_path, command, new_run(tmp_path / "run", sheet), f"--cores={cores}")
    assert ran.code == 2
    assert f"`{cores}` is no number of cores" in ran.text


def test_libraries_are_added_to_a_run(cohort, sheet, new_run, tmp_path, ctcflow):
    run = new_run(tmp_path / "run", sheet.iloc[:1])
    added = ctcflow(tmp_path, "init", run, "--add", cohort / "data")
    assert added.code == 0, added.text
    assert "P2_d0: " in added.text
    assert "guessed: patient P2, day 0" in added.text
    assert "2 new libraries (1 were in it)" in added.text
    checked = ctcflow(tmp_path, "check", run)
    assert checked.code == 0, checked.text
    assert "patient, day of P2_d0 guessed from the name" in checked.text


def test_several_mistakes_are_one_line_each(sheet, new_run, tmp_path, ctcflow):
    config = "qc:\n  min_gene: 5\n  max_mt_limit: 200\n"
    checked = ctcflow(tmp_path, "check", new_run(tmp_path / "run", sheet, config))
    assert checked.code == 2
    assert len(checked.errors) == checked.text.count("\n") == 2


def test_a_mistake_is_one_line_and_code_2(sheet, new_run, tmp_path, ctcflow):
    run = new_run(tmp_path / "run", sheet, "qc:\n  min_gene: 5\n")
    checked = ctcflow(tmp_path, "check", run)
    assert checked.code == 2
    assert checked.text.count("\n") == 1
    assert "did you mean" in checked.text


@pytest.fixture(scope="module")
def called(finished) -> pd.DataFrame:
    path = finished / "results" / "call" / "ctc.tsv"
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def test_the_evidence_for_a_call_is_that_of_the_table(finished, called, ctcflow):
    cell = called[called["class"] == "CTC"].iloc[0]
    told = ctcflow(finished, "explain", cell["sample"], cell["barcode"])
    assert told.code == 0, told.text
    assert told.text.startswith(f"{cell['sample']} {cell['barcode']}: CTC\n")
    assert cell["reason"] in told.text
    assert f"{float(cell['p']):.2g}, {float(cell['q']):.2g}" in told.text
    assert cell["panel_genes"].replace(",", ", ") in told.text
    assert "quality      kept: " in told.text
    short = ctcflow(finished, "explain", cell["sample"], cell["barcode"].removesuffix("-1"))
    assert short.text == told.text


def test_a_droplet_that_was_set_aside_has_its_reason(finished, ctcflow):
    table = finished / "results" / "call" / "set_aside_with_tumour_evidence.tsv"
    row = pd.read_csv(table, sep="\t").iloc[0]
    told = ctcflow(finished, "explain", row["sample"], row["barcode"])
    assert told.code == 0, told.text
    assert "not among the kept cells" in told.text
    assert f"{row['reason']}; {row['evidence']}" in told.text


@pytest.mark.parametrize(
    ("sample", "barcode", "said"),
    [("P1", "x", "no sample `P1`"), ("P1_d0", "ACGT", "no droplet `ACGT` in sample `P1_d0`")],
)
def test_what_is_not_there_is_said_with_what_is(finished, ctcflow, sample, barcode, said):
    told = ctcflow(finished, "explain", sample, barcode)
    assert told.code == 2
    assert said in told.errors[0]
    assert "it has" in told.errors[0]


def test_a_run_says_each_job_in_one_line_and_ends_with_the_answer(own_copy, cohort, ctcflow):
    (own_copy / "results" / "score" / "H1.h5ad").unlink()
    ran = ctcflow(own_copy, "run", own_copy, "--cores", "1")
    assert ran.code == 0, ran.text
    done = [line for line in ran.text.splitlines() if " done: " in line]
    assert len(done) == sum(ran.jobs.values())
    assert "done: score H1 (" in done[0]
    assert "samples 1 of 1" in done[0]
    # the demo of somebody who simulates it: the answer is compared with the truth
    last = ran.text.splitlines()[-5:]
    assert last[0] == "CTCs called per draw (exact 95 % interval):"
    assert [line.split(":")[0] for line in last[1:4]] == ["P1_d0", "P2_d0", "H1 (healthy)"]
    assert last[4] == f"report: {own_copy}/results/report/report.html"
    shutil.copy(cohort / "truth.tsv", own_copy)
    again = ctcflow(own_copy, "run", own_copy, "--cores", "1").text.splitlines()
    assert re.fullmatch(
        rf"\d+ of \d+ simulated CTCs called.*, 0 false; open {own_copy}/results/report/report.html",
        again[-1],
    )
