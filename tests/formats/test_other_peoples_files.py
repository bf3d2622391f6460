"""What stands in other people's files: counts equal to the truth, or a refusal in one line.

`test_cases` has the layouts of producers.
"""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.read import read_counts
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/data/cases is absent")
PARAMS = IngestParams()
RNG = np.random.default_rng(0)
KNOWN = ("EPCAM", "KRT8", "KRT18", "PTPRC", "CD3E", "HLA-A", "HLA-B", "MT-CO1", "ACTB", "GAPDH")


@pytest.fixture(scope="module")
def genes(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return tables["genes"]


@pytest.fixture(scope="module")
def names(genes: pd.DataFrame) -> list[str]:
    """300 symbols that one gene each has, the well-known ones first."""
    once = genes["symbol"][~genes["symbol"].duplicated(keep=False)]
    plain = once[once.str.fullmatch(r"[A-Z][A-Z0-9]+")]
    return list(dict.fromkeys([*KNOWN, *plain[:300]]))[:300]


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """20 cells of different depth x 300 genes, most of them zero."""
    depth = RNG.uniform(0.2, 1.0, (20, 1))
    counts = RNG.poisson(depth * RNG.gamma(0.5, 2.0, (1, 300)))
    counts[:, 0] += 1
    return counts.astype(np.int64)


def table_of(counts: np.ndarray, names: list[str]) -> pd.DataFrame:
    cells = [f"CELL{k}-1" for k in range(len(counts))]
    return pd.DataFrame(counts.T, index=names, columns=cells)


def ingested(path: Path, genes: pd.DataFrame, params: IngestParams = PARAMS) -> anndata.AnnData:
    return ingest(read_counts(path, format=None, genes=genes).adata, genes, params=params)


def from_table(
    folder: Path, table: pd.DataFrame, genes: pd.DataFrame, params: IngestParams = PARAMS
) -> anndata.AnnData:
    path = folder / "counts.tsv"
    table.to_csv(path, sep="\t")
    return ingested(path, genes, params)


def assert_is(done: anndata.AnnData, counts: np.ndarray, names: list[str]) -> None:
    assert set(done.var_names) == set(names)
    np.testing.assert_array_equal(done[:, names].X.toarray(), counts)


def notes_of(done: anndata.AnnData) -> str:
    return "; ".join(json.loads(done.uns["ingest"])["notes"])


# ---- the folders of cases


def totals(adata: anndata.AnnData) -> pd.Series:
    return pd.Series(np.asarray(adata.X.sum(axis=0)).ravel(), index=adata.var_names)


def source_of(case: Path) -> Path:
    (source,) = [path for path in case.iterdir() if path.name != "EXPECT.md"]
    return source


EQUAL = (
    "01_types_gex_adt_h5ad",
    "03_types_nan_after_outer_concat",
    "10_r_check_names",
    "14_hvg_X_raw_all",
    "36_untyped_adt_rows",
    "40_total_row",
    "44_X_ints_corrected_layers_counts",
    "68_types_lowercase",
    "84_layer_count_X_log",
)


@needs_cases
@pytest.mark.parametrize("name", EQUAL)
def test_counts_of_a_case_are_the_truth(name: str, genes: pd.DataFrame) -> None:
    truth = anndata.read_h5ad(CASES / "truth.h5ad")
    done = ingested(source_of(CASES / name), genes)
    expected = totals(truth)
    expected = expected.groupby(expected.index).sum()
    found = totals(done)
    both = found.index.intersection(expected.index)
    assert (found[both] == expected[both]).mean() > 0.99
    assert expected.drop(both).sum() < 0.05 * expected.sum()
    assert found.drop(both).sum() < 0.01 * found.sum()


REFUSED = {
    "16_rounded_cpm": "normalised or downsampled",
    "17_ids_out_of_step": "ids and names of genes do not belong together",
    "35_usa_mode_h5ad": "set ingest.unspliced",
}


@needs_cases
@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_in_one_line(name: str, genes: pd.DataFrame) -> None:
    with pytest.raises(CtcflowError, match=REFUSED[name]) as refusal:
        ingested(source_of(CASES / name), genes)
    assert "\n" not in str(refusal.value)


@needs_cases
def test_counts_of_an_old_h5ad_are_those_of_its_raw(genes: pd.DataFrame) -> None:
    truth = anndata.read_h5ad(CASES / "truth.h5ad")
    done = ingested(source_of(CASES / "12_seuratdisk"), genes)
    expected = truth[done.obs_names, done.var_names]
    np.testing.assert_array_equal(done.X.toarray(), expected.X.toarray())


@needs_cases
def test_what_htseq_and_spike_ins_add_is_taken_out_again(genes: pd.DataFrame) -> None:
    plain = ingested(source_of(CASES / "04a_plate_without_htseq_rows"), genes)
    for name in ("04_htseq_rows_in_matrix", "06_ercc"):
        done = ingested(source_of(CASES / name), genes)
        assert set(done.var_names) == set(plain.var_names)
        same = done[plain.obs_names, plain.var_names]
        np.testing.assert_array_equal(same.X.toarray(), plain.X.toarray())


@needs_cases
def test_mouse_genes_by_bare_symbol_are_no_human_genes(genes: pd.DataFrame) -> None:
    truth = anndata.read_h5ad(CASES / "truth.h5ad")
    done = ingested(source_of(CASES / "74_xenograft_bare_mouse_symbols"), genes)
    human = done[[cell for cell in done.obs_names if cell in set(truth.obs_names)]]
    expected = truth[human.obs_names, human.var_names]
    assert (human.X.toarray() != expected.X.toarray()).mean() < 1e-3
    assert json.loads(done.uns["ingest"])["genes_of_other_species"] > 500


# ---- kind 2: names that are no genes


@pytest.mark.parametrize(
    "row",
    [
        *("__no_feature", "__alignment_not_unique", "N_unmapped", "N_noFeature", "no_feature"),
        *("ERCC-00002", "SIRV101", "Total", "total_counts", "nCount_RNA", "percent.mt", "*"),
        *("ADT_CD3", "CD4-ADT", "CD19_TotalSeqB", "CD45|PTPRC|AHS0040|pAbO", "prot:CD8A"),
        *("malignant(1=no,2=yes)", "unmapped", "library_size", "CD14_PROT", "HTO_A"),
    ],
)
def test_what_is_no_gene_is_kept_apart(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], row: str
) -> None:
    table = table_of(counts, names)
    table.loc[row] = 1 + counts.sum(axis=1)
    done = from_table(tmp_path, table, genes)
    assert_is(done, counts, names)
    assert any(words in notes_of(done) for words in ("kept apart", "are kept in", "left out"))


