"""One library as five producers lay it out: the same calls, to the last digit."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from scipy import io as scipy_io
from scipy import sparse

from ctcflow.formats.read import read_counts

COHORT = (
    '{"cells_per_sample": 150, "n_genes": 2000, "n_patients": 1, "n_healthy": 0,'
    ' "ctc_rate": 0.06, "formats": ["10x_mtx"], "empty_droplets": 0}'
)
Names = list[str]


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def matrix(path: Path, x: sparse.csr_matrix) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    scipy_io.mmwrite(plain, sparse.coo_matrix(x), field="integer")
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


def lines(*columns: Names, separator: str = "\t") -> str:
    return "".join(separator.join(row) + "\n" for row in zip(*columns, strict=True))


def cell_ranger(folder: Path, x: sparse.csr_matrix, ids: Names, names: Names, cells: Names) -> None:
    folder = folder / "outs" / "filtered_feature_bc_matrix"
    matrix(folder / "matrix.mtx.gz", x.T)
    written(folder / "features.tsv.gz", lines(ids, names, ["Gene Expression"] * len(ids)))
    written(folder / "barcodes.tsv.gz", lines(cells))


def starsolo(folder: Path, x: sparse.csr_matrix, ids: Names, names: Names, cells: Names) -> None:
    folder = folder / "Solo.out" / "Gene" / "filtered"
    matrix(folder / "matrix.mtx", x.T)
    written(folder / "features.tsv", lines(ids, names, ["Gene Expression"] * len(ids)))
    written(folder / "barcodes.tsv", lines(cells))


def kb(folder: Path, x: sparse.csr_matrix, ids: Names, names: Names, cells: Names) -> None:
    folder = folder / "counts_unfiltered"
    matrix(folder / "cells_x_genes.mtx", x)
    written(folder / "cells_x_genes.genes.txt", lines([f"{i}.7" for i in ids]))
    written(folder / "cells_x_genes.genes.names.txt", lines(names))
    written(folder / "cells_x_genes.barcodes.txt", lines(cells))


def alevin_fry(folder: Path, x: sparse.csr_matrix, ids: Names, names: Names, cells: Names) -> None:
    folder = folder / "af_quant" / "alevin"
    matrix(folder / "quants_mat.mtx", x)
    written(folder / "quants_mat_cols.txt", lines(ids))
    written(folder / "quants_mat_rows.txt", lines(cells))


def parse(folder: Path, x: sparse.csr_matrix, ids: Names, names: Names, cells: Names) -> None:
    folder = folder / "all-sample" / "DGE_filtered"
    matrix(folder / "count_matrix.mtx", x)
    table = lines(ids, names, ["hg38"] * len(ids), separator=",")
    written(folder / "all_genes.csv", f"gene_id,gene_name,genome\n{table}")
    table = lines(cells, ["s1"] * len(cells), separator=",")
    written(folder / "cell_metadata.csv", f"bc_wells,sample\n{table}")


LAYOUTS = {
    "cell_ranger": (cell_ranger, "outs/filtered_feature_bc_matrix"),
    "starsolo": (starsolo, "Solo.out"),
    "kb": (kb, "counts_unfiltered"),
    "alevin_fry": (alevin_fry, "af_quant/alevin"),
    "parse": (parse, "all-sample/DGE_filtered"),
}


@pytest.fixture(scope="module")
def called(
    tmp_path_factory: pytest.TempPathFactory,
    ctcflow: Callable,
    snakemake: Callable,
    new_run: Callable,
) -> pd.DataFrame:
    """Calls of one library in five layouts."""
    folder = tmp_path_factory.mktemp("layouts")
    made = ctcflow(folder, "simulate", str(folder / "seed"), "--params", COHORT)
    assert made.code == 0, made.text
    (source,) = (folder / "seed" / "data").iterdir()
    found = read_counts(next(source.rglob("matrix.mtx*")).parent, format=None).adata
    ids = found.var["gene_id"].tolist()
    assert all(ids)
    rows = []
    for name, (write, path) in LAYOUTS.items():
        write(folder / name, found.X.tocsr(), ids, list(found.var_names), list(found.obs_names))
        given = str(folder / name / path)
        rows.append({"sample": name, "path": given, "patient": "P1", "chemistry": "10x_3p_v3"})
    run = new_run(folder / "run", pd.DataFrame(rows))
    ran = snakemake(run, "--", "results/call/cells.tsv.gz")
    assert ran.code == 0, ran.text
    return pd.read_csv(
        run / "results" / "call" / "cells.tsv.gz", sep="\t", dtype=str, keep_default_na=False
    )


@pytest.mark.parametrize("layout", list(LAYOUTS)[1:])
def test_calls_are_those_of_the_layout_of_cell_ranger(called: pd.DataFrame, layout: str) -> None:
    def of(name: str) -> str:
        rows = called[called["sample"] == name]
        return rows.drop(columns=["sample", "draw"], errors="ignore").to_csv(sep="\t", index=False)

    assert of("cell_ranger").count("\tCTC\t") >= 3
    assert of(layout) == of("cell_ranger")
