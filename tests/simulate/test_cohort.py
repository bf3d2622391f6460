"""Simulated cohort: files, truth and biology agree, and the seed determines everything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctcflow.errors import CtcflowError
from ctcflow.simulate.cohort import SimulateParams, simulate
from ctcflow.simulate.files import FORMATS

# anndata 0.13 and mudata 0.4 use what pandas 3.1 has deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning"),
]

SMALL = {"n_genes": 600, "cells_per_sample": 40, "median_umis": 400.0, "ctc_rate": 0.1}
COLUMNS = [
    "sample",
    "path",
    "raw_path",
    "patient",
    "day",
    "role",
    "batch",
    "chemistry",
    "cancer_type",
    "volume_ml",
    "fraction_loaded",
    "expected_cells",
]


def _read_tsv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def _read(path: Path) -> ad.AnnData:
    """Read any of the formats with what other people wrote for it."""
    import mudata
    import scanpy as sc

    if path.suffix == ".h5ad":
        return ad.read_h5ad(path)
    if path.suffix == ".h5mu":
        return mudata.read_h5mu(path)["rna"]
    if path.suffix == ".h5":
        return sc.read_10x_h5(path)
    if path.name.endswith(".csv.gz"):
        return ad.AnnData(pd.read_csv(path, index_col=0).T.astype(np.float32))
    if (path / "features.tsv").exists():
        # scanpy reads STARsolo only when gzipped: put the pieces together by pandas and scipy.
        from scipy.io import mmread

        names = pd.read_csv(path / "features.tsv", sep="\t", header=None, keep_default_na=False)
        cells = (path / "barcodes.tsv").read_text().split()
        counts = mmread(path / "matrix.mtx", spmatrix=True).T.tocsr()
        return ad.AnnData(counts, pd.DataFrame(index=cells), pd.DataFrame(index=list(names[1])))
    return sc.read_10x_mtx(path)


@pytest.fixture(scope="module")
def every_format(
    tmp_path_factory: pytest.TempPathFactory, genes: pd.DataFrame, rates: pd.DataFrame
) -> Path:
    out = tmp_path_factory.mktemp("formats") / "run"
    params = SimulateParams(
        **SMALL, n_patients=3, draws_per_patient=2, n_healthy=1, empty_droplets=30
    )
    simulate(out, params, genes, rates, 1)
    return out


@pytest.fixture(scope="module")
def deep(
    tmp_path_factory: pytest.TempPathFactory, genes: pd.DataFrame, rates: pd.DataFrame
) -> tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]:
    out = tmp_path_factory.mktemp("deep") / "run"
    params = SimulateParams(
        n_patients=1,
        n_healthy=0,
        cells_per_sample=1500,
        n_genes=6000,
        ctc_rate=0.2,
        aggregate_rate=0.05,
        ambient=0.0,
        formats=("h5ad",),
    )
    simulate(out, params, genes, rates, 1)
    adata = ad.read_h5ad(out / "data" / "P1_d0" / "counts.h5ad")
    return adata, _read_tsv(out / "truth.tsv"), _read_tsv(out / "truth_clones.tsv")


def test_every_format_is_read_by_others_and_agrees_with_the_truth(every_format: Path) -> None:
    sheet = _read_tsv(every_format / "config" / "samples.tsv")
    truth = _read_tsv(every_format / "truth.tsv")
    assert len(sheet) == len(FORMATS)
    for row in sheet.itertuples():
        adata = _read((every_format / "config" / row.path).resolve())
        mine = truth[truth["sample"] == row.sample]
        assert adata.shape == (40, 600)
        assert adata.obs_names.tolist() == mine["barcode"].tolist()
        umis = np.asarray(adata.X.sum(axis=1)).ravel()
        assert umis.tolist() == mine["n_umis"].tolist()
        assert np.asarray((adata.X > 0).sum(axis=1)).ravel().tolist() == mine["n_genes"].tolist()


def test_unfiltered_matrices_hold_the_cells_and_the_empty_droplets(every_format: Path) -> None:
    sheet = _read_tsv(every_format / "config" / "samples.tsv")
    truth = _read_tsv(every_format / "truth.tsv")
    for row in sheet.itertuples():
        raw = _read((every_format / "config" / row.raw_path).resolve())
        barcodes = pd.Index([name.removesuffix("-1") for name in raw.obs_names])
        cells = truth.loc[truth["sample"] == row.sample, "barcode"].str.removesuffix("-1")
        assert barcodes.is_unique
        assert set(cells) <= set(barcodes)
        umis = pd.Series(np.asarray(raw.X.sum(axis=1)).ravel(), index=barcodes)
        expected = truth.loc[truth["sample"] == row.sample, "n_umis"].tolist()
        assert umis[cells].tolist() == expected
        empty = umis.drop(cells)
        assert 20 <= len(empty) <= 30
        assert empty.min() >= 1
        assert empty.median() < 0.2 * umis[cells].median()


def test_sheet_and_configuration(every_format: Path) -> None:
    sheet = _read_tsv(every_format / "config" / "samples.tsv")
    assert sheet.columns.tolist() == COLUMNS
    assert sheet["sample"].is_unique
    assert (every_format / "config" / "config.yaml").read_text() == "samples: config/samples.tsv\n"
    patients = sheet[sheet["role"] == "patient"]
    assert patients.groupby("patient")["day"].apply(list).tolist() == [[0, 28]] * 3
    assert sheet["batch"].tolist()[:3] == ["batch1", "batch2", "batch1"]
    assert not [f for f in every_format.rglob("*") if f.name.endswith(".part")]


def test_no_raw_matrix_unless_asked(
    tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    params = SimulateParams(**SMALL, n_patients=0, n_healthy=1)
    simulate(tmp_path, params, genes, rates, 1)
    assert _read_tsv(tmp_path / "config" / "samples.tsv")["raw_path"].tolist() == [""]
    assert [f.name for f in (tmp_path / "data" / "H1").iterdir()] == ["filtered_feature_bc_matrix"]


def test_same_seed_same_bytes_at_any_number_of_threads(
    every_format: Path, tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    params = SimulateParams(
        **SMALL, n_patients=3, draws_per_patient=2, n_healthy=1, empty_droplets=30
    )
    simulate(tmp_path / "two", params, genes, rates, 2)
    assert _digests(tmp_path / "two") == _digests(every_format)


def test_other_seed_other_counts_and_a_donor_does_not_depend_on_others(
    every_format: Path, tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    few = SimulateParams(**SMALL, n_patients=1, draws_per_patient=2, n_healthy=0, empty_droplets=30)
    simulate(tmp_path / "few", few, genes, rates, 1)
    simulate(tmp_path / "other", few.model_copy(update={"seed": 1}), genes, rates, 1)
    whole = _digests(every_format / "data" / "P1_d28")
    assert _digests(tmp_path / "few" / "data" / "P1_d28") == whole
    assert _digests(tmp_path / "other" / "data" / "P1_d28") != whole


def test_numbers_of_cells_are_binomial(deep: tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]) -> None:
    truth = deep[1]
    n = len(truth)
    aggregates = int(truth["is_aggregate"].sum())
    doublets = int(truth["is_doublet"].sum())
    loaded = truth[~truth["is_aggregate"] & ~truth["is_doublet"]]
    for seen, of, rate in (
        (aggregates, n, 0.05),
        (doublets, n - aggregates, 0.03),
        (int(loaded["is_ctc"].sum()), len(loaded), 0.2),
    ):
        low, high = stats.binom(of, rate).ppf([5e-5, 1 - 5e-5])
        assert low <= seen <= high
    assert truth.loc[truth["is_aggregate"], "is_ctc"].all()
    partners = set(truth.loc[truth["is_aggregate"], "partner_lineage"])
    assert partners <= {"neutrophil", "monocyte", "platelet", "T"}
    assert "neutrophil" in partners


def test_the_healthy_have_no_tumour_cells(every_format: Path) -> None:
    truth = _read_tsv(every_format / "truth.tsv")
    healthy = truth["sample"].str.startswith("H")
    assert not truth.loc[healthy, "is_ctc"].any()
    assert (truth.loc[healthy, "n_umis_tumour"] == 0).all()
    assert truth.loc[~healthy, "is_ctc"].any()
    clones = _read_tsv(every_format / "truth_clones.tsv")
    assert sorted(set(clones["patient"])) == ["P1", "P2", "P3"]


def _per_million(adata: ad.AnnData, rows: np.ndarray) -> pd.Series:
    totals = np.asarray(adata.X[rows].sum(axis=0), dtype=np.float64).ravel()
    return pd.Series(1e6 * totals / totals.sum(), index=adata.var_names.to_numpy(dtype=object))


def test_cells_look_like_what_they_are(
    deep: tuple[ad.AnnData, pd.DataFrame, pd.DataFrame],
) -> None:
    adata, truth, _ = deep
    single = (truth["kind"] == "cell").to_numpy()

    def rate(mask: pd.Series, *symbols: str) -> float:
        return float(_per_million(adata, single & mask.to_numpy())[list(symbols)].sum())

    keratins = ("EPCAM", "KRT8", "KRT18", "KRT19")
    blood, lineage = ~truth["is_ctc"], truth["lineage"]
    assert rate(truth["phenotype"] == "epithelial", *keratins) > 2000
    assert rate(blood, *keratins) < 30
    assert rate(truth["is_ctc"], "PTPRC") < 20
    assert rate(truth["phenotype"] == "mesenchymal", "VIM", "FN1") > 5000
    assert rate(lineage == "T", "CD3D", "CD3E") > 1000
    assert rate(lineage == "B", "MS4A1", "CD79A") > 1500
    assert rate(lineage == "monocyte", "LYZ", "S100A9") > 10_000
    assert rate(lineage == "platelet", "PPBP", "PF4") > 50_000
    assert rate(lineage == "T", "MS4A1", "LYZ", "PPBP") < 300
    mt = adata.var_names.str.startswith("MT-")
    share = np.asarray(adata.X[:, mt].sum(axis=1)).ravel() / truth["n_umis"].to_numpy()
    assert 0.06 < np.median(share[single & truth["is_ctc"].to_numpy()]) < 0.15
    assert 0.01 < np.median(share[single & (lineage == "T").to_numpy()]) < 0.05
    granulocytes = single & (lineage == "neutrophil").to_numpy()
    assert 100 < truth.loc[granulocytes, "n_genes"].median() < 500


def test_gained_arms_are_expressed_more_and_lost_arms_less(
    deep: tuple[ad.AnnData, pd.DataFrame, pd.DataFrame], genes: pd.DataFrame
) -> None:
    adata, truth, clones = deep
    single = (truth["kind"] == "cell").to_numpy()
    tumour = _per_million(adata, single & truth["is_ctc"].to_numpy())
    # A patient without the clone would differ in type, so arms are compared with each other:
    # genes that all types share at one rate are those outside the programmes.
    normal = _per_million(adata, single & (~truth["is_ctc"]).to_numpy())
    arm = (genes["chromosome"] + genes["arm"]).set_axis(genes["symbol"])
    arm = arm[~arm.index.duplicated()].reindex(tumour.index)
    used = (normal > 5) & (normal < 300)
    ratio = np.log2((tumour + 1) / (normal + 1))[used]
    change = arm[used].map(dict(zip(clones["arm"], clones["change"], strict=True))).fillna("none")
    middle = ratio.groupby(change.to_numpy()).median()
    assert 0.25 < middle["gain"] - middle["none"] < 1.0
    assert -1.6 < middle["loss"] - middle["none"] < -0.5


def test_ambient_rna_is_of_the_sample(
    tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    params = SimulateParams(
        n_patients=0, n_healthy=1, cells_per_sample=300, n_genes=600, ambient=0.2
    )
    simulate(tmp_path, params, genes, rates, 1)
    truth = _read_tsv(tmp_path / "truth.tsv")
    # One batch has a depth of its own; ambient RNA and cells share it.
    cells = truth[(truth["lineage"] == "T") & (truth["kind"] == "cell")]
    own = (cells["n_umis"] - cells["n_umis_ambient"]).median()
    assert 0.15 < cells["n_umis_ambient"].median() / own < 0.3


@pytest.mark.parametrize("n_cells", [0, 1])
def test_tiny_samples(
    n_cells: int, tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    params = SimulateParams(
        **{**SMALL, "cells_per_sample": n_cells, "n_genes": 200},
        n_patients=4,
        n_healthy=3,
        empty_droplets=2,
    )
    simulate(tmp_path, params, genes, rates, 1)
    truth = _read_tsv(tmp_path / "truth.tsv")
    assert len(truth) == 7 * n_cells
    for row in _read_tsv(tmp_path / "config" / "samples.tsv").itertuples():
        assert (tmp_path / "config" / row.path).exists()


def test_an_existing_run_is_left_alone(
    tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    sheet = tmp_path / "config" / "samples.tsv"
    sheet.parent.mkdir()
    sheet.write_text("mine\n")
    with pytest.raises(CtcflowError, match="choose another folder"):
        simulate(tmp_path, SimulateParams(**SMALL), genes, rates, 1)
    assert _digests(tmp_path) == {
        "config/samples.tsv": hashlib.sha256(b"mine\n").hexdigest(),
    }


def test_leftovers_of_a_killed_run_are_replaced(
    tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    params = SimulateParams(**SMALL, n_patients=1, n_healthy=0)
    simulate(tmp_path / "clean", params, genes, rates, 1)
    for name in ("data/.P1_d0.part", "data/P1_d0", ".truth.part"):
        (tmp_path / "dirty" / name).mkdir(parents=True)
        (tmp_path / "dirty" / name / "half").write_text("x")
    simulate(tmp_path / "dirty", params, genes, rates, 1)
    assert _digests(tmp_path / "dirty") == _digests(tmp_path / "clean")


def test_nobody_to_simulate(tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame) -> None:
    with pytest.raises(CtcflowError, match="0 patients"):
        simulate(tmp_path, SimulateParams(n_patients=0, n_healthy=0), genes, rates, 1)
    assert list(tmp_path.iterdir()) == []


def test_every_parameter_has_a_sentence() -> None:
    properties = SimulateParams.model_json_schema()["properties"]
    assert all(field["description"].endswith(".") for field in properties.values())
    assert SimulateParams.model_validate_json(json.dumps(SMALL)).n_genes == 600


@pytest.mark.parametrize("name", ["data/P1_d0/mine", "truth.tsv", "truth_clones.tsv"])
def test_what_a_user_has_is_not_replaced(
    tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame, name: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(CtcflowError, match="is not of an interrupted"):
        simulate(tmp_path, SimulateParams(**SMALL, n_patients=1), genes, rates, 1)
    assert (tmp_path / name).read_text() == "mine\n"


def test_data_elsewhere_are_not_replaced(
    tmp_path: Path, genes: pd.DataFrame, rates: pd.DataFrame
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / ".truth.part").mkdir(parents=True)
    (elsewhere / "P1_d0").mkdir(parents=True)
    (out / "data").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(CtcflowError, match="found data"):
        simulate(out, SimulateParams(**SMALL, n_patients=1), genes, rates, 1)
    assert (elsewhere / "P1_d0").is_dir()
