"""P of any score is uniform on null cells, however the score depends on kind and depth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ctcflow.stats.calls import score_null
from ctcflow.stats.calls.score_null import ALL, FEWEST, OTHER, cross_fitted, judge, sources

KINDS = ("T", "monocyte", "B")


def _blood(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of leukocytes: other centre and scale for each kind, both moving with depth."""
    rng = np.random.default_rng(seed)
    kind = np.array(KINDS, dtype=object)[rng.choice(3, n, p=(0.6, 0.25, 0.15))]
    depth = np.exp(rng.normal(8.0, 0.5, n))
    of = np.array([KINDS.index(name) for name in kind])
    x = np.log(depth) - 8.0
    score = of + 0.8 * x + np.exp(-0.7 * x) * (0.5 + 0.3 * of) * rng.gamma(2.0, 1.0, n)
    return score, depth, kind


def _within(p: np.ndarray, level: float) -> bool:
    """The share at or below a level is one that p as claimed gives but once in 10,000."""
    low, high = stats.binom.ppf([5e-5, 1 - 5e-5], p.size, level)
    return bool(low <= (p <= level).sum() <= high)


@pytest.mark.parametrize("level", [0.5, 0.1, 0.01])
def test_p_of_leukocytes_of_one_kind_is_uniform_at_every_depth(level: float) -> None:
    found = []
    for seed in range(8):
        score, depth, kind = _blood(1500, seed)
        score, depth = score[kind == "T"], depth[kind == "T"]
        null = np.arange(score.size) < score.size // 2
        p = judge(score, depth=depth, kind=np.full(score.size, "T"), is_null=null).p
        found.append(np.column_stack([p, depth])[~null])
    p, depth = np.concatenate(found).T
    known = np.isfinite(p)
    assert known.mean() > 0.98
    p, depth = p[known], depth[known]
    assert _within(p, level)
    for part in np.array_split(np.argsort(depth), 3):
        share = (p[part] <= level).mean()
        assert level / 2 <= share <= 2 * level


def test_p_is_rare_enough_for_every_kind() -> None:
    """Kinds are judged by the kind that scores highest: none is significant more often."""
    score, depth, kind = _blood(6000, 1)
    null = np.arange(score.size) < 3000
    p = judge(score, depth=depth, kind=kind, is_null=null).p
    for name in KINDS:
        mine = p[~null & (kind == name) & np.isfinite(p)]
        assert (mine <= 0.05).sum() <= stats.binom.ppf(1 - 1e-4, mine.size, 0.05)
    # a T cell that scores as a usual B cell does is nothing unusual
    usual = np.median(score[kind == "B"])
    high = np.append(score, usual)
    where = {"depth": np.append(depth, np.exp(8.0)), "kind": np.append(kind, "T")}
    assert judge(high, **where, is_null=np.append(null, False)).p[-1] > 0.2


def test_a_leukocyte_is_judged_without_itself() -> None:
    """As if it had never been in the null: the highest of all too, whose p is from the tail."""
    rng = np.random.default_rng(2)
    score = rng.exponential(size=400)
    given = {"depth": np.full(400, 1000.0), "kind": np.full(400, "T", dtype=object)}
    every = judge(score, **given, is_null=np.ones(400, dtype=bool))
    for cell in (*np.argsort(score)[[-1, -2, 200, 0]],):
        without = np.ones(400, dtype=bool)
        without[cell] = False
        alone = judge(score, **given, is_null=without)
        assert alone.p[cell] == pytest.approx(every.p[cell], rel=1e-9)
        assert every.n_null[cell] == alone.n_null[cell] == 399


def test_a_higher_score_never_has_a_larger_p() -> None:
    score, depth, kind = _blood(1000, 3)
    grid = np.linspace(-5.0, 60.0, 400)
    for at in (900.0, 3000.0, 40_000.0):
        p = judge(
            np.concatenate([score, grid]),
            depth=np.concatenate([depth, np.full(grid.size, at)]),
            kind=np.concatenate([kind, np.full(grid.size, "T", dtype=object)]),
            is_null=np.arange(1000 + grid.size) < 1000,
        ).p[1000:]
        assert (np.diff(p) <= 0).all()
        assert p[0] > 0.9
        assert p[-1] < 1e-3


def test_the_order_of_the_cells_does_not_matter() -> None:
    score, depth, kind = _blood(900, 4)
    depth = np.rint(depth / 400) * 400 + 400  # many cells of one depth
    null = np.random.default_rng(0).random(900) < 0.8
    order = np.random.default_rng(1).permutation(900)
    one = judge(score, depth=depth, kind=kind, is_null=null)
    other = judge(score[order], depth=depth[order], kind=kind[order], is_null=null[order])
    np.testing.assert_allclose(other.p, one.p[order], rtol=1e-12)
    np.testing.assert_array_equal(other.n_null, one.n_null[order])


