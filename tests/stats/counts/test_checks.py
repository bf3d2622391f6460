"""Functions of `stats.counts.checks` against plain numpy and constructed matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from ctcflow.stats.counts import checks as counts

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)


@st.composite
def matrix_and_groups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    dense = draw(hnp.arrays(np.int64, SHAPES, elements=st.integers(0, 2**20)))
    n_groups = draw(st.integers(1, dense.shape[1]))
    groups = draw(hnp.arrays(np.intp, dense.shape[1], elements=st.integers(0, n_groups - 1)))
    if draw(st.booleans()):  # every column on its own, as in most files
        groups, n_groups = np.arange(dense.shape[1]), dense.shape[1]
    return dense, groups, n_groups


@settings(max_examples=60, deadline=None)
@given(matrix_and_groups())
def test_sum_columns_equals_dense_sum(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    dense, groups, n_groups = case
    expected = np.zeros((dense.shape[0], n_groups), dtype=np.int64)
    for column, group in enumerate(groups):
        expected[:, group] += dense[:, column]
    given_matrix = sparse.csr_matrix(dense)
    before = given_matrix.data.copy()
    summed = counts.sum_columns(given_matrix, groups=groups, n_groups=n_groups)
    np.testing.assert_array_equal(summed.toarray(), expected)
    assert summed.dtype == np.int32
    assert summed.has_canonical_format
    assert (summed.data != 0).all()
    np.testing.assert_array_equal(given_matrix.data, before)


def test_sum_columns_widens_only_where_a_sum_needs_it() -> None:
    top = np.iinfo(np.int32).max
    pair = sparse.csr_matrix(np.array([[top, 1]]))
    apart = counts.sum_columns(pair, groups=np.array([0, 1]), n_groups=2)
    together = counts.sum_columns(pair, groups=np.array([0, 0]), n_groups=1)
    assert apart.dtype == np.int32
    assert together.dtype == np.int64
    assert together[0, 0] == top + 1
    below = sparse.csr_matrix(np.array([[-top, -2, 7]]))
    summed = counts.sum_columns(below, groups=np.array([0, 0, 1]), n_groups=2)
    assert summed.toarray().tolist() == [[-top - 2, 7]]


def test_sum_columns_drops_explicit_zeros_and_sorts() -> None:
    messy = sparse.csr_matrix(
        (np.array([3.0, 0.0, 2.0]), np.array([2, 1, 0]), np.array([0, 3])), shape=(1, 3)
    )
    summed = counts.sum_columns(messy, groups=np.arange(3), n_groups=3)
    assert summed.indices.tolist() == [0, 2]
    assert summed.data.tolist() == [2, 3]


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, st.integers(0, 30), elements=st.floats(0, 1e6)))
def test_first_not_whole_finds_the_first(values: np.ndarray) -> None:
    expected = next((i for i, v in enumerate(values) if not float(v).is_integer()), -1)
    assert counts.first_not_whole(values) == expected


def test_first_not_whole_beyond_one_block_and_beyond_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_BLOCK", 3)
    assert counts.first_not_whole(np.array([1.0, 2, 3, 4, 5.5])) == 4
    assert counts.first_not_whole(np.array([1.0, 2.0**54])) == 1
    assert counts.first_not_whole(np.array([1, 2**60])) == -1


def poisson(n_cells: int = 12, n_genes: int = 300) -> np.ndarray:
    rng = np.random.default_rng(1)
    depth = rng.lognormal(0, 0.5, (n_cells, 1))
    return rng.poisson(depth * rng.gamma(0.3, 3, n_genes)).astype(np.float64)


@pytest.mark.parametrize("undo", [np.log1p, lambda v: np.log2(1 + v), lambda v: np.log10(1 + v)])
@pytest.mark.parametrize("genes", [slice(None), slice(0, 150)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_normalised_is_seen(undo: np.ufunc, genes: slice, dtype: type) -> None:
    raw = poisson()
    normal = undo(raw / raw.sum(axis=1, keepdims=True) * 1e4)[:, genes].astype(dtype)
    assert counts.looks_log_normalised(sparse.csr_matrix(normal))


def test_log_normalised_is_seen_in_one_cell_and_without_scaling() -> None:
    raw = poisson()
    one = np.log1p(raw[:1] / raw[:1].sum() * 1e4)
    assert counts.looks_log_normalised(sparse.csr_matrix(one))
    assert counts.looks_log_normalised(sparse.csr_matrix(np.log1p(raw)))


def test_counts_and_expected_counts_are_not_log_normalised() -> None:
    raw = poisson()
    rng = np.random.default_rng(2)
    expected = raw * rng.uniform(0.3, 1, raw.shape)
    assert not counts.looks_log_normalised(sparse.csr_matrix(raw))
    assert not counts.looks_log_normalised(sparse.csr_matrix(expected))
    small = np.minimum(expected, 15)
    assert small.max() < 20
    assert not counts.looks_log_normalised(sparse.csr_matrix(small))
    assert not counts.looks_log_normalised(sparse.csr_matrix((3, 4)))


def test_the_first_five_hundred_cells_tell_whether_values_are_log_normalised() -> None:
    """Totals are equal but for one cell, and values are no multiples of the smallest."""
    values = np.random.default_rng(5).uniform(1, 30, (501, 40))
    values *= 1000 / values.sum(axis=1, keepdims=True)
    for other, seen in ((500, True), (499, False)):
        some = values.copy()
        some[other] *= 2
        assert counts.looks_log_normalised(sparse.csr_matrix(np.log1p(some))) is seen


def test_normalised_sums() -> None:
    raw = poisson()
    scaled = raw / raw.sum(axis=1, keepdims=True) * 1e6
    assert counts.normalised_sums(sparse.csr_matrix(scaled)) == pytest.approx(1e6)
    assert np.isnan(counts.normalised_sums(sparse.csr_matrix(raw)))
    assert np.isnan(counts.normalised_sums(sparse.csr_matrix(scaled[:2])))


def library(kind: str, n_cells: int = 60, n_genes: int = 800) -> np.ndarray:
    """Molecules of a droplet library, or the reads that each of a plate's molecules was seen by."""
    rng = np.random.default_rng(3)
    depth = {"droplets": 2000, "deep UMI": 30_000, "plate": 10_000}[kind]
    share = rng.dirichlet(np.full(n_genes if kind == "droplets" else 20 * n_genes, 0.3))
    molecules = rng.poisson(depth * rng.lognormal(0, 0.3, (n_cells, 1)) * share)
    if kind == "plate":
        # each molecule is amplified: a Poisson-gamma number of its reads is sequenced
        molecules = rng.negative_binomial(np.maximum(4 * molecules, 1), 4 / (4 + 6)) * (
            molecules > 0
        )
    return molecules


