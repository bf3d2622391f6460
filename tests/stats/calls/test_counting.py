"""Counts per draw: intervals, overdispersion, recovery, blanks, cut-offs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from ctcflow.stats.calls import controls, counting
from ctcflow.stats.calls.cutoffs import cutoff
from ctcflow.stats.calls.overdispersion import interval, measured_ratio
from ctcflow.stats.calls.p_values import benjamini_hochberg, garwood

Record = dict[str, Any]


def sample(name: str, count: int, *, aggregates: int = 0, **more: Any) -> Record:
    """What `call` knows of one sample."""
    record: Record = {
        "sample": name,
        "draw": name,
        "patient": name,
        "day": None,
        "role": "patient",
        "cells": 1000,
        "n_CTC": count - aggregates,
        "n_aggregate": aggregates,
        "n_before_review": count,
    }
    return record | more


def counted(
    samples: list[Record], rows: list[Record] | None = None, dispersion: float | None = None
) -> counting.Counted:
    rows = [{}] * len(samples) if rows is None else rows
    return counting.count_draws(samples, rows, confidence=0.95, dispersion=dispersion, frozen=None)


def negative_binomial(mean: float, ratio: float) -> Any:
    return stats.nbinom(mean / (ratio - 1), 1 / ratio)


# ---- intervals


@pytest.mark.parametrize("ratio", [1.0001, 1.2, 2.3, 10.0])
@pytest.mark.parametrize("count", [0, 1, 3, 17, 400])
def test_both_limits_leave_half_of_the_rest_beyond_the_count(count: int, ratio: float) -> None:
    """Second implementation: the tails of scipy's distribution, solved by bisection."""
    low, high = interval(count, ratio=ratio, confidence=0.95)
    upper = optimize.brentq(
        lambda mean: negative_binomial(mean, ratio).cdf(count) - 0.025, 1e-3, 50 * (count + ratio)
    )
    assert high == pytest.approx(upper, rel=1e-6)
    if count == 0:
        assert low == 0.0
        return
    lower = optimize.brentq(
        lambda mean: negative_binomial(mean, ratio).sf(count - 1) - 0.025, 1e-9, count
    )
    assert low == pytest.approx(lower, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.69), (1, 0.03, 5.57), (5, 1.62, 11.67), (10, 4.80, 18.39)]
)
def test_without_overdispersion_it_is_the_published_poisson_interval(
    count: int, low: float, high: float
) -> None:
    assert interval(count, ratio=1.0, confidence=0.95) == pytest.approx((low, high), abs=0.006)
    nearly = interval(count, ratio=1.00001, confidence=0.95)
    assert nearly == pytest.approx(garwood(count, confidence=0.95), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("mean", [0.5, 2.0, 7.0, 30.0])
@pytest.mark.parametrize("ratio", [1.0, 1.2, 2.3])
def test_the_interval_covers_the_mean_as_often_as_it_says(mean: float, ratio: float) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.poisson(mean, 20_000)
    if ratio > 1:
        drawn = rng.negative_binomial(mean / (ratio - 1), 1 / ratio, 20_000)
    values, times = np.unique(drawn, return_counts=True)
    limits = [interval(int(count), ratio=ratio, confidence=0.95) for count in values]
    held = sum(n for n, (low, high) in zip(times, limits, strict=True) if low <= mean <= high)
    # exact: never below the level; and not so wide that it says nothing
    assert held / drawn.size >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / drawn.size)
    assert held / drawn.size <= 1.0 if mean < 1 else held / drawn.size < 0.995


def test_poisson_limits_do_not_cover_counts_that_vary_more() -> None:
    """Why the ratio matters."""
    rng = np.random.default_rng(2)
    drawn = rng.negative_binomial(10 / 1.3, 1 / 2.3, 4000)
    limits = [garwood(int(count), confidence=0.95) for count in drawn]
    assert np.mean([low <= 10 <= high for low, high in limits]) < 0.9


# ---- the ratio


