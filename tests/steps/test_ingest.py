"""`ingest` on real libraries, on modified ones, and on input that it must refuse."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.read import read_counts
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")

INTEGER, EXPECTED = IngestParams(), IngestParams(counts="expected")
TABLE = pd.DataFrame(
    {
        "gene_id": [f"ENSG0000000000{i}" for i in range(1, 8)],
        "symbol": ["EPCAM", "KRT8", "KRT18", "PTPRC", "CD3E", "MATR3", "MATR3"],
    }
)


@pytest.fixture(scope="module")
def genes() -> pd.DataFrame:
    return pd.read_csv(
        ROOT / "resources" / "genes" / "genes.tsv.gz",
        sep="\t",
        dtype=np.dtype(object),
        keep_default_na=False,
    )


def library(values: object, names: list[str], ids: list[str] | None = None) -> anndata.AnnData:
    x = sparse.csr_matrix(np.asarray(values))
    var = pd.DataFrame({"gene_id": ids or [""] * len(names)}, index=pd.Index(names, dtype=object))
    obs = pd.DataFrame(
        {"note": "kept by nobody"},
        index=pd.Index([f"c{i}" for i in range(x.shape[0])], dtype=object),
    )
    return anndata.AnnData(x, obs=obs, var=var)


def log_of(adata: anndata.AnnData) -> dict[str, object]:
    return json.loads(adata.uns["ingest"])


def read_real(name: str, genes: pd.DataFrame) -> anndata.AnnData:
    return read_counts(REAL / name, format=None, genes=genes).adata


def assert_contract(adata: anndata.AnnData) -> None:
    assert sparse.issparse(adata.X) and adata.X.format == "csr"
    assert adata.X.dtype == np.int32
    assert adata.X.has_canonical_format
    assert adata.X.nnz == 0 or adata.X.data.min() > 0
    assert adata.var_names.is_unique
    assert adata.obs_names.is_unique
    assert list(adata.obs) == []
    assert list(adata.var) == ["gene_id"]
    beside = {"protein_features", "hashtag_features", "other_features"}
    assert set(adata.uns) - beside == {"ingest"}


@needs_real
@pytest.mark.parametrize(
    "name",
    [
        "10x_mtx_v2_toy",
        "visium_toy/filtered_feature_bc_matrix.h5",
        "blood_pbmc1k_v3_filt.h5ad",
        "blood_pbmc3k_labelled.h5ad",
        "ctc_GSE51827_aceto2014_clusters_vs_single.h5ad",
    ],
)
def test_real_libraries_keep_every_count(name: str, genes: pd.DataFrame) -> None:
    found = read_real(name, genes)
    per_cell = np.asarray(found.X.sum(axis=1, dtype=np.float64)).ravel()
    done = ingest(found, genes, params=INTEGER)
    assert_contract(done)
    np.testing.assert_array_equal(np.asarray(done.X.sum(axis=1)).ravel(), per_cell)
    assert log_of(done)["values_rounded"] == 0
    assert log_of(done)["genes_recognised"] > 0.6 * done.n_vars or done.n_vars == 33538


@needs_real
def test_ensembl_ids_become_symbols(genes: pd.DataFrame) -> None:
    found = read_real("lines_sc_celseq2.h5ad", genes)
    done = ingest(found, genes, params=INTEGER)
    assert_contract(done)
    krt8 = "ENSG00000170421"  # HGNC:6446
    assert done.var.loc["KRT8", "gene_id"] == krt8
    np.testing.assert_array_equal(
        done[:, "KRT8"].X.toarray(), found[:, krt8].X.toarray().astype(np.int32)
    )
    assert log_of(done)["ids_to_symbols"] > 27_000
    # spike-ins are kept apart from the genes
    assert not any(n.startswith("ERCC-") for n in done.var_names)
    apart = json.loads(done.uns["other_features"])
    assert len(apart["name"]) > 50
    assert {*apart["type"]} == {"spike-in"}


@needs_real
def test_genome_prefix_is_removed(genes: pd.DataFrame) -> None:
    found = read_real("cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad", genes)
    assert "hg19_CD3E" in found.var_names
    done = ingest(found, genes, params=INTEGER)
    assert_contract(done)
    assert "CD3E" in done.var_names
    assert not any(n.startswith("hg19") for n in done.var_names)
    assert log_of(done)["prefixes_removed"] == found.n_vars


@needs_real
def test_expected_counts_are_refused_then_rounded(genes: pd.DataFrame) -> None:
    found = read_real("ctc_poonia2022_breast_clearcell_polaris.h5ad", genes)
    with pytest.raises(CtcflowError, match=r"whole numbers.*set ingest\.counts to expected"):
        ingest(found, genes, params=INTEGER)
    done = ingest(found, genes, params=EXPECTED)
    assert_contract(done)
    fractional = int((found.X.data != np.rint(found.X.data)).sum())
    assert log_of(done)["values_rounded"] == fractional > 0
    same = [name for name in found.var_names if name in done.var_names]
    assert len(same) > 20_000
    expected = np.rint(found[:5, same].X.toarray())
    np.testing.assert_array_equal(done[:5, same].X.toarray(), expected)


@needs_real
def test_proteins_are_not_genes(genes: pd.DataFrame) -> None:
    with pytest.raises(CtcflowError, match=r"holds no `Gene Expression` .*found Antibody Capture"):
        read_real("adt_dsb_87proteins_cells_and_empty_droplets.h5ad", genes)


@needs_real
@pytest.mark.parametrize("counts", ["integer", "expected"])
def test_log_normalised_real_cells_are_refused(genes: pd.DataFrame, counts: str) -> None:
    found = read_real("blood_pbmc3k_labelled.h5ad", genes)[:60].copy()
    size = np.asarray(found.X.sum(axis=1)).ravel()
    found.X = sparse.csr_matrix(sparse.diags_array(1e4 / size) @ found.X).log1p()
    with pytest.raises(CtcflowError, match="looks log-normalised, give raw counts"):
        ingest(found, genes, params=IngestParams.model_validate({"counts": counts}))


def test_names_prefixes_and_duplicates() -> None:
    names = [
        "GRCh38_EPCAM",
        "EPCAM",
        "ENSG00000000002.7",
        "hg19-KRT18",
        "CD3E-1",
        "ENSG00000000099.1",
        "MATR3",
    ]
    found = library([[1, 2, 3, 4, 6, 7, 8], [8, 7, 6, 5, 3, 2, 1]], names)
    done = ingest(found, TABLE, params=INTEGER)
    assert_contract(done)
    assert list(done.var_names) == [
        "CD3E-1",
        "ENSG00000000099",
        "EPCAM",
        "KRT18",
        "KRT8",
        "MATR3",
    ]
    assert done.var["gene_id"].tolist() == [
        "",
        "ENSG00000000099",
        "ENSG00000000001",
        "ENSG00000000003",
        "ENSG00000000002",
        "",  # two genes have this symbol
    ]
    assert done.X.toarray().tolist() == [[6, 7, 3, 4, 3, 8], [3, 2, 15, 5, 6, 1]]
    log = log_of(done)
    assert log["duplicates_summed"] == 1
    assert log["prefixes_removed"] == 2
    assert (log["ids_to_symbols"], log["ids_unknown"]) == (1, 1)


def test_id_of_the_file_decides_the_symbol() -> None:
    found = library(
        [[1, 2, 4]],
        ["OLD-NAME", "PTPRC", "KRT8"],
        ["GRCh38_ENSG00000000001.3", "PTPRC", "ENSG00000000099"],
    )
    done = ingest(found, TABLE, params=INTEGER)
    assert list(done.var_names) == ["EPCAM", "KRT8", "PTPRC"]
    assert done.var["gene_id"].tolist() == [
        "ENSG00000000001",
        "ENSG00000000099",
        "ENSG00000000004",
    ]
    assert log_of(done)["symbols_updated"] == 1


def test_sums_are_the_same_in_any_gene_order() -> None:
    rng = np.random.default_rng(0)
    names = ["EPCAM", "hg19_EPCAM", "KRT8", "ENSG00000000002", "PTPRC", "CD3E"]
    values = rng.poisson(1.0, (7, 6)) + np.eye(7, 6, dtype=int)
    order = rng.permutation(6)
    one = ingest(library(values, names), TABLE, params=INTEGER)
    two = ingest(library(values[:, order], [names[i] for i in order]), TABLE, params=INTEGER)
    np.testing.assert_array_equal(one.X.toarray(), two[:, one.var_names].X.toarray())


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, np.bool_])
def test_dense_and_sparse_and_any_type_agree(dtype: type) -> None:
    values = np.array([[1, 0, 1], [0, 0, 1]])
    found = library(values, ["EPCAM", "KRT8", "PTPRC"])
    found.X = values.astype(dtype)
    done = ingest(found, TABLE, params=INTEGER)
    assert_contract(done)
    assert done.X.toarray().tolist() == values.tolist()


@pytest.mark.parametrize("value", [2**31, 2 * 10**8])
def test_a_value_that_no_cell_can_have_is_refused(value: int) -> None:
    with pytest.raises(CtcflowError, match="in cell `c0`, gene `EPCAM`: no cell has so many"):
        ingest(library([[value, 1]], ["EPCAM", "KRT8"]), TABLE, params=INTEGER)


# anndata asks pandas 3.1 for an option that pandas has deprecated, in frames without columns.
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning")
@pytest.mark.parametrize("n_cells", [0, 1, 2])
def test_tiny_samples_pass_and_can_be_written(n_cells: int, tmp_path: Path) -> None:
    values = np.arange(1, 4, dtype=np.float32) * np.ones((n_cells, 1), dtype=np.float32)
    done = ingest(library(values, ["EPCAM", "KRT8", "PTPRC"]), TABLE, params=INTEGER)
    assert_contract(done)
    assert done.shape == (n_cells, 3)
    done.write_h5ad(tmp_path / "a.h5ad", compression="gzip")
    again = anndata.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(again.X.toarray(), values)


def test_other_features_stay() -> None:
    found = library([[1, 2]], ["EPCAM", "KRT8"])
    found.obsm["other_features"] = sparse.csr_matrix([[7, 0, 9]])
    found.uns["other_features"] = json.dumps({"name": ["CD3", "CD4", "CD8"]})
    found.uns["ingest"] = json.dumps({"format": "10x_h5", "notes": ["a note"]})
    done = ingest(found, TABLE, params=INTEGER)
    assert done.obsm["other_features"].toarray().tolist() == [[7, 0, 9]]
    assert json.loads(done.uns["other_features"])["name"] == ["CD3", "CD4", "CD8"]
    assert (log_of(done)["format"], log_of(done)["notes"]) == ("10x_h5", ["a note"])


def test_input_is_not_changed_by_refusal_or_sums() -> None:
    found = library([[1.0, 2.0, 0.0]], ["EPCAM", "hg19_EPCAM", "KRT8"])
    before = found.X.toarray().copy()
    ingest(found, TABLE, params=INTEGER)
    np.testing.assert_array_equal(found.X.toarray(), before)


def test_repeated_barcodes_are_named() -> None:
    found = library([[1], [2], [3]], ["EPCAM"])
    found.obs_names = pd.Index(["AAA-1", "CCC-1", "AAA-1"], dtype=object)
    with pytest.raises(CtcflowError, match="1 barcodes occur more than once.*`AAA-1`"):
        ingest(found, TABLE, params=INTEGER)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, -2.5, 0.0]], "1 negative values .lowest -2.5 in cell `c0`, gene `KRT8`"),
        ([[1, -2, 0]], "1 negative values"),
        (
            [[1.0, np.nan, 2.0]],
            "1 values that are NaN or infinite .first in cell `c0`, gene `KRT8`",
        ),
        ([[1.0, np.inf, 2.0]], "1 values that are NaN or infinite"),
        ([[0, 0, 0], [0, 0, 0]], "all values are zero .2 cells x 3 genes."),
        ([[1.0, 1.386, 2.0]], "not whole numbers .e.g. 1.386 in cell `c0`, gene `KRT8`"),
        ([[0.5, 0.5, 99], [25, 75, 0], [0.1, 99.9, 0]], "looks normalised to 100 per cell"),
        ([[1.0, 1e300, 2.0]], "values up to 1e.300"),
    ],
)
def test_bad_values_are_refused(values: list[list[float]], message: str) -> None:
    with pytest.raises(CtcflowError, match=message) as caught:
        ingest(library(values, ["EPCAM", "KRT8", "PTPRC"]), TABLE, params=INTEGER)
    assert "\n" not in str(caught.value)


def test_all_zero_after_rounding_is_refused() -> None:
    found = library([[0.2, 0.1], [0.3, 0.0]], ["EPCAM", "KRT8"])
    with pytest.raises(CtcflowError, match="all values are zero"):
        ingest(found, TABLE, params=EXPECTED)


def test_no_genes_no_names_no_matrix() -> None:
    with pytest.raises(CtcflowError, match="0 genes"):
        ingest(library(np.zeros((2, 0)), []), TABLE, params=INTEGER)
    with pytest.raises(CtcflowError, match="1 of 2 genes have an empty name"):
        ingest(library([[1, 2]], ["", "KRT8"]), TABLE, params=INTEGER)
    with pytest.raises(CtcflowError, match="X is empty"):
        ingest(
            anndata.AnnData(obs=library([[1]], ["A"]).obs, var=library([[1]], ["A"]).var),
            TABLE,
            params=INTEGER,
        )


@pytest.mark.parametrize("antibodies", [False, True])
def test_genes_of_another_species_are_kept_apart(antibodies: bool) -> None:
    names = ["GRCh38_EPCAM", "mm10___Krt8", "GRCh38_KRT8", "Cd3e"]
    ids = ["GRCh38_ENSG00000000001", "mm10___ENSMUSG00000000001", "", "ENSMUSG00000000002.3"]
    found = library([[1, 2, 0, 4], [0, 6, 7, 8]], names, ids)
    if antibodies:
        found.obsm["other_features"] = sparse.csr_matrix([[9], [10]])
        found.uns["other_features"] = json.dumps(
            {"name": ["CD45"], "id": ["A1"], "type": ["Antibody Capture"]}
        )
    done = ingest(found, TABLE, params=INTEGER)
    assert list(done.var_names) == ["EPCAM", "KRT8"]
    assert done.X.toarray().tolist() == [[1, 0], [0, 7]]
    assert log_of(done)["genes_of_other_species"] == 2
    kept = done.obsm["other_features"].toarray()[:, -2:]
    assert kept.tolist() == [[2, 4], [6, 8]]
    described = json.loads(done.uns["other_features"])
    assert described["name"] == ["CD45"] * antibodies + ["mm10___Krt8", "Cd3e"]
    assert described["id"][-2:] == ids[1::2]
    assert described["type"][-2:] == ["Gene Expression of another species"] * 2
    assert done.obsm["other_features"].shape == (2, 2 + antibodies)


def test_beside_genes_of_another_species_the_id_still_decides_the_symbol() -> None:
    names = ["GRCh38_OLDNAME", "mm10___Krt8", "GRCh38_KRT8", "KRT18", "PTPRC", "CD3E"]
    ids = ["GRCh38_ENSG00000000001", "mm10___ENSMUSG00000000001", *[""] * 4]
    done = ingest(library([[1, 2, 3, 4, 5, 6]], names, ids), TABLE, params=INTEGER)
    assert list(done.var_names) == ["CD3E", "EPCAM", "KRT18", "KRT8", "PTPRC"]
    assert done.X.toarray().tolist() == [[6, 1, 4, 3, 5]]


def test_genes_of_another_species_need_no_ids() -> None:
    found = library([[1, 2, 3]], ["GRCh38_EPCAM", "mm10___Krt8", "GRCh38_KRT8"])
    del found.var["gene_id"]
    done = ingest(found, TABLE, params=INTEGER)
    assert list(done.var_names) == ["EPCAM", "KRT8"]
    described = json.loads(done.uns["other_features"])
    assert (described["name"], described["id"]) == (["mm10___Krt8"], [""])


def test_mouse_library_is_refused_by_name(genes: pd.DataFrame) -> None:
    names = ["Epcam", "Krt8", "Ptprc", "Cd3e", "Actb", "Xkr4"]
    with pytest.raises(CtcflowError, match="only 0 of 6 gene names.*`Epcam`, `Krt8`, `Ptprc`"):
        ingest(library([[1, 2, 3, 4, 5, 6]], names), genes, params=INTEGER)