@pytest.mark.parametrize("row", ["GFP", "tdTomato_x", "SARSCoV2", "chr1", "whatever", "EPCAM_ins"])
def test_an_unknown_row_with_many_counts_is_refused_by_name(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], row: str
) -> None:
    table = table_of(counts, names)
    table.loc[row] = counts.sum(axis=1)
    with pytest.raises(CtcflowError, match=rf"`{row}` is no known gene and holds 50%"):
        from_table(tmp_path, table, genes)
    done = from_table(tmp_path, table, genes, PARAMS.model_copy(update={"not_genes": (row,)}))
    assert_is(done, counts, names)


def test_a_row_that_holds_up_to_five_percent_is_a_gene(
    tmp_path: Path, genes: pd.DataFrame, names: list[str]
) -> None:
    counts = np.full((20, 300), 0)
    counts[np.arange(20)[:, None], np.arange(60) + np.arange(20)[:, None]] = 1
    counts[:, 299] += np.arange(20)
    total = int(counts.sum())
    for added, refused in ((total // 19, False), (total // 19 + 1, True)):
        table = table_of(counts, names)
        row = np.zeros(20, dtype=int)
        row[0] = added
        table.loc["TRANSGENE9"] = row
        assert (added / (total + added) > 0.05) is refused
        if refused:
            with pytest.raises(CtcflowError, match="TRANSGENE9"):
                from_table(tmp_path, table, genes)
        else:
            assert "TRANSGENE9" in from_table(tmp_path, table, genes).var_names


@pytest.mark.parametrize(
    "column", [np.full(300, 70), 50 * np.arange(1, 301), 1 + RNG.poisson(2000, size=300)]
)
def test_a_column_that_is_no_cell_is_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], column: np.ndarray
) -> None:
    table = table_of(counts, names).assign(Extra=column)
    with pytest.raises(CtcflowError, match="`Extra` stands among the cells and is none"):
        from_table(tmp_path, table, genes)