@pytest.mark.parametrize(
    ("mean", "size", "most"), [(2.0, 2, 1.35), (5.0, 2, 1.15), (5.0, 6, 1.1), (20.0, 3, 1.1)]
)
@pytest.mark.parametrize("ratio", [1.0, 2.3])
def test_the_ratio_is_found_from_small_groups(
    mean: float, size: int, most: float, ratio: float
) -> None:
    """Pairs of a handful of calls: never too small, a quarter too large at worst."""
    rng = np.random.default_rng(3)
    shape = (3000, size)
    drawn = rng.poisson(mean, shape)
    if ratio > 1:
        drawn = rng.negative_binomial(mean / (ratio - 1), 1 / ratio, shape)
    found = measured_ratio(list(drawn.astype(np.int64)))
    assert found.ratio is not None
    assert 0.95 * ratio <= found.ratio <= most * ratio


def test_the_ratio_of_one_large_group_is_the_index_of_dispersion() -> None:
    drawn = np.random.default_rng(4).negative_binomial(40 / 1.3, 1 / 2.3, 500).astype(np.int64)
    found = measured_ratio([drawn])
    assert found.ratio == pytest.approx(drawn.var(ddof=1) / drawn.mean(), rel=0.01)
    assert (found.freedom, found.calls) == (499, drawn.sum())


def test_too_little_gives_no_ratio() -> None:
    assert measured_ratio([]) == (None, 0, 0)
    assert measured_ratio([np.array([9, 30])] * 19) == (None, 19, 741)
    assert measured_ratio([np.array([9, 30])] * 20).ratio is not None
    # of 21 draws in one group, 20 calls are enough and 19 are not
    assert measured_ratio([np.array([0, 0, 2] + [1] * 18)]).ratio is not None
    assert measured_ratio([np.array([0, 0, 0, 2] + [1] * 17)]) == (None, 20, 19)
    # thirty blanks with two calls: nothing is known of their spread
    assert measured_ratio([np.array([2] + [0] * 29)]) == (None, 29, 2)
    # groups of one draw, without a call or with one, say nothing
    assert measured_ratio([np.array([50]), np.array([0, 0]), np.array([1, 0])]) == (None, 0, 0)


def test_fewer_differences_than_poisson_has_are_poisson() -> None:
    assert measured_ratio([np.array([5, 5, 5])] * 20).ratio == pytest.approx(1.0)


def test_the_record_says_which_interval_and_why() -> None:
    one = [sample("a", 3)]
    (draw,), spread, _ = counted(one)
    assert (draw["count_low"], draw["count_high"]) == garwood(3, confidence=0.95)
    assert draw["interval"] == "Poisson (Garwood)"
    assert spread == {
        "ratio": 1.0,
        "source": "not known: too few replicate draws (0 degrees of freedom, 0 calls)"
        " and healthy and blank draws (0 degrees of freedom, 0 calls)",
    }
    (draw,), spread, _ = counted(one, dispersion=2.3)
    assert draw["interval"] == "negative binomial, variance/mean 2.3"
    assert draw["count_high"] > garwood(3, confidence=0.95)[1]
    assert spread == {"ratio": 2.3, "source": "given as call.dispersion"}
    assert counted(one, dispersion=1.0).draws[0]["interval"] == "Poisson (Garwood)"


def test_replicates_come_before_controls_and_need_the_same_patient_day_and_blood() -> None:
    pairs = [
        sample(f"{k}{tube}", count, patient=f"P{k}", day=0)
        for k in range(20)
        for tube, count in (("a", 2), ("b", 10))
    ]
    blanks = [sample(f"h{k}", 3 * (k % 2), role="healthy") for k in range(24)]
    assert counted(pairs + blanks).dispersion["source"] == (
        "measured on replicate draws (20 degrees of freedom, 240 calls)"
    )
    other_days = [record | {"day": k % 2} for k, record in enumerate(pairs)]
    unknown_day = [record | {"day": None} for record in pairs]
    for draws in (other_days, unknown_day):
        found = counted(draws + blanks).dispersion
        assert found["source"] == (
            "measured on healthy and blank draws (23 degrees of freedom, 36 calls)"
        )
        assert found["ratio"] > 1.2
    rows = [{"volume_ml": 7.5 - k % 2, "fraction_loaded": 1.0} for k in range(40)]
    assert "not known" in counted(pairs, rows).dispersion["source"]


