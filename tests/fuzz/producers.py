"""The same counts as other producers write them, one folder or file each."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import io, sparse


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def parse(folder: Path, adata: AnnData) -> None:
    """Parse: cells x genes, lists with a header."""
    io.mmwrite(folder / "count_matrix.mtx", sparse.coo_matrix(adata.X))
    genes = [f"{own},{name},hg38" for own, name in adata.var["gene_id"].items()]
    _lines(folder / "all_genes.csv", ["gene_id,gene_name,genome", *genes])
    _lines(folder / "cell_metadata.csv", ["bc_wells,sample", *(f"{x},s" for x in adata.obs_names)])


def kb(folder: Path, adata: AnnData) -> None:
    """kb-python: cells x genes, two lists of genes."""
    io.mmwrite(folder / "cells_x_genes.mtx", sparse.coo_matrix(adata.X))
    _lines(folder / "cells_x_genes.genes.txt", adata.var["gene_id"])
    _lines(folder / "cells_x_genes.barcodes.txt", adata.obs_names)
    _lines(folder / "cells_x_genes.genes.names.txt", adata.var_names)


def geo(folder: Path, adata: AnnData) -> None:
    """Names of authors, packed."""
    io.mmwrite(folder / "a", sparse.coo_matrix(adata.X.T))
    (folder / "GSM5_counts.mtx.gz").write_bytes(gzip.compress((folder / "a.mtx").read_bytes()))
    (folder / "a.mtx").unlink()
    for name, names in (("genes", adata.var_names), ("cells", adata.obs_names)):
        (folder / f"GSM5_{name}.tsv.gz").write_bytes(gzip.compress("\n".join(names).encode()))


def loom(folder: Path, adata: AnnData) -> None:
    """Loom, as loompy writes it."""
    with h5py.File(folder / "a.loom", "w") as file:
        counts = adata.X.toarray().T
        file.create_dataset("matrix", data=counts, chunks=(16, 4), compression="gzip")
        file["row_attrs/Gene"] = np.array(adata.var_names, dtype="S")
        file["row_attrs/Accession"] = np.array(adata.var["gene_id"], dtype="S")
        file["col_attrs/CellID"] = np.array(adata.obs_names, dtype="S")


def packed(folder: Path, adata: AnnData) -> None:
    """A 10x h5 in gzip."""
    x = sparse.csr_matrix(adata.X)
    with h5py.File(folder / "a", "w") as file:
        for name in ("data", "indices", "indptr"):
            file[f"matrix/{name}"] = getattr(x, name)
        file["matrix/shape"] = np.array(x.shape[::-1])
        file["matrix/barcodes"] = np.array(adata.obs_names, dtype="S")
        file["matrix/features/id"] = np.array(adata.var["gene_id"], dtype="S")
        file["matrix/features/name"] = np.array(adata.var_names, dtype="S")
    (folder / "a.h5.gz").write_bytes(gzip.compress((folder / "a").read_bytes()))
    (folder / "a").unlink()


def _frame(adata: AnnData) -> pd.DataFrame:
    return pd.DataFrame(adata.X.toarray().T, index=adata.var_names, columns=adata.obs_names)


def feature_counts(folder: Path, adata: AnnData) -> None:
    """featureCounts, with a comment and what it says of genes."""
    frame = _frame(adata).rename_axis("Geneid").add_suffix(".bam")
    for at, (name, value) in enumerate({"Chr": "1;1", "Strand": "+;+", "Length": 900}.items()):
        frame.insert(at, name, value)
    text = '# Program:featureCounts v2.0.1; Command:"featureCounts"\n' + frame.to_csv(sep="\t")
    (folder / "counts.txt").write_text(text)


def umi_tools(folder: Path, adata: AnnData) -> None:
    """A line for each gene of each cell."""
    x = sparse.coo_matrix(adata.X)
    lines = [
        f"{adata.var_names[column]}\t{adata.obs_names[row]}\t{value}"
        for row, column, value in zip(x.row, x.col, x.data, strict=True)
    ]
    text = "\n".join(["gene\tcell\tcount", *lines])
    (folder / "counts.tsv.gz").write_bytes(gzip.compress(text.encode()))


def with_metadata(folder: Path, adata: AnnData) -> None:
    """Cells x genes beside what Seurat says of cells, as BD writes comments."""
    frame = _frame(adata).T.rename_axis("Cell_Index")
    frame.insert(0, "nCount_RNA", 9)
    frame.insert(1, "cluster", "T cell")
    (folder / "cells.csv").write_text("## BD\n##\n" + frame.to_csv())


PRODUCERS: Final[dict[str, tuple[Callable[[Path, AnnData], None], int]]] = {
    # name: what writes it, and its number of files
    "parse": (parse, 3),
    "kb": (kb, 4),
    "geo": (geo, 3),
    "loom": (loom, 1),
    "packed": (packed, 1),
    "feature_counts": (feature_counts, 1),
    "umi_tools": (umi_tools, 1),
    "with_metadata": (with_metadata, 1),
}
