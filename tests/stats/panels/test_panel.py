"""The panel's tail probability against enumeration and against simulated blood."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ctcflow.stats.panels import panel


def _enumerated(seen: np.ndarray, expected: np.ndarray, weight: np.ndarray) -> float:
    """Sum the probability of every subset of genes that weighs at least as much."""
    chance, score = 1 - np.exp(-expected), int(seen @ weight)
    total = 0.0
    for subset in itertools.product((False, True), repeat=weight.size):
        chosen = np.array(subset)
        if chosen @ weight >= score:
            total += float(np.prod(np.where(chosen, chance, 1 - chance)))
    return total


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_panel_p_equals_the_sum_over_all_subsets(data: st.DataObject) -> None:
    genes, cells = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    seen = rng.random((cells, genes)) < 0.5
    expected = 10.0 ** rng.uniform(-6, 0.7, (cells, genes))
    weight = rng.integers(1, 12, genes)
    found = panel.panel_p(seen, expected=expected, weight=weight)
    for cell in range(cells):
        truth = _enumerated(seen[cell], expected[cell], weight)
        assert found[cell] == pytest.approx(truth, rel=1e-9, abs=1e-14)


def test_equal_genes_are_a_binomial_however_many_cells_share_a_block() -> None:
    genes, cells = 30, 1500  # three blocks of different width
    rng = np.random.default_rng(0)
    seen = rng.random((cells, genes)) < rng.random((cells, 1))
    found = panel.panel_p(seen, expected=np.full((cells, genes), 0.05), weight=np.ones(genes, int))
    chance = 1 - np.exp(-0.05)
    truth = stats.binom.sf(seen.sum(1) - 1, genes, chance)
    np.testing.assert_allclose(found, truth, rtol=1e-7)
    assert (found > 0).all()


def test_nothing_seen_is_no_evidence() -> None:
    p = panel.panel_p(np.zeros((3, 4), bool), expected=np.ones((3, 4)), weight=np.ones(4, int))
    assert p.tolist() == [1.0, 1.0, 1.0]
    assert panel.panel_p(np.zeros((2, 0), bool), expected=np.ones((2, 0)), weight=np.ones(0, int))[
        0
    ] == pytest.approx(1.0)
    assert (
        panel.panel_p(np.zeros((0, 3), bool), expected=np.ones((0, 3)), weight=np.ones(3, int)).size
        == 0
    )


@pytest.mark.parametrize("umis", [300, 20_000])
def test_p_of_blood_is_never_smaller_than_it_claims(umis: int) -> None:
    """Blood cells drawn from the rates themselves: P(p <= a) is at most a."""
    rng = np.random.default_rng(umis)
    genes, cells = 40, 40_000
    rate = 10.0 ** rng.uniform(-6, -4, genes)
    seen = rng.poisson(umis * rate, (cells, genes)) > 0
    p = panel.panel_p(seen, expected=np.tile(umis * rate, (cells, 1)), weight=panel.weights(rate))
    for level in (0.1, 0.01, 0.001):
        assert stats.binomtest(int((p <= level).sum()), cells, level).proportion_ci().low <= level
    # conservative by the steps of a discrete score only
    assert (p <= 0.1).mean() > 0.001 if umis == 300 else (p <= 0.1).mean() > 0.05


def test_calibration_holds_with_rates_estimated_from_other_blood_of_two_depths() -> None:
    rng = np.random.default_rng(5)
    genes = 40
    rate = 10.0 ** rng.uniform(-6, -4.3, genes)
    depth = np.where(np.arange(3000) % 2, 300.0, 20_000.0)
    blood = rng.poisson(depth[:, None] * rate)
    rates = panel.background_rates(
        blood.astype(float),
        depth=depth,
        lineage=np.zeros(3000, dtype=np.intp),
        n_lineages=1,
        prior=np.full(genes, 1e-6),
        weight=50_000.0,
    )
    seen = rng.poisson(depth[:, None] * rate) > 0
    p = panel.panel_p(seen, expected=depth[:, None] * rates[0], weight=panel.weights(rates[-1]))
    for shallow in (True, False):
        part = p[depth == 300.0] if shallow else p[depth > 300.0]
        for level in (0.1, 0.01):
            test = stats.binomtest(int((part <= level).sum()), part.size, level * 1.2)
            assert test.proportion_ci(0.99).low <= level * 1.2


def test_more_genes_or_less_leak_is_never_weaker_evidence() -> None:
    weight = np.array([4, 4, 4, 2])
    expected = np.full((1, 4), 0.1)
    previous = 1.0
    for n in range(1, 5):
        seen = (np.arange(4) < n)[None, :]
        p = panel.panel_p(seen, expected=expected, weight=weight)[0]
        assert p < previous
        assert panel.panel_p(seen, expected=expected / 10, weight=weight)[0] < p
        previous = p


def test_background_rates_are_pooled_counts_shrunk_twice() -> None:
    counts = np.array([[2.0, 0.0], [0.0, 0.0], [10.0, 1.0]])
    depth = np.array([1000.0, 3000.0, 6000.0])
    prior = np.array([1e-5, 1e-6])
    rates = panel.background_rates(
        counts,
        depth=depth,
        lineage=np.array([0, 0, 1]),
        n_lineages=3,
        prior=prior,
        weight=5000.0,
    )
    every = (np.array([12.0, 1.0]) + 5000 * prior) / 15_000
    np.testing.assert_allclose(rates[3], every)
    np.testing.assert_allclose(rates[0], (np.array([2.0, 0.0]) + 5000 * every) / 9000)
    np.testing.assert_allclose(rates[1], (np.array([10.0, 1.0]) + 5000 * every) / 11_000)
    np.testing.assert_allclose(rates[2], every)  # a lineage without a cell


def test_without_a_leukocyte_the_prior_stands() -> None:
    prior = np.array([1e-5, 3e-6])
    rates = panel.background_rates(
        np.zeros((0, 2)),
        depth=np.zeros(0),
        lineage=np.zeros(0, np.intp),
        n_lineages=2,
        prior=prior,
        weight=50_000.0,
    )
    np.testing.assert_allclose(rates, np.tile(prior, (3, 1)))


def test_leaky_genes_weigh_less_and_every_gene_something() -> None:
    weight = panel.weights(np.array([1e-6, 1e-5, 1e-4, 1e-2, 1.0]))
    assert (np.diff(weight) <= 0).all()
    assert weight[0] > weight[2] > 0
    assert weight[-1] == 1
    assert weight[0] == round(float(np.log1p(150.0)) * 10)


def test_prior_rates_show_the_gene_in_the_shipped_share_of_cells() -> None:
    leak = pd.DataFrame({"symbol": ["A", "B", "C"], "max_pct_blood": [10.0, 0.0, np.nan]})
    rate = panel.prior_rates(np.array(["B", "A", "new", "C"], dtype=object), leak)
    # a cell of 3,000 counts shows A with a probability of 10 %
    assert stats.poisson.sf(0, 3000 * rate[1]) == pytest.approx(0.1)
    assert rate[[0, 2, 3]].tolist() == [1e-6, 1e-6, 1e-6]
