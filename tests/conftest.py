"""Fixtures for many tests: the shipped tables, and one small simulated cohort."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from ctcflow.contracts import tables_of
from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.settings.sample_params import IngestParams, QCParams, ScoreParams
from ctcflow.simulate.cohort import SimulateParams, simulate
from ctcflow.steps.ingest import ingest
from ctcflow.steps.qc import qc
from ctcflow.steps.score import score

RESOURCES = Path(__file__).parents[1] / "resources"

Tables = dict[str, pd.DataFrame]
Step = Callable[[anndata.AnnData], anndata.AnnData]


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Every table that is shipped, by the name that steps know it by."""
    return {name: io.read_table(RESOURCES / file) for name, file in SHIPPED.items()}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tables: Tables) -> Path:
    """A patient (`P1_d0`, 250 cells, one in ten a tumour cell) and a healthy donor (`H1`)."""
    folder = tmp_path_factory.mktemp("cohort") / "run"
    params = SimulateParams(
        n_patients=1,
        n_healthy=1,
        cells_per_sample=250,
        n_genes=3000,
        ctc_rate=0.1,
        aggregate_rate=0.02,
        n_batches=1,
        median_umis=2000.0,
        formats=("h5ad",),
    )
    genes = pd.read_csv(
        RESOURCES / SHIPPED["genes"], sep="\t", dtype={"chromosome": str}, keep_default_na=False
    )
    simulate(folder, params, genes, tables["rates"], 1)
    return folder


@pytest.fixture(scope="session")
def truth(run_folder: Path) -> pd.DataFrame:
    return pd.read_csv(run_folder / "truth.tsv", sep="\t", keep_default_na=False)


@pytest.fixture(scope="session")
def _ingested(run_folder: Path, tables: Tables) -> dict[str, anndata.AnnData]:
    found = {}
    for name in ("P1_d0", "H1"):
        raw = anndata.read_h5ad(run_folder / "data" / name / "counts.h5ad")
        found[name] = ingest(raw, tables["genes"], params=IngestParams())
    return found


@pytest.fixture
def patient(_ingested: dict[str, anndata.AnnData]) -> anndata.AnnData:
    """The patient's raw counts; the test owns them."""
    return _ingested["P1_d0"].copy()


@pytest.fixture
def healthy(_ingested: dict[str, anndata.AnnData]) -> anndata.AnnData:
    """The healthy donor's raw counts; the test owns them."""
    return _ingested["H1"].copy()


@pytest.fixture(scope="session")
def is_ctc(truth: pd.DataFrame) -> Callable[[anndata.AnnData], np.ndarray]:
    """Which cells of the patient are single tumour cells."""
    mine = truth[(truth["sample"] == "P1_d0") & truth["is_ctc"] & (truth["kind"] == "cell")]
    barcodes = set(mine["barcode"])
    return lambda adata: np.array([name in barcodes for name in adata.obs_names])


@pytest.fixture(scope="session")
def measure(tables: Tables) -> Callable[..., anndata.AnnData]:
    """`qc` with the shipped tables."""

    def run(
        adata: anndata.AnnData, unfiltered: anndata.AnnData | None = None, **params: object
    ) -> anndata.AnnData:
        given = (tables[name] for name in tables_of("qc"))
        return qc(adata, unfiltered, *given, params=QCParams.model_validate(params))

    return run


@pytest.fixture(scope="session")
def scored(tables: Tables) -> Callable[..., anndata.AnnData]:
    """`score` with the shipped tables, or with others by name; without `qc`, no ambient RNA."""

    def run(
        adata: anndata.AnnData, *, panels: pd.DataFrame | None = None, **params: object
    ) -> anndata.AnnData:
        given = [tables[name] for name in tables_of("score")]
        if panels is not None:
            given[0] = panels
        if "qc" not in adata.uns:  # without ambient RNA
            adata.uns["qc"] = json.dumps({"umis": True, "ambient": {"share": None}})
            adata.var["ambient_profile"] = np.nan
        return score(adata, *given, params=ScoreParams.model_validate(params))

    return run