def test_cells_that_are_no_leukocytes_change_nothing() -> None:
    score, depth, kind = _blood(800, 5)
    null = np.ones(800, dtype=bool)
    alone = judge(score, depth=depth, kind=kind, is_null=null).p
    rng = np.random.default_rng(6)
    beside = judge(
        np.concatenate([score, 30 + rng.normal(size=800)]),
        depth=np.concatenate([depth, 10_000 * rng.random(800) + 500]),
        kind=np.concatenate([kind, kind]),
        is_null=np.concatenate([null, ~null]),
    ).p[:800]
    np.testing.assert_array_equal(beside, alone)


def test_the_tail_carries_on_as_the_law_does() -> None:
    """Exponential scores: exp(-score) is the truth, 10,000 times rarer than the number of cells."""
    found = []
    for seed in range(40):
        score = np.append(np.random.default_rng(seed).exponential(size=1500), [9.0, 16.0])
        p = judge(
            score,
            depth=np.full(score.size, 1000.0),
            kind=np.full(score.size, "T", dtype=object),
            is_null=np.arange(score.size) < 1500,
        ).p
        found.append(p[-2:])
    middle = np.exp(np.log(found).mean(axis=0))
    assert np.exp(-9.0) / 2 < middle[0] < np.exp(-9.0) * 5
    assert np.exp(-16.0) < middle[1] < np.exp(-16.0) * 100


def test_without_a_tail_p_is_what_the_number_of_cells_supports() -> None:
    """Five of 300 cells have the score at all: nothing says how much higher it may go."""
    score = np.concatenate([np.zeros(295), [1.0, 1.1, 1.2, 1.3, 1.4], [50.0, 1.25]])
    p = judge(
        score,
        depth=np.full(302, 1000.0),
        kind=np.full(302, "T", dtype=object),
        is_null=np.arange(302) < 300,
    ).p
    assert p[-2] == pytest.approx(1 / 301)
    assert p[-1] == pytest.approx(3 / 301)


def test_a_score_that_is_only_depth_finds_nothing() -> None:
    """Ten times deeper than the deepest leukocyte too."""
    _, depth, kind = _blood(1000, 7)
    depth = np.append(depth, depth.max() * np.array([2.0, 10.0]))
    given = {"kind": np.append(kind, ["T", "T"]), "is_null": np.arange(1002) < 1000}
    found = judge(np.log(depth), depth=depth, **given)
    assert found.p[-2:].min() > 0.05
    np.testing.assert_array_equal(found.beyond_depth[-2:], 1)
    assert (found.p[:1000] <= 0.01).sum() <= stats.binom.ppf(1 - 1e-4, 1000, 0.01)


def test_far_fewer_counts_than_any_leukocyte_are_not_judged() -> None:
    score, depth, kind = _blood(500, 8)
    given = {"kind": np.append(kind, ["T", "T"]), "is_null": np.arange(502) < 500}
    below = depth.min() / np.array([1.9, 2.1])
    found = judge(np.append(score, [99.0, 99.0]), depth=np.append(depth, below), **given)
    assert np.isnan(found.p[-1])
    np.testing.assert_array_equal(found.beyond_depth[-2:], -1)
    assert np.isfinite(found.p[:-1]).all()
    # noise is larger there than anywhere: its size is not extrapolated
    assert found.p[-2] >= 1.0 / (found.n_null[-2] + 1.0)


def test_kinds_that_are_too_few_share_a_null() -> None:
    kind = np.repeat(["T", "B", "NK", "plasma"], [200, FEWEST - 1, 10, 3]).astype(object)
    null = np.arange(kind.size) < kind.size - 1
    found = sources(kind, null)
    assert {name: rows.size for name, rows in found.items()} == {
        "T": 200,
        OTHER: FEWEST + 11,
        ALL: kind.size - 1,
    }
    assert list(sources(kind, null & (kind != "T"))) == [ALL]


def test_cross_fitted_p_is_of_the_other_half() -> None:
    """A rank among 300 cells that it is none of is a whole number of 301sts."""
    rng = np.random.default_rng(9)
    given = {"depth": np.full(600, 500.0), "kind": np.full(600, "T", dtype=object)}
    p = cross_fitted(rng.random(600), **given, is_null=np.ones(600, dtype=bool), rng=rng)
    ranks = p[p > 1 / 301] * 301
    assert ranks.size > 590
    np.testing.assert_allclose(ranks, np.rint(ranks), atol=1e-9)
    few = np.arange(600) < 2 * score_null.FEWEST - 1
    assert cross_fitted(rng.random(600), **given, is_null=few, rng=rng).size == 0


