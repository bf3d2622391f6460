"""Protein and hashtag tables, from every format that can contain them."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ctcflow as cf
from ctcflow.errors import CtcflowError
from ctcflow.formats.beside import MOST_FEATURES
from ctcflow.formats.features import is_hashtag, kind_of, kinds_of_features
from ctcflow.formats.raw import RawCounts
from ctcflow.formats.read import read_counts
from ctcflow.settings.sample_params import IngestParams
from ctcflow.steps.ingest import ingest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
CITE = SHARED / "real" / "cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad"
needs_real = pytest.mark.skipif(not CITE.is_file(), reason="../shared/data/real is absent")
pytestmark = pytest.mark.filterwarnings(
    # of anndata, where the index or the columns of a frame are empty text
    "ignore:The 'future.infer_string' option:DeprecationWarning",
    "ignore:The inplace keyword in DataFrame:DeprecationWarning",
    "ignore:Variable names are not unique:UserWarning",  # as files with such names are
    "ignore:var_names are not unique:UserWarning",  # of mudata, where a protein is named as a gene
)

GENES = pd.DataFrame(
    {"gene_id": [f"ENSG0000000000{i}" for i in range(3)], "symbol": ["EPCAM", "KRT8", "PTPRC"]}
)
RNA = np.array([[5, 0, 1], [0, 2, 300], [0, 1, 0], [7, 0, 9]])
BARCODES = ["AAA-1", "CCC-1", "GGG-1", "TTT-1"]
ANTIBODIES = ["CD3", "HLA-A/B/C", "CD3", "EPCAM"]
COLUMNS = ["CD3", "HLA-A|B|C", "CD3-1", "EPCAM"]
ADT = np.array([[1, 0, 7, 900], [0, 0, 2, 0], [12, 3, 0, 4], [2, 5, 0, 1]])
TAGS = ["HTO_A", "HTO_B"]
HTO = np.array([[400, 3], [0, 70_000], [0, 0], [9, 350]])
GUIDES = np.array([[0], [1], [0], [2]])
FEATURES = [
    *((i, s, "Gene Expression") for i, s in GENES.itertuples(index=False)),
    *((f"A{k}", name, "Antibody Capture") for k, name in enumerate(ANTIBODIES)),
    *((name, name, "Antibody Capture") for name in TAGS),
    ("g1", "guide", "CRISPR Guide Capture"),
]
WHOLE = np.column_stack([RNA, ADT, HTO, GUIDES])


def read(path: Path, **how: object) -> RawCounts:
    return read_counts(path, format=None, genes=GENES, **how)


def ingested(raw: RawCounts) -> anndata.AnnData:
    return ingest(raw.adata, GENES, params=IngestParams())


def assert_tables(adata: anndata.AnnData, *, adt: bool = True, hto: bool = True) -> None:
    np.testing.assert_array_equal(adata.X.toarray(), RNA)
    assert adata.var_names.tolist() == GENES["symbol"].tolist()
    for key, there, values, columns in (
        ("protein", adt, ADT, COLUMNS),
        ("hashtag", hto, HTO, TAGS),
    ):
        assert (key in adata.obsm) == there
        if there:
            table = adata.obsm[key]
            np.testing.assert_array_equal(table.to_numpy(), values)
            assert set(table.dtypes) == {np.dtype(np.int32)}
            assert table.columns.tolist() == columns
            assert table.index.tolist() == BARCODES
            named = json.loads(adata.uns[f"{key}_features"])
            assert named["name"] == (ANTIBODIES if key == "protein" else TAGS)
            assert {len(part) for part in named.values()} == {len(columns)}


def write_mtx(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "features.tsv").write_text("".join("\t".join(row) + "\n" for row in FEATURES))
    (folder / "barcodes.tsv").write_text("".join(f"{name}\n" for name in BARCODES))
    i, j = np.nonzero(WHOLE.T)
    body = "".join(f"{a + 1} {b + 1} {WHOLE[b, a]}\n" for a, b in zip(i, j, strict=True))
    head = "%%MatrixMarket matrix coordinate integer general\n"
    (folder / "matrix.mtx").write_text(f"{head}{len(FEATURES)} 4 {len(i)}\n{body}")
    return folder


def write_10x(path: Path, x: object, barcodes: object, features: list[tuple[str, ...]]) -> Path:
    x = sparse.csr_matrix(x)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(barcodes, dtype="S")
        group["shape"] = np.array(x.shape[::-1], dtype=np.int32)
        group["data"] = x.data.astype(np.int32)
        group["indices"] = x.indices.astype(np.int64)
        group["indptr"] = x.indptr.astype(np.int64)
        named = zip(("id", "name", "feature_type"), zip(*features, strict=True), strict=True)
        for key, column in named:
            group[f"features/{key}"] = np.array(column, dtype=h5py.string_dtype())
        group["features/genome"] = np.array(["GRCh38"] * len(features), dtype="S")
    return path


def annotated(x: object, names: list[str], barcodes: list[str] | None = None) -> anndata.AnnData:
    obs = pd.DataFrame(
        {"n": 1}, index=pd.Index(BARCODES if barcodes is None else barcodes, dtype=object)
    )
    var = pd.DataFrame({"n": 1}, index=pd.Index(names, dtype=object))
    return anndata.AnnData(sparse.csr_matrix(x), obs=obs, var=var)


def save(adata: anndata.AnnData, path: Path) -> Path:
    with anndata.settings.override(allow_write_nullable_strings=False):
        adata.write_h5ad(path)
    return path


def rna() -> anndata.AnnData:
    return annotated(RNA, GENES["symbol"].tolist())


def mixed(types: list[str]) -> anndata.AnnData:
    """Genes, antibodies, tags and a guide in one matrix."""
    adata = annotated(WHOLE, [name for _, name, _ in FEATURES])
    adata.var["feature_types"] = types
    adata.var["gene_ids"] = [own_id for own_id, _, _ in FEATURES]
    return adata


def with_obsm(**tables: tuple[object, list[str]]) -> anndata.AnnData:
    adata = rna()
    for key, (values, columns) in tables.items():
        frame = pd.DataFrame(np.asarray(values), index=adata.obs_names)
        frame.columns = pd.Index(columns, dtype=object)
        adata.obsm[key] = frame
    return adata


def write_h5mu(path: Path, **modalities: anndata.AnnData) -> Path:
    import mudata

    with anndata.settings.override(allow_write_nullable_strings=False):
        mudata.MuData(modalities).write(path)
    return path


# ---- formats


@pytest.mark.parametrize("format", ["mtx", "h5"])
def test_10x_files_give_proteins_and_hashtags(tmp_path: Path, format: str) -> None:
    if format == "mtx":
        raw = read(write_mtx(tmp_path / "m"))
    else:
        raw = read(write_10x(tmp_path / "a.h5", WHOLE, BARCODES, FEATURES))
    for adata in (raw.adata, ingested(raw)):
        assert_tables(adata)
        assert adata.obsm["other_features"].toarray().ravel().tolist() == GUIDES.ravel().tolist()
        assert json.loads(adata.uns["other_features"])["name"] == ["guide"]
    assert json.loads(raw.adata.uns["protein_features"])["id"] == ["A0", "A1", "A2", "A3"]
    said = "; ".join(raw.notes)
    assert "4 features are kept in obsm `protein` (Antibody Capture)" in said
    assert "2 features are kept in obsm `hashtag` (Antibody Capture)" in said
    assert "2 of the names of obsm `protein` are repeated or cannot stand" in said
    assert "1 features are not genes and are kept apart (CRISPR Guide Capture)" in said


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    from ctcflow.files import io

    done = ingested(read(write_10x(tmp_path / "a.h5", WHOLE, BARCODES, FEATURES)))
    io.write_h5ad(tmp_path / "ingest.h5ad", done, delivered=False)
    assert_tables(io.read_h5ad(tmp_path / "ingest.h5ad"))


@pytest.mark.parametrize(
    ("gene", "antibody", "tag"),
    [
        ("Gene Expression", "Antibody Capture", "Multiplexing Capture"),
        ("gene expression", "antibody capture", "multiplexing_capture"),
        ("GEX", "ADT", "HTO"),
        ("rna", "prot", "hashtag"),
        ("Gene", "pAbO", "sample tag"),
    ],
)
def test_an_h5ad_of_genes_and_antibodies(
    tmp_path: Path, gene: str, antibody: str, tag: str
) -> None:
    types = [gene] * 3 + [antibody] * 4 + [tag] * 2 + ["CRISPR Guide Capture"]
    adata = mixed(types)
    adata.var_names = [*adata.var_names[:7], "BAL 01", "BAL 02", "guide"]
    raw = read(save(adata, tmp_path / "a.h5ad"))
    assert raw.adata.obsm["hashtag"].columns.tolist() == ["BAL 01", "BAL 02"]
    raw.adata.obsm["hashtag"].columns = TAGS
    raw.adata.uns["hashtag_features"] = json.dumps({"name": TAGS, "id": TAGS, "type": TAGS})
    assert_tables(raw.adata)


@pytest.mark.parametrize("names", [("protein", "hashtag"), ("ADT", "HTO")])
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_tables_in_the_obsm_of_an_h5ad(tmp_path: Path, names: tuple[str, str], dtype: type) -> None:
    plain = [name.replace("/", "|") for name in ["CD3", "HLA-A/B/C", "CD3-1", "EPCAM"]]
    tables = {names[0]: (ADT.astype(dtype), plain), names[1]: (HTO.astype(dtype), TAGS)}
    raw = read(save(with_obsm(**tables), tmp_path / "a.h5ad"))
    raw.adata.uns["protein_features"] = json.dumps(
        {"name": ANTIBODIES, "id": ANTIBODIES, "type": ANTIBODIES}
    )
    assert_tables(ingested(raw))


def test_scvis_table_with_hashtags_in_it(tmp_path: Path) -> None:
    plain = ["CD3", "HLA-A|B|C", "CD3-1", "EPCAM", *TAGS]
    both = with_obsm(protein_expression=(np.column_stack([ADT, HTO]), plain))
    raw = read(save(both, tmp_path / "a.h5ad"))
    assert raw.adata.obsm["protein"].columns.tolist() == COLUMNS
    np.testing.assert_array_equal(raw.adata.obsm["protein"], ADT)
    np.testing.assert_array_equal(raw.adata.obsm["hashtag"], HTO)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ((np.log1p(ADT), ["a", "b", "c", "d"]), "its values are no counts"),
        ((ADT - 1, ["a", "b", "c", "d"]), "its values are no counts"),
        ((ADT - 1.0, ["a", "b", "c", "d"]), "its values are no counts"),
        ((np.where(ADT == 7, np.inf, ADT), ["a", "b", "c", "d"]), "its values are no counts"),
        ((np.zeros((4, MOST_FEATURES + 1)), None), "more than 1000"),
    ],
)
def test_tables_that_are_no_counts_stay_in_the_file(
    tmp_path: Path, table: tuple[object, list[str] | None], why: str
) -> None:
    values, columns = table
    columns = columns or [f"a{i}" for i in range(np.asarray(values).shape[1])]
    raw = read(save(with_obsm(protein=(values, columns)), tmp_path / "a.h5ad"))
    assert_tables(raw.adata, adt=False, hto=False)
    assert any('obsm["protein"] stays in the file' in n and why in n for n in raw.notes)


def test_an_array_without_names_and_a_table_of_text_stay_in_the_file(tmp_path: Path) -> None:
    adata = with_obsm(HTO=([["x"]] * 4, ["a"]))
    adata.obsm["protein"] = ADT
    adata.obsm["X_pca"] = ADT.astype(float)
    raw = read(save(adata, tmp_path / "a.h5ad"))
    assert_tables(raw.adata, adt=False, hto=False)
    said = "; ".join(raw.notes)
    assert 'obsm["protein"] stays in the file: its columns have no names' in said
    assert 'obsm["HTO"] stays in the file: it holds text or missing values' in said
    assert "X_pca" not in said


def test_a_damaged_modality_is_refused_in_one_line(tmp_path: Path) -> None:
    for place, value in (("X/indices", 99), ("X/indptr", 7)):
        path = write_h5mu(tmp_path / "a.h5mu", rna=rna(), prot=annotated(ADT, list("abcd")))
        with h5py.File(path, "a") as file:
            file[f"mod/prot/{place}"][1] = value
        with pytest.raises(CtcflowError, match="cannot be read"):
            read(path)
    with h5py.File(write_h5mu(path, rna=rna(), prot=annotated(ADT, list("abcd"))), "a") as file:
        file["mod/prot/X"].attrs["shape"] = (4, 5)
    with pytest.raises(CtcflowError, match="4 cells x 5 features but names 4 cells and 4"):
        read(path)
    path = save(with_obsm(ADT=(ADT, list("abcd"))), tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        for name, part in file["obsm/ADT"].items():
            values = part[:3]
            attributes = dict(part.attrs)
            del file[f"obsm/ADT/{name}"]
            file["obsm/ADT"][name] = values
            file[f"obsm/ADT/{name}"].attrs.update(attributes)
    assert any("it has 3 rows for 4 cells" in note for note in read(path).notes)


def test_missing_values_in_memory_leave_the_table_out() -> None:
    adata = with_obsm(ADT=(ADT, list("abcd")))
    adata.obsm["ADT"] = adata.obsm["ADT"].astype("Int64").mask(ADT == 900)
    done = cf.pp.ingest(adata)
    assert "protein" not in done.obsm
    assert "text or missing values" in json.loads(done.uns["ingest"])["notes"][0]


def test_an_antibody_whose_values_are_no_counts_is_not_lost(tmp_path: Path) -> None:
    values = WHOLE.astype(float)
    values[0, 4] = 2.5
    adata = mixed([kind for _, _, kind in FEATURES])
    adata.X = sparse.csr_matrix(values)
    raw = read(save(adata, tmp_path / "a.h5ad"))
    assert "protein" not in raw.adata.obsm
    np.testing.assert_array_equal(
        raw.adata.obsm["other_features"].toarray(), values[:, [3, 4, 5, 6, 9]]
    )
    np.testing.assert_array_equal(raw.adata.obsm["hashtag"], HTO)


def test_modalities_of_an_h5mu(tmp_path: Path) -> None:
    proteins = annotated(np.log1p(ADT), ["CD3", "HLA-A/B/C", "CD3-1", "EPCAM"])
    proteins.layers["counts"] = sparse.csr_matrix(ADT)
    path = write_h5mu(
        tmp_path / "a.h5mu",
        rna=rna(),
        prot=proteins,
        hto=annotated(HTO, TAGS),
        atac=annotated(ADT, list("abcd")),
    )
    raw = read(path)
    assert raw.adata.obsm["protein"].columns.tolist() == COLUMNS
    np.testing.assert_array_equal(raw.adata.obsm["protein"], ADT)
    np.testing.assert_array_equal(ingested(raw).obsm["hashtag"], HTO)
    assert "modalities left in the file for later steps: atac" in raw.notes
    assert "other_features" not in raw.adata.obsm


def test_cells_of_a_modality_are_brought_into_order(tmp_path: Path) -> None:
    order = [2, 0, 3]
    some = annotated(ADT[order], ["a", "b", "c", "d"], [BARCODES[i] for i in order])
    one = annotated(HTO[:1], TAGS, BARCODES[:1])
    raw = read(write_h5mu(tmp_path / "a.h5mu", rna=rna(), prot=some, hto=one))
    expected = ADT.copy()
    expected[1] = 0
    np.testing.assert_array_equal(raw.adata.obsm["protein"], expected)
    assert "1 cells are not in modality `prot`: its counts are 0 there" in raw.notes
    assert "hashtag" not in raw.adata.obsm
    assert "modality `hto` stays in the file: it has 1 of the 4 cells" in raw.notes


def test_the_same_features_twice_are_read_once(tmp_path: Path) -> None:
    adata = mixed([kind for _, _, kind in FEATURES])
    adata.obsm["ADT"] = pd.DataFrame(ADT + 1, index=adata.obs_names, columns=list("xyz") + ["CD3"])
    raw = read(save(adata, tmp_path / "a.h5ad"))
    assert_tables(raw.adata)
    assert any("were read already (e.g. `CD3`)" in note for note in raw.notes)


def test_large_counts_are_exact(tmp_path: Path) -> None:
    large = ADT.astype(np.int64)
    large[0, 0] = 2**31
    raw = read(save(with_obsm(ADT=(large, list("abcd"))), tmp_path / "a.h5ad"))
    assert set(raw.adata.obsm["protein"].dtypes) == {np.dtype(np.int64)}
    assert raw.adata.obsm["protein"].iloc[0, 0] == 2**31


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["", ".", "_index", "a/b"], ["feature 1", "feature 2", "feature 3", "a|b"]),
        (["b", "a", "a", "a-1"], ["b", "a", "a-2", "a-1"]),
    ],
)
def test_any_name_of_a_feature_can_be_written(
    tmp_path: Path, names: list[str], columns: list[str]
) -> None:
    from ctcflow.files import io

    features = [*FEATURES[:3], *((name, name, "Antibody Capture") for name in names)]
    adata = mixed([kind for _, _, kind in FEATURES])[:, :7].copy()
    adata.var_names = [name for _, name, _ in features]
    done = cf.pp.ingest(adata)
    io.write_h5ad(tmp_path / "a.h5ad", done, delivered=False)
    back = io.read_h5ad(tmp_path / "a.h5ad").obsm["protein"]
    np.testing.assert_array_equal(back, ADT)
    assert back.columns.tolist() == columns
    assert json.loads(done.uns["protein_features"])["name"] == names


def test_unfiltered_droplets_are_read_without_tables(tmp_path: Path) -> None:
    raw = read(write_mtx(tmp_path / "m"), genes_only=True)
    assert list(raw.adata.obsm) == []
    np.testing.assert_array_equal(raw.adata.X.toarray(), RNA)


@pytest.mark.parametrize("n_cells", [0, 1])
def test_few_cells(tmp_path: Path, n_cells: int) -> None:
    path = write_10x(tmp_path / "a.h5", WHOLE[:n_cells], BARCODES[:n_cells], FEATURES)
    done = ingested(read(path))
    assert done.obsm["protein"].shape == (n_cells, 4)
    assert done.obsm["hashtag"].shape == (n_cells, 2)


# ---- words and names


@pytest.mark.parametrize(
    "name",
    [
        *("Hashtag_1", "anti-human Hashtag 3", "TotalSeqC_Hashtag2", "HTO_A", "HTO28_5P", "hto-4"),
        *("C0251", "TotalSeq-B0260", "A0301_anti-mouse", "SampleTag01_hs", "CMO301", "HTOB"),
        "TotalSeq-C-0296",
    ],
)
def test_names_of_hashtags(name: str) -> None:
    assert is_hashtag(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "CD3",
            "HLA-A,B,C",
            "C0138",
            "B7-H1 (PD-L1)",
            "A02510",
            "CD251",
            "photo",
            "TCRb",
            "CD45RO",
        ),
        *("IgG1_TotalSeqB", "CMO3", "C0261", "CD326_EpCAM"),
    ],
)
def test_names_of_antibodies(name: str) -> None:
    assert not is_hashtag(name)


@needs_real
def test_no_antibody_of_two_real_panels_is_taken_for_a_hashtag() -> None:
    dsb = SHARED / "real" / "adt_dsb_87proteins_cells_and_empty_droplets.h5ad"
    names = [*anndata.read_h5ad(dsb).var_names, *anndata.read_h5ad(CITE).obsm["ADT"].columns]
    assert len(names) == 87 + 49
    assert not any(is_hashtag(name) for name in names)


def test_types_that_are_not_about_what_is_measured_leave_all_genes() -> None:
    names = np.array(["A", "B", "C"], dtype=object)
    for types in (["protein_coding", "lncRNA", "gene"], ["gene"] * 3, ["nan", "x", "RNA"]):
        found = kinds_of_features(names, names, np.array(types, dtype=object), ()).kinds
        assert found.tolist() == ["gene"] * 3


def test_a_feature_without_a_type_is_a_gene_if_it_is_a_known_one() -> None:
    names = np.array(["EPCAM", "CD3_protein", "x", "y"], dtype=object)
    ids = np.array(["", "", "ENSG00000000009.2", ""], dtype=object)
    types = np.array(["nan", "nan", "", "Gene Expression"], dtype=object)
    found = kinds_of_features(names, ids, types, {"EPCAM"}).kinds
    assert found.tolist() == ["gene", "other", "gene", "gene"]
    assert kind_of("Unheard of") is None


def test_a_library_of_antibodies_only_is_refused(tmp_path: Path) -> None:
    path = write_10x(tmp_path / "a.h5", ADT, BARCODES, FEATURES[3:7])
    with pytest.raises(CtcflowError, match="no `Gene Expression` features .found Antibody"):
        read(path)


# ---- Python


def test_python_reads_an_object_as_a_file() -> None:
    adata = mixed([kind for _, _, kind in FEATURES])
    before = adata.X.copy()
    done = cf.pp.ingest(adata)
    assert_tables(done)
    assert (before != adata.X).nnz == 0
    tables = with_obsm(ADT=(ADT.astype(np.float32), COLUMNS))
    assert cf.pp.ingest(tables).obsm["protein"].equals(done.obsm["protein"])
    tables.X = None
    with pytest.raises(CtcflowError, match="X is empty"):
        cf.pp.ingest(tables)


# ---- real data, with scanpy as the judge


@needs_real
def test_real_cite_seq_as_a_10x_file_is_what_scanpy_reads(
    tmp_path: Path, tables: dict[str, pd.DataFrame]
) -> None:
    import scanpy

    genes = tables["genes"]
    real = anndata.read_h5ad(CITE)
    parts = {"Gene Expression": real.X, "A": real.obsm["ADT"], "H": real.obsm["HTO"]}
    features = [(name, name, "Gene Expression") for name in real.var_names]
    for key in ("ADT", "HTO"):
        features += [(name, name, "Antibody Capture") for name in real.obsm[key].columns]
    x = sparse.hstack([sparse.csr_matrix(part) for part in parts.values()]).tocsr()
    path = write_10x(tmp_path / "cite.h5", x, real.obs_names.tolist(), features)
    theirs = scanpy.read_10x_h5(path, gex_only=False)
    raw = read_counts(path, format=None, genes=genes)
    done = ingest(raw.adata, genes, params=IngestParams())
    for key, columns in (("protein", real.obsm["ADT"]), ("hashtag", real.obsm["HTO"])):
        mine = done.obsm[key]
        assert mine.columns.tolist() == columns.columns.tolist()
        expected = theirs[:, columns.columns].X.toarray()
        np.testing.assert_array_equal(mine.to_numpy(), expected)
        assert set(mine.dtypes) == {np.dtype(np.int32)}
        assert mine.to_numpy().sum() > 10_000
    alone = write_10x(tmp_path / "rna.h5", real.X, real.obs_names.tolist(), features[: real.n_vars])
    plain = ingest(read_counts(alone, format=None).adata, genes, params=IngestParams())
    for part in ("data", "indices", "indptr"):
        assert getattr(plain.X, part).tobytes() == getattr(done.X, part).tobytes()
    assert plain.var.equals(done.var)
    # the same cells as the h5ad that was published, with its tables in obsm
    published = ingest(
        read_counts(CITE, format=None, genes=genes).adata, genes, params=IngestParams()
    )
    for key in ("protein", "hashtag"):
        np.testing.assert_array_equal(published.obsm[key], done.obsm[key])
    assert (published.X != done.X).nnz == 0
