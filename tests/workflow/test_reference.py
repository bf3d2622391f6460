"""A finished run frozen, and a second run that maps samples onto it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import pandas as pd
import pytest

from ctcflow import io

SAMPLE_STEPS = ("ingest", "qc", "normalize", "score", "project")
COHORT_STEPS = ("call", "gather", "report")


@pytest.fixture(scope="module")
def frozen(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, snakemake: Callable[..., Any]
) -> Path:
    """A copy of the finished run, frozen; nobody writes to it."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("reference") / "frozen"))
    ran = snakemake(run, "freeze")
    assert ran.code == 0, ran.text
    assert ran.jobs == {"freeze": 1}
    return run


def renamed(sheet: pd.DataFrame, rows: dict[int, str]) -> pd.DataFrame:
    """Rows of the sheet under other names, as if they were samples that nobody has seen."""
    parts = [
        sheet.iloc[[row]].assign(sample=name, patient=name, draw=name) for row, name in rows.items()
    ]
    return pd.concat(parts)


def cells(run: Path) -> pd.DataFrame:
    path = run / "results" / "project" / "cells.tsv.gz"
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def test_samples_are_mapped_and_another_one_moves_nothing(
    frozen, sheet, new_run, snakemake, tmp_path
):
    bundle = frozen / "results" / "freeze" / "reference.zip"
    before = bundle.read_bytes()
    run = tmp_path / "run"
    config = f"reference: {bundle}\n"
    ran = snakemake(new_run(run, renamed(sheet, {0: "new"}), config))
    assert ran.code == 0, ran.text
    assert ran.jobs == dict.fromkeys((*SAMPLE_STEPS, *COHORT_STEPS), 1)
    first = cells(run)
    # the same cells are in the reference, under another name: what it calls them, they are called
    old = anndata.read_h5ad(frozen / "results" / "cluster" / "cohort.h5ad").obs
    old = old[old["sample"] == sheet["sample"][0]].set_index("barcode")
    both = first.join(old[["cell_type", "class"]].add_suffix("_old"), on="barcode")
    assert both["class_old"].notna().all()
    blood = both[both["class_old"] == "blood"]
    assert (blood["cell_type"] == blood["cell_type_old"]).mean() >= 0.95
    assert (both["class"] == both["class_old"]).all()
    page = (run / "results" / "report" / "report.html").read_text()
    assert "mapped onto a frozen reference" in page
    assert not (run / "results" / "reduce").exists()
    # the cohort of the reference had a healthy draw, this run has none
    known = json.loads(anndata.read_h5ad(run / "results/call/call.h5ad").uns["call"])
    healthy = json.loads(zipfile.ZipFile(bundle).read("manifest.json"))["controls"]["healthy"]
    assert known["healthy"] == healthy
    assert healthy["cells"] > 0
    assert "Nothing to be done" in snakemake(run).text

    ran = snakemake(new_run(run, renamed(sheet, {0: "new", 2: "healthy"}), config))
    assert ran.code == 0, ran.text
    assert ran.jobs == dict.fromkeys((*SAMPLE_STEPS, *COHORT_STEPS), 1)
    pd.testing.assert_frame_equal(cells(run)[: len(first)], first)
    assert set(cells(run)["sample"]) == {"new", "healthy"}
    assert bundle.read_bytes() == before


def test_freezing_again_as_the_readme_says_gives_the_same_bytes(frozen, ctcflow, tmp_path):
    run = Path(shutil.copytree(frozen, tmp_path / "run"))
    bundle = run / "results" / "freeze" / "reference.zip"
    before = bundle.read_bytes()
    bundle.unlink()
    ran = ctcflow(run, "run", str(run), "--cores", "1", "--", "freeze")
    assert ran.code == 0, ran.text
    assert bundle.read_bytes() == before


def _changed(source: Path, target: Path, **facts: Any) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json":
                content = json.dumps(json.loads(content) | facts).encode()
            new.writestr(name, content)
    return target


def test_a_reference_that_cannot_be_used_stops_the_run_before_its_first_job(
    frozen, sheet, new_run, snakemake, tmp_path
):
    bundle = frozen / "results" / "freeze" / "reference.zip"
    (tmp_path / "half.zip").write_bytes(bundle.read_bytes()[:5000])
    (tmp_path / "text.zip").write_text("no zip")
    refused = {
        _changed(bundle, tmp_path / "later.zip", format=99): ("format 99", "reads format 2"),
        _changed(bundle, tmp_path / "scale.zip", target_umis=5000.0): ("target_umis", "5000"),
        tmp_path / "half.zip": ("cannot be read",),
        tmp_path / "text.zip": ("cannot be read",),
        tmp_path / "gone.zip": ("no such file",),
    }
    for path, words in refused.items():
        run = new_run(tmp_path / "run", sheet.iloc[[0]], f"reference: {path}\n")
        ran = snakemake(run, "-n")
        assert ran.code != 0
        (line,) = ran.errors
        assert all(word in line for word in words), line
        assert "Traceback" not in ran.text


def test_genes_that_the_reference_does_not_have_are_refused_in_one_line(
    frozen, finished, sheet, ctcflow, tmp_path
):
    name = sheet["sample"][0]
    files = {step: finished / "results" / step / f"{name}.h5ad" for step in SAMPLE_STEPS[:-1]}
    for step in ("ingest", "qc", "normalize", "score"):
        adata = anndata.read_h5ad(files[step])
        files[step] = tmp_path / f"{step}.h5ad"
        io.write_h5ad(files[step], adata[:, :300].copy(), delivered=False)
    bundle = frozen / "results" / "freeze" / "reference.zip"
    given = [f"{step}={path}" for step, path in files.items()]
    out = f"adata={tmp_path / 'project.h5ad'}"
    ran = ctcflow(tmp_path, "project", "--in", f"reference={bundle}", *given, "--out", out)
    assert ran.code == 2
    (line,) = ran.errors
    assert "80% are needed" in line
    assert not (tmp_path / "project.h5ad").exists()