def test_libraries_have_the_interval_of_draws() -> None:
    samples = [sample("a", 3, aggregates=1), sample("b", 0)]
    counting.library_intervals(samples, ratio=2.3, confidence=0.95)
    assert (samples[0]["rate_low"], samples[0]["rate_high"]) == interval(
        3, ratio=2.3, confidence=0.95
    )
    assert samples[1]["rate_low"] == 0.0


# ---- volume, lanes and recovery

LANE = {"volume_ml": 7.5, "fraction_loaded": 0.25, "recovery": 0.5}


def test_lanes_are_summed_and_the_volume_counts_once() -> None:
    lanes = [sample("a", 4, draw="d", aggregates=1), sample("b", 6, draw="d")]
    (draw,) = counted(lanes, [LANE, LANE]).draws
    assert (draw["count"], draw["cells"], draw["samples"]) == (10, 2000, "a, b")
    assert draw["per_ml"] == pytest.approx(10 / 3.75)
    assert draw["per_ml_high"] == pytest.approx(draw["count_high"] / 3.75)
    assert draw["recovery"] == 0.5
    for end in ("", "_low", "_high"):
        assert draw[f"per_ml_corrected{end}"] == pytest.approx(2 * draw[f"per_ml{end}"])
    assert draw["note"] == ""


def test_more_than_all_cannot_be_loaded() -> None:
    lanes = [sample("a", 4, draw="d"), sample("b", 6, draw="d")]
    (draw,) = counted(lanes, [LANE | {"fraction_loaded": 0.7}] * 2).draws
    assert draw["per_ml"] == pytest.approx(10 / 7.5)


@pytest.mark.parametrize(
    ("second", "note"),
    [
        (LANE | {"recovery": 0.7}, "not corrected for recovery: its lanes have 0.5 and 0.7"),
        (
            LANE | {"recovery": None},
            "not corrected for recovery: the sheet does not give it for every lane",
        ),
        (
            LANE | {"fraction_loaded": None},
            "per mL not given: the sheet has no fraction_loaded for every lane",
        ),
    ],
)
def test_lanes_that_disagree_are_not_corrected(second: Record, note: str) -> None:
    lanes = [sample("a", 4, draw="d"), sample("b", 6, draw="d")]
    (draw,) = counted(lanes, [LANE, second]).draws
    assert draw["per_ml_corrected"] is draw["per_ml_corrected_high"] is None
    assert draw["note"] == note
    assert draw["count"] == 10


def test_zero_has_an_upper_limit_per_ml_too() -> None:
    (draw,) = counted([sample("a", 0)], [LANE]).draws
    assert (draw["count_low"], draw["per_ml"], draw["per_ml_corrected_low"]) == (0.0, 0.0, 0.0)
    assert draw["per_ml_corrected_high"] == pytest.approx(3.689 / 7.5 / 0.25 / 0.5, rel=1e-3)


# ---- blanks


def test_the_limit_of_blank_is_that_of_ep17_by_hand() -> None:
    # 60 blanks: rank 0.5 + 0.95 x 60 = 57.5, half way between the 57th and the 58th
    counts = np.array([0] * 40 + [1] * 12 + [2] * 5 + [4, 5, 9], dtype=np.int64)
    assert controls.limit_of_blank(np.random.default_rng(0).permutation(counts)) == 3.0
    # 20 blanks: rank 19.5; 25: rank 24.25
    assert controls.limit_of_blank(np.array([0] * 18 + [2, 5])) == 3.5
    assert controls.limit_of_blank(np.array([0] * 23 + [2, 6])) == 3.0
    assert controls.limit_of_blank(np.zeros(19, dtype=np.int64)) is None


def test_a_draw_stands_against_the_blanks_of_its_run() -> None:
    healthy = [sample(f"h{k}", int(k == 0) * 4 + int(k == 1), role="healthy") for k in range(20)]
    patients = [sample("p", 3), sample("q", 2)]
    found = counted(healthy + patients)
    assert found.blanks == {"draws": 20, "limit": 2.5, "reason": ""}
    places = {draw["draw"]: draw["above_blank"] for draw in found.draws}
    assert (places["p"], places["q"], places["h0"]) == ("yes", "no", "")
    assert {draw["limit_of_blank"] for draw in found.draws} == {2.5}
    few = counted(healthy[:3] + patients)
    assert few.draws[-1]["above_blank"] == "not enough blanks: 3"
    assert few.draws[-1]["limit_of_blank"] is None