@pytest.mark.parametrize(
    ("kind", "reads"), [("droplets", False), ("deep UMI", False), ("plate", True)]
)
def test_reads_are_told_from_molecules(kind: str, reads: bool) -> None:
    made = sparse.csr_matrix(library(kind))
    assert counts.looks_like_reads(made) is reads
    order = np.random.default_rng(4).permutation(made.shape[0])
    assert counts.looks_like_reads(made[order][:5]) is reads


def test_one_very_deep_gene_is_no_sign_of_reads() -> None:
    made = library("droplets")
    made[:, 0] = 5000
    assert counts.looks_like_reads(sparse.csr_matrix(made)) is False


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, SHAPES, elements=st.integers(0, 9)))
def test_reads_are_told_by_the_median_of_what_was_detected(dense: np.ndarray) -> None:
    seen = sorted(int(value) for row in dense for value in row if value)
    middle = (seen[(len(seen) - 1) // 2] + seen[len(seen) // 2]) / 2 if seen else 0
    assert counts.looks_like_reads(sparse.csr_matrix(dense)) is (middle >= 4)
    # zeros that are stored are not detected
    stored = sparse.csr_matrix(np.ones_like(dense))
    stored.data = dense.ravel().astype(np.float64)
    assert stored.nnz == dense.size
    assert counts.looks_like_reads(stored) is (middle >= 4)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (3, 5)])
def test_a_matrix_without_counts_is_not_one_of_reads(shape: tuple[int, int]) -> None:
    assert counts.looks_like_reads(sparse.csr_matrix(shape)) is False


