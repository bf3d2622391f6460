"""Freezing a finished run, and a second run that maps samples onto it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from ctcflow.files.bundle import read

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
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def test_samples_are_mapped_and_another_one_moves_nothing(
    frozen, sheet, new_run, snakemake, ctcflow, tmp_path
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

    more = renamed(sheet, {0: "new", 2: "healthy"})
    lacking = [fewer_genes(sheet, frozen, tmp_path, name, share) for name, share in LACKING.items()]
    new_run(run, pd.concat([more, *lacking]), config)
    checked = ctcflow(run, "check", str(run))
    assert (
        "some lacks" in checked.text and "confidence of its cell types is lowered" in checked.text
    )
    assert "most lacks" in checked.text and "it will not be mapped" in checked.text
    ran = snakemake(run)
    assert ran.code == 0, ran.text
    assert ran.jobs == dict.fromkeys(SAMPLE_STEPS, 3) | dict.fromkeys(COHORT_STEPS, 1)
    pd.testing.assert_frame_equal(cells(run)[: len(first)], first)
    assert set(cells(run)["sample"]) == {"new", "healthy", *LACKING}
    assert bundle.read_bytes() == before
    # the same cells without three tenths of the reference's genes, and without most of them
    found = {name: mine.set_index("barcode") for name, mine in cells(run).groupby("sample")}
    both = found["some"].join(found["new"].add_suffix("_new"), how="inner")
    blood = both[(both["class"] == "blood") & (both["class_new"] == "blood")]
    assert (blood["cell_type"] == blood["cell_type_new"]).mean() >= 0.9
    sure = blood["cell_type"] != "not in the reference"
    assert (blood["cell_type_confidence"][sure].astype(float) < 1).all()
    called = found["most"]
    assert set(called["cell_type"]) == {"not mapped", *called["class"]} - {"blood"}
    page = (run / "results" / "report" / "report.html").read_text()
    assert "not mapped: its matrix lacks" in page


LACKING = {"some": 0.3, "most": 0.7}


def fewer_genes(
    sheet: pd.DataFrame, frozen: Path, folder: Path, name: str, share: float
) -> pd.DataFrame:
    """The first sample of the sheet without this share of the reference's genes; its row."""
    genes = read(frozen / "results" / "freeze" / "reference.zip").genes
    lost = np.random.default_rng(0).permutation(genes)[: int(share * genes.size)]
    counts = anndata.read_h5ad(frozen / "results" / "ingest" / f"{sheet['sample'][0]}.h5ad")
    kept = counts[:, ~counts.var_names.isin(lost)]
    path = folder / f"{name}.h5ad"
    obs, var = pd.DataFrame(index=kept.obs_names), pd.DataFrame(index=kept.var_names)
    anndata.AnnData(kept.X, obs=obs, var=var).write_h5ad(path)
    row = renamed(sheet, {0: name})
    return row.assign(path=str(path), raw_path="", format="")


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
