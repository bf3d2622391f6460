"""Depth and shares of cells against dense arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from ctcflow.stats.droplets import metrics as droplets


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.int32,
        st.tuples(st.integers(0, 6), st.integers(1, 12)),
        elements=st.integers(0, 2**20),
    ),
    st.data(),
)
def test_depth_and_percent_equal_dense_sums(dense: np.ndarray, data: st.DataObject) -> None:
    genes = data.draw(hnp.arrays(np.bool_, dense.shape[1]))
    matrix = sparse.csr_matrix(dense)
    found = droplets.depth(matrix)
    assert found.umis.tolist() == dense.sum(1).tolist()
    assert found.genes.tolist() == (dense > 0).sum(1).tolist()
    percent = droplets.percent(matrix, genes=genes, umis=found.umis)
    if not genes.any():
        assert np.isnan(percent).all()
        return
    total = dense.sum(1)
    expected = 100 * dense[:, genes].sum(1) / np.where(total, total, 1)
    np.testing.assert_allclose(percent, expected)
    assert ((percent >= 0) & (percent <= 100)).all()


def test_counts_of_many_deep_cells_do_not_overflow() -> None:
    big = sparse.csr_matrix(np.full((1, 4), 2**31 - 1, dtype=np.int32))
    assert droplets.depth(big).umis.tolist() == [4 * (2**31 - 1)]


TECHNICAL = pd.DataFrame(
    {
        "set": ["mitochondrial", "ribosomal", "haemoglobin", "platelet", "sex"],
        "gene": [np.nan, np.nan, "HBB", "PPBP", "XIST"],
        "pattern": ["^MT-", "^RPL", np.nan, np.nan, np.nan],
    }
)
NAMES = np.array(["MT-CO1", "RPL3", "CD3D", "HBB", "MT-ND1", "PPBP", "XIST"], dtype=object)
COLUMNS = {"mitochondrial": [0, 4], "ribosomal": [1], "haemoglobin": [3], "platelet": [5]}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_quality_equals_dense_arithmetic(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 5))
    dense = data.draw(hnp.arrays(np.int32, (n, 7), elements=st.integers(0, 40)))
    foreign = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 300)))
    found = droplets.quality(sparse.csr_matrix(dense), NAMES, technical=TECHNICAL, foreign=foreign)
    assert found.umis.dtype == found.genes.dtype == np.float64
    assert found.umis.tolist() == dense.sum(1).tolist()
    assert found.genes.tolist() == (dense > 0).sum(1).tolist()
    assert tuple(found.percent) == droplets.SHARES
    for cell in range(n):
        total = int(dense[cell].sum())
        for name, columns in COLUMNS.items():
            share = 100 * dense[cell, columns].sum() / total if total else 0.0
            assert found.percent[name][cell] == pytest.approx(share)
        every = total + int(foreign[cell])
        expected = 100 * foreign[cell] / every if every else 0.0
        assert found.other_species[cell] == pytest.approx(expected)
        assert 0 <= found.other_species[cell] <= 100
    seen = dense[dense > 0]
    assert found.reads == (seen.size > 0 and np.median(seen) >= 4)


def test_a_set_without_a_gene_in_the_reference_is_not_measured() -> None:
    columns = [1, 2, 3]
    dense = np.array([[5, 1, 0], [0, 2, 2]])
    found = droplets.quality(
        sparse.csr_matrix(dense), NAMES[columns], technical=TECHNICAL, foreign=np.zeros(2)
    )
    assert np.isnan(found.percent["mitochondrial"]).all()
    assert np.isnan(found.percent["platelet"]).all()
    np.testing.assert_allclose(found.percent["ribosomal"], [100 * 5 / 6, 0])
    np.testing.assert_allclose(found.percent["haemoglobin"], [0, 50])
    assert found.other_species.tolist() == [0.0, 0.0]


def test_shares_do_not_depend_on_the_order_of_cells_or_genes(
    tables: dict[str, pd.DataFrame],
) -> None:
    rng = np.random.default_rng(1)
    names = rng.permutation(tables["genes"]["symbol"].to_numpy(dtype=object))[:2000]
    names = np.concatenate([names, ["MT-CO1", "RPL3", "HBB", "PPBP"]])
    counts, foreign = sparse.csr_matrix(rng.poisson(0.3, (30, names.size))), rng.poisson(50, 30)
    first = droplets.quality(counts, names, technical=tables["technical"], foreign=foreign)
    cells, genes = rng.permutation(30), rng.permutation(names.size)
    again = droplets.quality(
        counts[cells][:, genes],
        names[genes],
        technical=tables["technical"],
        foreign=foreign[cells],
    )
    for name in droplets.SHARES:
        np.testing.assert_allclose(again.percent[name], first.percent[name][cells])
        assert (first.percent[name] > 0).any()
    np.testing.assert_allclose(again.other_species, first.other_species[cells])
    np.testing.assert_array_equal(again.umis, first.umis[cells])
