"""Likelihood of reference profiles against scipy's multinomial; the null against planted cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from ctcflow.stats.identity import likelihood as ident

IS_BLOOD = np.array([True, True, False, False])
GROUP = np.array([0, 1, 0, 0])
GENES = 60


def _rates(seed: int = 0) -> np.ndarray:
    """Four types over sixty genes that differ in a third of them."""
    rng = np.random.default_rng(seed)
    shares = rng.gamma(0.7, 1.0, GENES)[:, None] * np.exp(0.8 * rng.normal(size=(GENES, 4)))
    return shares / shares.sum(0)


def _cells(kind: int, depth: np.ndarray, seed: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix(
        rng.multinomial(depth.astype(int), _rates()[:, kind]).astype(np.float64)
    )


def _fit(counts: sparse.csr_matrix, rates: np.ndarray) -> ident.Identity:
    found = ident.log_likelihood(counts, log_rates=np.log(rates), barred=None)
    return ident.identity(found, depth=ident.total(counts), is_blood=IS_BLOOD)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_distance_is_a_difference_of_multinomial_likelihoods(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    rates = _rates(seed)
    cell = rng.multinomial(depth, rates[:, rng.integers(4)])
    fit = _fit(sparse.csr_matrix(cell[None, :].astype(float)), rates)
    each = np.array([stats.multinomial.logpmf(cell, depth, rates[:, k]) for k in range(4)])
    expected = (each[2:].max() - each[:2].max()) / depth
    assert fit.distance[0] == pytest.approx(expected, abs=1e-9 * depth)
    assert fit.depth.tolist() == [depth]
    assert each[fit.blood[0]] == pytest.approx(each[:2].max(), abs=1e-6)
    assert each[fit.other[0]] == pytest.approx(each[2:].max(), abs=1e-6)
    assert IS_BLOOD[fit.blood[0]]
    assert not IS_BLOOD[fit.other[0]]


def test_cells_are_given_to_the_type_they_were_drawn_from() -> None:
    for kind in range(4):
        fit = _fit(_cells(kind, np.full(50, 2000), kind), _rates())
        assert ((fit.blood if kind < 2 else fit.other) == kind).all()
        assert ((fit.distance < 0) == (kind < 2)).all()


def test_a_cell_without_a_count_says_nothing() -> None:
    counts = sparse.csr_matrix((2, GENES), dtype=np.float64)
    fit = _fit(counts, _rates())
    assert fit.distance.tolist() == [0.0, 0.0]
    none = _fit(counts[:0], _rates())
    assert none.distance.size == 0
    grid = ident.NullGrid(np.full((2, 11), -0.8), np.full((2, 11), 0.1))
    assert ident.standardised(fit, grid=grid, group=GROUP).tolist() == [0.0, 0.0]


def test_thinning_is_binomial() -> None:
    """Each count is kept or not by itself: mean n s, variance n s (1 - s)."""
    counts = sparse.csr_matrix(np.tile([40.0, 0.0, 60.0], (20_000, 1)))
    drawn = ident.thinned(counts, depth=30.0, rng=np.random.default_rng(0)).toarray()
    assert (drawn[:, 1] == 0).all()
    for column, n in ((0, 40), (2, 60)):
        values = drawn[:, column]
        assert values.max() <= n
        assert values.mean() == pytest.approx(n * 0.3, rel=0.01)
        assert values.var() == pytest.approx(n * 0.3 * 0.7, rel=0.05)
    assert drawn.sum(1).mean() == pytest.approx(30.0, rel=0.01)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1]) < 0.03


def test_thinning_leaves_shallow_cells_and_its_input_alone() -> None:
    counts = sparse.csr_matrix(np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0], [500.0, 1.0, 0.0]]))
    before = counts.toarray()
    drawn = ident.thinned(counts, depth=10.0, rng=np.random.default_rng(0))
    assert np.array_equal(drawn.toarray()[:2], before[:2])
    assert drawn[2].sum() < 100
    assert np.array_equal(counts.toarray(), before)
    assert (drawn.data > 0).all()


def _null(counts: sparse.csr_matrix, seed: int = 0) -> ident.NullGrid:
    return ident.null_grid(
        counts,
        log_rates=np.log(_rates()),
        is_blood=IS_BLOOD,
        barred=None,
        group=GROUP,
        rng=np.random.default_rng(seed),
    )


def test_null_grid_agrees_with_cells_drawn_at_each_depth() -> None:
    """Thinned deep leukocytes look like leukocytes that were shallow from the start."""
    counts = sparse.vstack([_cells(0, np.full(600, 5500), 1), _cells(1, np.full(600, 5500), 2)])
    grid = _null(counts.tocsr())
    reached = ident.DEPTHS <= 5500
    for kind in range(2):
        assert not np.isnan(grid.centre[kind, reached]).any()
        assert np.isnan(grid.centre[kind, ~reached]).all()
        for column in (2, 5, 8):
            # Poisson around the depth, as thinning gives
            depth = np.random.default_rng(column).poisson(ident.DEPTHS[column], 2400)
            fresh = _fit(_cells(kind, depth, 7 + column), _rates())
            centre, spread = ident.upper_moments(fresh.distance[fresh.blood == kind])
            assert grid.centre[kind, column] == pytest.approx(centre, abs=0.15 * spread)
            assert grid.spread[kind, column] == pytest.approx(spread, rel=0.2)
    # counts add information: the deeper, the narrower
    assert (np.diff(grid.spread[:, reached], axis=1)[:, 1:] < 0).all()


def test_few_leukocytes_leave_the_grid_empty() -> None:
    assert np.isnan(_null(_cells(0, np.full(29, 5000), 1)).centre).all()
    one_group = _null(_cells(0, np.full(40, 5000), 1))
    assert not np.isnan(one_group.centre[0, 4])
    assert np.isnan(one_group.centre[1]).all()
    assert np.isnan(_null(sparse.csr_matrix((0, GENES), dtype=np.float64)).centre).all()


def test_null_cells_of_any_depth_are_centred_and_tumour_cells_stand_out() -> None:
    deep = sparse.vstack([_cells(0, np.full(500, 9000), 1), _cells(1, np.full(500, 9000), 2)])
    grid = ident.shrunk_grid(_null(deep.tocsr()), prior=PRIOR)
    for depth in (60, 300, 2500):  # none of them a depth of the grid
        fresh = sparse.vstack([_cells(k, np.full(400, depth), 10 + k) for k in range(2)]).tocsr()
        fit = _fit(fresh, _rates())
        z = ident.standardised(fit, grid=grid, group=GROUP)
        for kind in range(2):
            mine = z[fit.blood == kind]
            assert abs(np.median(mine)) < 0.25
            assert 0.7 < ident.upper_moments(mine)[1] < 1.4
        tumour = _fit(_cells(2, np.full(50, depth), 3), _rates())
        assert (ident.standardised(tumour, grid=grid, group=GROUP) > 3).mean() > 0.95


PRIOR = ident.NullGrid(
    np.tile(np.linspace(-0.8, -0.7, 11), (2, 1)), np.tile(0.3 * 0.8 ** np.arange(11), (2, 1))
)


def test_what_was_not_measured_is_the_prior_moved_by_what_was() -> None:
    centre, spread = np.full((2, 11), np.nan), np.full((2, 11), np.nan)
    centre[0, 3:5], spread[0, 3:5] = [-0.5, -0.4], [0.2, 0.1]
    own = ident.NullGrid(centre, spread)
    grid = ident.shrunk_grid(own, prior=PRIOR)
    assert np.array_equal(grid.centre[1], PRIOR.centre[1])
    assert np.array_equal(grid.spread[1], PRIOR.spread[1])
    assert np.array_equal(grid.centre[0, 3:5], [-0.5, -0.4])
    np.testing.assert_allclose(grid.centre[0, :3] - PRIOR.centre[0, :3], -0.5 - PRIOR.centre[0, 3])
    np.testing.assert_allclose(grid.centre[0, 5:] - PRIOR.centre[0, 5:], -0.4 - PRIOR.centre[0, 4])
    np.testing.assert_allclose(grid.spread[0, :3] / PRIOR.spread[0, :3], 0.2 / PRIOR.spread[0, 3])
    np.testing.assert_allclose(grid.spread[0, 5:] / PRIOR.spread[0, 5:], 0.1 / PRIOR.spread[0, 4])
    assert np.isnan(own.centre).any()  # the measured grid is left as it was


def test_a_barred_type_is_nobodys_best() -> None:
    counts = _cells(0, np.full(20, 2000), 1)
    barred = np.zeros((20, 4), dtype=bool)
    barred[:10, 0] = True
    found = ident.log_likelihood(counts, log_rates=np.log(_rates()), barred=barred)
    fit = ident.identity(found, depth=ident.total(counts), is_blood=IS_BLOOD)
    assert (fit.blood[:10] == 1).all()
    assert (fit.blood[10:] == 0).all()


def test_standardised_meets_the_grid_at_its_depths_and_holds_its_ends() -> None:
    fit = ident.Identity(
        distance=np.full(4, -0.6),
        depth=np.array([ident.DEPTHS[4], 1.0, 1e9, ident.DEPTHS[0]]),
        blood=np.array([0, 1, 0, 1]),
        other=np.array([2, 2, 2, 2]),
    )
    z = ident.standardised(fit, grid=PRIOR, group=GROUP)
    expected = (-0.6 - PRIOR.centre[0, [4, 0, 10, 0]]) / PRIOR.spread[0, [4, 0, 10, 0]]
    np.testing.assert_allclose(z, expected)


def test_spread_is_of_the_side_that_is_judged() -> None:
    rng = np.random.default_rng(0)
    half = np.abs(rng.normal(size=20_000))
    values = np.concatenate([2.0 * half, -9.0 * half])
    for measured in (ident.robust_moments, ident.upper_moments):
        median, spread = measured(values)
        assert median == pytest.approx(0.0, abs=0.02)
        assert spread == pytest.approx(2.0, rel=0.03)
        assert measured(np.ones(20)) == (1.0, 1e-3)


def test_two_kinds_in_a_group_are_no_scatter_of_its_upper_end() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(-0.9, 0.05, 400), rng.normal(-0.6, 0.05, 600)])
    centre, spread = ident.upper_moments(values)
    assert centre + 1.2816 * spread == pytest.approx(np.quantile(values, 0.9))
    assert spread < 0.12  # that of both kinds together is 0.16


def test_a_mixture_fits_two_types_at_any_share_as_well_as_the_true_one() -> None:
    """Against the likelihood at the shares that the cells were drawn with."""
    rates = _rates()
    rng = np.random.default_rng(5)
    share = rng.uniform(0.1, 0.9, 50)
    mixed = share[:, None] * rates[:, 0] + (1 - share[:, None]) * rates[:, 1]
    counts = sparse.csr_matrix(np.array([rng.multinomial(800, row) for row in mixed]))
    fit = _fit(counts, rates)
    rows = np.arange(40)
    types = {"rates": rates[:, IS_BLOOD], "other": np.log(rates[:, ~IS_BLOOD])}
    found = ident.as_a_mixture(counts, fit, rows=rows, **types)
    best_other = np.asarray(counts @ np.log(rates[:, ~IS_BLOOD])).max(axis=1)
    truth = np.asarray(counts.multiply(np.log(mixed)).sum(axis=1)).ravel()
    at_truth = (best_other - truth) / 800
    assert (found.distance[rows] <= at_truth[rows] + 1e-4).all()
    assert (found.distance[rows] <= fit.distance[rows]).all()
    assert found.distance[rows].mean() < fit.distance[rows].mean() - 0.05
    np.testing.assert_array_equal(found.distance[40:], fit.distance[40:])
    alone = ident.as_a_mixture(counts[[7]], _fit(counts[[7]], rates), rows=np.array([0]), **types)
    assert alone.distance[0] == pytest.approx(found.distance[7], rel=1e-12)
