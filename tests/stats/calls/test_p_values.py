"""Tail models, multiple testing and exact intervals against scipy and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import optimize, special, stats

from ctcflow.stats.calls import p_values

WINDOW = {"low": 1.0, "high": 3.5}

PLAIN = {"largest_scale": np.inf, "prior_values": 0.0}


def _evidence(factor: float, n: int, seed: int) -> np.ndarray:
    """-log10 products of two p-values whose logarithms are inflated by 1 / factor."""
    return np.random.default_rng(seed).gamma(2.0, 1.0 / (factor * np.log(10.0)), n)


@pytest.mark.parametrize("factor", [0.5, 0.7, 0.85, 1.0])
def test_gamma_rate_recovers_a_planted_factor(factor: float) -> None:
    found = p_values.gamma_rate(_evidence(factor, 20_000, 1), **WINDOW)
    assert found == pytest.approx(factor, abs=0.06)


def test_gamma_rate_does_not_see_what_lies_above_its_window() -> None:
    blood = _evidence(0.8, 5000, 2)
    tumour = np.random.default_rng(0).uniform(3.6, 40.0, 2000)
    mixed = p_values.gamma_rate(np.concatenate([blood, tumour]), **WINDOW)
    assert mixed == p_values.gamma_rate(blood, **WINDOW)
    inside = np.random.default_rng(0).uniform(2.5, 3.5, 2000)
    assert p_values.gamma_rate(np.concatenate([blood, inside]), **WINDOW) < mixed


def test_gamma_rate_never_strengthens_and_needs_twenty_cells() -> None:
    assert p_values.gamma_rate(_evidence(2.0, 20_000, 3), **WINDOW) == 1.0
    assert p_values.gamma_rate(np.full(19, 3.0), **WINDOW) == 1.0
    assert p_values.gamma_rate(np.full(20, 3.0), **WINDOW) < 1.0
    assert p_values.gamma_rate(np.zeros(0), **WINDOW) == 1.0
    assert p_values.gamma_rate(_evidence(0.05, 2000, 4), **WINDOW) == pytest.approx(0.2)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-12, 1.0), st.floats(1e-12, 1.0))
def test_fisher_p_is_scipys_combination_of_two(first: float, second: float) -> None:
    evidence = np.array([-np.log10(first) - np.log10(second)])
    expected = stats.combine_pvalues([first, second], method="fisher").pvalue
    assert p_values.fisher_p(evidence)[0] == pytest.approx(expected, rel=1e-9)


def test_fisher_p_of_no_evidence_is_one() -> None:
    assert p_values.fisher_p(np.array([0.0, -1.0])).tolist() == [1.0, 1.0]


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.0, 1.0)))
def test_benjamini_hochberg_is_scipys(p: np.ndarray) -> None:
    np.testing.assert_allclose(
        p_values.benjamini_hochberg(p), stats.false_discovery_control(p), rtol=1e-12
    )


def test_benjamini_hochberg_of_nothing_is_nothing() -> None:
    assert p_values.benjamini_hochberg(np.zeros(0)).size == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 500), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_garwood_limits_leave_half_the_error_on_each_side(count: int, confidence: float) -> None:
    low, high = p_values.garwood(count, confidence=confidence)
    half = (1 - confidence) / 2
    assert stats.poisson.cdf(count, high) == pytest.approx(half, rel=1e-6)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(half, rel=1e-6)
    else:
        assert low == 0.0
    assert low <= count < high


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0.0, 3.69), (1, 0.03, 5.57), (3, 0.62, 8.77), (5, 1.62, 11.67), (10, 4.80, 18.39)],
)
def test_garwood_gives_the_published_table(count: int, low: float, high: float) -> None:
    found = p_values.garwood(count, confidence=0.95)
    assert (round(found[0], 2), round(found[1], 2)) == (low, high)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.9, 0.95, 0.99]))
def test_clopper_pearson_is_scipys(count: int, rest: int, confidence: float) -> None:
    total = max(count + rest, 1)
    truth = stats.binomtest(count, total).proportion_ci(confidence, method="exact")
    found = p_values.clopper_pearson(count, total, confidence=confidence)
    assert found == pytest.approx((truth.low, truth.high), rel=1e-9, abs=1e-12)


def test_clopper_pearson_of_no_trial_is_everything() -> None:
    assert p_values.clopper_pearson(0, 0, confidence=0.95) == (0.0, 1.0)


def _log_likelihood(scale: float, excess: np.ndarray, width: float) -> float:
    law = stats.truncexpon(b=width / scale, scale=scale)
    return float(law.logpdf(excess).sum())


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0])
def test_tail_scale_is_the_optimum_of_the_truncated_likelihood(scale: float) -> None:
    rng = np.random.default_rng(int(scale * 10))
    null = np.concatenate([rng.uniform(-3, 0, 9000), rng.exponential(scale, 1000)])
    fit = p_values.fit_exponential_tail(
        null, fraction=0.1, trimmed=0.01, smallest_scale=0.01, **PLAIN
    )
    low, high = np.quantile(null, [0.9, 0.99])
    excess = null[(null > low) & (null <= high)] - low
    best = optimize.minimize_scalar(
        lambda s: -_log_likelihood(s, excess, high - low), bounds=(0.02, 20.0), method="bounded"
    ).x
    assert fit.scale == pytest.approx(best, rel=1e-3)
    assert fit.scale == pytest.approx(scale, rel=0.25)
    assert fit.threshold == pytest.approx(low)
    assert fit.fraction == pytest.approx(0.1, abs=1e-3)


def test_tail_does_not_see_tumour_cells_above_its_trim() -> None:
    null = np.random.default_rng(0).exponential(0.4, 20_000)
    dirty = null.copy()
    dirty[np.argsort(null)[-20:]] += 30.0
    settings_ = {"fraction": 0.1, "trimmed": 0.005, "smallest_scale": 0.01, **PLAIN}
    clean = p_values.fit_exponential_tail(null, **settings_)
    assert p_values.fit_exponential_tail(dirty, **settings_).scale == pytest.approx(clean.scale)


def test_a_thin_sample_cannot_make_a_light_tail() -> None:
    few = np.arange(12.0)
    assert p_values.fit_exponential_tail(
        few, fraction=0.1, trimmed=0.01, smallest_scale=0.3, **PLAIN
    ).scale == (pytest.approx(0.3))
    same = p_values.fit_exponential_tail(
        np.ones(500), fraction=0.1, trimmed=0.01, smallest_scale=0.3, **PLAIN
    )
    assert same.scale == 0.3
    tight = np.random.default_rng(0).exponential(0.01, 5000)
    assert (
        p_values.fit_exponential_tail(
            tight, fraction=0.1, trimmed=0.01, smallest_scale=0.3, **PLAIN
        ).scale
        == 0.3
    )


@pytest.mark.parametrize("prior_values", [0.0, 50.0, 100.0, 400.0])
def test_the_smallest_scale_weighs_as_many_values_as_it_is_said_to(prior_values: float) -> None:
    """The mean of the fitted and the smallest scale, by the number of values behind each."""
    null = np.random.default_rng(3).exponential(1.0, 1000)
    fit = {"fraction": 0.1, "trimmed": 0.001, "smallest_scale": 0.4, "largest_scale": np.inf}
    own = p_values.fit_exponential_tail(null, **fit, prior_values=0.0).scale
    assert 0.8 < own < 1.3
    n = 99  # of the highest hundred, one is trimmed
    expected = (n * own + prior_values * 0.4) / (n + prior_values)
    found = p_values.fit_exponential_tail(null, **fit, prior_values=prior_values).scale
    assert found == pytest.approx(expected, rel=1e-6)


def test_tail_p_is_uniform_on_the_null_and_goes_on_below_its_resolution() -> None:
    rng = np.random.default_rng(7)
    fit = p_values.fit_exponential_tail(
        rng.exponential(0.5, 80_000), fraction=0.1, trimmed=0.005, smallest_scale=0.1, **PLAIN
    )
    fresh = rng.exponential(0.5, 100_000)
    p = p_values.exponential_tail_p(fresh, fit)
    for level in (0.5, 0.1, 0.01, 0.001):
        assert (p <= level).mean() == pytest.approx(level, rel=0.25)
    far = p_values.exponential_tail_p(np.array([4.0, 8.0, 1e6]), fit)
    assert far[0] < 2e-3
    assert far[1] < far[0] / 100
    assert far[2] == 1e-300


def test_tail_p_never_rises_with_the_value() -> None:
    rng = np.random.default_rng(8)
    fit = p_values.fit_exponential_tail(
        rng.normal(size=3000), fraction=0.1, trimmed=0.005, smallest_scale=0.3, **PLAIN
    )
    grid = np.linspace(-5, 15, 4000)
    p = p_values.exponential_tail_p(grid, fit)
    below = grid <= fit.threshold
    assert (np.diff(p[below]) <= 0).all()
    assert (np.diff(p[~below]) < 0).all()
    # no step at the threshold beyond the resolution of the sample
    assert p[~below][0] <= p[below][-1] * 1.01
    assert p[0] == 1.0


def test_shipped_tail_is_normal_below_and_exponential_above() -> None:
    z = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(
        p_values.normal_body_exponential_tail_p(z, scale=0.3), stats.norm.sf(z)
    )
    edge = special.ndtri(0.9)
    beyond = p_values.normal_body_exponential_tail_p(edge + np.array([0.3, 0.6]), scale=0.3)
    np.testing.assert_allclose(beyond, 0.1 * np.exp([-1.0, -2.0]))


def test_the_smaller_of_two_p_values_times_two_never_claims_too_much() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 200_000))
    for other in (second, first, 1 - first):  # independent, the same, and against each other
        p = p_values.first_alone_or_both_p(first, other)
        for level in (0.1, 0.01, 0.001):
            most = level + 4 * np.sqrt(level / p.size)
            assert (p <= level).mean() <= most
    found = p_values.first_alone_or_both_p(np.array([1e-4, 0.9]), np.array([1.0, 0.8]))
    assert found.tolist() == [2e-4, 1.0]


@pytest.mark.parametrize("shape", [0.1, 0.3, 0.5])
def test_a_planted_pareto_tail_is_found_and_is_scipys(shape: float) -> None:
    values = stats.genpareto.rvs(shape, scale=2.0, size=20_000, random_state=1)
    fit = p_values.fit_pareto_tail(values, n_above=values.size - 1)
    assert fit.shape == pytest.approx(shape, abs=0.04)
    assert fit.scale == pytest.approx(2.0, rel=0.04)
    first, second = stats.lmoment(np.sort(values)[1:] - fit.threshold, order=[1, 2])
    assert fit.shape == pytest.approx(2.0 - first / second)
    far = np.array([5.0, 50.0, 5000.0])
    expected = stats.genpareto.sf(far, fit.shape, loc=fit.threshold, scale=fit.scale)
    np.testing.assert_allclose(p_values.pareto_tail_p(far, fit), fit.fraction * expected)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(30, 80), elements=st.floats(-50.0, 50.0)), st.integers(2, 20)
)
def test_a_pareto_tail_is_never_lighter_than_exponential_and_p_never_rises(
    values: np.ndarray, n_above: int
) -> None:
    fit = p_values.fit_pareto_tail(values, n_above=n_above)
    assert 0.0 <= fit.shape < 1.0
    p = p_values.pareto_tail_p(np.linspace(-60.0, 500.0, 300), fit)
    assert ((p > 0) & (p <= 1)).all()
    grid = np.linspace(fit.threshold + 1e-6, 500.0, 300)
    assert (np.diff(p_values.pareto_tail_p(grid, fit)) <= 0).all()


def test_null_cells_far_out_make_a_pareto_tail_heavy_but_not_an_exponential_one() -> None:
    rng = np.random.default_rng(0)
    heavy, light = {1e-3: 0, 1e-4: 0}, {1e-3: 0, 1e-4: 0}
    for _ in range(40):
        null = np.append(rng.exponential(0.5, 19_900), 5.0 + rng.exponential(2.0, 100))
        pareto = p_values.fit_pareto_tail(null, n_above=200)
        thin = p_values.fit_exponential_tail(
            null, fraction=0.1, trimmed=0.01, smallest_scale=0.1, **PLAIN
        )
        for level in heavy:
            heavy[level] += int((p_values.pareto_tail_p(null, pareto) <= level).sum())
            light[level] += int((p_values.exponential_tail_p(null, thin) <= level).sum())
    times = {level: n / (level * 40 * 20_000) for level, n in heavy.items()}
    assert 0.5 < times[1e-3] < 2.0
    assert times[1e-4] < 1.0  # a heap far out has a lighter tail of its own
    assert light[1e-4] / (1e-4 * 40 * 20_000) > 10.0


def test_values_that_are_tied_with_null_cells_count_them_as_high() -> None:
    """P of a rank: the share of null cells with at least the value, the cell itself among them."""
    null = np.repeat([0.0, 1.0, 2.0, 3.0], [60, 20, 15, 5])
    exponential = p_values.fit_exponential_tail(
        null, fraction=0.1, trimmed=0.01, smallest_scale=0.3, **PLAIN
    )
    pareto = p_values.fit_pareto_tail(null, n_above=5)
    assert exponential.threshold == pareto.threshold == 2.0
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    expected = np.array([101, 101, 41, 41, 21]) / 101
    np.testing.assert_allclose(p_values.exponential_tail_p(values, exponential), expected)
    np.testing.assert_allclose(p_values.pareto_tail_p(values, pareto), expected)


def test_shares_at_a_level_hold_the_cells_that_lie_on_it() -> None:
    (row,) = p_values.reached(np.array([0.01, 0.02, 0.5, 0.009]), levels=[0.01])
    truth = stats.binomtest(2, 4).proportion_ci(0.95, method="exact")
    assert row == pytest.approx([0.01, 0.5, truth.low, truth.high])
