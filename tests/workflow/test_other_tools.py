"""Results of a run in other tools, each called as its users call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
OF_OTHERS = (
    "The inplace keyword",  # scanpy 1.12 with pandas 3.1
    "The 'future.infer_string' option",
    "The 'mode.chained_assignment' option",
)
"""Warnings of libraries about each other, whatever the file."""


def tool(name: str, module: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module of a tool that `make tools` brought."""
    if not (TOOLS / name / "ready").is_file():
        pytest.skip(f"no {name} here: `make tools` brings it")
    return subprocess.run(
        [sys.executable, "-S", "-m", module, *arguments],  # -S: its packages, none of this one
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOOLS / name), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


# ---- MultiQC


def read_shared(path: Path) -> dict[str, dict[str, Any]]:
    table = pd.read_csv(path, sep="\t", comment="#", index_col="Sample", dtype={"Sample": str})
    return {
        str(name): {key: value for key, value in row.items() if value == value}
        for name, row in table.to_dict("index").items()
    }


def test_multiqc_shows_three_right_tables_from_the_folder_as_it_is(finished, tmp_path):
    report = finished / "results" / "report"
    assert list(report.rglob(".digests"))  # what it must not take for data is there
    ran = tool("multiqc", "multiqc", "-o", str(tmp_path), str(report), folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    said = json.loads((tmp_path / "multiqc_data" / "multiqc_data.json").read_text())
    expected = {
        f"multiqc_{path.name.removesuffix('_mqc.tsv')}": read_shared(path)
        for path in (report / "multiqc").glob("*_mqc.tsv")
    }
    assert len(expected) == 3
    assert said["report_saved_raw_data"] == expected
    assert set(said["report_plot_data"]) == {
        f"ctcflow_{name}-section-plot" for name in ("samples", "ledger", "limits")
    }
    assert {"P1_d0", "P2_d0", "H1"} == set(expected["multiqc_ctcflow_ledger"])


# ---- scanpy


@pytest.fixture(scope="module")
def adata(finished: Path) -> anndata.AnnData:
    """The delivered file, as scanpy reads it; calls below each other work on the same object."""
    import matplotlib as mpl

    mpl.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scanpy as sc
    return sc.read_h5ad(finished / "results" / "cluster" / "cohort.h5ad")


@pytest.fixture
def strict() -> Iterator[None]:
    """Any warning fails, but those of libraries about each other."""
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in OF_OTHERS:
            warnings.filterwarnings("ignore", message)
        yield
    plt.close("all")


OF_MARKERS = {"n_genes": 3, "show": False}
OF_TYPES = {"groupby": "cell_type", "show": False}
COLOURS = ["class", "cell_type", "cluster", "sample", "score_epithelial", "total_counts", "CD3D"]
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "pl.umap": ((), {"color": COLOURS, "show": False}),
    "pl.pca": ((), {"color": "cell_type", "annotate_var_explained": True, "show": False}),
    "pl.embedding": (("X_integrated",), {"color": "batch_used", "show": False}),
    "pl.pca_variance_ratio": ((), {"show": False}),
    "pl.pca_loadings": ((), {"show": False}),
    "pl.highly_variable_genes": ((), {"show": False}),
    "pl.rank_genes_groups": ((), {"show": False}),
    "tl.dendrogram": (("cluster",), {}),
    "pl.rank_genes_groups_dotplot": ((), OF_MARKERS),
    "pl.rank_genes_groups_heatmap": ((), OF_MARKERS),
    "pl.rank_genes_groups_matrixplot": ((), OF_MARKERS),
    "pl.rank_genes_groups_stacked_violin": ((), {"n_genes": 1, "groups": ["0"], "show": False}),
    "pl.rank_genes_groups_tracksplot": ((), OF_MARKERS),
    "pl.rank_genes_groups_violin": ((), {"groups": ["0"], **OF_MARKERS}),
    "tl.filter_rank_genes_groups": ((), {}),
    "get.rank_genes_groups_df": (("0",), {}),
    "pl.dendrogram": (("cluster",), {"show": False}),
    "pl.correlation_matrix": (("cluster",), {"show": False}),
    "pl.dotplot": ((["CD3D", "LYZ"],), OF_TYPES),
    "pl.matrixplot": ((["CD3D", "LYZ"],), OF_TYPES),
    "pl.heatmap": ((["CD3D", "LYZ"],), OF_TYPES),
    "pl.tracksplot": ((["CD3D", "LYZ"],), OF_TYPES),
    "pl.stacked_violin": ((["CD3D", "LYZ"],), OF_TYPES),
    "pl.violin": ((["total_counts", "pct_counts_mt"],), {"groupby": "class", "show": False}),
    "pl.scatter": (("total_counts", "n_genes_by_counts"), {"color": "class", "show": False}),
    "tl.paga": ((), {"groups": "cluster"}),
    "pl.paga": ((), {"show": False}),
    "pl.paga_compare": ((), {"show": False}),
    "tl.diffmap": ((), {}),
    "pl.diffmap": ((), {"color": "class", "show": False}),
    "tl.leiden": ((), {"flavor": "igraph", "n_iterations": 2, "directed": False}),
    "tl.umap": ((), {}),
    "tl.score_genes": ((["CD3D", "LYZ"],), {}),
    "tl.embedding_density": (("umap",), {"groupby": "sample"}),
    "get.aggregate": (("cell_type", "sum"), {"layer": "counts"}),
    "pp.calculate_qc_metrics": ((), {"layer": "counts", "percent_top": None, "inplace": True}),
    "tl.rank_genes_groups": (("cluster",), {"method": "wilcoxon"}),
    "pp.pca": ((), {"n_comps": 10}),
}
"""In this order: the later ones overwrite what the file brought."""