def test_medium_without_blood_does_not_pull_the_limit_down() -> None:
    healthy = [sample(f"h{k}", 2, role="healthy") for k in range(20)]
    media = [sample(f"m{k}", 0, role="blank") for k in range(40)]
    assert counted(healthy + media).blanks == {"draws": 20, "limit": 2.0, "reason": ""}
    assert counted(healthy[:1] + media).blanks == {"draws": 41, "limit": 0.0, "reason": ""}


def test_a_reviewer_does_not_set_the_limit_of_blank() -> None:
    healthy = [sample(f"h{k}", 0, role="healthy", n_before_review=2) for k in range(20)]
    assert counted(healthy).blanks["limit"] == 2.0
    assert counted(healthy).draws[0]["count"] == 0


# ---- the claim


def test_the_claim_is_what_benjamini_hochberg_rejects_in_null_samples() -> None:
    rng = np.random.default_rng(5)
    rejected = [(benjamini_hochberg(rng.uniform(size=300)) <= 0.05).sum() for _ in range(20_000)]
    found = controls.false_calls(
        [sample("h", 0, role="healthy", cells=300)], fdr=0.05, confidence=0.95, frozen=None
    )
    assert 300 * found["claimed"] == pytest.approx(0.05 / 0.95**2)
    error = np.std(rejected) / np.sqrt(len(rejected))
    assert np.mean(rejected) == pytest.approx(300 * found["claimed"], abs=3 * error)


@pytest.mark.parametrize(("called", "excluded"), [(0, False), (1, False), (2, True)])
def test_the_interval_beside_the_claim_flags_what_it_excludes(called: int, excluded: bool) -> None:
    found = controls.false_calls(
        [sample("h", called, role="healthy"), sample("p", 9)],
        fdr=0.05,
        confidence=0.95,
        frozen=None,
    )
    assert (found["samples"], found["cells"], found["called"]) == (1, 1000, called)
    exact = stats.binomtest(called, 1000).proportion_ci(0.95, method="exact")
    assert (found["rate_low"], found["rate_high"]) == pytest.approx((exact.low, exact.high))
    assert ("more false calls than claimed" in found["flag"]) == excluded
    assert bool(found["flag"]) == excluded


def test_without_control_cells_nothing_is_claimed() -> None:
    empty = sample("b", 0, role="blank", cells=0)
    for samples in ([], [sample("p", 3)], [empty]):
        found = controls.false_calls(samples, fdr=0.05, confidence=0.95, frozen=None)
        assert found["rate"] is found["rate_high"] is found["claimed"] is None
        assert found["flag"] == ""
    # an empty blank adds no claim to that of the healthy one
    one = controls.false_calls(
        [empty, sample("h", 0, role="healthy")], fdr=0.05, confidence=0.95, frozen=None
    )
    assert 1000 * one["claimed"] == pytest.approx(0.0554, abs=1e-4)


def test_a_frozen_reference_stands_in_for_controls_and_only_for_missing_ones() -> None:
    frozen = {
        "dispersion": {"ratio": 2.5, "source": "measured on replicate draws"},
        "blanks": {"draws": 20, "limit": 1.5, "reason": ""},
        "healthy": {"samples": 4, "cells": 900, "called": 1, "flag": ""},
    }
    own = [sample("p", 3)]
    found = counting.count_draws(
        own, [{}] * len(own), confidence=0.95, dispersion=None, frozen=frozen
    )
    assert found.dispersion["ratio"] == 2.5
    assert found.dispersion["source"].endswith("of the frozen reference")
    assert found.blanks == frozen["blanks"]
    assert found.draws[0]["above_blank"] == "yes"
    healthy = {"fdr": 0.05, "confidence": 0.95, "frozen": frozen}
    assert controls.false_calls(own, **healthy) == frozen["healthy"]
    # a control of the run itself speaks for it
    both = [*own, sample("h", 0, role="healthy")]
    found = counting.count_draws(
        both, [{}] * len(both), confidence=0.95, dispersion=1.0, frozen=frozen
    )
    assert found.dispersion["source"] == "given as call.dispersion"
    assert found.blanks["limit"] is None
    assert controls.false_calls(both, **healthy)["samples"] == 1
    # what the reference did not measure either stays unknown
    unknown = frozen | {"dispersion": {"ratio": 1.0, "source": "not known: too few"}}
    found = counting.count_draws(
        own, [{}] * len(own), confidence=0.95, dispersion=None, frozen=unknown
    )
    assert found.dispersion["source"].startswith("not known")