def test_the_sum_of_the_cells_is_no_cell(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    table = table_of(counts, names)
    with pytest.raises(CtcflowError, match="`All` stands among the cells .*sum of all the others"):
        from_table(tmp_path, table.assign(All=table.sum(axis=1)), genes)


# ---- kind 3: which matrix holds the counts


def h5ad(path: Path, x: np.ndarray, names: list[str], **layers: np.ndarray) -> Path:
    adata = anndata.AnnData(sparse.csr_matrix(x.astype(np.float32)))
    adata.obs_names = [f"CELL{k}-1" for k in range(len(x))]
    adata.var_names = names
    for name, values in layers.items():
        adata.layers[name] = sparse.csr_matrix(values.astype(np.float32))
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("layer", ["counts", "counts_RNA", "raw_counts", "umi", "Count", "raw"])
def test_a_layer_with_the_counts_is_found(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], layer: str
) -> None:
    done = ingested(h5ad(tmp_path / "a.h5ad", np.log1p(counts), names, **{layer: counts}), genes)
    assert_is(done, counts, names)
    assert f'X does not hold counts, layers["{layer}"] is used' in notes_of(done)


def test_two_matrices_of_whole_numbers_that_differ_are_said(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    corrected = np.maximum(counts - 1, 0)
    corrected[:, 0] += 1
    path = h5ad(tmp_path / "a.h5ad", corrected, names, counts=counts)
    done = ingested(path, genes)
    assert_is(done, counts, names)
    n_values = int((corrected != counts).sum())
    assert f"both hold whole numbers and differ in {n_values} values" in notes_of(done)
    chosen = read_counts(path, format=None, genes=genes, matrix="X").adata
    np.testing.assert_array_equal(chosen.X.toarray(), corrected)
    with pytest.raises(CtcflowError, match=r"no matrix `spliced` \(found X, layers"):
        read_counts(path, format=None, genes=genes, matrix="spliced")


@pytest.mark.parametrize(
    "layer",
    [
        *("lognorm_counts", "scaled_raw", "corrected_counts", "spliced", "decontXcounts"),
        *("soupx_counts", "counts_SCT", "cellbender_counts", "raw_unspliced", "draw_sample"),
    ],
)
def test_a_layer_that_was_changed_is_not_taken(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], layer: str
) -> None:
    done = ingested(h5ad(tmp_path / "a.h5ad", counts, names, **{layer: counts + 1}), genes)
    assert_is(done, counts, names)


def test_raw_with_more_genes_is_taken(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    adata = anndata.read_h5ad(h5ad(tmp_path / "a.h5ad", counts, names))
    adata.raw = adata
    adata[:, names[:50]].copy().write_h5ad(tmp_path / "b.h5ad")
    done = ingested(tmp_path / "b.h5ad", genes)
    assert_is(done, counts, names)
    assert "of 300 and 50 genes: raw.X is used" in notes_of(done)


# ---- kind 4: two descriptions of one thing


@pytest.mark.parametrize("shift", [1, 2, 50, -1, 150])
def test_ids_out_of_step_with_names_are_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], shift: int
) -> None:
    path = h5ad(tmp_path / "a.h5ad", counts, names)
    adata = anndata.read_h5ad(path)
    id_of = dict(zip(genes["symbol"], genes["gene_id"], strict=True))
    ids = np.array([id_of[name] for name in names])
    adata.var["gene_ids"] = ids
    adata.write_h5ad(path)
    assert_is(ingested(path, genes), counts, names)
    adata.var["gene_ids"] = np.roll(ids, shift)
    adata.write_h5ad(path)
    with pytest.raises(CtcflowError, match="ids and names of genes do not belong together"):
        ingested(path, genes)


def with_ids(path: Path, ids: np.ndarray) -> Path:
    adata = anndata.read_h5ad(path)
    adata.var["gene_ids"] = ids
    adata.write_h5ad(path)
    return path


def test_ids_of_few_rows_out_of_step_are_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    id_of = dict(zip(genes["symbol"], genes["gene_id"], strict=True))
    ids = np.array([id_of[name] for name in names])
    path = h5ad(tmp_path / "a.h5ad", counts, names)
    for shift in (1, -1):
        part = ids.copy()
        part[100:108] = np.roll(ids[100:108], shift)
        with pytest.raises(CtcflowError, match="ids and names of some genes.*the id beside it"):
            ingested(with_ids(path, part), genes)
    copied = ids.copy()
    copied[[50, 150, 250]] = ids[[0, 100, 200]]
    with pytest.raises(CtcflowError, match="several genes have one id"):
        ingested(with_ids(path, copied), genes)
    # two genes of 300 that were named anew, side by side
    named = ids.copy()
    named[[7, 8]] = ids[[8, 7]]
    assert ingested(with_ids(path, named), genes).n_vars == len(names)


