"""Aggregates against chance: against scipy's exact intervals and droplets filled one by one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import beta, chi2

from ctcflow.stats.calls.aggregates import (
    SENTENCE,
    Empty,
    _quantile,
    against_chance,
    empty_from_doublets,
    empty_from_rate,
    enrichment,
    shared_confidence,
)

MANY = 10**9
"""So many counts that their own uncertainty is nothing."""


def fill(rng: np.random.Generator, n_droplets: int, loads: list[float], pairs: float) -> np.ndarray:
    """Kinds present in each droplet: independent Poisson cells, and attached pairs of 0 and 1."""
    present = rng.poisson(loads, size=(n_droplets, len(loads))) > 0
    present[rng.random(n_droplets) < pairs, :2] = True
    return present


@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 11), (40, 200), (2000, 3)])
@pytest.mark.parametrize("probability", [0.00625, 0.025, 0.5, 0.975])
def test_quantile_of_two_counts_is_that_of_a_beta(a: int, b: int, probability: float) -> None:
    share = beta.ppf(probability, a, b)
    assert _quantile([a], [b], probability) == pytest.approx(share / (1 - share), rel=1e-8)


def test_quantile_of_four_counts_is_that_of_draws() -> None:
    rng = np.random.default_rng(0)
    draws = rng.gamma(3, size=400_000) / rng.gamma(9, size=400_000)
    draws /= rng.gamma(500, size=400_000) * rng.gamma(40, size=400_000)
    for probability in (0.025, 0.5, 0.975):
        expected = np.quantile(draws, probability)
        assert _quantile([3], [9, 500, 40], probability) == pytest.approx(expected, rel=0.02)


def test_interval_is_that_of_garwood_when_all_else_is_certain() -> None:
    found = enrichment(
        4, tumour=MANY, partner=MANY, singlets=[], empty=Empty(MANY * 1e9, None), confidence=0.95
    )
    assert found.expected == pytest.approx(1)
    assert found.low == pytest.approx(chi2.ppf(0.025, 8) / 2, rel=1e-3)
    assert found.high == pytest.approx(chi2.ppf(0.975, 10) / 2, rel=1e-3)
    assert not found.like_random


def test_interval_is_that_of_clopper_and_pearson_with_few_tumour_cells() -> None:
    found = enrichment(
        2, tumour=7, partner=MANY, singlets=[], empty=Empty(MANY * 10.0, None), confidence=0.95
    )
    low, high = beta.ppf(0.025, 2, 8), beta.ppf(0.975, 3, 7)
    assert found.low == pytest.approx(10 * low / (1 - low), rel=1e-3)
    assert found.high == pytest.approx(10 * high / (1 - high), rel=1e-3)


@pytest.mark.parametrize("load", [0.01, 0.1, 1.0])
def test_empty_droplets_from_the_rate_are_those_of_poisson_loading(load: float) -> None:
    cells = np.random.default_rng(0).poisson(load, 2_000_000)
    rate = (cells > 1).sum() / (cells > 0).sum()
    found = empty_from_rate(int((cells > 0).sum()), rate=rate)
    four_sd = 4 / np.sqrt((cells > 1).sum())
    assert found.n_droplets == pytest.approx((cells == 0).sum(), rel=four_sd)


def test_doublets_of_blood_lineages_give_the_empty_droplets() -> None:
    present = fill(np.random.default_rng(1), 1_000_000, [0.03, 0.05, 0.1], 0.0)
    n_kinds = present.sum(axis=1)
    singlets = [int((present[:, k] & (n_kinds == 1)).sum()) for k in range(3)]
    found = empty_from_doublets(singlets, n_doublets=int((n_kinds == 2).sum()))
    assert found.n_droplets == pytest.approx((n_kinds == 0).sum(), rel=0.03)


@pytest.mark.parametrize("pairs", [0.0, 0.002])
@pytest.mark.parametrize("given", [True, False])
def test_ratio_of_droplets_filled_one_by_one(pairs: float, given: bool) -> None:
    loads = [0.02, 0.05, 0.1]
    present = fill(np.random.default_rng(2), 1_000_000, loads, pairs)
    code = present @ np.array([1, 2, 4])
    count = np.bincount(code, minlength=8)
    singlets = [int(count[2]), int(count[4])]
    rate = 1 - sum(loads) / np.expm1(sum(loads))
    empty = (
        empty_from_rate(int(count[1:].sum()), rate=rate)
        if given
        else empty_from_doublets(singlets, n_doublets=int(count[6]))
    )
    found = enrichment(
        int(count[3]),
        tumour=int(count[1]),
        partner=singlets[0],
        singlets=singlets,
        empty=empty,
        confidence=0.99,
    )
    excess = pairs / (1 - pairs) * np.exp(0.07)
    truth = 1 + excess / (np.expm1(0.02) * np.expm1(0.05))
    assert found.low < truth < found.high
    assert found.high / found.low < 1.5
    assert found.like_random == (pairs == 0)


def test_intervals_cover_and_chance_is_not_called_enriched() -> None:
    rng = np.random.default_rng(3)
    confidence = shared_confidence(0.95, n_partners=2)
    covered, claims = [], []
    for _ in range(80):
        droplets, load = 20_000, [rng.uniform(5, 60) / 20_000, 0.04, 0.08]
        expected = np.array(load[1:]) * load[0] * droplets
        both, tumour = rng.poisson(expected), rng.poisson(load[0] * droplets)
        found = [
            enrichment(
                int(seen),
                tumour=int(tumour),
                partner=int(rng.poisson(part * droplets)),
                singlets=[],
                empty=Empty(droplets, None),
                confidence=confidence,
            )
            for seen, part in zip(both, load[1:], strict=True)
        ]
        covered += [item.low <= 1 <= item.high for item in found]
        claims.append(any(item.low > 1 for item in found))
    assert np.mean(covered) >= 0.94
    assert np.mean(claims) <= 0.03


def test_nothing_seen_and_nothing_known() -> None:
    known = Empty(50_000.0, None)
    nothing = enrichment(0, tumour=0, partner=0, singlets=[], empty=known, confidence=0.95)
    assert np.isnan(nothing.ratio)
    assert (nothing.low, nothing.high, nothing.like_random) == (0.0, np.inf, True)
    only_pairs = enrichment(30, tumour=0, partner=900, singlets=[], empty=known, confidence=0.95)
    assert only_pairs.ratio == only_pairs.high == np.inf
    assert not only_pairs.like_random
    unknown = empty_from_doublets([500, 400], n_doublets=0)
    found = enrichment(
        1, tumour=5, partner=400, singlets=[500, 400], empty=unknown, confidence=0.95
    )
    assert found.expected == 0 and found.high == np.inf and found.low > 0


def test_a_known_rate_gives_a_narrower_interval_than_few_doublets() -> None:
    singlets = [1000, 3000]
    estimated = empty_from_doublets(singlets, n_doublets=10)
    widths = []
    for empty in (estimated, Empty(estimated.n_droplets, None)):
        found = enrichment(
            20, tumour=50, partner=1000, singlets=singlets, empty=empty, confidence=0.95
        )
        widths.append(found.high / found.low)
    assert widths[0] > widths[1] * 1.5


def chance(observed: dict[str, int], **changed: object) -> dict[str, dict[str, object]]:
    given: dict[str, object] = {
        "tumour": 40,
        "singles": {"neutrophil": 3000, "platelet": 300, "lymphocyte": 900},
        "n_droplets": 5000,
        "rate": 0.04,
        "confidence": 0.95,
    }
    rows = against_chance(observed, **{**given, **changed})  # type: ignore[arg-type]
    return {str(row["partner"]): row for row in rows}


def test_every_partner_is_compared_as_by_itself_at_its_share_of_the_confidence() -> None:
    found = chance({"neutrophil": 30, "lymphocyte": 0})
    assert list(found) == ["neutrophil", "platelet", "lymphocyte"]
    for partner, singles in (("neutrophil", 3000), ("platelet", 300), ("lymphocyte", 900)):
        seen = {"neutrophil": 30}.get(partner, 0)
        alone = enrichment(
            seen,
            tumour=40,
            partner=singles,
            singlets=[],
            empty=empty_from_rate(5000, rate=0.04),
            confidence=1 - 0.05 / 3,
        )
        row = found[partner]
        assert row["observed"] == seen
        for name in ("expected", "ratio", "low", "high"):
            assert row[name] == pytest.approx(getattr(alone, name), rel=1e-9)
        assert (row["verdict"] == SENTENCE) == alone.like_random


def test_verdicts_are_those_of_droplets_filled_one_by_one() -> None:
    """Tumour cells and three partners; the first is attached to some, the second hides in them."""
    loads = [0.01, 0.03, 0.05, 0.02]
    rng = np.random.default_rng(6)
    present = rng.poisson(loads, size=(1_000_000, 4)) > 0
    present[rng.random(1_000_000) < 0.0006, :2] = True
    code = present @ np.array([1, 2, 4, 8])
    count = np.bincount(code, minlength=16)
    missed = int(0.7 * count[5])  # droplets with the second partner taken for single tumour cells
    names = ("attached", "missed", "free")
    found = chance(
        {"attached": int(count[3]), "missed": int(count[5]) - missed, "free": int(count[9])},
        tumour=int(count[1]) + missed,
        singles={name: int(count[1 << k]) for k, name in enumerate(names, start=1)},
        n_droplets=int(count[1:].sum()),
        rate=1 - sum(loads) / np.expm1(sum(loads)),
    )
    verdicts = {name: str(found[name]["verdict"]) for name in names}
    assert verdicts["attached"].startswith("more than")
    assert verdicts["missed"].startswith("fewer than")
    assert verdicts["free"] == SENTENCE
    assert found["free"]["ratio"] == pytest.approx(1, rel=0.3)


def test_more_partners_to_look_at_make_every_interval_wider() -> None:
    one = chance({"platelet": 4}, singles={"platelet": 300})["platelet"]
    three = chance({"platelet": 4})["platelet"]
    assert three["low"] < one["low"] < one["ratio"] < one["high"] < three["high"]  # type: ignore[operator]
    assert three["expected"] == one["expected"]


def test_what_has_no_number_is_null_and_nothing_is_claimed() -> None:
    for changed in (
        {"tumour": 0},
        {"singles": {"platelet": 0}},
        {"singles": {"platelet": 0}, "tumour": 0},
    ):
        for row in chance({}, **changed).values():
            assert row["verdict"] == SENTENCE
            assert row["ratio"] is None
            assert row["high"] is None
            assert row["expected"] == row["low"] == row["observed"] == 0
            json.dumps(row, allow_nan=False)
    assert chance({"platelet": 3}, singles={}) == {}
    # pairs without a single tumour cell: surely more than chance gives, by no finite factor
    only = chance({"platelet": 9}, tumour=0)["platelet"]
    assert (only["ratio"], only["high"]) == (None, None)
    assert str(only["verdict"]).startswith("more than")


def test_seldom_a_claim_where_all_doublets_are_random() -> None:
    rng = np.random.default_rng(7)
    droplets, loads = 20_000, {"neutrophil": 0.05, "platelet": 0.01}
    total = 0.001 + sum(loads.values())
    rate = 1 - total / np.expm1(total)
    claims = 0
    for _ in range(80):
        tumour = rng.poisson(0.001 * droplets)
        found = chance(
            {name: int(rng.poisson(0.001 * load * droplets)) for name, load in loads.items()},
            tumour=int(tumour),
            singles={name: int(rng.poisson(load * droplets)) for name, load in loads.items()},
            n_droplets=int(droplets * np.expm1(total)),
            rate=rate,
        )
        claims += any(row["verdict"] != SENTENCE for row in found.values())
    assert claims <= 6
