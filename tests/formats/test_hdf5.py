"""HDF5 files of other producers: Loom, gzipped, of another name, of an old AnnData."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.formats.written import CELLS, COUNTS, IDS, SYMBOLS, assert_is_truth, read, refused

from ctcflow.errors import CtcflowError
from ctcflow.formats import bounds
from ctcflow.formats.detect import locate
from ctcflow.formats.genes import gene_names
from ctcflow.formats.size import check_head, size_of

TEXT = h5py.string_dtype()


def loom(path: Path, genes: str = "Gene", cells: str = "CellID", ids: str = "Accession") -> Path:
    """As loompy writes: compressed chunks of genes x cells, attributes as text or bytes."""
    with h5py.File(path, "w") as file:
        file.attrs["LOOM_SPEC_VERSION"] = "3.0.0"
        file.create_dataset(
            "matrix", data=COUNTS.T.astype(np.float32), chunks=(4, 4), compression=2
        )
        file.create_group("layers")
        file.create_dataset(f"row_attrs/{genes}", data=list(SYMBOLS), dtype=TEXT)
        if ids:
            file[f"row_attrs/{ids}"] = np.array(IDS, dtype="S")
        file[f"col_attrs/{cells}"] = np.array(CELLS, dtype="S")
        file["col_attrs/Clusters"] = np.zeros(len(CELLS))
    return path


def h5(path: Path) -> Path:
    """As Cell Ranger 3 and later write."""
    x = sparse.csr_matrix(COUNTS)
    with h5py.File(path, "w") as file:
        for name, values in {"data": x.data, "indices": x.indices, "indptr": x.indptr}.items():
            file.create_dataset(f"matrix/{name}", data=values, compression="gzip")
        file["matrix/shape"] = np.array(x.shape[::-1], dtype=np.int32)
        file["matrix/barcodes"] = np.array(CELLS, dtype="S")
        described = {"id": IDS, "name": SYMBOLS, "feature_type": ["Gene Expression"] * len(IDS)}
        for name, values in described.items():
            file[f"matrix/features/{name}"] = np.array(values, dtype="S")
    return path


def annotated() -> anndata.AnnData:
    return anndata.AnnData(
        sparse.csr_matrix(COUNTS.astype(np.float32)),
        obs=pd.DataFrame(index=pd.Index(CELLS, dtype=object), columns=pd.Index([], dtype=object)),
        var=pd.DataFrame(
            {"gene_ids": np.array(IDS, dtype=object)}, index=list(SYMBOLS), dtype=object
        ),
    )


def h5ad(path: Path) -> Path:
    with anndata.settings.override(allow_write_nullable_strings=False):
        annotated().write_h5ad(path)
    return path


def h5mu(path: Path) -> Path:
    h5ad(path.with_suffix(".tmp"))
    with h5py.File(path, "w") as file, h5py.File(path.with_suffix(".tmp")) as rna:
        rna.copy("/", file, "mod/rna")
    path.with_suffix(".tmp").unlink()
    return path


def packed(path: Path) -> Path:
    target = path.with_name(f"{path.name}.gz")
    target.write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
    return target


WRITERS: dict[str, Callable[[Path], Path]] = {"h5": h5, "h5ad": h5ad, "h5mu": h5mu, "loom": loom}
FORMATS = {"h5": "10x_h5"}


# ---- Loom


@pytest.mark.parametrize(
    ("genes", "cells", "ids"),
    [
        ("Gene", "CellID", "Accession"),  # loompy, velocyto
        ("gene_names", "cell_names", ""),  # loomR, Seurat
        ("var_names", "obs_names", "gene_ids"),  # scanpy
        ("Gene", "CellID", ""),  # SCENIC
        ("gene_names", "CellID", "ensembl_ids"),  # Optimus, Human Cell Atlas
        ("Gene", "barcode", "gene_id"),
    ],
)
def test_loom_of_any_writer(tmp_path: Path, genes: str, cells: str, ids: str) -> None:
    path = loom(tmp_path / "a.loom", genes, cells, ids)
    raw = read(path)
    assert_is_truth(raw)
    assert (raw.format, raw.notes) == ("loom", [])
    assert raw.adata.var["gene_id"].tolist() == (list(IDS) if ids else [""] * len(IDS))
    source = locate(path, format=None)
    assert size_of(source) == (len(CELLS), COUNTS.size, 0)
    assert gene_names(source) == {*SYMBOLS, *(IDS if ids else ())}
    check_head(source)


def test_loom_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctcflow.formats import loom as module

    monkeypatch.setattr(module, "_VALUES_AT_ONCE", 20)
    assert_is_truth(read(loom(tmp_path / "a.loom")))


def test_loom_of_velocyto_says_that_the_sum_is_read(tmp_path: Path) -> None:
    path = loom(tmp_path / "a.loom")
    with h5py.File(path, "a") as file:
        for layer in ("spliced", "unspliced", "ambiguous"):
            file[f"layers/{layer}"] = COUNTS.T
    raw = read(path)
    assert_is_truth(raw)
    assert raw.notes == [
        "`matrix` is read; the layers spliced, unspliced, ambiguous stay in the file"
    ]


def test_loom_without_names_or_cells(tmp_path: Path) -> None:
    path = loom(tmp_path / "a.loom", genes="number", ids="")
    refused(path, "does not name its genes .found number in /row_attrs.: add the attribute `Gene`")
    path = loom(tmp_path / "b.loom", cells="number")
    refused(path, "does not name its cells .found Clusters, number in /col_attrs.")
    path = loom(tmp_path / "c.loom")
    with h5py.File(path, "a") as file:
        del file["matrix"]
        file["matrix"] = COUNTS
    refused(path, "holds a matrix of 22 cells x 6 features but names 6 cells and 22 features")
    with h5py.File(path, "a") as file:
        del file["col_attrs"]
    refused(path, "is HDF5 but not Loom .found groups layers, matrix, row_attrs.")


def test_loom_of_ids_alone(tmp_path: Path) -> None:
    path = loom(tmp_path / "a.loom")
    with h5py.File(path, "a") as file:
        del file["row_attrs/Gene"]
    assert_is_truth(read(path), names=IDS)


# ---- packed


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_packed_is_unpacked_and_deleted(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    path = packed(WRITERS[kind](tmp_path / f"GSM1_x.{kind}"))
    raw = read(path)
    assert_is_truth(raw)
    assert raw.format == FORMATS.get(kind, kind)
    assert list((tmp_path / "tmp").iterdir()) == []
    source = locate(path, format=None)
    assert size_of(source).values == path.stat().st_size
    assert gene_names(source) is None
    check_head(source)  # not unpacked for it


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_packed_and_damaged_is_named_and_deleted(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    path = packed(WRITERS[kind](tmp_path / f"a.{kind}"))
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[: len(whole) // 2], b"no gzip", gzip.compress(b"no HDF5")):
        path.write_bytes(damaged)
        refused(path, "cannot be read as HDF5")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_unpacks_too_far_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5.gz"
    path.write_bytes(gzip.compress(bytes(1_000_000), 9))
    monkeypatch.setattr(bounds, "_FREE", 1000)
    refused(path, "unfolds to more than 200 times")


# ---- named as what they are not


@pytest.mark.parametrize("ending", ["h5", "h5ad", "h5mu", "loom", "hdf5"])
@pytest.mark.parametrize("kind", WRITERS)
def test_the_content_decides_and_not_the_name(tmp_path: Path, kind: str, ending: str) -> None:
    path = WRITERS[kind](tmp_path / "a").rename(tmp_path / f"a.{ending}")
    raw = read(path)
    assert_is_truth(raw)
    said, found = FORMATS.get(kind, kind), FORMATS.get(ending, ending).replace("hdf5", "10x_h5")
    assert raw.notes == (
        [] if said == found else [f"the file is of the format `{said}`, not `{found}`"]
    )
    source = locate(path, format=None)
    assert size_of(source).cells == len(CELLS)
    assert gene_names(source) == {*SYMBOLS, *IDS}


def test_cellbender_is_said(tmp_path: Path) -> None:
    path = h5(tmp_path / "out_filtered.h5")
    with h5py.File(path, "a") as file:
        file.create_group("droplet_latents")
        file.create_group("global_latents")
    raw = read(path)
    assert_is_truth(raw)
    assert raw.notes == ["CellBender took ambient counts off"]


@pytest.mark.parametrize("name", ["molecule_info.h5", "S1_molecule_info.h5", "a.h5ad"])
def test_molecules_are_no_matrix(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        for column in ("barcode_idx", "barcodes", "count", "feature_idx", "gem_group", "umi", "x"):
            file[column] = [1, 2]
        file.create_group("features")["name"] = [1]
    if name != "a.h5ad":
        refused(path, "is Cell Ranger's table of molecules: give filtered_feature_bc_matrix.h5")
    read_as = "10x_h5" if name.endswith(".h5") else None
    refused(path, "and 2 more.: it is Cell Ranger's table of molecules", read_as)


def test_seurat_in_hdf5_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("assays/RNA/counts")
        file["cell.names"] = np.array(CELLS, dtype="S")
    refused(path, r"a file of SeuratDisk: in R, `SeuratDisk::Convert\(\"a.h5seurat\"")


# ---- AnnData of old versions and of converters


def without(path: Path, *parts: str) -> Path:
    with h5py.File(path, "a") as file:
        for part in parts:
            for key in list(file[part].attrs):
                del file[part].attrs[key]
    return path


@pytest.mark.parametrize(
    "parts", [("/",), ("var",), ("obs",), ("/", "var"), ("/", "obs", "var"), ("/", "var/_index")]
)
def test_names_are_found_without_attributes(tmp_path: Path, parts: tuple[str, ...]) -> None:
    path = without(h5ad(tmp_path / "a.h5ad"), *parts)
    raw = read(path)
    assert_is_truth(raw)
    assert raw.adata.var["gene_id"].tolist() == list(IDS)
    assert gene_names(locate(path, format=None)) == {*SYMBOLS, *IDS}


def test_names_of_raw_are_found_without_attributes(tmp_path: Path) -> None:
    adata = annotated()
    adata.raw = adata.copy()
    adata = adata[:, :5].copy()
    adata.X = adata.X * 0.37
    with anndata.settings.override(allow_write_nullable_strings=False):
        adata.write_h5ad(tmp_path / "a.h5ad")
    path = without(tmp_path / "a.h5ad", "/", "raw", "raw/var", "var", "obs")
    raw = read(path)
    assert_is_truth(raw)
    assert raw.notes == ["X does not hold counts, raw.X is used"]


def test_names_in_a_dataset_called_index(tmp_path: Path) -> None:
    path = without(h5ad(tmp_path / "a.h5ad"), "/", "var", "obs")
    with h5py.File(path, "a") as file:
        for part in ("obs", "var"):
            file.move(f"{part}/_index", f"{part}/index")
    assert_is_truth(read(path))


def test_names_that_are_nowhere(tmp_path: Path) -> None:
    path = without(h5ad(tmp_path / "a.h5ad"), "/", "var")
    with h5py.File(path, "a") as file:
        del file["var/_index"]
    refused(path, "cannot be read as HDF5")


@pytest.mark.parametrize("reference", [False, True])
def test_categories_of_an_old_anndata(tmp_path: Path, reference: bool) -> None:
    path = h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        var = file["var"]
        levels = var.create_dataset(
            "__categories/feature_types", data=["Antibody Capture", "Gene Expression"], dtype=TEXT
        )
        codes = np.array([1] * (len(SYMBOLS) - 1) + [0], dtype=np.int8)
        var["feature_types"] = codes
        if reference:
            var["feature_types"].attrs["categories"] = levels.ref
    without(path, "/", "var", "obs")
    raw = read(path)
    assert raw.adata.var_names.tolist() == list(SYMBOLS[:-1])
    assert raw.adata.obsm["protein"].iloc[:, 0].tolist() == COUNTS[:, -1].tolist()


def test_anndata_before_groups(tmp_path: Path) -> None:
    """obs and var as tables of HDF5, as anndata 0.6 wrote them."""
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = COUNTS.astype(np.float32)
        file["obs"] = np.array([(c.encode(),) for c in CELLS], dtype=[("index", "S20")])
        rows = [(s.encode(), i.encode()) for s, i in zip(SYMBOLS, IDS, strict=True)]
        file["var"] = np.array(rows, dtype=[("index", "S20"), ("gene_ids", "S20")])
    assert_is_truth(read(path))
    assert gene_names(locate(path, format=None)) == set()
    assert_is_truth(read(packed(path)))


def test_obs_of_a_packed_file(tmp_path: Path) -> None:
    from ctcflow.formats.h5 import read_obs

    assert read_obs(packed(h5ad(tmp_path / "a.h5ad"))).index.tolist() == list(CELLS)


def test_the_error_of_a_packed_file_names_it_and_not_the_copy(tmp_path: Path) -> None:
    path = h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as file:
        del file["X"]
    with pytest.raises(CtcflowError, match=r"a\.h5ad\.gz` holds no matrix") as caught:
        read(packed(path))
    assert "ctcflow-" not in str(caught.value)
