"""Seven real samples with tumour cells spiked in, through the real workflow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from ctcflow.files import io

HERE = Path(__file__).parent
REAL = HERE.parents[2] / "shared" / "data" / "real"
CALLED = {"CTC", "CTC aggregate"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, snakemake: Callable[..., Any]) -> Path:
    """A finished run of the seven samples."""
    if not REAL.is_dir():
        pytest.skip("../shared/data/real is absent")
    folder = tmp_path_factory.mktemp("real") / "run"
    subprocess.run([sys.executable, str(HERE / "real_cohort.py"), str(folder)], check=True)
    ran = snakemake(folder)
    assert ran.code == 0, ran.text
    print(f"the seven real samples: {ran.seconds:.0f} s on 2 cores")
    return folder


@pytest.fixture(scope="module")
def cells(run: Path) -> pd.DataFrame:
    """Every cell that entered `call`, with what is known about it."""
    called = pd.read_csv(run / "results" / "call" / "cells.tsv.gz", sep="\t", keep_default_na=False)
    known = pd.read_csv(run / "truth.tsv", sep="\t", keep_default_na=False)
    return called.merge(known, on=["sample", "barcode"], how="left")


@pytest.fixture(scope="module")
def cohort(run: Path) -> anndata.AnnData:
    """What `cluster` delivers."""
    return io.read_h5ad(run / "results" / "cluster" / "cohort.h5ad")


def test_spiked_cells_are_called(run, cells):
    known = pd.read_csv(run / "truth.tsv", sep="\t", keep_default_na=False)
    planted = int((known["kind"] == "tumour").sum())
    found = int((cells["class"].isin(CALLED) & (cells["kind"] == "tumour")).sum())
    print(f"spiked cells called: {found} of {planted}")
    assert planted >= 30
    assert found >= 0.95 * planted


def test_blood_is_not_called(cells):
    # gse51827 holds pools of tumour cells, no blood; samples without a truth are blood
    blood = (cells["kind"] != "tumour") & (cells["sample"] != "gse51827")
    found = cells[blood & cells["class"].isin(CALLED)]
    print(f"blood cells called: {len(found)} of {int(blood.sum())}")
    assert blood.sum() > 6000
    assert len(found) <= 2


def test_cell_types_of_the_authors_are_recovered(cells, cohort):
    from sklearn.metrics import adjusted_rand_score

    ours = pd.DataFrame(
        {
            name: cohort.obs[name].astype(str).to_numpy()
            for name in ("sample", "barcode", "cell_type")
        }
    )
    both = ours.merge(cells[["sample", "barcode", "kind", "label"]], on=["sample", "barcode"])
    labelled = both[(both["kind"] == "blood") & both["sample"].str.startswith("pbmc3k")]
    labelled = labelled[labelled["label"] != ""]
    score = adjusted_rand_score(labelled["label"], labelled["cell_type"])
    print(f"ARI of cell types on {len(labelled)} pbmc3k cells: {score:.3f}")
    assert len(labelled) > 2000
    assert score >= 0.70


def test_v2_and_v3_of_one_donor_mix_better_after_integration(cohort):
    own = cohort[cohort.obs["sample"].isin(["pbmc1k_v2", "pbmc1k_v3"])]
    samples = own.obs["sample"].astype(str).to_numpy()
    before, after = (_ilisi(own.obsm[key], samples) for key in ("X_pca", "X_integrated"))
    said = json.loads(str(cohort.uns["integrate"]))["mixing"]
    print(f"iLISI of pbmc1k v2 and v3: {before:.2f} before, {after:.2f} after; whole cohort {said}")
    assert after > before


def _ilisi(points: np.ndarray, labels: np.ndarray, n_neighbors: int = 30) -> float:
    """Median inverse Simpson index among neighbours (Korsunsky 2019), all of equal weight."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(points)
    near = labels[found.kneighbors(points, return_distance=False)[:, 1:]]
    shares = np.array([(near == label).mean(axis=1) for label in np.unique(labels)])
    return float(np.median(1 / (shares**2).sum(axis=0)))
