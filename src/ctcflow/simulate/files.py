"""Write a count matrix in the formats that laboratories use; no file contains a time stamp."""

from __future__ import annotations

import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.io import mmwrite

from ctcflow.files.io import compressed

_GENOME: Final = "GRCh38"
_USER_BLOCK: Final = 512
"""Bytes before the HDF5 data of a MuData file, where its readers look for a signature."""


class Library(NamedTuple):
    """Counts with names, droplets x genes."""

    counts: sparse.csr_matrix
    barcodes: npt.NDArray[np.str_]
    """Without the suffix of Cell Ranger."""
    genes: pd.DataFrame
    """Columns gene_id and symbol."""


def draw_barcodes(n: int, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """Draw `n` different barcodes of 16 bases, in random order."""
    codes = np.empty(0, dtype=np.int64)
    while codes.size < n:
        more = rng.integers(0, 4**16, n - codes.size + 8)
        codes = np.unique(np.concatenate([codes, more]))
    codes = rng.permutation(codes)[:n]
    digits = (codes[:, None] >> (2 * np.arange(16))) & 3
    return np.array(["".join(row) for row in np.array(list("ACGT"))[digits]], dtype="U16")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write to a temporary path next to `path`, then rename it.

    A file or folder that an interrupted run left under either name is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{path.name}.part"
    _remove(part)
    write(part)
    for file in [part] if part.is_file() else [f for f in part.rglob("*") if f.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    _remove(path)
    part.rename(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_text(path: Path, lines: list[str], gzipped: bool) -> None:
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(compressed(data, 1) if gzipped else data)


def _write_mtx(path: Path, counts: sparse.csr_matrix, gzipped: bool) -> None:
    buffer = io.BytesIO()
    mmwrite(buffer, counts.T.tocoo(), field="integer", symmetry="general")
    path.write_bytes(compressed(buffer.getbuffer(), 1) if gzipped else buffer.getvalue())


def _features(genes: pd.DataFrame, kind: str | None) -> list[str]:
    end = "" if kind is None else f"\t{kind}"
    return [f"{i}\t{s}{end}" for i, s in zip(genes["gene_id"], genes["symbol"], strict=True)]


def write_10x_mtx(path: Path, library: Library) -> None:
    """Cell Ranger 3 and later: gzipped, `features.tsv.gz`."""
    path.mkdir()
    _write_text(path / "barcodes.tsv.gz", [f"{b}-1" for b in library.barcodes], True)
    _write_text(path / "features.tsv.gz", _features(library.genes, "Gene Expression"), True)
    _write_mtx(path / "matrix.mtx.gz", library.counts, True)


def write_10x_mtx_v2(path: Path, library: Library) -> None:
    """Cell Ranger 2: plain text, `genes.tsv`."""
    path.mkdir()
    _write_text(path / "barcodes.tsv", [f"{b}-1" for b in library.barcodes], False)
    _write_text(path / "genes.tsv", _features(library.genes, None), False)
    _write_mtx(path / "matrix.mtx", library.counts, False)


def write_starsolo(path: Path, library: Library) -> None:
    """STARsolo: plain text, `features.tsv`, barcodes without suffix."""
    path.mkdir()
    _write_text(path / "barcodes.tsv", [str(b) for b in library.barcodes], False)
    _write_text(path / "features.tsv", _features(library.genes, "Gene Expression"), False)
    _write_mtx(path / "matrix.mtx", library.counts, False)


def write_10x_h5(path: Path, library: Library) -> None:
    """Cell Ranger 3 and later: one HDF5 file."""
    counts, genes = library.counts, library.genes
    with h5py.File(path, "w") as file:
        file.attrs["filetype"] = "matrix"
        file.attrs["version"] = 2
        matrix = file.create_group("matrix")
        arrays = {
            "barcodes": np.array([f"{b}-1" for b in library.barcodes], dtype="S18"),
            "data": counts.data.astype(np.int32),
            "indices": counts.indices.astype(np.int64),
            "indptr": counts.indptr.astype(np.int64),
        }
        for name, values in arrays.items():
            _write_packed(matrix, name, values)
        matrix.create_dataset("shape", data=np.array(counts.shape[::-1], dtype=np.int32))
        features = matrix.create_group("features")
        features.create_dataset("_all_tag_keys", data=np.array([b"genome"]))
        columns = {
            "feature_type": ["Gene Expression"] * len(genes),
            "genome": [_GENOME] * len(genes),
            "id": genes["gene_id"],
            "name": genes["symbol"],
        }
        for name, texts in columns.items():
            _write_packed(features, name, np.array([text.encode() for text in texts], dtype="S"))


def _write_packed(group: h5py.Group, name: str, values: npt.NDArray[Any]) -> None:
    """Write a gzipped array; HDF5 cannot chunk, hence not compress, an empty one."""
    if values.size == 0:
        group.create_dataset(name, data=values)
        return
    chunks = (min(values.size, 80_000),)
    group.create_dataset(
        name, data=values, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True
    )


def _frames(library: Library) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build `obs` and `var`, their strings as plain objects."""
    obs = pd.DataFrame(index=pd.Index([f"{b}-1" for b in library.barcodes], dtype=object))
    var = pd.DataFrame(
        {"gene_ids": library.genes["gene_id"].to_numpy(dtype=object)},
        index=pd.Index(library.genes["symbol"].to_numpy(dtype=object), dtype=object),
        dtype=object,
    )
    return obs, var


def _write_anndata(group: h5py.Group, library: Library) -> None:
    """Write an AnnData that readers from 2022 can open too."""
    from anndata.io import write_elem

    group.attrs["encoding-type"] = "anndata"
    group.attrs["encoding-version"] = "0.1.0"
    packed = {"compression": "gzip", "compression_opts": 1}
    write_elem(group, "X", library.counts.astype(np.float32), dataset_kwargs=packed)
    for key, frame in zip(("obs", "var"), _frames(library), strict=True):
        write_elem(group, key, frame)
    for key in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
        write_elem(group, key, {})


def write_h5ad(path: Path, library: Library) -> None:
    """AnnData with float32 counts, symbols as names, Ensembl ids in `var.gene_ids`."""
    with h5py.File(path, "w") as file:
        _write_anndata(file, library)


def write_h5mu(path: Path, library: Library) -> None:
    """MuData with the counts as modality `rna`."""
    from anndata.io import write_elem

    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        file.attrs["encoding-type"] = "MuData"
        file.attrs["encoding-version"] = "0.1.0"
        file.attrs["axis"] = 0
        modality = file.create_group("mod")
        modality.attrs["mod-order"] = ["rna"]
        _write_anndata(modality.create_group("rna"), library)
        for axis, frame in zip(("obs", "var"), _frames(library), strict=True):
            write_elem(file, axis, frame[[]])
            n = len(frame)
            write_elem(file, f"{axis}m", {"rna": np.ones(n, dtype=bool)})
            write_elem(file, f"{axis}map", {"rna": np.arange(1, n + 1, dtype=np.uint32)})
            write_elem(file, f"{axis}p", {})
        write_elem(file, "uns", {})
    with path.open("r+b") as raw:
        raw.write(b"MuData (format-version=0.1.0;creator=ctcflow)".ljust(_USER_BLOCK, b"\0"))


def write_table(path: Path, library: Library) -> None:
    """Comma-separated text, genes in rows, cells in columns, gzipped."""
    text = np.array(
        [b"%d" % n for n in range(int(library.counts.data.max(initial=0)) + 1)], dtype=object
    )
    by_gene = library.counts.T.tocsr()
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
        file.write(",".join(["gene", *(f"{b}-1" for b in library.barcodes)]).encode() + b"\n")
        for i, symbol in enumerate(library.genes["symbol"]):
            row = np.full(library.counts.shape[0], b"0", dtype=object)
            entries = slice(by_gene.indptr[i], by_gene.indptr[i + 1])
            row[by_gene.indices[entries]] = text[by_gene.data[entries]]
            file.write(symbol.encode() + b"," + b",".join(row.tolist()) + b"\n")


class Format(NamedTuple):
    """Path of a format in the folder of its sample, and the function that writes it."""

    path: str
    raw_path: str
    """The same for unfiltered droplets; formats without a convention for them use 10x h5."""
    write: Callable[[Path, Library], None]
    write_raw: Callable[[Path, Library], None]


_RAW_H5: Final = "raw_feature_bc_matrix.h5"
FORMATS: Final[dict[str, Format]] = {
    "10x_mtx": Format(
        "filtered_feature_bc_matrix", "raw_feature_bc_matrix", write_10x_mtx, write_10x_mtx
    ),
    "10x_h5": Format("filtered_feature_bc_matrix.h5", _RAW_H5, write_10x_h5, write_10x_h5),
    "h5ad": Format("counts.h5ad", "raw.h5ad", write_h5ad, write_h5ad),
    "table": Format("counts.csv.gz", _RAW_H5, write_table, write_10x_h5),
    "10x_mtx_v2": Format(
        f"filtered_gene_bc_matrices/{_GENOME}",
        f"raw_gene_bc_matrices/{_GENOME}",
        write_10x_mtx_v2,
        write_10x_mtx_v2,
    ),
    "starsolo": Format(
        "Solo.out/Gene/filtered", "Solo.out/Gene/raw", write_starsolo, write_starsolo
    ),
    "h5mu": Format("counts.h5mu", _RAW_H5, write_h5mu, write_10x_h5),
}