@pytest.mark.parametrize("n_genes", [15, 300])
def test_ids_out_of_step_with_ids_as_names_are_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], n_genes: int
) -> None:
    id_of = dict(zip(genes["symbol"], genes["gene_id"], strict=True))
    ids = np.array([id_of[name] for name in names])[:n_genes]
    path = h5ad(tmp_path / "a.h5ad", counts[:, :n_genes], list(ids))
    adata = anndata.read_h5ad(path)
    adata.var["gene_ids"] = np.roll(ids, 1)
    adata.write_h5ad(path)
    with pytest.raises(CtcflowError, match="ids and names of genes do not belong together"):
        ingested(path, genes)


def test_human_genes_in_the_case_of_mouse_genes_are_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    for n_changed in (300, 200):
        changed = [n.capitalize() if k < n_changed else n for k, n in enumerate(names)]
        with pytest.raises(CtcflowError, match="in the case of mouse genes|has genes neither in"):
            from_table(tmp_path, table_of(counts, changed), genes)


def test_ids_of_another_species_are_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    path = h5ad(tmp_path / "a.h5ad", counts, names)
    adata = anndata.read_h5ad(path)
    adata.var["gene_ids"] = [f"ENSMMUG{k:011d}" for k in range(len(names))]
    adata.write_h5ad(path)
    with pytest.raises(CtcflowError, match="the ids of the genes are not human"):
        ingested(path, genes)


@pytest.mark.parametrize("pattern", ["Mono.CD{}", "chr1:{}-500", "XYZ{}_intron", "gene{}.12"])
def test_many_unknown_features_are_refused_together(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], pattern: str
) -> None:
    table = table_of(np.hstack([counts, counts]), [*names, *map(pattern.format, range(300))])
    with pytest.raises(CtcflowError, match="features are no known genes and hold"):
        from_table(tmp_path, table, genes)


def test_a_numbered_name_is_not_added_to_the_gene(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    done = from_table(tmp_path, table_of(counts, [*names[:-1], "EPCAM-1"]), genes)
    np.testing.assert_array_equal(done[:, "EPCAM"].X.toarray().ravel(), counts[:, 0])


def test_a_deep_cell_beside_shallow_ones_is_a_cell(
    tmp_path: Path, genes: pd.DataFrame, names: list[str]
) -> None:
    deep = 1 + RNG.poisson(3.0, (1, 300))
    shallow = RNG.poisson(0.2, (3, 300))
    done = from_table(tmp_path, table_of(np.vstack([deep, shallow]), names), genes)
    assert done.n_obs == 4


def test_a_matrix_whose_indices_lead_out_of_it_is_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    path = h5ad(tmp_path / "a.h5ad", counts, names)
    with h5py.File(path, "a") as file:
        file["X"].attrs["encoding-type"] = "csc_matrix"
    with pytest.raises(CtcflowError, match="cannot be read"):
        ingested(path, genes)


# ---- kind 5: whole numbers that are no counts


def cpm(counts: np.ndarray, total: float) -> np.ndarray:
    return np.rint(counts * total / counts.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: cpm(x, 1e6), "normalised or downsampled"),
        (lambda x: cpm(x, 1e4), "normalised or downsampled"),
        (lambda x: cpm(x, 1e6)[:, : x.shape[1] // 2], "scaled and rounded|normalised"),
        (lambda x: 3 * x, "scaled and rounded"),
        (lambda x: (x > 0).astype(int), "only 0 and 1"),
        (lambda x: np.rint(np.log2(1 + cpm(x, 1e6))), "scaled and rounded|rounded log|normalised"),
    ],
)
def test_whole_numbers_that_are_no_counts_are_refused(
    tmp_path: Path, genes: pd.DataFrame, names: list[str], change, words: str
) -> None:
    depth = RNG.uniform(0.5, 3.0, (30, 1))
    counts = RNG.poisson(depth * RNG.gamma(0.8, 3.0, (1, 300)))
    assert from_table(tmp_path, table_of(counts, names), genes).n_obs == 30
    changed = change(counts).astype(np.int64)
    with pytest.raises(CtcflowError, match=words):
        from_table(tmp_path, table_of(changed, names[: changed.shape[1]]), genes)


# ---- kind 6 and 8: names that were lost


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HLA.A", "HLA-A"),
        ("MT.CO1", "MT-CO1"),
        ("HLA.B", "HLA-B"),
        ("ENSG00000119888.4_EPCAM", "EPCAM"),
        ("EPCAM|ENSG00000119888", "EPCAM"),
        ("TACSTD1", "EPCAM"),
        ("hg38_KRT8", "KRT8"),
        ("mt-CO1", "MT-CO1"),
        ("MT_CO1", "MT-CO1"),
        ("K2C8", "KRT8"),
    ],
)
def test_a_name_is_mended_where_it_is_certain(
    tmp_path: Path,
    genes: pd.DataFrame,
    counts: np.ndarray,
    names: list[str],
    written: str,
    meant: str,
) -> None:
    changed = [written if name == meant else name for name in names]
    done = from_table(tmp_path, table_of(counts, changed), genes)
    assert_is(done, counts, names)
    if not written.startswith("hg38"):
        assert f"`{written}` to `{meant}`" in notes_of(done)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("9-Sep", "SEPT9"), ("3-Mar", "MARCH3"), ("Sep-07", "SEPT7"), ("SEPTIN9", "SEPT9")],
)
def test_what_excel_makes_of_a_name_is_mended(
    tmp_path: Path,
    genes: pd.DataFrame,
    counts: np.ndarray,
    names: list[str],
    written: str,
    meant: str,
) -> None:
    table = table_of(counts, [*names[:-1], written])
    assert_is(from_table(tmp_path, table, genes), counts, [*names[:-1], meant])