def call(name: str, adata: anndata.AnnData) -> Any:
    import scanpy as sc

    room, function = name.split(".")
    arguments, named = CALLS[name]
    return getattr(getattr(sc, room), function)(adata, *arguments, **named)


def test_the_list_of_calls_is_long_enough() -> None:
    assert len(CALLS) >= 20


@pytest.mark.parametrize("name", CALLS)
def test_scanpy_works_on_the_delivered_file_without_a_warning(adata, strict, name):
    call(name, adata)


def test_what_scanpy_measures_is_what_the_columns_of_its_name_say(finished):
    import scanpy as sc

    adata = sc.read_h5ad(finished / "results" / "cluster" / "cohort.h5ad")
    counts = anndata.AnnData(adata.layers["counts"], var=adata.var[[]].copy())
    counts.var["mt"] = counts.var_names.str.startswith("MT-")
    obs, _ = sc.pp.calculate_qc_metrics(counts, qc_vars=["mt"], percent_top=None)
    for column in ("total_counts", "n_genes_by_counts", "pct_counts_mt"):
        np.testing.assert_allclose(adata.obs[column], obs[column].to_numpy(), rtol=1e-5)
    for column in ("class", "cell_type", "cluster"):
        assert len(adata.uns[f"{column}_colors"]) == len(adata.obs[column].cat.categories)
    scores = anndata.read_h5ad(finished / "results" / "call" / "call.h5ad").obsm["signatures"]
    for name in scores:
        np.testing.assert_array_equal(adata.obs[f"score_{name}"], scores[name])
    assert {"p", "q", "reason", "malignancy", "phenotype", "p_panel"} <= set(adata.obs)


# ---- browsers, zarr, R


def test_the_validator_of_cellxgene_accepts_the_export(finished, ctcflow, tmp_path):
    path = tmp_path / "cohort.h5ad"
    ran = ctcflow(tmp_path, "export", "--cellxgene", str(path), "--run", str(finished))
    assert ran.code == 0, ran.text
    adata = anndata.read_h5ad(path)
    assert adata.n_obs == len(adata.obs["author_cell_type"])
    assert set(adata.obs.loc[adata.obs["class"] == "CTC", "cell_type_ontology_term_id"]) == {
        "CL:0001064"  # malignant cell
    }
    assert set(adata.obs["assay_ontology_term_id"]) <= {"EFO:0009899", "EFO:0009922"}
    ran = tool("cellxgene", "cellxgene_schema.cli", "validate", str(path), folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "is_valid=True" in ran.stdout + ran.stderr


def test_zarr_holds_the_same_and_is_written_again_over_itself(finished, ctcflow, tmp_path):
    path = tmp_path / "cohort.zarr"
    for _ in range(2):
        ran = ctcflow(tmp_path, "export", "--zarr", str(path), "--run", str(finished))
        assert ran.code == 0, ran.text
    whole = anndata.read_h5ad(finished / "results" / "cluster" / "cohort.h5ad")
    found = anndata.read_zarr(path)
    assert (found.X != whole.X).nnz == 0 and (
        found.layers["counts"] != whole.layers["counts"]
    ).nnz == 0
    pd.testing.assert_frame_equal(found.obs, whole.obs, check_dtype=False, check_categorical=False)
    assert dict(found.uns["ctcflow"]).keys() == dict(whole.uns["ctcflow"]).keys()
    assert [name.name for name in tmp_path.iterdir()] == ["cohort.zarr"]


IN_R = """
suppressMessages({library(hdf5r); library(Matrix); library(SeuratObject)})
file <- H5File$new(commandArgs(TRUE)[1], mode = "r")
cells <- file[["obs"]][["_index"]][]
genes <- file[["var"]][["_index"]][]
counts <- file[["layers/counts"]]
matrix <- sparseMatrix(i = counts[["indices"]][], p = counts[["indptr"]][], x = counts[["data"]][],
  dims = c(length(genes), length(cells)), dimnames = list(genes, cells), index1 = FALSE)
object <- suppressWarnings(CreateSeuratObject(matrix))
map <- t(file[["obsm/X_umap"]][, ])
rownames(map) <- cells
colnames(map) <- c("UMAP_1", "UMAP_2")
object[["umap"]] <- CreateDimReducObject(map, key = "UMAP_", assay = "RNA")
classes <- file[["obs/class"]]
object$class <- classes[["categories"]][][classes[["codes"]][] + 1]
cat(ncol(object), nrow(object), sum(GetAssayData(object, "counts")), sum(object$class == "CTC"))
"""


def test_r_makes_a_seurat_object_of_the_delivered_file(finished, tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("R: not run, there is none here (Debian: r-cran-hdf5r r-cran-seuratobject)")
    (tmp_path / "read.R").write_text(IN_R)
    path = finished / "results" / "cluster" / "cohort.h5ad"
    ran = subprocess.run(
        ["Rscript", str(tmp_path / "read.R"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "there is no package called" in ran.stderr:
        pytest.skip(f"R: not run, {ran.stderr.strip().splitlines()[-1]}")
    assert ran.returncode == 0, ran.stderr
    adata = anndata.read_h5ad(path)
    n_ctc = int((adata.obs["class"] == "CTC").sum())
    expected = [adata.n_obs, adata.n_vars, adata.layers["counts"].sum(), n_ctc]
    assert [float(number) for number in ran.stdout.split()] == [float(e) for e in expected]