def test_a_score_that_a_leukocyte_of_another_kind_has_is_as_rare_as_that_one() -> None:
    """Scores of one depth: the highest of 100 B cells is 1, one of 400 T cells has 5."""
    kind = np.array(["B"] * 100 + ["T"] * 400 + ["?"], dtype=object)
    score = np.concatenate([np.linspace(0, 1, 100), np.linspace(0, 1, 399), [5.0, 5.0]])
    null = np.arange(501) < 500
    found = judge(score, depth=np.full(501, 1000.0), kind=kind, is_null=null)
    # no B cell is as high: its rank, 1 in 101, and of those above all B cells all are as high
    assert found.sources[found.source[-1]] == "B"
    assert found.p[-1] == pytest.approx(1 / 101)


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0])
def test_p_is_uniform_in_shallow_and_deep_cells_of_a_score_that_rises_steeply(
    power: float,
) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(8.0, 0.5, 4000)
    score = 2 * x + 0.05 * np.exp(power * (x - 8)) * rng.normal(size=x.size)
    null = np.arange(x.size) < 2000
    kind = np.full(x.size, "T", dtype=object)
    p = judge(score, depth=np.exp(x), kind=kind, is_null=null).p[~null]
    for part in np.array_split(np.argsort(x[~null]), 4):
        assert np.nanmean(p[part]) == pytest.approx(0.5, abs=0.07)


def test_the_tail_is_that_of_the_highest_tenth_and_not_of_the_usual_cells() -> None:
    """Nine tenths lie evenly over twenty units, and the highest fall off exponentially by one."""
    body = np.linspace(-20.0, 0.0, 900)
    score = np.concatenate([body, stats.expon.ppf((np.arange(100) + 0.5) / 100), [10.0]])
    p = judge(
        score,
        depth=np.full(1001, 1000.0),
        kind=np.full(1001, "T", dtype=object),
        is_null=np.arange(1001) < 1000,
    ).p
    assert 0.1 * np.exp(-10.0) / 2 < p[-1] < 0.1 * np.exp(-10.0) * 10


@pytest.mark.parametrize("slope", [-1.0, 1.0])
def test_at_few_counts_the_trend_is_carried_on_only_where_this_makes_a_score_less_extreme(
    slope: float,
) -> None:
    """A score that falls with depth is usual on the line; one that rises is so at its lower end."""
    rng = np.random.default_rng(12)
    x = rng.uniform(7.0, 9.0, 1000)
    score = slope * x + 0.05 * rng.normal(size=1000)
    below = x.min() - 0.6
    expected = slope * below if slope < 0 else slope * x.min()
    p = judge(
        np.append(score, expected),
        depth=np.exp(np.append(x, below)),
        kind=np.full(1001, "T", dtype=object),
        is_null=np.arange(1001) < 1000,
    ).p
    assert 0.2 < p[-1] < 0.8


def test_there_is_an_extrapolation_from_the_fifth_lowest_depth_on_and_not_below_it() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        depth = 1000.0 + rng.permutation(400)
        score = rng.exponential(size=400)
        beyond = np.array([1003.5, 1004.0])  # four leukocytes have fewer counts
        p = judge(
            np.append(score, [30.0, 30.0]),
            depth=np.append(depth, beyond),
            kind=np.full(402, "T", dtype=object),
            is_null=np.arange(402) < 400,
        ).p
        assert p[-2] == pytest.approx(1 / 401)
        assert p[-1] < 1e-4


def test_each_median_of_the_trend_rests_on_fifty_leukocytes() -> None:
    """Of a hundred leukocytes, the twenty deepest are no half: they do not bend the trend."""
    depth = np.linspace(1000.0, 4000.0, 100)
    score = np.where(np.arange(100) < 80, 0.0, 50.0) + np.linspace(0.0, 1e-3, 100)
    trend = score_null._trend(score, np.log(depth))
    assert np.abs(trend.median).max() < 0.01


def test_the_spread_follows_depth_with_a_power_of_eight_at_most() -> None:
    x = np.linspace(6.0, 10.0, 200)
    for at, power in ((-1, 8.0), (0, -8.0)):
        excess = np.zeros(200)
        excess[at] = 1.0
        assert score_null._power(excess, x) == pytest.approx(power)
    weighed = np.exp(7.5 * x)
    assert score_null._power(weighed, x) == pytest.approx(7.5, abs=1e-6)