def test_an_alias_of_a_gene_that_the_file_has_is_not_added_to_it(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    table = table_of(counts, [*names[:-1], "TACSTD1"])
    done = from_table(tmp_path, table, genes)
    np.testing.assert_array_equal(done[:, "EPCAM"].X.toarray().ravel(), counts[:, 0])
    assert "TACSTD1" in done.var_names


def test_march1_of_excel_could_be_two_genes_and_stays(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    done = from_table(tmp_path, table_of(counts, [*names[:-1], "1-Mar"]), genes)
    assert "1-Mar" in done.var_names


@pytest.mark.parametrize("how", ["add", "leave out"])
def test_unspliced_counts_are_added_or_left_out_as_asked(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], how: str
) -> None:
    unspliced, ambiguous = counts[::-1], np.roll(counts, 1, axis=0)
    three = np.concatenate([counts, unspliced, ambiguous], axis=1)
    marked = [*names, *(f"{n}-U" for n in names), *(f"{n}-A" for n in names)]
    path = h5ad(tmp_path / "a.h5ad", three, marked)
    with pytest.raises(CtcflowError, match=r"300 names end in -U, 300 in -A"):
        ingested(path, genes)
    done = ingested(path, genes, PARAMS.model_copy(update={"unspliced": how}))
    expected = counts + ambiguous + (unspliced if how == "add" else 0)
    assert_is(done, expected, names)


# ---- properties


@pytest.mark.parametrize("kind", ["rows", "columns", "float", "transposed", "gz", "dense"])
def test_a_file_in_another_order_or_layout_gives_the_same_counts(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], kind: str
) -> None:
    table = table_of(counts, names)
    plain = from_table(tmp_path, table, genes)
    path = tmp_path / "other.tsv"
    if kind == "rows":
        table.sample(frac=1, random_state=1).to_csv(path, sep="\t")
    elif kind == "columns":
        table.sample(frac=1, random_state=1, axis=1).to_csv(path, sep="\t")
    elif kind == "float":
        table.astype(float).to_csv(path, sep="\t")
    elif kind == "transposed":
        table.T.to_csv(path, sep="\t")
    elif kind == "gz":
        path = tmp_path / "other.csv.gz"
        table.to_csv(path)
    else:
        path = tmp_path / "other.h5ad"
        adata = anndata.AnnData(counts.astype(np.float64))
        adata.obs_names, adata.var_names = table.columns, names
        adata.write_h5ad(path)
    done = ingested(path, genes)[plain.obs_names, plain.var_names]
    np.testing.assert_array_equal(done.X.toarray(), plain.X.toarray())


# ---- the same counts twice, and what was put beside them


