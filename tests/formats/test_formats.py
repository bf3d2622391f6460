"""Readers against files written by other libraries, real files, and damaged ones."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.detect import input_files, locate
from ctcflow.formats.known import FORMATS, FormatName
from ctcflow.formats.read import RawCounts, read_counts

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")
V2 = "10x_mtx_v2_toy/filtered_gene_bc_matrices/GRCh38"

# anndata asks pandas 3.1 for an option that pandas has deprecated, in frames without columns.
anndata_option = pytest.mark.filterwarnings(
    "ignore:The 'future.infer_string' option:DeprecationWarning"
)

GENES = pd.DataFrame(
    {
        "gene_id": ["ENSG00000000001", "ENSG00000000002", "ENSG00000000003"],
        "symbol": ["EPCAM", "KRT8", "PTPRC"],
    }
)
COUNTS = np.array([[5, 0, 1], [0, 2, 300], [0, 0, 0], [7, 0, 9]])
NAMES = GENES["symbol"].tolist()
BARCODES = ["AAA-1", "CCC-1", "GGG-1", "TTT-1"]
PROTEIN = ["CD3", "CD3", "Antibody Capture"]


def read(path: Path, format: str | None = None) -> RawCounts:
    return read_counts(path, format=format, genes=GENES)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def write_folder(
    folder: Path, *, version: int = 3, packed: bool = False, n_cells: int = 4, prefix: str = ""
) -> Path:
    end = ".gz" if packed else ""
    rows = [[i, s, "Gene Expression"] for i, s in GENES.itertuples(index=False)]
    values = COUNTS[:n_cells]
    if version == 3:
        rows.append(PROTEIN)
        values = np.column_stack([values, np.arange(10, 10 + n_cells)])
    width = 3 if version == 3 else 2
    name = "features.tsv" if version == 3 else "genes.tsv"
    lines = "".join("\t".join(r[:width]) + "\n" for r in rows)
    write(folder / f"{prefix}{name}{end}", lines)
    write(folder / f"{prefix}barcodes.tsv{end}", "".join(b + "\n" for b in BARCODES[:n_cells]))
    i, j = np.nonzero(values.T)
    body = "".join(f"{a + 1} {b + 1} {values[b, a]}\n" for a, b in zip(i, j, strict=True))
    head = f"%%MatrixMarket matrix coordinate integer general\n%\n{len(rows)} {n_cells} {len(i)}\n"
    write(folder / f"{prefix}matrix.mtx{end}", head + body)
    return folder


def write_others(folder: Path) -> Path:
    """The same under the names of kb-python."""
    write_folder(folder, version=2)
    names = {"matrix.mtx": ".mtx", "genes.tsv": ".genes.txt", "barcodes.tsv": ".barcodes.txt"}
    for name, new in names.items():
        (folder / name).rename(folder / f"cells_x_genes{new}")
    return folder


def assert_is_written(raw: RawCounts, format: str) -> None:
    adata = raw.adata
    assert raw.format == format
    assert sparse.issparse(adata.X) and adata.X.format == "csr"
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)
    assert adata.obs_names.tolist() == BARCODES
    assert adata.var_names.tolist() == NAMES
    assert json.loads(adata.uns["ingest"]) == {"format": format, "notes": raw.notes}


# ---- folders


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_cell_ranger_folder(tmp_path: Path, version: int, packed: bool) -> None:
    raw = read(write_folder(tmp_path / "m", version=version, packed=packed))
    assert_is_written(raw, "10x_mtx")
    assert raw.adata.X.dtype.kind == "i"
    assert raw.adata.var["gene_id"].tolist() == GENES["gene_id"].tolist()
    if version == 3:
        assert raw.adata.obsm["protein"]["CD3"].tolist() == [10, 11, 12, 13]
        named = json.loads(raw.adata.uns["protein_features"])
        assert named == {"name": ["CD3"], "id": ["CD3"], "type": ["Antibody Capture"]}
        assert raw.notes == ["1 features are kept in obsm `protein` (Antibody Capture)"]


@pytest.mark.parametrize(
    ("made", "given", "format"),
    [
        ("outs/filtered_feature_bc_matrix", "outs", "10x_mtx"),
        ("run/outs/filtered_feature_bc_matrix", "run", "10x_mtx"),
        ("outs/filtered_gene_bc_matrices/GRCh38", "outs", "10x_mtx"),
        ("filtered_gene_bc_matrices/GRCh38", "filtered_gene_bc_matrices", "10x_mtx"),
        ("raw_gene_bc_matrices/GRCh38", "raw_gene_bc_matrices", "10x_mtx"),
        ("o/per_sample_outs/A/count/sample_filtered_feature_bc_matrix", "o", "10x_mtx"),
        ("Solo.out/Gene/filtered", "Solo.out", "starsolo"),
        ("A_Solo.out/GeneFull/filtered", ".", "starsolo"),
        ("Solo.out/Gene/filtered", "Solo.out/Gene", "starsolo"),
        ("Solo.out/Gene/filtered", "Solo.out/Gene/filtered", "starsolo"),
        ("Solo.out/Gene/raw", "Solo.out/Gene/raw", "starsolo"),
        ("m", "m/matrix.mtx.gz", "10x_mtx"),
    ],
)
def test_called_cells_are_found_below(tmp_path: Path, made: str, given: str, format: str) -> None:
    folder = write_folder(tmp_path / made, packed=True)
    # What lies beside the called cells must not be taken for them.
    if not made.startswith("raw") and "raw" not in Path(made).name:
        write_folder(folder.parent / "raw_feature_bc_matrix", n_cells=1)
    assert locate(tmp_path / given, format=None).format == format
    assert input_files(tmp_path / given, format=None) == [
        folder / "matrix.mtx.gz",
        folder / "features.tsv.gz",
        folder / "barcodes.tsv.gz",
    ]
    assert_is_written(read(tmp_path / given), format)
    assert_is_written(read(tmp_path / given, "starsolo"), "starsolo")


def test_prefixed_files_of_a_download(tmp_path: Path) -> None:
    write_folder(tmp_path, prefix="GSM1_A_")
    assert_is_written(read(tmp_path), "10x_mtx")
    write_folder(tmp_path, prefix="GSM2_B_", n_cells=2)
    with pytest.raises(CtcflowError, match="holds 2 matrices.*GSM1_A_matrix.mtx"):
        locate(tmp_path, format=None)
    assert_is_written(read(tmp_path / "GSM1_A_matrix.mtx"), "10x_mtx")


@anndata_option
@needs_real
@pytest.mark.parametrize("kind", ["filtered", "raw"])
def test_real_v2_folder_equals_scanpy(kind: str) -> None:
    import scanpy

    folder = REAL / f"10x_mtx_v2_toy/{kind}_gene_bc_matrices/GRCh38"
    expected = scanpy.read_10x_mtx(folder, make_unique=False)
    raw = read(folder)
    assert raw.adata.obs_names.tolist() == expected.obs_names.tolist()
    assert raw.adata.var_names.tolist() == expected.var_names.tolist()
    assert raw.adata.var["gene_id"].tolist() == expected.var["gene_ids"].tolist()
    assert (raw.adata.X != expected.X).nnz == 0
    assert raw.adata.n_obs == {"filtered": 62, "raw": 1289}[kind]


def test_repeated_symbols_are_read_as_they_are(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", version=2)
    write(folder / "genes.tsv", (folder / "genes.tsv").read_text().replace("PTPRC", "EPCAM"))
    assert read(folder).adata.var_names.tolist() == ["EPCAM", "KRT8", "EPCAM"]


def test_two_column_starsolo_and_transposed_matrix(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "Solo.out/Gene/filtered", version=2)
    (folder / "genes.tsv").rename(folder / "features.tsv")
    assert_is_written(read(tmp_path / "Solo.out"), "starsolo")
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(COUNTS))
    raw = read(tmp_path / "Solo.out")
    assert_is_written(raw, "starsolo")
    assert "transposed" in raw.notes[0]


@pytest.mark.parametrize("between", ["  ", "\t", " \t "])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\n"])
def test_matrix_in_any_white_space(tmp_path: Path, between: str, end: str) -> None:
    path = write_folder(tmp_path / "m") / "matrix.mtx"
    head, comment, *lines = path.read_text().splitlines()
    spaced = [lines[0], lines[1], *(between.join(line.split()) for line in lines[2:])]
    path.write_bytes(end.join([head, comment, *spaced, ""]).encode())
    np.testing.assert_array_equal(read(path.parent).adata.X.toarray(), COUNTS)


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("1 1 \0 2", "Expected 3 fields"),
        ("1 1 1 1", "Expected 3 fields"),
        ("1 1", "text where counts should be"),
        ("1 1 many", "text where counts should be"),
        ("0 1 1", "row or column that its head does not have"),
        ("1 -1 1", "row or column that its head does not have"),
        ("1 9 1", "row or column that its head does not have"),
        ("1 99999999999 1", "cannot be read as Matrix Market"),
        ("1 1 99999999999999999999999", "cannot be read as Matrix Market"),
        ("1 1 1\n1 1 1", "more lines of counts than"),
        ("", "lines of counts, but its head says"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_line_of_a_matrix(tmp_path: Path, line: str, pattern: str, packed: bool) -> None:
    path = write_folder(tmp_path / "m") / "matrix.mtx"
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], line, ""]))
    if packed:
        path = path.rename(path.with_suffix(".mtx.gz"))
        path.write_bytes(gzip.compress(path.read_bytes()))
    refused(path.parent, pattern)


def test_fractions_of_a_matrix_are_kept(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "m") / "matrix.mtx"
    path.write_text(path.read_text().replace(" 300\n", " 2.5\n"))
    assert 2.5 in read(path.parent).adata.X.data


@pytest.mark.parametrize("kind", ["array integer general", "coordinate pattern general"])
def test_matrices_of_another_kind(tmp_path: Path, kind: str) -> None:
    path = write_folder(tmp_path / "m") / "matrix.mtx"
    path.write_text(path.read_text().replace("coordinate integer general", kind))
    refused(path.parent, f"matrix of kind `{kind}`")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("n_cells", [0, 1, 2])
def test_folder_of_few_cells(tmp_path: Path, n_cells: int, packed: bool) -> None:
    raw = read(write_folder(tmp_path / "m", n_cells=n_cells, packed=packed))
    assert raw.adata.shape == (n_cells, 3)
    np.testing.assert_array_equal(raw.adata.X.toarray(), COUNTS[:n_cells])


# ---- HDF5


def write_h5(path: Path, *, version: int) -> Path:
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        values, ids, names = COUNTS, GENES["gene_id"].tolist(), NAMES
        if version == 3:
            values = np.column_stack([COUNTS, [1, 0, 2, 0]])
            ids, names = [*ids, "CD3"], [*names, "CD3"]
            features = group.create_group("features")
            features["id"] = np.array(ids, dtype=text)
            features["name"] = np.array(names, dtype=text)
            features["feature_type"] = np.array(
                ["Gene Expression"] * 3 + ["Antibody Capture"], dtype=text
            )
            features["genome"] = np.array(["GRCh38"] * 4, dtype=text)
        else:
            group["genes"] = np.array(ids, dtype=text)
            group["gene_names"] = np.array(names, dtype=text)
        x = sparse.csr_matrix(values)
        group["barcodes"] = np.array(BARCODES, dtype="S")
        group["shape"] = np.array(values.shape[::-1], dtype=np.int32)
        group["data"] = x.data.astype(np.int32)
        group["indices"] = x.indices.astype(np.int64)
        group["indptr"] = x.indptr.astype(np.int64)
    return path


@anndata_option
@pytest.mark.parametrize("version", [2, 3])
def test_10x_h5_equals_scanpy(tmp_path: Path, version: int) -> None:
    import scanpy

    path = write_h5(tmp_path / "filtered_feature_bc_matrix.h5", version=version)
    raw = read(path)
    assert_is_written(raw, "10x_h5")
    assert raw.adata.X.dtype == np.int32
    assert raw.adata.var["gene_id"].tolist() == GENES["gene_id"].tolist()
    expected = scanpy.read_10x_h5(path)
    np.testing.assert_array_equal(raw.adata.X.toarray(), expected.X.toarray())
    if version == 3:
        assert raw.adata.obsm["protein"]["CD3"].tolist() == [1, 0, 2, 0]
    assert input_files(tmp_path, format=None) == [path]
    assert_is_written(read(tmp_path), "10x_h5")


@anndata_option
@needs_real
def test_real_10x_h5_equals_scanpy() -> None:
    import scanpy

    path = REAL / "visium_toy/filtered_feature_bc_matrix.h5"
    expected = scanpy.read_10x_h5(path)
    raw = read(path)
    assert raw.adata.obs_names.tolist() == expected.obs_names.tolist()
    assert raw.adata.var["gene_id"].tolist() == expected.var["gene_ids"].tolist()
    assert (raw.adata.X != expected.X).nnz == 0


def test_two_genomes_and_other_layouts_are_refused(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", version=2)
    with h5py.File(path, "a") as file:
        file.copy("GRCh38", "mm10")
    with pytest.raises(CtcflowError, match="holds 2 genomes .GRCh38, mm10."):
        read(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["spectra"] = [1]
    with pytest.raises(CtcflowError, match="not a Cell Ranger matrix .found groups spectra."):
        read(tmp_path / "b.h5")
    with pytest.raises(CtcflowError, match="not AnnData .found groups spectra."):
        read(tmp_path / "b.h5", "h5ad")


def annotated(x: object) -> anndata.AnnData:
    return anndata.AnnData(
        x,
        obs=pd.DataFrame(
            {"kind": list("abcd")}, index=pd.Index(BARCODES, dtype=object), dtype=object
        ),
        var=pd.DataFrame({"gene_ids": GENES["gene_id"].tolist()}, index=NAMES, dtype=object),
    )


def save(adata: anndata.AnnData, path: Path) -> Path:
    with anndata.settings.override(allow_write_nullable_strings=False):
        adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_h5ad_of_any_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: type, dtype: type
) -> None:
    from ctcflow.formats import h5

    monkeypatch.setattr(h5, "_ROWS_AT_ONCE", 3)
    raw = read(save(annotated(make(COUNTS.astype(dtype))), tmp_path / "a.h5ad"))
    assert_is_written(raw, "h5ad")
    assert raw.adata.X.dtype == dtype
    assert raw.notes == []
    assert raw.adata.var["gene_id"].tolist() == GENES["gene_id"].tolist()


def test_h5ad_counts_beside_log_values(tmp_path: Path) -> None:
    log = np.log1p(COUNTS.astype(np.float32))
    layered = annotated(log)
    layered.layers["counts"] = COUNTS
    raw = read(save(layered, tmp_path / "a.h5ad"))
    assert_is_written(raw, "h5ad")
    assert raw.notes == ['X does not hold counts, layers["counts"] is used']

    with_raw = annotated(sparse.csr_matrix(COUNTS))
    with_raw.raw = with_raw.copy()
    with_raw = with_raw[:, :2].copy()
    with_raw.X = with_raw.X * 0.37
    raw = read(save(with_raw, tmp_path / "b.h5ad"))
    assert_is_written(raw, "h5ad")
    assert raw.notes == ["X does not hold counts, raw.X is used"]

    only_log = read(save(annotated(log), tmp_path / "c.h5ad"))
    np.testing.assert_array_equal(only_log.adata.X.toarray(), log)


def test_h5ad_of_an_old_anndata(tmp_path: Path) -> None:
    path = save(annotated(COUNTS), tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        for key in list(file.attrs):
            del file.attrs[key]
    assert_is_written(read(path), "h5ad")


@pytest.mark.parametrize("of_old_anndata", [False, True])
def test_h5ad_of_an_encoding_that_anndata_does_not_know(
    tmp_path: Path, of_old_anndata: bool
) -> None:
    path = save(annotated(COUNTS), tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        if of_old_anndata:
            del file.attrs["encoding-type"]
        var = file["var"]
        var[var.attrs["_index"]].attrs["encoding-version"] = "9.0.0"
    refused(path, "a.h5ad. cannot be read as .*is it of a newer one. No read method registered")


@pytest.mark.parametrize("n_cells", [0, 1, 2])
def test_h5ad_of_few_cells(tmp_path: Path, n_cells: int) -> None:
    for name, make in (("d", np.asarray), ("s", sparse.csr_matrix)):
        path = save(annotated(make(COUNTS))[:n_cells].copy(), tmp_path / f"{name}.h5ad")
        assert read(path).adata.shape == (n_cells, 3)


@anndata_option
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning")
def test_h5mu_takes_rna_and_proteins(tmp_path: Path) -> None:
    import mudata

    protein = anndata.AnnData(
        np.ones((4, 2), dtype=np.float32),
        obs=pd.DataFrame(index=pd.Index(BARCODES, dtype=object), columns=pd.array([], dtype="str")),
        var=pd.DataFrame({"n": [1, 2]}, index=pd.Index(["CD3", "CD4"], dtype=object)),
    )
    with anndata.settings.override(allow_write_nullable_strings=False):
        both = mudata.MuData({"rna": annotated(sparse.csr_matrix(COUNTS)), "prot": protein})
        both.write(tmp_path / "a.h5mu")
    raw = read(tmp_path / "a.h5mu")
    assert_is_written(raw, "h5mu")
    assert raw.notes == ["2 features are kept in obsm `protein` (modality `prot`)"]
    with h5py.File(tmp_path / "a.h5mu", "a") as file:
        file.move("mod/rna", "mod/atac")
    with pytest.raises(CtcflowError, match="no single modality `rna` .found atac, prot."):
        read(tmp_path / "a.h5mu")


# ---- text


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz", "a.tsv.gz"])
@pytest.mark.parametrize("genes_in_rows", [True, False])
def test_table_of_either_orientation(tmp_path: Path, name: str, genes_in_rows: bool) -> None:
    frame = pd.DataFrame(COUNTS, index=BARCODES, columns=NAMES)
    separator = "," if ".csv" in name else "\t"
    (frame.T if genes_in_rows else frame).to_csv(tmp_path / name, sep=separator)
    raw = read(tmp_path / name)
    assert_is_written(raw, "table")
    assert raw.adata.X.dtype.kind == "i"
    assert raw.notes[0].startswith(f"genes are in {'rows' if genes_in_rows else 'columns'}")


def test_table_in_pieces_with_short_header_quotes_bom_and_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctcflow.formats import tables

    monkeypatch.setattr(tables, "VALUES_AT_ONCE", 5)
    lines = ["\ufeff" + " ".join(f'"{b}"' for b in BARCODES)]
    ids = [f"hg19_{i}.3" for i in GENES["gene_id"]]
    for name, row in zip(ids, COUNTS.T, strict=True):
        lines.append(f'"{name}" ' + " ".join(str(v) for v in row))
    raw = read_counts(write(tmp_path / "r.txt", "\n".join(lines)), format=None)
    np.testing.assert_array_equal(raw.adata.X.toarray(), COUNTS)
    assert raw.adata.obs_names.tolist() == BARCODES
    assert raw.adata.var_names.tolist() == ids


def test_table_keeps_repeated_names_and_fractions(tmp_path: Path) -> None:
    text = "gene,c,c\nEPCAM,1,2.5\nEPCAM,0,1\nKRT8,3,0\n"
    adata = read(write(tmp_path / "a.csv", text)).adata
    assert adata.obs_names.tolist() == ["c", "c"]
    assert adata.var_names.tolist() == ["EPCAM", "EPCAM", "KRT8"]
    assert adata.X.toarray().tolist() == [[1, 0, 3], [2.5, 1, 0]]


def test_table_of_no_cells(tmp_path: Path) -> None:
    for text in ("cell,EPCAM,KRT8\n", "gene\nEPCAM\nKRT8\n", "gene\nEPCAM,\nKRT8,\n"):
        adata = read(write(tmp_path / "a.csv", text)).adata
        assert adata.shape == (0, 2)
        assert adata.var_names.tolist() == ["EPCAM", "KRT8"]


@pytest.mark.parametrize("end", [".csv", ".tsv", ".txt", ".tsv.gz"])
@pytest.mark.parametrize("header", [True, False])
def test_per_cell_tables(tmp_path: Path, end: str, header: bool) -> None:
    separator = "," if end == ".csv" else "\t"
    for barcode, row in zip(BARCODES, COUNTS, strict=True):
        rows = [("gene", "count")] if header else []
        rows += list(zip(NAMES, row, strict=True))
        rows += [("__no_feature", 1000), ("__ambiguous", 3)]
        write(tmp_path / (barcode + end), "".join(f"{a}{separator}{b}\n" for a, b in rows))
    write(tmp_path / "README.md", "not a cell")
    raw = read(tmp_path)
    assert_is_written(raw, "per_cell")
    assert raw.adata.X.dtype.kind == "i"
    assert len(input_files(tmp_path, format=None)) == 4


def test_per_cell_tables_of_different_genes(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", "EPCAM\t1\nKRT8\t2\n")
    write(tmp_path / "b.tsv", "PTPRC\t4\nEPCAM\t3\nPTPRC\t5\n")
    raw = read(tmp_path)
    assert raw.adata.var_names.tolist() == ["EPCAM", "KRT8", "PTPRC"]
    assert raw.adata.X.toarray().tolist() == [[1, 2, 0], [3, 0, 9]]
    assert "1 lines repeat a gene" in raw.notes[1]


# ---- what must be refused, in one line that names the file


def refused(path: Path, pattern: str, format: str | None = None) -> None:
    with pytest.raises(CtcflowError, match=pattern) as caught:
        read(path, format)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_empty_and_unknown(tmp_path: Path) -> None:
    refused(tmp_path / "none.h5ad", "does not exist")
    (tmp_path / "void").mkdir()
    refused(tmp_path / "void", "is an empty folder")
    (tmp_path / "a.h5ad").touch()
    refused(tmp_path / "a.h5ad", "is empty .0 bytes.")
    refused(write(tmp_path / "a.dat", "x"), "an ending that is not known")
    refused(tmp_path / "a.dat", "format `per_cell` is a folder", "per_cell")
    refused(write(tmp_path / "notes" / "a.pdf", "x").parent, "no known count files .found a.pdf.")
    refused(tmp_path / "notes", "format `h5ad` is a file", "h5ad")
    with pytest.raises(CtcflowError, match="format `xlsx` is not known: use one of 10x_mtx"):
        read(tmp_path / "a.dat", "xlsx")


def test_incomplete_and_ambiguous_folders(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    (folder / "barcodes.tsv").unlink()
    refused(folder, "has no barcodes.tsv .found features.tsv, matrix.mtx.")
    (write_folder(tmp_path / "n") / "matrix.mtx").unlink()
    refused(tmp_path / "n", "has no matrix.mtx")
    for genome in ("GRCh38", "mm10"):
        write_folder(tmp_path / "filtered_gene_bc_matrices" / genome)
    refused(tmp_path / "filtered_gene_bc_matrices", "holds 2 matrices .GRCh38, mm10.")
    write_folder(tmp_path / "Solo.out/Gene/raw")
    refused(tmp_path / "Solo.out/Gene", "unfiltered droplets only")
    for sample in "AB":
        write_folder(
            tmp_path / f"o/per_sample_outs/{sample}/count/sample_filtered_feature_bc_matrix"
        )
    with pytest.raises(CtcflowError, match="holds 2 samples .A, B."):
        read(tmp_path / "o")


def test_names_that_do_not_fit_the_matrix(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    write(folder / "barcodes.tsv", "AAA-1\n")
    with pytest.raises(
        CtcflowError, match="has 4 rows and 4 columns, but features.tsv has 4 lines"
    ):
        read(folder)
    path = write_h5(tmp_path / "a.h5", version=3)
    with h5py.File(path, "a") as file:
        del file["matrix/barcodes"]
        file["matrix/barcodes"] = np.array(BARCODES[:2], dtype="S")
    refused(path, "4 cells x 4 features but names 2 cells and 4 features")


@pytest.mark.parametrize("packed", [False, True])
def test_truncated_matrix_folder(tmp_path: Path, packed: bool) -> None:
    folder = write_folder(tmp_path / "m", packed=packed)
    path = folder / ("matrix.mtx.gz" if packed else "matrix.mtx")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(CtcflowError, match=r"matrix\.mtx.* cannot be read as Matrix Market .*copy"):
        read(folder)
    path.write_bytes(b"garbage\n1 2 3\n")
    with pytest.raises(CtcflowError, match=r"matrix\.mtx.* cannot be read as Matrix Market"):
        read(folder)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.h5", "a.h5ad", "a.h5mu"])
def test_truncated_hdf5(tmp_path: Path, name: str, share: float) -> None:
    if name == "a.h5":
        whole = write_h5(tmp_path / "whole", version=3).read_bytes()
    else:
        whole = save(annotated(COUNTS), tmp_path / "whole").read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / name, "cannot be read as HDF5 .*copy it again")
    (tmp_path / name).write_bytes(b"<html>404 not found</html>")
    refused(tmp_path / name, "cannot be read as HDF5 ")


def test_damaged_sparse_indices(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", version=3)
    with h5py.File(path, "a") as file:
        file["matrix/indices"][0] = 99
    refused(path, "cannot be read as")


def test_nan_is_named(tmp_path: Path) -> None:
    values = COUNTS.astype(np.float64)
    values[0, 0] = np.nan
    refused(save(annotated(values), tmp_path / "a.h5ad"), "1 values that are NaN or infinite")
    text = "gene,a,b\nEPCAM,1,NA\nKRT8,2,3\n"
    refused(write(tmp_path / "a.csv", text), "1 values that are NaN or infinite")


def test_no_gene_expression(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    text = (folder / "features.tsv").read_text().replace("Gene Expression", "Custom")
    write(folder / "features.tsv", text)
    refused(folder, "no `Gene Expression` features .found Antibody Capture, Custom.")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("x,a,b\np,1,2\nq,3,4\n", "genes neither in rows .p, q. nor in columns .a, b."),
        (f"gene,a\nEPCAM,1\nKRT8,{'9' * 400}\n", "text where counts should be .column 1: `9{40}`."),
        (f"gene,a\n{'E' * 140_000},1\n", "cannot be read as a table .the first lines: field"),
        ("gene,name,a\nEPCAM,one,2\nKRT8,two,4\n", "text where counts should be .column 1: `one`."),
        ("gene,a,b\nEPCAM,1,2\nKRT8,1,2,3\n", "cannot be read as a table"),
        ("gene,a\nEPCAM,1,2\nKRT8,1,2\n", None),
        ("gene,a,b,c,d\nEPCAM,1,2\n", "5 names in the first line but 3 columns"),
        ("EPCAM\nKRT8\n", "has one column only .first line `EPCAM`."),
        ("one\ntwo\n", "has one column only .first line `one`."),
        ("one\n", "cannot be read as a table"),
        ("\n\n", "has no lines"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, pattern: str | None) -> None:
    path = write(tmp_path / "a.csv", text)
    if pattern is None:
        assert read(path).adata.obs_names.tolist() == ["gene", "a"]
    else:
        refused(path, pattern)


def test_bad_bytes_in_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"gene\ta\n" + b"EPCAM\t1\n" * 5000)[:-20])
    refused(path, "cannot be read as a table")
    path.write_bytes(b"not gzip at all")
    refused(path, "has genes neither in rows")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01" * 20)
    refused(tmp_path / "b.csv", "cannot be read as a table")


def test_bad_per_cell_files(tmp_path: Path) -> None:
    write(tmp_path / "p" / "a.tsv", "EPCAM\t1\n")
    path = write(tmp_path / "p" / "b.tsv", "EPCAM\t1\t2\t3\n")
    with pytest.raises(CtcflowError, match=r"b\.tsv` has 4 columns"):
        read(path.parent)
    write(path, "EPCAM\t1\nKRT8\tmany\n")
    with pytest.raises(CtcflowError, match=r"b\.tsv` holds text where .*`many`"):
        read(path.parent)


# ---- the Snakefile reads detect


def test_every_format_is_detected(tmp_path: Path) -> None:
    folders = {
        "10x_mtx": write_folder(tmp_path / "m"),
        "starsolo": write_folder(tmp_path / "Solo.out/Gene/filtered"),
        "mtx": write_others(tmp_path / "k"),
        "per_cell": write(tmp_path / "c" / "one.tsv", "EPCAM\t1\n").parent,
    }
    assert folders.keys() == {name for name, known in FORMATS.items() if not known.endings}
    for name, folder in folders.items():
        assert locate(folder, format=None).format == name
    for name, known in FORMATS.items():
        for ending in known.endings:
            assert locate(write(tmp_path / f"a{ending}", "x"), format=None).format == name


def test_what_the_sheet_may_say_are_the_formats_that_are_known() -> None:
    assert get_args(FormatName) == tuple(FORMATS)


def test_an_ending_belongs_to_one_format() -> None:
    endings = [ending for known in FORMATS.values() for ending in known.endings]
    assert len(endings) == len(set(endings))
    assert all(re.fullmatch(r"(\.[a-z0-9]+)+", ending) for ending in endings)


def test_detect_imports_no_scientific_library() -> None:
    code = (
        "import sys; import ctcflow.formats.detect;"
        "sys.exit(len({'numpy', 'pandas', 'scipy', 'h5py', 'anndata'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_real
def test_real_files_are_not_touched(tmp_path: Path) -> None:
    copy = shutil.copytree(REAL / V2, tmp_path / "GRCh38")
    before = {p.name: p.stat().st_mtime_ns for p in sorted(copy.iterdir())}
    assert read(tmp_path).adata.shape == (62, 226)
    assert {p.name: p.stat().st_mtime_ns for p in sorted(copy.iterdir())} == before
