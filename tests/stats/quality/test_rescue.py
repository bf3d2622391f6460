"""Evidence that protects a droplet: against enumeration, plain rules and simulated blood."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from ctcflow.stats.panels import panel
from ctcflow.stats.quality import rescue

GENES = 6
PRIOR = 10.0 ** np.linspace(-6, -4.5, GENES)


def tail(seen: np.ndarray, expected: np.ndarray, rate: np.ndarray) -> float:
    """Probability of genes that weigh as much or more, over all subsets of the genes."""
    weight = np.maximum(1, np.rint(10 * np.log1p(150e-6 / rate)))
    chance, total = 1 - np.exp(-expected), 0.0
    for subset in itertools.product((False, True), repeat=rate.size):
        chosen = np.array(subset)
        if weight[chosen].sum() >= weight[seen].sum():
            total += float(np.prod(np.where(chosen, chance, 1 - chance)))
    return total


def droplets(
    seed: int, n: int = 40, rate: np.ndarray | float = 3e-4
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    umis = rng.integers(100, 5000, n).astype(float)
    counts = rng.poisson(umis[:, None] * np.broadcast_to(rate, GENES))
    counts[:2] = 0  # some show nothing, some everything
    counts[2:4] = 3
    return counts, umis


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_surprise_is_the_tail_over_subsets_at_the_rate_of_ordinary_droplets(seed: int) -> None:
    counts, umis = droplets(seed, n=12, rate=3e-5)
    p, n_seen = panel.surprise(sparse.csr_matrix(counts), umis=umis, prior=PRIOR)
    assert n_seen.tolist() == (counts > 0).sum(1).tolist()

    def tails(rate: np.ndarray) -> np.ndarray:
        pairs = zip(counts, umis, strict=True)
        return np.array([tail(row > 0, n * rate, rate) for row, n in pairs])

    rate = PRIOR
    for _ in range(2):  # a droplet that surprises takes no part in the rates
        ordinary = tails(rate) >= 1e-3
        rate = (counts[ordinary].sum(0) + 50_000 * PRIOR) / (umis[ordinary].sum() + 50_000)
    np.testing.assert_allclose(p, tails(rate), rtol=1e-9)
    assert (p[n_seen == 0] == 1).all()
    assert (p[n_seen == GENES] < 0.1).all()


def test_tumour_cells_do_not_hide_each_other() -> None:
    """However many tumour cells there are, the p of all others is the same."""
    counts, umis = droplets(1, n=300, rate=PRIOR)
    alone, _ = panel.surprise(sparse.csr_matrix(counts), umis=umis, prior=PRIOR)
    p, n_seen = panel.surprise(
        sparse.csr_matrix(np.vstack([counts, np.full((500, GENES), 4)])),
        umis=np.append(umis, np.full(500, 3000.0)),
        prior=PRIOR,
    )
    np.testing.assert_allclose(p[:300], alone, rtol=1e-9)
    assert (p[300:] < 1e-5).all()
    assert (n_seen[300:] == GENES).all()
    # one more ordinary droplet that shows a gene does raise its rate
    leaky = np.zeros((1, GENES), int)
    leaky[0, GENES - 1] = 50
    leakier, _ = panel.surprise(
        sparse.csr_matrix(np.vstack([counts, leaky])), umis=np.append(umis, 1000.0), prior=PRIOR
    )
    assert leakier[2] > alone[2]


def test_surprise_in_any_order_and_without_droplets_or_genes() -> None:
    counts, umis = droplets(2)
    p, n_seen = panel.surprise(sparse.csr_matrix(counts), umis=umis, prior=PRIOR)
    order = np.random.default_rng(0).permutation(40)
    again, n_again = panel.surprise(sparse.csr_matrix(counts[order]), umis=umis[order], prior=PRIOR)
    np.testing.assert_allclose(again, p[order], rtol=1e-9)
    np.testing.assert_array_equal(n_again, n_seen[order])
    genes = np.random.default_rng(1).permutation(GENES)
    turned, _ = panel.surprise(sparse.csr_matrix(counts[:, genes]), umis=umis, prior=PRIOR[genes])
    np.testing.assert_allclose(turned, p, rtol=1e-9)
    for shape in ((0, GENES), (3, 0)):
        nothing, none_seen = panel.surprise(
            sparse.csr_matrix(shape, dtype=int),
            umis=np.full(shape[0], 500.0),
            prior=PRIOR[: shape[1]],
        )
        assert nothing.tolist() == [1.0] * shape[0]
        assert none_seen.tolist() == [0] * shape[0]


@pytest.mark.parametrize("leak", [-6.3, -5.8, -5.3])
def test_p_of_blood_keeps_its_promise_and_tumour_cells_stand_out(leak: float) -> None:
    """Panels that blood shows 0.2, 0.6 and 1.7 genes of in a cell."""
    rng = np.random.default_rng(3)
    genes, n = 40, 8000
    rate = 10.0 ** rng.uniform(leak, leak + 1.0, genes)
    umis = rng.lognormal(np.log(2500), 0.6, n)
    blood = rng.poisson(umis[:, None] * rate)
    tumour = rng.poisson(np.full((50, 1), 2000.0) * np.where(np.arange(genes) < 20, 4e-4, rate))
    p, _ = panel.surprise(
        sparse.csr_matrix(np.vstack([blood, tumour])),
        umis=np.append(umis, np.full(50, 2000.0)),
        prior=np.full(genes, 1e-6),
    )
    for level in (0.1, 0.01, 0.001):
        # droplets that surprise are left out of the rates, which are a little low therefore
        test = stats.binomtest(int((p[:n] <= level).sum()), n, 1.2 * level)
        assert test.proportion_ci(0.99).low <= 1.2 * level
    assert (p[n:] < 1e-3).mean() > 0.95


def test_panel_of_cells_is_the_surprise_and_of_empty_droplets_that_of_the_soup() -> None:
    counts, umis = droplets(4)
    matrix = sparse.csr_matrix(counts)
    empty = np.arange(40) % 3 == 0
    soup = np.linspace(1e-5, 2e-3, GENES)
    p, n_seen = panel.surprise(matrix, umis=umis, prior=PRIOR)
    found = rescue.panel_evidence(
        matrix, umis=umis, prior=PRIOR, soup=soup, ambient_only=np.zeros(40, bool)
    )
    np.testing.assert_array_equal(found.p, p)
    np.testing.assert_array_equal(found.n_seen, n_seen)
    found = rescue.panel_evidence(matrix, umis=umis, prior=PRIOR, soup=soup, ambient_only=empty)
    np.testing.assert_array_equal(found.p[~empty], p[~empty])
    for row in np.flatnonzero(empty):
        expected = tail(counts[row] > 0, umis[row] * (PRIOR + soup), PRIOR + soup)
        assert found.p[row] == pytest.approx(expected, rel=1e-9)


def test_dead_tumour_cells_in_the_soup_are_not_taken_for_cells() -> None:
    """Empty droplets of a soup that is rich in panel RNA, beside blood cells that have none."""
    rng = np.random.default_rng(5)
    umis = np.append(np.full(3000, 2000.0), np.full(500, 300.0))
    soup = np.full(GENES, 2e-3)
    is_empty = np.arange(3500) >= 3000
    rate = np.where(is_empty[:, None], soup, 1e-6)
    counts = sparse.csr_matrix(rng.poisson(umis[:, None] * rate))
    rescued, p = {}, {}
    for known in (True, False):
        empty = is_empty & known
        found = rescue.panel_evidence(counts, umis=umis, prior=PRIOR, soup=soup, ambient_only=empty)
        rescued[known] = rescue.evidence(
            found,
            np.full(3500, 0.5),
            umis=umis,
            readable=~empty,
            intact=~empty | True,
            min_umis=100,
        ).rescued
        p[known] = found.p
    assert (p[True][is_empty] < 0.01).mean() < 0.025
    assert rescued[True].sum() <= 10
    # taken for cells they would be protected: knowing the soup is what makes the difference
    assert rescued[False][is_empty].mean() > 0.8
    assert rescued[False][~is_empty].sum() <= 10


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, 100.0, 301.0]))
def test_evidence_follows_its_rules_cell_by_cell(seed: int, min_umis: float) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    p = rng.choice([1e-9, 9.9e-4, 1e-3, 2e-3, 9.9e-3, 0.01, 0.5, 1.0], n)
    identity = rng.choice([1e-12, 0.01, 0.0101, 0.7], n)
    umis = rng.choice([0.0, 1.0, 49.0, 50.0, 99.0, 100.0, 5000.0], n)
    n_seen, readable, intact = rng.integers(0, 4, n), rng.random(n) < 0.7, rng.random(n) < 0.7
    found = rescue.evidence(
        rescue.Panel(p, n_seen),
        identity,
        umis=umis,
        readable=readable,
        intact=intact,
        min_umis=min_umis,
    )
    for k in range(n):
        both = stats.combine_pvalues([identity[k], p[k]]).pvalue  # Fisher
        missing = bool(readable[k]) and (identity[k] <= 0.01 or both <= 0.01)
        rescued = (n_seen[k] >= 2 and p[k] < 1e-3) or (
            missing and bool(intact[k]) and umis[k] >= min_umis and umis[k] > 0
        )
        listed = (
            rescued
            or p[k] < 0.01
            or (bool(readable[k]) and n_seen[k] >= 2)
            or (missing and umis[k] >= min_umis / 2 and umis[k] > 0)
        )
        assert (bool(found.rescued[k]), bool(found.listed[k])) == (bool(rescued), bool(listed))
    assert (found.rescued <= found.listed).all()  # never protected in silence


def test_more_evidence_or_more_counts_never_loses_a_droplet() -> None:
    rng = np.random.default_rng(6)
    n = 400
    p, identity = 10.0 ** rng.uniform(-6, 0, n), 10.0 ** rng.uniform(-4, 0, n)
    umis, n_seen = rng.integers(0, 400, n).astype(float), rng.integers(0, 4, n)
    readable, intact = rng.random((2, n)) < 0.5
    given = {"umis": umis, "readable": readable, "intact": intact, "min_umis": 100}
    seen = rescue.Panel(p, n_seen)
    base = rescue.evidence(seen, identity, **given)
    for more in (
        rescue.evidence(rescue.Panel(p / 10, n_seen + 1), identity, **given),
        rescue.evidence(seen, identity / 10, **given),
        rescue.evidence(seen, identity, **(given | {"umis": umis * 4})),
        rescue.evidence(seen, identity, **(given | {"readable": readable | True})),
        rescue.evidence(seen, identity, **(given | {"intact": intact | True})),
        rescue.evidence(seen, identity, **(given | {"min_umis": 50})),
    ):
        assert (base.rescued <= more.rescued).all()
        assert (base.listed <= more.listed).all()
        assert more.rescued.sum() + more.listed.sum() > base.rescued.sum() + base.listed.sum()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_droplets_outside_are_judged_by_ambient_rna_and_scipys_false_discoveries(seed: int) -> None:
    """A droplet without a cell may be ambient RNA throughout, a cell a fifth of it."""
    counts, umis = droplets(seed, rate=np.array([3e-3, 1e-5, 1e-5, 1e-5, 1e-5, 1e-3]))
    umis = umis / 10
    soup = np.linspace(1e-5, 2e-4, GENES)
    rng = np.random.default_rng(seed)
    identity = np.where(rng.random(40) < 0.5, np.nan, rng.choice([0.01, 0.011, 0.4], 40))
    found, listed = rescue.outside(
        sparse.csr_matrix(counts), umis=umis, prior=PRIOR, soup=soup, p_identity=identity
    )
    n_seen = (counts > 0).sum(1)
    expected, certain = np.ones(40), np.zeros(40, bool)
    for k in range(40):
        holds_cell = not np.isnan(identity[k])
        rate = PRIOR + (0.2 if holds_cell else 1.0) * soup
        if n_seen[k] >= 2:
            expected[k] = min(tail(counts[k] > 0, umis[k] * rate, rate), 1.0)
        certain[k] = holds_cell and (identity[k] <= 0.01 or expected[k] < 1e-3)
    np.testing.assert_allclose(found.p, expected, rtol=1e-9)
    np.testing.assert_array_equal(found.n_seen, n_seen)
    q = stats.false_discovery_control(expected)
    np.testing.assert_array_equal(listed, (q <= 0.05) | certain)
    assert listed[2:4].all()  # every panel gene in one droplet


def test_nothing_outside_and_nothing_but_soup_outside() -> None:
    none, listed = rescue.outside(
        sparse.csr_matrix((0, GENES), dtype=int),
        umis=np.zeros(0),
        prior=PRIOR,
        soup=PRIOR,
        p_identity=np.zeros(0),
    )
    assert none.p.size == listed.size == 0
    rng = np.random.default_rng(7)
    umis = rng.integers(1, 300, 5000).astype(float)
    soup = np.full(GENES, 1e-3)
    counts = rng.poisson(umis[:, None] * soup)
    given_rates = {"prior": PRIOR, "soup": soup, "p_identity": np.full(5000, np.nan)}
    _, listed = rescue.outside(sparse.csr_matrix(counts), umis=umis, **given_rates)
    assert listed.sum() <= 1
    counts[17] = 1
    umis[17] = 40.0
    _, listed = rescue.outside(sparse.csr_matrix(counts), umis=umis, **given_rates)
    assert listed[17]


def test_records_say_who_why_and_how_sure() -> None:
    found = rescue.Panel(np.array([1.0, 2.34e-5, 0.02]), np.array([0, 3, 1]))
    names = np.array(["A-1", "B-1", "C-1"], dtype=object)
    why = np.array(["few counts", "damaged;few genes", ""], dtype=object)
    records = rescue.listed(
        names,
        why,
        rows=np.array([2, 1]),
        panel_test=found,
        p_identity=np.array([0.5, 4.56e-7, np.nan]),
    )
    assert [record["barcode"] for record in records] == ["B-1", "C-1"]
    assert [record["reason"] for record in records] == ["damaged;few genes", ""]
    assert records[1]["evidence"] == "1 panel gene(s), p 2.0e-02"
    assert records[0]["evidence"] == "3 panel gene(s), p 2.3e-05; blood identity p 4.6e-07"
    assert all(type(value) is str for record in records for value in record.values())
    nobody = rescue.listed(
        names, why, rows=np.zeros(0, np.intp), panel_test=found, p_identity=np.ones(3)
    )
    assert nobody == []


def test_a_cell_outside_needs_less_evidence_than_a_droplet_without_one() -> None:
    """Two panel genes in 22 counts, among thousands of droplets: in a cell that is much."""
    counts, umis = np.zeros((5000, GENES), int), np.full(5000, 22.0)
    counts[17, :2] = 1
    for identity, expected in ((0.5, True), (np.nan, False)):
        found, listed = rescue.outside(
            sparse.csr_matrix(counts),
            umis=umis,
            prior=PRIOR,
            soup=np.full(GENES, 1e-3),
            p_identity=np.where(np.arange(5000) == 17, identity, np.nan),
        )
        assert 0.05 / 5000 < found.p[17] < 0.05  # not enough over all droplets together
        assert (found.p[17] < 1e-3) == expected
        assert listed.nonzero()[0].tolist() == ([17] if expected else [])
