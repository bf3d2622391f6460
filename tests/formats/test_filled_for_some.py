"""Matrices that a join of several files filled for some cells only, and panels put beside genes."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow.errors import CtcflowError
from ctcflow.formats.annotated import best_of
from ctcflow.steps.gene_features import refuse_appended


def counts(n_cells: int = 40, n_genes: int = 60) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.csr_matrix(rng.poisson(2.0, (n_cells, n_genes)))


def partly(x: sparse.csr_matrix, n_filled: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(x.toarray() * (np.arange(x.shape[0]) < n_filled)[:, None])


def test_a_layer_with_counts_of_some_cells_is_refused():
    x = counts()
    logs = sparse.csr_matrix(x.astype(float).log1p())
    with pytest.raises(CtcflowError, match=r'20 of 40 cells have no counts in layers\["counts"\]'):
        best_of([("X", logs), ('layers["counts"]', partly(x, 20))])
    where, taken, _ = best_of([("X", logs), ('layers["counts"]', x)])
    assert where == 'layers["counts"]'
    assert (taken != x).nnz == 0


def test_a_whole_x_is_taken_before_a_layer_of_some_cells():
    x = counts()
    where, taken, notes = best_of([("X", x), ('layers["counts"]', partly(x, 20))])
    assert where == "X"
    assert (taken != x).nnz == 0
    assert notes


def test_cells_that_are_empty_everywhere_are_no_matter():
    x = partly(counts(), 30)
    assert best_of([("X", x), ('layers["counts"]', x)])[0] == 'layers["counts"]'


def names_with(panel: list[str], *, first: bool) -> np.ndarray:
    genes = [f"GENE{k}" for k in range(3000)] + ["CD4", "CD8A", "EPCAM", "PTPRC"]
    return np.array([*panel, *genes] if first else [*genes, *panel], dtype=object)


PANEL = ["CD3", "CD4", "CD8A", "CD45", "EPCAM", "IgG1", "IgG2a"]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("panel", [PANEL, ["CD4", "EPCAM"]])
def test_antibodies_with_some_names_of_genes_are_refused_at_either_end(panel, first):
    with pytest.raises(CtcflowError, match="as antibodies that were put beside the genes"):
        refuse_appended(names_with(panel, first=first), None)


def test_ids_that_are_the_names_tell_nothing():
    found = names_with(PANEL, first=False)
    with pytest.raises(CtcflowError, match="antibodies"):
        refuse_appended(found, found.copy())


def test_genes_of_one_name_anywhere_are_no_panel():
    found = np.array([f"GENE{k}" for k in range(20_000)], dtype=object)
    for seed in range(200):
        own = found.copy()
        places = np.random.default_rng(seed).choice(found.size, 40, replace=False)
        own[places[:20]] = own[places[20:]]
        refuse_appended(own, None)


def test_an_alike_file_of_anndata_is_read(tmp_path):
    """From end to end: the file is refused before its cells vanish."""
    from ctcflow.formats.read import read_counts

    x = counts()
    adata = anndata.AnnData(
        X=sparse.csr_matrix(x.astype(np.float32).log1p()),
        var=pd.DataFrame(index=[f"GENE{k}" for k in range(60)]),
        layers={"counts": partly(x, 20)},
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(CtcflowError, match="20 of 40 cells have no counts"):
        read_counts(tmp_path / "a.h5ad", format=None)
