"""Limits of each lineage against scipy's deviations and against a loop over cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from ctcflow.stats.quality import limits as lim

RULES = lim.Rules(
    umis=(100.0, 300.0),
    genes=(50.0, 150.0),
    pct_mt=(15.0, 50.0),
    lower_mads=4.0,
    mt_mads=5.0,
    damage_mads=3.0,
    upper_mads=5.0,
)
WIDE = RULES._replace(umis=(1.0, 1e9), genes=(1.0, 1e9), pct_mt=(0.0, 100.0))
"""Bounds that no value reaches, so that the formula itself is seen."""
OF_MITOCHONDRIA = ("max_pct_mt", "damaged_umis", "damaged_pct_mt")

Cells = tuple[np.ndarray, np.ndarray, np.ndarray]


def blood(n: int, seed: int, *, umis: float = 3000.0, pct_mt: float = 5.0) -> Cells:
    """Counts, genes and mitochondrial percent of one lineage."""
    rng = np.random.default_rng(seed)
    total = np.maximum(1, rng.lognormal(np.log(umis), 0.4, n).round())
    genes = np.maximum(1, (total * rng.uniform(0.3, 0.5, n)).round())
    mitochondrial = rng.binomial(total.astype(int), np.clip(rng.beta(6, 600 / pct_mt, n), 0, 1))
    return total, genes, 100.0 * mitochondrial / total


def one(cells: Cells, rules: lim.Rules = RULES) -> lim.Limits:
    return lim.limits(*cells, measured=[np.ones(cells[0].size, bool)], rules=[rules])[0]


def mixed(seed: int) -> tuple[Cells, np.ndarray]:
    """Three lineages of different size, two of them too small; 8 hostile cells among them."""
    parts = [
        blood(60, seed),
        blood(19, seed + 1, umis=800.0),
        blood(3, seed + 2, pct_mt=30.0),
        (
            np.array([0.0, 1.0, 99.0, 100.0, 700.0, 700.0, 5e5, 300.0]),
            np.array([0.0, 1.0, 60.0, 50.0, 5.0, 200.0, 9e4, 149.0]),
            np.array([0.0, 100.0, 3.0, 3.0, 3.0, 97.0, 3.0, 14.0]),
        ),
    ]
    umis, genes, pct_mt = (np.concatenate([p[k] for p in parts]) for k in range(3))
    rng = np.random.default_rng(seed)
    return (umis, genes, pct_mt), np.concatenate(
        [np.repeat([0, 1, 2], [60, 19, 3]), rng.integers(0, 3, 8)]
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(20, 90),
    st.floats(0.5, 8),
    st.floats(0.5, 8),
    st.floats(0.5, 8),
    st.floats(0.5, 8),
)
def test_adaptive_limits_are_scipys_medians_and_deviations(
    seed: int, n: int, lower: float, mt: float, damage: float, upper: float
) -> None:
    umis, genes, pct_mt = blood(n, seed)
    rules = WIDE._replace(lower_mads=lower, mt_mads=mt, damage_mads=damage, upper_mads=upper)
    found = one((umis, genes, pct_mt), rules)
    assert (found.cells, found.adaptive) == (n, True)

    def limit(values: np.ndarray, mads: float) -> float:
        return np.median(values) + mads * stats.median_abs_deviation(values, scale="normal")

    # the package rounds the factor of a normal to 1.4826
    near = {"rel": 1e-4, "abs": 1e-9}
    for least, values in ((found.min_umis, umis), (found.min_genes, genes)):
        exact = max(np.exp(limit(np.log(values), -lower)), 1)
        assert least == np.floor(least)  # limits on counts are whole numbers, rounded down
        assert least == pytest.approx(exact, abs=1.0 + 1e-4 * exact)
        assert least <= exact * 1.0001
    assert found.high_umis == pytest.approx(np.exp(limit(np.log(umis), upper)), **near)
    assert found.high_genes == pytest.approx(np.exp(limit(np.log(genes), upper)), **near)
    assert found.max_pct_mt == pytest.approx(min(limit(pct_mt, mt), 100), **near)
    assert found.damaged_umis == pytest.approx(np.exp(np.median(np.log(umis))) / 2)
    odds = special.logit((umis * pct_mt / 100 + 0.5) / (umis + 1.0))
    outlying = 100 * special.expit(limit(odds, damage))
    assert found.damaged_pct_mt == pytest.approx(min(outlying, found.max_pct_mt), **near)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 60),
    st.floats(20, 20_000),
    st.floats(0.1, 60),
    st.booleans(),
)
def test_floors_and_ceilings_always_hold(
    seed: int, n: int, umis: float, pct_mt: float, one_kind: bool
) -> None:
    cells = blood(n, seed, umis=umis, pct_mt=pct_mt)
    if one_kind:
        cells = tuple(np.full(n, values[0]) if n else values for values in cells)  # type: ignore[assignment]
    found = one(cells)
    assert RULES.umis[0] <= found.min_umis <= RULES.umis[1]
    assert RULES.genes[0] <= found.min_genes <= RULES.genes[1]
    if n:
        assert RULES.pct_mt[0] <= found.max_pct_mt <= RULES.pct_mt[1]
    if found.adaptive:
        assert found.damaged_pct_mt <= found.max_pct_mt
        assert found.damaged_umis < found.high_umis
        assert found.min_umis <= np.median(cells[0][cells[0] >= RULES.umis[0]]) or (
            found.min_umis == RULES.umis[0]
        )


@pytest.mark.parametrize("counts", range(100, 160))
def test_cells_that_are_all_alike_are_within_their_own_limits(counts: int) -> None:
    """exp(log(149)) is a little above 149."""
    umis, genes, pct_mt = np.full(30, float(counts)), np.full(30, counts - 40.0), np.full(30, 5.0)
    wide = RULES._replace(umis=(50.0, 1000.0), genes=(10.0, 1000.0))
    own = one((umis, genes, pct_mt), wide)
    lineage = np.zeros(30, dtype=np.intp)
    reasons = lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=[own])
    assert not np.logical_or.reduce(list(reasons.values())).any()


def test_both_bounds_are_reached() -> None:
    low = one(blood(200, 0, umis=250.0, pct_mt=1.0))
    assert (low.min_umis, low.max_pct_mt) == (100.0, 15.0)
    high = one(blood(200, 0, umis=50_000.0, pct_mt=60.0))
    assert (high.min_umis, high.min_genes, high.max_pct_mt) == (300.0, 150.0, 50.0)
    between = one(blood(200, 0, umis=900.0, pct_mt=12.0))
    assert 100.0 < between.min_umis < 300.0
    assert 15.0 < between.max_pct_mt < 50.0


@pytest.mark.parametrize("n", [0, 1, 2, 19])
def test_few_cells_get_floors_and_the_ceiling_and_nothing_else(n: int) -> None:
    umis, genes, pct_mt = blood(60, 3)
    mine = np.arange(60) < n
    found = lim.limits(umis, genes, pct_mt, measured=[mine], rules=[RULES])[0]
    assert found[:5] == (n, False, 100.0, 50.0, 50.0)
    assert np.isnan(found[5:]).all()
    twenty = lim.limits(umis, genes, pct_mt, measured=[np.arange(60) < 20], rules=[RULES])[0]
    assert twenty.adaptive
    assert np.isfinite(twenty).all()


@pytest.mark.parametrize("column", [0, 1])
def test_cells_below_a_floor_are_not_measured_on(column: int) -> None:
    """Debris that shares the lineage moves no limit, however much of it there is."""
    clean = blood(40, 4)
    debris = [np.full(400, values.mean()) for values in clean]
    debris[column] = np.full(400, (RULES.umis, RULES.genes)[column][0] - 1)
    both = tuple(np.concatenate(pair) for pair in zip(clean, debris, strict=True))
    assert one(both) == one(clean)  # type: ignore[arg-type]
    alone = one(tuple(debris))  # type: ignore[arg-type]
    assert (alone.cells, alone.adaptive) == (0, False)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 2))
def test_a_lineage_is_judged_by_its_own_cells_in_any_order(seed: int) -> None:
    (umis, genes, pct_mt), lineage = mixed(seed)
    rules = [RULES, WIDE, RULES._replace(genes=(10.0, 30.0))]
    masks = [lineage == code for code in range(3)]
    found = lim.limits(umis, genes, pct_mt, measured=masks, rules=rules)
    order = np.random.default_rng(seed).permutation(umis.size)
    again = lim.limits(
        umis[order], genes[order], pct_mt[order], measured=[m[order] for m in masks], rules=rules
    )
    np.testing.assert_allclose(np.array(again), np.array(found), rtol=1e-12)
    others = [np.where(masks[0], values, 7 * values + 1) for values in (umis, genes)]
    apart = lim.limits(*others, pct_mt, measured=masks, rules=rules)[0]
    assert apart == found[0]
    assert [row.cells for row in found] == [
        int((m & (umis >= rule.umis[0]) & (genes >= rule.genes[0])).sum())
        for m, rule in zip(masks, rules, strict=True)
    ]


def test_every_lineage_needs_its_rules() -> None:
    cells = blood(20, 0)
    with pytest.raises(ValueError, match="zip"):
        lim.limits(*cells, measured=[np.ones(20, bool)], rules=[RULES, RULES])


@pytest.mark.parametrize("name", ["lower_mads", "upper_mads", "mt_mads", "damage_mads"])
def test_more_deviations_never_set_more_cells_aside(name: str) -> None:
    (umis, genes, pct_mt), lineage = mixed(5)
    before: dict[str, np.ndarray] | None = None
    for mads in (0.5, 1.0, 3.0, 6.0):
        rules = WIDE._replace(**{name: mads})
        found = lim.limits(
            umis, genes, pct_mt, measured=[lineage == k for k in range(3)], rules=[rules] * 3
        )
        words = lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=found)
        words |= lim.remarks(umis, genes, lineage=lineage, limits=found)
        if before is not None:
            assert all((words[word] <= before[word]).all() for word in words)
        before = words
    assert before is not None
    first = lim.limits(
        umis,
        genes,
        pct_mt,
        measured=[lineage == k for k in range(3)],
        rules=[WIDE._replace(**{name: 0.5})] * 3,
    )
    assert first != found  # the factor is used at all


def test_without_mitochondrial_genes_nobody_is_judged_by_them() -> None:
    (umis, genes, pct_mt), lineage = mixed(6)
    masks, rules = [lineage == code for code in range(3)], [RULES] * 3
    missing = np.full(umis.size, np.nan)
    found = lim.limits(umis, genes, missing, measured=masks, rules=rules)
    measured = lim.limits(umis, genes, pct_mt, measured=masks, rules=rules)
    for row, other in zip(found, measured, strict=True):
        assert np.isnan([getattr(row, name) for name in OF_MITOCHONDRIA]).all()
        np.testing.assert_equal(
            row._replace(**dict.fromkeys(OF_MITOCHONDRIA, 0.0)),
            other._replace(**dict.fromkeys(OF_MITOCHONDRIA, 0.0)),
        )
    words = lim.reasons(umis, genes, missing, lineage=lineage, limits=found)
    assert not words["high mitochondrial share"].any()
    assert not words["damaged"].any()
    others = lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=measured)
    assert others["high mitochondrial share"].any()
    for word in ("few counts", "few genes"):
        assert words[word].any()
        np.testing.assert_array_equal(words[word], others[word])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 2))
def test_reasons_and_remarks_hold_exactly_where_a_limit_is_broken(seed: int) -> None:
    (umis, genes, pct_mt), lineage = mixed(seed)
    found = lim.limits(
        umis, genes, pct_mt, measured=[lineage == code for code in range(3)], rules=[RULES] * 3
    )
    words = lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=found)
    words |= lim.remarks(umis, genes, lineage=lineage, limits=found)
    expected: dict[str, list[bool]] = {word: [] for word in words}
    for cell in range(umis.size):
        row = found[lineage[cell]]
        count, n, share = float(umis[cell]), float(genes[cell]), float(pct_mt[cell])
        expected["few counts"].append(count == 0 or count < row.min_umis)
        expected["few genes"].append(n < row.min_genes)
        expected["high mitochondrial share"].append(share > row.max_pct_mt)
        expected["damaged"].append(
            row.adaptive and count < row.damaged_umis and share > row.damaged_pct_mt
        )
        expected["many counts"].append(row.adaptive and count > row.high_umis)
        expected["many genes"].append(row.adaptive and n > row.high_genes)
    assert {word: cells.tolist() for word, cells in words.items()} == expected
    within = (umis >= 300) & (genes >= 150) & (pct_mt <= 5) & (umis >= np.median(umis[:60]))
    for word in ("few counts", "few genes", "high mitochondrial share", "damaged"):
        assert not (words[word] & within).any()


def test_a_cell_on_its_limit_is_within_it() -> None:
    row = lim.Limits(40, True, 200.0, 80.0, 20.0, 1000.0, 10.0, 9000.0, 4000.0)
    umis, genes = np.array([200.0, 1000.0, 9000.0]), np.array([80.0, 400.0, 4000.0])
    pct_mt = np.array([10.0, 20.0, 20.0])
    at = np.zeros(3, np.intp)
    for words in (
        lim.reasons(umis, genes, pct_mt, lineage=at, limits=[row]),
        lim.remarks(umis, genes, lineage=at, limits=[row]),
    ):
        assert not any(cells.any() for cells in words.values())
    past = lim.reasons(umis - 1, genes - 1, pct_mt + 1, lineage=at, limits=[row])
    assert {word: cells.tolist() for word, cells in past.items()} == {
        "few counts": [True, False, False],
        "few genes": [True, False, False],
        "high mitochondrial share": [False, True, True],
        "damaged": [True, True, False],
    }
    more = lim.remarks(umis + 1, genes + 1, lineage=at, limits=[row])
    assert [cells.tolist() for cells in more.values()] == [[False, False, True]] * 2


@pytest.mark.parametrize("others", [0, 5, 40])
@pytest.mark.parametrize("floor", [0.0, 100.0])
def test_a_droplet_without_a_count_always_has_few(others: int, floor: float) -> None:
    umis, genes, pct_mt = (np.append(values, [0.0, 0.0]) for values in blood(others, 7))
    rules = RULES._replace(umis=(floor, floor), genes=(0.0, 0.0))
    lineage = np.zeros(umis.size, np.intp)
    found = lim.limits(umis, genes, pct_mt, measured=[lineage == 0], rules=[rules])
    few = lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=found)["few counts"]
    assert few.tolist() == [False] * others + [True, True]


def test_stripped_cells_are_damaged_and_whole_ones_are_not() -> None:
    """Cells that lost nine tenths of what is not mitochondrial, beside cells of the same blood."""
    umis, genes, pct_mt = blood(300, 8)
    mitochondrial = umis * pct_mt / 100
    left = mitochondrial + 0.1 * (umis - mitochondrial)
    cells = (
        np.append(umis, left[:30]),
        np.append(genes, genes[:30] * 0.15),
        np.append(pct_mt, 100 * mitochondrial[:30] / left[:30]),
    )
    lineage = np.zeros(330, np.intp)
    found = lim.limits(*cells, measured=[lineage == 0], rules=[RULES])
    words = lim.reasons(*cells, lineage=lineage, limits=found)
    assert words["damaged"][300:].mean() > 0.9
    assert words["damaged"][:300].mean() < 0.01
    whole = cells[0] >= np.median(cells[0]) / 2
    assert not (words["damaged"] & whole).any()


def test_no_cell_at_all() -> None:
    nothing = np.zeros(0)
    found = lim.limits(nothing, nothing, nothing, measured=[np.zeros(0, bool)], rules=[RULES])
    assert found[0][:4] == (0, False, 100.0, 50.0)
    words = lim.reasons(nothing, nothing, nothing, lineage=np.zeros(0, np.intp), limits=found)
    assert [cells.size for cells in words.values()] == [0, 0, 0, 0]


def test_read_counts_are_judged_by_genes_and_mitochondrial_share_only() -> None:
    umis, genes, pct_mt = blood(60, 0)
    umis[0], pct_mt[0] = umis[0] / 10, 14.9  # damaged, were these molecules
    umis[1] *= 100
    cells = np.ones(60, dtype=bool)
    (own,) = lim.limits(umis, genes, pct_mt, measured=[cells], rules=[RULES._replace(umis=None)])
    assert own.min_umis == 0
    assert np.isnan([own.damaged_umis, own.damaged_pct_mt, own.high_umis]).all()
    lineage = np.zeros(60, dtype=np.intp)
    reasons = lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=[own])
    assert not reasons["few counts"].any()
    assert not reasons["damaged"].any()
    assert not lim.remarks(umis, genes, lineage=lineage, limits=[own])["many counts"].any()
    (molecules,) = lim.limits(umis, genes, pct_mt, measured=[cells], rules=[RULES])
    assert own.min_genes == molecules.min_genes
    assert own.max_pct_mt == molecules.max_pct_mt
    assert lim.reasons(umis, genes, pct_mt, lineage=lineage, limits=[molecules])["damaged"][0]