def test_antibodies_with_the_names_of_genes_are_not_added(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    id_of = dict(zip(genes["symbol"], genes["gene_id"], strict=True))
    folder = tmp_path / "mtx"
    folder.mkdir()
    antibodies = ["EPCAM", "PTPRC", "CD3E"]
    both = np.hstack([counts, 900 + counts[:, :3]])
    scipy_io = sparse.coo_matrix(both.T)
    lines = [f"{r + 1} {c + 1} {v}" for r, c, v in zip(*sparse.find(scipy_io), strict=True)]
    head = f"%%MatrixMarket matrix coordinate integer general\n{both.shape[1]} 20 {len(lines)}\n"
    (folder / "matrix.mtx").write_text(head + "\n".join(lines) + "\n")
    listed = [f"{id_of[name]}\t{name}" for name in names] + [f"{a}\t{a}" for a in antibodies]
    (folder / "genes.tsv").write_text("\n".join(listed) + "\n")
    (folder / "barcodes.tsv").write_text("".join(f"CELL{k}-1\n" for k in range(20)))
    done = ingested(folder, genes)
    assert_is(done, counts, names)
    assert "3 features are kept apart from the genes: the name of a gene" in notes_of(done)

    below = pd.concat([table_of(counts, names), table_of(900 + counts[:, :3], antibodies)])
    with pytest.raises(
        CtcflowError, match="among the last 2 features, 2 have names of others .`PTPRC`"
    ):
        from_table(tmp_path, below, genes)


@pytest.mark.parametrize("where", [1, 150, 299])
def test_a_gene_that_is_written_twice_is_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], where: int
) -> None:
    table = table_of(counts, names)
    twice = pd.concat([table.iloc[:where], table.iloc[:1], table.iloc[where:]])
    with pytest.raises(CtcflowError, match="genes `EPCAM` and `EPCAM` hold the same counts"):
        from_table(tmp_path, twice, genes)
    # an alias of it
    twice.index = [*names[:where], "hg38_EPCAM", *names[where:]]
    with pytest.raises(CtcflowError, match="hold the same counts and are one gene"):
        from_table(tmp_path, twice, genes)


def test_rows_of_one_gene_with_other_counts_are_summed(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    half = counts.copy()
    half[:, 0] = counts[:, 0] // 2
    rest = pd.DataFrame((counts[:, :1] - half[:, :1]).T, index=["EPCAM"])
    table = table_of(half, names)
    rest.columns = table.columns
    assert_is(from_table(tmp_path, pd.concat([table, rest]), genes), counts, names)


@pytest.mark.parametrize("names_of_two", [("A-1", "A-1_1"), ("A_UMI", "A_reads")])
def test_a_cell_that_is_given_twice_is_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], names_of_two
) -> None:
    table = table_of(counts, names)
    table.columns = [names_of_two[0], *table.columns[1:]]
    table[names_of_two[1]] = table[names_of_two[0]]
    with pytest.raises(CtcflowError, match="cells `A.*` and `A.*` hold the same counts"):
        from_table(tmp_path, table, genes)


def test_values_that_are_written_twice_are_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    lines = [f"{g + 1} {c + 1} {counts[c, g]}" for c, g in np.argwhere(counts)]
    (tmp_path / "genes.tsv").write_text("".join(f"{name}\n" for name in names))
    (tmp_path / "barcodes.tsv").write_text("".join(f"CELL{k}-1\n" for k in range(20)))
    for extra in (0, 1, len(lines)):
        written = [*lines, *lines[:extra]]
        head = f"%%MatrixMarket matrix coordinate integer general\n300 20 {len(written)}\n"
        (tmp_path / "matrix.mtx").write_text(head + "\n".join(written) + "\n")
        if extra == 0:
            assert_is(ingested(tmp_path, genes), counts, names)
            continue
        with pytest.raises(CtcflowError, match=f"gives {extra} values for a gene and cell"):
            ingested(tmp_path, genes)


# ---- lines, columns and files that are missing or too many


def test_a_table_without_names_of_cells_is_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    path = tmp_path / "counts.tsv"
    table_of(counts, names).to_csv(path, sep="\t", header=False)
    with pytest.raises(CtcflowError, match="begins with the counts of a gene .`EPCAM`."):
        ingested(path, genes)


