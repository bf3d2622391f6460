"""Warnings and estimates before a run, from the sheet and the headers of the files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from ctcflow.errors import CtcflowError
from ctcflow.run import plan
from ctcflow.settings.sample import Sample

PANELS = ["breast", "lung"]
KNOWN = {"volume_ml": 7.5, "chemistry": "10x_3p_v3", "batch": "run1"}


def row(name: str, **given: object) -> Sample:
    return Sample.model_validate({"sample": name, "path": Path(name), **given})


def test_a_whole_sheet_has_nothing_to_keep_in_mind():
    controls = [row(f"h{k}", role="healthy", **KNOWN) for k in range(20)]
    other = row("p2", **(KNOWN | {"batch": "run2"}))
    assert plan.keep_in_mind([row("p1", **KNOWN), other, *controls]) == []
    small_cell = row("p1", cancer_type="small_cell_lung", **KNOWN)
    assert plan.keep_in_mind([small_cell, other, *controls]) == []


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([row("p", **KNOWN)], "no sample has role healthy or blank"),
        ([row("p", **KNOWN), row("h", role="blank", **KNOWN)], "1 control draw(s): from 20 on"),
        ([row("p", chemistry="x")], "no volume_ml for p: no counts per mL"),
        ([row(x, volume_ml=1) for x in "pqrs"], "no chemistry for p, q, r and 1 more"),
        ([row("p", cancer_type="AML")], "p: tumours of blood cells are out of scope"),
        ([row("p", cancer_type="Hodgkin_lymphoma")], "p: tumours of blood cells are out of scope"),
        ([row("p", guessed="day")], "day of p guessed from the name: correct what is wrong"),
        ([row("p"), row("q")], "no batch is named: each sample is taken for a batch of its own"),
        ([row("p", **KNOWN), row("q", **KNOWN)], "all samples have the same batch"),
    ],
)
def test_what_a_sheet_lacks_is_said(samples, said):
    assert any(said in sentence for sentence in plan.keep_in_mind(samples))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two tables of one cell and of 300."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("samples: config/samples.tsv\n")
    (tmp_path / "config" / "samples.tsv").write_text("sample\tpath\na\ta.csv\nb\tb.csv\n")
    for name, cells in (("a", 1), ("b", 300)):
        head = ",".join(["gene", *(f"c{k}-1" for k in range(cells))])
        rows = [",".join([f"G{k}", *["1"] * cells]) for k in range(2000)]
        (tmp_path / "config" / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")
    return tmp_path


def test_memory_is_that_of_the_largest_job_and_time_that_of_all(run):
    opened = plan.opened(run)
    (qc, call) = plan.planned(opened, {"qc": 2, "call": 1})
    (one,) = plan.planned(opened, {"qc": 1})
    assert (qc.step, qc.jobs, call.jobs) == ("qc", 2, 1)
    assert (one.mib, one.seconds) == (qc.mib, qc.seconds / 2)
    said = "\n".join(plan.words(opened, [qc, call], 2, PANELS))
    assert "2 samples with" in said
    assert "3 jobs, about" in said
    assert "nothing to do" in "\n".join(plan.words(opened, [], 2, PANELS))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("samples: config/none.tsv\n", "none.tsv: does not exist"),
        ("qc: {min_gene: 1}\n", "min_gene"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_mistakes_are_one_line(run, config, said):
    (run / "config" / "config.yaml").write_text(config)
    with pytest.raises(CtcflowError) as refused:
        plan.opened(run)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_several_mistakes_of_a_sheet_have_a_line_each(run):
    sheet = "sample\tpath\tday\na\ta.csv\tsoon\nb\tnone.csv\t\nb\tb.csv\t-1\n"
    (run / "config" / "samples.tsv").write_text(sheet)
    with pytest.raises(CtcflowError) as refused:
        plan.opened(run)
    lines = [line.split(": ")[1] for line in refused.value.each]
    assert lines == ["line 2", "line 3", "line 4"]


def test_names_of_panels_are_those_of_the_table_that_is_used(run):
    assert {"breast", "lung", "pan_epithelial"} <= set(plan.check_tables(plan.opened(run)))
    (run / "own.gmt").write_text("mine\tx\tEPCAM\tKRT8\n")
    (run / "config" / "config.yaml").write_text("panels: own.gmt\n")
    assert plan.check_tables(plan.opened(run)) == ["mine"]


@pytest.mark.parametrize("name", ["b.h5", "b.h5ad", "b.h5mu"])
@pytest.mark.parametrize("column", ["path", "raw_path"])
def test_a_file_that_was_cut_short_is_named_before_the_run(run, name, column):
    config = run / "config"
    with h5py.File(config / name, "w") as file:
        file["x"] = np.arange(100_000)
    given = {"path": "b.csv", "raw_path": "", column: name}
    sheet = f"sample\tpath\traw_path\na\ta.csv\t\nb\t{given['path']}\t{given['raw_path']}\n"
    (config / "samples.tsv").write_text(sheet)
    plan.check_files(plan.opened(run))
    whole = (config / name).read_bytes()
    (config / name).write_bytes(whole[: len(whole) // 2])
    opened = plan.opened(run)
    with pytest.raises(CtcflowError, match=rf"sample `b`: .*{name}. cannot be read as HDF5"):
        plan.check_files(opened)