def cells(n_cells: int = 30, n_genes: int = 200, seed: int = 0) -> np.ndarray:
    """Cells of different depth, with genes of different rates."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 3.0, (n_cells, 1))
    return rng.poisson(depth * rng.gamma(0.7, 3.0, (1, n_genes))).astype(np.int64)


def looks(dense: np.ndarray) -> str:
    return counts.whole_but_no_counts(sparse.csr_matrix(dense))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 60))
def test_counts_are_not_taken_for_anything_else(seed: int, n_cells: int) -> None:
    assert looks(cells(n_cells, seed=seed)) == ""


@pytest.mark.parametrize("total", [1e3, 1e4, 1e6])
def test_rounded_cpm_is_told(total: float) -> None:
    dense = cells() + 0.0
    assert "normalised" in looks(np.rint(dense * total / dense.sum(axis=1, keepdims=True)))


def test_scaled_values_are_told_unless_one_cell_in_ten_begins_at_one() -> None:
    dense = cells()
    assert "scaled" in looks(3 * dense)
    for n_plain, told in ((3, True), (4, False)):
        mixed = 3 * dense
        mixed[:n_plain] = dense[:n_plain]
        assert ("scaled" in looks(mixed)) is told


def test_logarithms_and_roots_are_told_where_half_of_the_cells_are_such() -> None:
    rng = np.random.default_rng(0)
    dense = rng.poisson(rng.uniform(0.3, 1.5, (40, 1)) * rng.gamma(0.5, 6.0, (1, 3000)))
    assert looks(dense) == ""
    logs = np.rint(np.log1p(6.5 * dense)).astype(np.int64)
    assert looks(np.where(np.arange(40)[:, None] < 20, logs, dense)) == ""
    assert "1 is rarer than 2" in looks(np.where(np.arange(40)[:, None] < 21, logs, dense))
    roots = np.rint(np.sqrt(dense)).astype(np.int64)
    assert "no gene of a cell exceeds 12" in looks(roots)
    roots[:4, 0] = 40
    assert "no gene of a cell exceeds 12" in looks(roots)
    roots[4, 0] = 40
    assert looks(roots) == ""


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, (7, 8), elements=st.integers(0, 2)), st.integers(1, 4))
def test_equal_rows_are_found_if_they_have_enough_values(dense: np.ndarray, fewest: int) -> None:
    found = counts.same_rows(sparse.csr_matrix(dense), fewest=fewest)
    wanted = [
        (row, above)
        for row in range(7)
        for above in range(row)
        if (dense[row] == dense[above]).all() and (dense[row] > 0).sum() >= fewest
    ]
    assert (found is None) == (wanted == [])
    assert found is None or found in wanted


def test_few_or_shallow_cells_are_not_judged() -> None:
    assert "scaled" in looks(2 * cells(10))
    assert looks(2 * cells(9)) == ""
    shallow = np.zeros((30, 200), dtype=np.int64)
    shallow[:, :49] = 5
    assert looks(shallow) == ""
    shallow[:, 49] = 5
    assert looks(shallow) != ""


def test_yes_and_no_is_told() -> None:
    assert looks((cells() > 0).astype(np.int64)).startswith("only 0 and 1")


def test_a_row_with_all_genes_is_no_cell_unless_another_comes_near() -> None:
    dense = (cells() > 6).astype(np.int64)
    assert counts.no_cell(sparse.csr_matrix(dense)) == (-1, "")
    dense[7] = 10 * (1 + np.arange(200))
    assert counts.no_cell(sparse.csr_matrix(dense))[0] == 7
    dense[8, :140] = 1
    assert counts.no_cell(sparse.csr_matrix(dense)) == (-1, "")


def test_the_sum_of_all_rows_is_no_cell() -> None:
    dense = cells()
    dense[3] = np.delete(dense, 3, axis=0).sum(axis=0)
    row, why = counts.no_cell(sparse.csr_matrix(dense))
    assert (row, "sum of all" in why) == (3, True)
    dense[3, 0] += 1
    assert counts.no_cell(sparse.csr_matrix(dense)) == (-1, "")


def test_cells_resemble_their_own_droplets_only() -> None:
    rng = np.random.default_rng(1)
    dense = rng.poisson(rng.gamma(0.3, 4.0, (200, 150))).astype(float)
    x = sparse.csr_matrix(dense)
    thinned = sparse.csr_matrix(rng.binomial(dense.astype(int), 0.5).astype(float))
    assert counts.own_droplets(x, x) == 1.0
    assert counts.own_droplets(x, thinned) > 0.99
    other = sparse.csr_matrix(rng.poisson(dense.mean(axis=0), dense.shape).astype(float))
    assert 0.4 < counts.own_droplets(x, other) < 0.6
    assert np.isnan(counts.own_droplets(x[:1], x[:1]))


def test_values_that_no_cell_can_have() -> None:
    rng = np.random.default_rng(0)
    plain = rng.poisson(1.0, (20, 200)) + np.eye(20, 200, dtype=int)

    def found(*values: tuple[int, int, int]) -> tuple[int, int] | None:
        dense = plain.copy()
        for row, column, value in values:
            dense[row, column] = value
        x = sparse.csr_matrix(dense)
        at = counts.not_a_count(x)
        return None if at < 0 else (int(np.searchsorted(x.indptr, at, side="right")) - 1, at)

    assert found() is None
    for value in (10**6, 10**9):
        assert found((3, 7, value))[0] == 3
        assert found((3, 7, value), (3, 9, value))[0] == 3  # each hides the other
        assert found((3, 7, value), (5, 9, value + 1))[0] == 5
    # a deep cell, of which one gene is three quarters
    deep = plain.copy()
    deep[4] *= 1000
    deep[4, 0] = 3 * deep[4].sum()
    assert counts.not_a_count(sparse.csr_matrix(deep)) == -1
    # a cell alone tells nothing but what no library can hold
    assert counts.not_a_count(sparse.csr_matrix([[10**7, 1]])) == -1
    assert counts.not_a_count(sparse.csr_matrix([[2 * 10**8, 1]])) == 0
    assert counts.not_a_count(sparse.csr_matrix((0, 5), dtype=int)) == -1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.sampled_from(["i4", "i8", "f4", "u1"]))
def test_columns_move_to_their_places(seed: int, n_cells: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.poisson(0.5, (n_cells, 17)).astype(kind)
    places = rng.permutation(17)
    moved = counts.sum_columns(sparse.csr_matrix(dense), groups=places, n_groups=17)
    np.testing.assert_array_equal(moved.toarray()[:, places], dense)
    assert moved.has_sorted_indices and moved.dtype == np.int32