def test_a_file_of_one_cell_that_was_cut_short_is_refused(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    for k, row in enumerate(counts):
        lines = [f"{name}\t{n}" for name, n in zip(names, row, strict=True)]
        (tmp_path / f"cell{k:02d}.tsv").write_text("\n".join(lines) + "\n")
    assert_is(ingested(tmp_path, genes), counts, names)
    path = tmp_path / "cell07.tsv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:200]))
    with pytest.raises(CtcflowError, match="cell07.tsv` has 200 genes, and most files.* have 300"):
        ingested(tmp_path, genes)


@pytest.mark.parametrize("column", ["n_cells", "max", "mean", "total_counts", "rowSums", "sd"])
def test_a_column_of_sums_over_cells_is_no_cell(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], column: str
) -> None:
    table = table_of(counts, names)
    table[column] = (counts > 0).sum(axis=0)
    done = from_table(tmp_path, table, genes)
    assert_is(done, counts, names)
    assert column in notes_of(done)


@pytest.mark.parametrize("form", ["mm10.{}", "mouse_{}", "mm10:{}", "GRCm39-{}", "Mus_musculus_{}"])
def test_mouse_genes_with_other_marks_are_kept_apart(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], form: str
) -> None:
    mouse = table_of(counts[:, ::-1], [form.format(name.capitalize()) for name in names])
    done = from_table(tmp_path, pd.concat([table_of(counts, names), mouse]), genes)
    assert_is(done, counts, names)


@pytest.mark.parametrize("row", ["ERCC00002", "ERCC-00002.1", "--no-feature", "X__no_feature"])
def test_more_rows_that_are_no_genes_are_kept_apart(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], row: str
) -> None:
    table = pd.concat([table_of(counts, names), table_of(counts[:, 4:5] + 1, [row])])
    assert_is(from_table(tmp_path, table, genes), counts, names)


@pytest.mark.parametrize("form", ["{}|4072", "human_{}", "GRCh38.{}", "{id}_{}", "{}|{id}"])
def test_a_table_whose_names_have_more_than_the_symbol_is_read(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str], form: str
) -> None:
    id_of = dict(zip(genes["symbol"], genes["gene_id"], strict=True))
    written = [form.format(name, id=id_of[name]) for name in names]
    assert_is(from_table(tmp_path, table_of(counts, written), genes), counts, names)


def test_a_reporter_is_no_alias_of_a_gene(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    assert genes["aliases"].str.fullmatch(r"(.*\|)?RFP(\|.*)?").sum() == 1
    wanted = [*names[:-1], "RFP"]
    assert_is(from_table(tmp_path, table_of(counts, wanted), genes), counts, wanted)


# ---- what browsers and Git make of a file


def test_a_file_is_unpacked_by_what_it_is_and_not_by_its_name(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    table_of(counts, names).to_csv(tmp_path / "plain.csv")
    table_of(counts, names).to_csv(tmp_path / "packed.csv.gz")
    (tmp_path / "plain.csv").rename(tmp_path / "unpacked_by_a_browser.csv.gz")
    (tmp_path / "packed.csv.gz").rename(tmp_path / "still_packed.csv")
    for name in ("unpacked_by_a_browser.csv.gz", "still_packed.csv"):
        assert_is(ingested(tmp_path / name, genes), counts, names)
    h5ad(tmp_path / "a.h5ad", counts, names).rename(tmp_path / "a.h5ad.gz")
    assert_is(ingested(tmp_path / "a.h5ad.gz", genes), counts, names)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.h5ad", "a.h5", "a.loom", "a.tsv", "a.h5mu"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, genes: pd.DataFrame, name: str) -> None:
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(CtcflowError, match="is a pointer of Git LFS.*`git lfs pull`"):
        ingested(path, genes)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_two_genes_of_one_name_side_by_side_are_no_sign_of_a_shift(
    tmp_path: Path, genes: pd.DataFrame, counts: np.ndarray, names: list[str]
) -> None:
    """As TBCE in files of Cell Ranger, of which Ensembl has two, one with a new name here."""
    id_of = dict(zip(genes["symbol"], genes["gene_id"], strict=True))
    once = genes["gene_id"][~genes["symbol"].isin(names)]
    ids = np.array([id_of[name] for name in names])
    ids[1:40:4] = once[:10]
    written = [names[at - 1] if at in range(1, 40, 4) else name for at, name in enumerate(names)]
    path = h5ad(tmp_path / "a.h5ad", counts, names)
    adata = anndata.read_h5ad(path)
    adata.var_names = written
    adata.write_h5ad(path)
    done = ingested(with_ids(path, ids), genes)
    assert done.n_vars == len(names)