# ---- cut-offs

CELLSEARCH: Record = {"volume_ml": 7.5, "fraction_loaded": 1.0, "enrichment": " CellSearch"}


@pytest.mark.parametrize(
    ("cancer", "count", "words"),
    [
        ("breast", 0, "below 5 per 7.5 mL (breast, CellSearch;"),
        ("Breast ", 4, "interval includes 5 per 7.5 mL (breast, CellSearch;"),
        ("prostate", 30, "at or above 5 per 7.5 mL (prostate, CellSearch;"),
        ("colorectal", 0, "interval includes 3 per 7.5 mL (colorectal, CellSearch;"),
        ("colorectal", 12, "at or above 3 per 7.5 mL (colorectal, CellSearch;"),
        ("lung", 12, "no cut-off: known for breast, prostate, colorectal only (cancer_type)"),
        (None, 12, "no cut-off: known for breast, prostate, colorectal only (cancer_type)"),
    ],
)
def test_a_cut_off_is_spoken_of_where_its_enrichment_matches(
    cancer: str | None, count: int, words: str
) -> None:
    (draw,) = counted([sample("a", count)], [CELLSEARCH | {"cancer_type": cancer}]).draws
    assert draw["cutoff"].startswith(words)
    assert ("called by RNA" in draw["cutoff"]) == ("no cut-off" not in draw["cutoff"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"enrichment": "Parsortix"}, "no cut-off: they belong to CellSearch"),
        ({"enrichment": None}, "no cut-off: they belong to CellSearch"),
        ({"volume_ml": None}, "no cut-off: it is per 7.5 mL, and counts per mL are not given"),
        ({"fraction_loaded": 0.5}, "at or above 5 per 7.5 mL"),
        ({"recovery": 0.1}, "interval includes 5 per 7.5 mL"),
    ],
)
def test_what_a_cut_off_needs(change: Record, words: str) -> None:
    row = CELLSEARCH | {"cancer_type": "breast"} | change
    (draw,) = counted([sample("a", 8 if "fraction_loaded" in change else 3)], [row]).draws
    assert draw["cutoff"].startswith(words)


def test_lanes_of_two_enrichments_and_controls_have_no_cut_off() -> None:
    row = CELLSEARCH | {"cancer_type": "breast"}
    lanes = [sample("a", 8, draw="d"), sample("b", 8, draw="d")]
    (draw,) = counted(lanes, [row, row | {"enrichment": "none"}]).draws
    assert draw["cutoff"] == "no cut-off: they belong to CellSearch"
    (draw,) = counted([sample("h", 0, role="healthy")], [row]).draws
    assert draw["cutoff"] == ""
    place = {"role": "patient", "per_ml": 1.0, "per_ml_low": 5 / 7.5, "per_ml_high": 2.0}
    assert cutoff(place, enrichment=["cellsearch"], cancer=["breast"]).startswith("at or above 5")


def test_each_control_with_a_cell_may_have_its_false_calls_and_one_without_none() -> None:
    """Finner & Roters: 0.05 / 0.95^2 of them per sample, however few cells it has."""
    sizes = (1, 999, 0)
    samples = [{"role": "healthy", "cells": n, "n_before_review": 0} for n in sizes]
    found = controls.false_calls(samples, fdr=0.05, confidence=0.95, frozen=None)
    assert found["claimed"] == pytest.approx(2 * 0.05 / 0.95**2 / 1000)
    assert (found["samples"], found["cells"]) == (3, 1000)
