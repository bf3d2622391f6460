"""What carries no information changes no byte of the calls."""

from __future__ import annotations

from collections.abc import Callable

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ctcflow as cf
from ctcflow.errors import CtcflowError

ABOUT = {"patient": "P1", "role": "patient", "batch": "b", "chemistry": "10x_3p_v3"}
Change = Callable[[anndata.AnnData, np.random.Generator], anndata.AnnData]


def called(adata: anndata.AnnData, name: str = "S") -> pd.DataFrame:
    checked = cf.pp.qc(cf.pp.ingest(adata, sample=name, about=ABOUT))
    return cf.tl.call(cf.tl.score(cf.pp.normalize(checked))).obs.set_index("barcode")


def of(x: object, cells: object, genes: object) -> anndata.AnnData:
    obs, var = (pd.DataFrame(index=pd.Index(names, dtype=object)) for names in (cells, genes))
    return anndata.AnnData(x, obs=obs, var=var)


def genes_mixed(adata: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    order = rng.permutation(adata.n_vars)
    return of(adata.X[:, order], adata.obs_names, adata.var_names[order])


def cells_mixed(adata: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    order = rng.permutation(adata.n_obs)
    return of(adata.X[order], adata.obs_names[order], adata.var_names)


def zero_genes(adata: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    """Names that nobody knows, before, between and behind the others."""
    more = [f"{letter}Q{n}ZZ" for n in range(300) for letter in "AMZ"]
    x = sparse.hstack([adata.X, sparse.csr_matrix((adata.n_obs, len(more)), dtype=np.int32)])
    return genes_mixed(of(x.tocsr(), adata.obs_names, [*adata.var_names, *more]), rng)


def other_barcodes(adata: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    return of(adata.X, [f"{n:09d}" for n in rng.permutation(adata.n_obs)], adata.var_names)


def unsorted(adata: anndata.AnnData, rng: np.random.Generator) -> anndata.AnnData:
    x = adata.X.copy()
    for row in range(x.shape[0]):
        at = np.arange(x.indptr[row], x.indptr[row + 1])
        mixed = rng.permutation(at)
        x.indices[at], x.data[at] = x.indices[mixed], x.data[mixed]
    x.has_sorted_indices = x.has_canonical_format = False
    return of(x, adata.obs_names, adata.var_names)


def type_of(kind: str) -> Change:
    return lambda adata, rng: of(adata.X.astype(kind), adata.obs_names, adata.var_names)


CHANGES: dict[str, Change] = {
    "order of genes": genes_mixed,
    "order of cells": cells_mixed,
    "genes without counts": zero_genes,
    "barcodes": other_barcodes,
    "unsorted indices": unsorted,
    "dense": lambda adata, rng: of(adata.X.toarray(), adata.obs_names, adata.var_names),
    "columns": lambda adata, rng: of(adata.X.tocsc(), adata.obs_names, adata.var_names),
    "float32": type_of("f4"),
    "uint16": type_of("u2"),
    "uint64": type_of("u8"),
}


@pytest.fixture(scope="module")
def raw(run_folder: object) -> anndata.AnnData:
    found = anndata.read_h5ad(f"{run_folder}/data/P1_d0/counts.h5ad")
    return of(sparse.csr_matrix(found.X).astype(np.int32), found.obs_names, found.var_names)


@pytest.fixture(scope="module")
def calls(raw: anndata.AnnData) -> pd.DataFrame:
    return called(raw)


@pytest.mark.parametrize("change", CHANGES)
def test_calls_are_the_same_bytes(raw: anndata.AnnData, calls: pd.DataFrame, change: str) -> None:
    changed = CHANGES[change](raw, np.random.default_rng(1))
    found = called(changed)
    if change == "barcodes":
        found.index = raw.obs_names[changed.obs_names.get_indexer(found.index)]
    pd.testing.assert_frame_equal(
        found.loc[calls.index], calls, check_exact=True, check_names=False
    )


def test_neither_does_the_name_of_the_sample(raw: anndata.AnnData, calls: pd.DataFrame) -> None:
    found = called(raw, name="another_name")
    columns = [name for name in calls if name != "sample"]
    pd.testing.assert_frame_equal(found[columns], calls[columns], check_exact=True)


def test_nor_the_order_of_the_samples(raw: anndata.AnnData) -> None:
    half = np.arange(raw.n_obs) % 2 == 0
    scored = []
    for name, cells in (("A", half), ("B", ~half)):
        checked = cf.pp.qc(cf.pp.ingest(raw[cells].copy(), sample=name, about=ABOUT))
        scored.append(cf.tl.score(cf.pp.normalize(checked)))
    first, second = cf.tl.call(scored), cf.tl.call(scored[::-1])
    pd.testing.assert_frame_equal(second.obs.loc[first.obs_names], first.obs, check_exact=True)


@pytest.mark.parametrize("value", [10**7, 10**8, 10**9])
def test_a_value_that_no_cell_can_have_ends_the_run(raw: anndata.AnnData, value: int) -> None:
    x = raw.X.tolil()
    x[7, 5] = value
    with pytest.raises(CtcflowError, match=f"gene `{raw.var_names[5]}`: no cell has so many"):
        cf.pp.ingest(of(x.tocsr(), raw.obs_names, raw.var_names))


@pytest.mark.parametrize("most", [1, 2, 5])
def test_cells_that_show_every_gene_evenly_are_set_aside_and_said(
    raw: anndata.AnnData, most: int
) -> None:
    rng = np.random.default_rng(0)
    x = raw.X.toarray()
    x[:20] = rng.integers(1, most + 1, (20, raw.n_vars))
    x[np.arange(20), np.arange(20)] += 1
    checked = cf.pp.qc(cf.pp.ingest(of(sparse.csr_matrix(x), raw.obs_names, raw.var_names)))
    even = checked.obs["qc_flag"].astype(str).str.contains("spread evenly").to_numpy()
    assert even[:20].all() and not even[20:].any()
    assert not checked.obs["keep"][:20].any()
