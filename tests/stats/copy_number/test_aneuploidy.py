"""Planted aberrations, tissues without any, and an independent negative binomial."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from ctcflow.stats.copy_number import chromosome_arms, gene_dosage
from ctcflow.stats.copy_number.aneuploidy import DEPTHS, CopyNumber, NormalTissue, copy_number

ARMS = 20
PER_ARM = 150
GENES = ARMS * PER_ARM
ARM = np.repeat(np.arange(2, 2 + ARMS), PER_ARM)
POSITION = np.tile(np.arange(PER_ARM, dtype=np.float64) * 1e6, ARMS)
USABLE = np.ones(GENES, dtype=bool)
GAINED, LOST = (0, 1, 2, 3), (10, 11, 12)


def _rates() -> np.ndarray:
    """Three lineages and, last, a tissue that differs from them more than they do."""
    rng = np.random.default_rng(5)
    base = np.clip(rng.lognormal(0.0, 0.7, GENES), 0.1, 5.0)
    lineages = base * np.exp(0.3 * rng.normal(size=(3, GENES)))
    tissue = base * np.exp(0.7 * rng.normal(size=GENES))
    rates = np.vstack([lineages, tissue])
    return rates / rates.sum(axis=1, keepdims=True) * 0.3


def _cells(rate: np.ndarray, n: int, depth: float, rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(depth * rate / rate.sum() * rng.gamma(20.0, 1 / 20.0, size=(n, GENES)))


def _dosage() -> np.ndarray:
    copies = np.full(ARMS, 2.0)
    copies[list(GAINED)] = 3.0
    copies[list(LOST)] = 1.0
    return np.repeat(copies / 2.0, PER_ARM)


def _sample(depth: float, *, n_blood: int = 60) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Blood of three lineages, then 20 aneuploid and 40 diploid cells of the tissue."""
    rng = np.random.default_rng(11)
    rates = _rates()
    blood = [_cells(rates[k], n_blood, 2500.0, rng) for k in range(3)]
    tumour = _cells(rates[3] * _dosage(), 20, depth, rng)
    normal = _cells(rates[3], 40, depth, rng)
    counts = sparse.csr_matrix(np.vstack([*blood, tumour, normal]).astype(np.float64))
    return counts, np.append(np.repeat([0, 1, 2], n_blood), np.full(60, -1)).astype(np.intp)


def _judge(
    counts: sparse.csr_matrix,
    lineage: np.ndarray,
    *,
    candidates: np.ndarray | None = None,
    usable: np.ndarray = USABLE,
    seed: int = 0,
    groups: sparse.csr_matrix | None = None,
    normal: NormalTissue | None = None,
) -> CopyNumber:
    rows = np.flatnonzero(lineage < 0) if candidates is None else candidates
    return copy_number(
        counts,
        arm=ARM,
        position=POSITION,
        usable=usable,
        lineage=lineage,
        candidates=rows.astype(np.intp),
        fewest=50,
        seed=seed,
        groups=groups,
        normal=normal,
    )


@pytest.mark.parametrize("depth", [1000.0, 10_000.0])
def test_aneuploid_cells_are_found_and_another_tissue_is_not(depth: float) -> None:
    found = _judge(*_sample(depth))
    assert found.reason == ""
    assert found.p.shape == (60,)
    assert (found.p[:20] <= 0.01).mean() >= 0.95
    assert np.median(found.p[:20]) < 1e-4
    # its genes differ from blood by a factor of two, up or down: none of it is an aberration
    assert (found.p[20:] <= 0.01).mean() <= 0.1
    assert (found.p[20:] <= 0.001).sum() == 0


def test_cells_show_together_what_none_of_them_shows_alone() -> None:
    counts, lineage = _sample(300.0)
    rows = np.flatnonzero(lineage < 0)
    tumour, normal = rows[:20], rows[20:]
    groups = np.zeros((4, lineage.size))
    groups[0, tumour] = groups[1, tumour[:10]] = groups[2, normal] = 1
    groups[3, tumour[4]] = 1  # a group of one is that cell
    found = _judge(counts, lineage, groups=sparse.csr_matrix(groups))
    assert found.p.shape == found.aneuploidy.shape == (64,)
    assert (found.p[:20] <= 1e-3).mean() < 0.5
    assert (found.p[60:62] <= 1e-4).all()
    assert found.p[62] > 0.01
    assert found.p[63] == found.p[4]


def test_what_is_usual_of_a_tissue_is_no_aberration_and_others_still_are() -> None:
    """A tissue that uses whole arms more than blood does; then the same with aberrations."""
    rng = np.random.default_rng(3)
    rates = _rates()
    usual = np.repeat(np.exp(np.where(np.arange(ARMS) % 4 == 0, 0.7, 0.0)), PER_ARM)
    tissue = rates[:3].mean(axis=0) * usual
    blood = [_cells(rates[k], 60, 2500.0, rng) for k in range(3)]
    cells = [_cells(tissue, 20, 3000.0, rng), _cells(tissue * _dosage(), 20, 3000.0, rng)]
    counts = sparse.csr_matrix(np.vstack([*blood, *cells]).astype(np.float64))
    lineage = np.append(np.repeat([0, 1, 2], 60), np.full(40, -1)).astype(np.intp)
    alone = _judge(counts, lineage)
    assert (alone.p[:20] <= 1e-3).mean() > 0.5
    beside = _judge(counts, lineage, normal=NormalTissue(usual[None], np.zeros(40, dtype=np.intp)))
    assert (beside.p[:20] <= 1e-3).sum() == 0
    assert (beside.p[20:] <= 1e-3).mean() > 0.9
    # a cell that is like no tissue is judged as without any
    none = _judge(counts, lineage, normal=NormalTissue(usual[None], np.full(40, -1)))
    np.testing.assert_array_equal(none.p, alone.p)


def test_profiles_show_the_planted_arms() -> None:
    found = _judge(*_sample(10_000.0))
    assert found.arms.tolist() == np.unique(ARM).tolist()
    mean = found.arm_log2_ratio[:20].mean(axis=0)
    flat = np.setdiff1d(np.arange(ARMS), GAINED + LOST)
    assert mean[list(GAINED)].mean() == pytest.approx(np.log2(1.5), abs=0.25)
    assert mean[list(LOST)].mean() == pytest.approx(-1.0, abs=0.35)
    assert abs(mean[flat].mean()) < 0.1
    assert found.bin_log2_ratio.shape == (60, found.bins.arm.size)
    along = found.bin_log2_ratio[:20].mean(axis=0)
    assert along[np.isin(found.bins.arm, ARM[0] + np.array(GAINED))].min() > 0
    assert along[np.isin(found.bins.arm, ARM[0] + np.array(LOST))].max() < 0
    assert (np.diff(found.bins.arm) >= 0).all()
    assert (found.bins.end >= found.bins.start).all()


def test_leukocytes_of_a_lineage_that_is_missing_are_not_aneuploid() -> None:
    counts, lineage = _sample(2000.0, n_blood=150)
    for left_out in range(3):
        reference = np.where(lineage == left_out, -1, lineage)
        found = _judge(counts, reference, candidates=np.flatnonzero(lineage == left_out))
        assert (found.p <= 0.01).mean() <= 0.05
        assert (found.p <= 0.1).mean() <= 0.25
        assert (found.p <= 0.7).mean() >= 0.2


def test_a_candidate_is_judged_the_same_alone_and_in_company() -> None:
    counts, lineage = _sample(3000.0)
    rows = np.flatnonzero(lineage < 0)
    together = _judge(counts, lineage)
    alone = _judge(counts, lineage, candidates=rows[[7]])
    for name in ("arm_log2_ratio", "arm_z", "bin_log2_ratio", "aneuploidy", "p", "depth"):
        np.testing.assert_allclose(
            getattr(alone, name)[0], getattr(together, name)[7], rtol=1e-4, atol=1e-5
        )
    assert _judge(counts, lineage, candidates=rows[:0]).p.shape == (0,)


def test_same_seed_same_result_and_order_of_genes_and_candidates_is_free() -> None:
    counts, lineage = _sample(3000.0)
    first = _judge(counts, lineage)
    again = _judge(counts, lineage)
    assert (first.p == again.p).all()
    back = _judge(counts, lineage, candidates=np.flatnonzero(lineage < 0)[::-1])
    np.testing.assert_allclose(back.p[::-1], first.p, rtol=1e-3)
    order = np.random.default_rng(0).permutation(GENES)
    mixed = copy_number(
        counts[:, order].tocsr(),
        arm=ARM[order],
        position=POSITION[order],
        usable=USABLE,
        lineage=lineage,
        candidates=np.flatnonzero(lineage < 0),
        fewest=50,
        seed=0,
    )
    np.testing.assert_allclose(mixed.arm_z, first.arm_z, atol=1e-6)
    assert (np.sign(mixed.bin_log2_ratio) == np.sign(first.bin_log2_ratio)).all()


def test_masked_genes_say_nothing() -> None:
    counts, lineage = _sample(10_000.0)
    diploid = (_dosage() == 1.0) & USABLE
    found = _judge(counts, lineage, usable=diploid)
    assert set(found.arms) == set(ARM[diploid])
    assert (found.p[:20] <= 0.01).mean() <= 0.1


def test_a_gene_of_one_tissue_does_not_carry_an_arm() -> None:
    counts, lineage = _sample(3000.0)
    normal = np.flatnonzero(lineage < 0)[20:]
    before = _judge(counts, lineage, candidates=normal)
    loud = counts.tolil()
    loud[normal[:, None], np.arange(3)] = 500.0
    after = _judge(loud.tocsr(), lineage, candidates=normal)
    assert (after.p <= 0.01).mean() <= 0.05
    assert np.abs(after.arm_z[:, 0] - before.arm_z[:, 0]).max() < 3.0


@pytest.mark.parametrize(
    ("lineage", "reason"),
    [
        (np.repeat([0, -1], [12, 228]), "12 reference cells, needs 50"),
        (
            np.repeat([0, 1, -1], [60, 12, 168]),
            "1 lineage has 50 reference cells, needs 2 lineages",
        ),
        (
            np.repeat([0, 1, -1], [40, 40, 160]),
            "no lineage has 50 reference cells, needs 2 lineages",
        ),
        (np.full(240, -1), "0 reference cells, needs 50"),
    ],
)
def test_says_why_it_does_not_run(lineage: np.ndarray, reason: str) -> None:
    counts, _ = _sample(1000.0)
    found = _judge(counts, lineage.astype(np.intp), candidates=np.arange(180, 240))
    assert found.reason == reason
    assert found.p.shape == (60,)
    assert np.isnan(found.p).all()
    assert found.arm_log2_ratio.shape == (60, 0)


def test_too_few_genes_and_too_shallow_cells_are_reasons() -> None:
    counts, lineage = _sample(1000.0)
    few = USABLE & (np.arange(GENES) % 10 == 0)
    assert _judge(counts, lineage, usable=few).reason.endswith("in every lineage, needs 500")
    counts, lineage = _sample(1000.0, n_blood=300)
    dense = counts.toarray().astype(int)
    blood = np.flatnonzero(lineage >= 0)
    dense[blood] = np.random.default_rng(0).binomial(dense[blood], 0.03)
    reason = _judge(sparse.csr_matrix(dense.astype(float)), lineage).reason
    assert reason == "too few reference cells with 100 counts, needs 50"


def test_a_cell_with_hardly_a_count_is_not_judged() -> None:
    counts, lineage = _sample(DEPTHS[0] / 3)
    found = _judge(counts, lineage)
    assert np.isnan(found.p).all()
    assert found.reason == ""


def test_score_is_the_derivative_of_a_negative_binomial_likelihood() -> None:
    rng = np.random.default_rng(3)
    sums = rng.integers(500, 900, size=(2, 2000)).astype(np.float64)
    expected = gene_dosage.reference(sums)
    assert expected.genes.size > 1000
    cell = rng.poisson(2.0, size=(1, 2000)).astype(np.float64)
    starts = np.array([0, 700], dtype=np.intp)
    found = gene_dosage.dosage(sparse.csr_matrix(cell), expected=expected, starts=starts)
    seen = cell[0, expected.genes]

    def likelihood(dosage: float, lineage: int, genes: slice) -> float:
        mean = dosage * seen.sum() * expected.shares[lineage, genes].astype(float)
        size = 1.0 / expected.dispersion[lineage, genes].astype(float)
        return float(stats.nbinom.logpmf(seen[genes], size, size / (size + mean)).sum())

    step = 1e-4
    for lineage in range(2):
        for segment, genes in enumerate((slice(0, 700), slice(700, None))):
            up, down = (likelihood(np.exp(s), lineage, genes) for s in (step, -step))
            slope = (up - down) / (2 * step)
            assert found.score[lineage, 0, segment] == pytest.approx(slope, rel=2e-3, abs=2e-3)


def test_reference_takes_genes_that_every_lineage_expresses_and_none_that_dominates() -> None:
    sums = np.full((2, 2000), 300.0)
    sums[0, 0] = 0.0
    sums[1, 1] = 1.0
    sums[:, 2] = 10_000.0
    found = gene_dosage.reference(sums)
    assert found.genes.tolist() == list(range(3, 2000))
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0, rtol=1e-4)
    sums[0, 3] = 30.0
    assert gene_dosage.reference(sums).dispersion[0, 0] > found.dispersion[0, 0] + 1.0


def test_a_reference_of_few_counts_is_trusted_less_and_silent_genes_not_at_all() -> None:
    many = gene_dosage.reference(np.full((2, 2000), 300.0)).dispersion
    few = gene_dosage.reference(np.full((2, 2000), 10.0)).dispersion
    np.testing.assert_allclose(few - many, 1 / 10 - 1 / 300, rtol=1e-3)
    sums = np.full((2, 2000), 10_000.0)
    sums[1, 5] = 60.0  # 3e-6 of all
    assert 5 not in gene_dosage.reference(sums).genes
    assert 6 in gene_dosage.reference(sums).genes


def test_neighbouring_bins_of_an_arm_lend_their_counts_and_those_of_another_do_not() -> None:
    layout = chromosome_arms.lay_out(np.full((2, 1000), 300.0), arm=np.repeat([0, 1], 500))
    arm = chromosome_arms.bin_arms(layout)
    information = np.full((2, 1, arm.size), 10.0)
    last = np.flatnonzero(arm == 0)[-1]
    score = np.where(np.arange(arm.size) == last, 6.0, 0.0) * np.ones((2, 1, 1))
    found = chromosome_arms.along_genome(
        gene_dosage.Dosage(score, information), centre=np.zeros((2, 1)), layout=layout
    )[0]
    prior = 1 / chromosome_arms.VARIANCE
    assert found[last] == pytest.approx(6.0 / (15.0 + prior))
    assert found[last - 1] == pytest.approx(3.0 / (20.0 + prior))
    assert found[last + 1] == 0.0


def test_what_sets_lineages_apart_from_each_other_is_no_aberration() -> None:
    rng = np.random.default_rng(2)
    base = _rates()[0]
    programmes = np.ones((4, ARMS))
    for kind in range(4):  # each has arms of its own on which everything is expressed more
        programmes[kind, 5 * kind : 5 * kind + 4] = 1.6
    cells = [_cells(base * np.repeat(arms, PER_ARM), 60, 2500.0, rng) for arms in programmes]
    counts = sparse.csr_matrix(np.vstack(cells).astype(np.float64))
    found = _judge(counts, np.repeat([0, 1, 2, -1], 60).astype(np.intp))
    assert (found.p <= 0.01).mean() <= 0.05
    assert np.median(found.p) > 0.1


def test_lineages_that_disagree_cancel() -> None:
    sums = np.full((2, 1000), 300.0)
    layout = chromosome_arms.lay_out(sums, arm=np.repeat(np.arange(5), 200))
    information = np.full((2, 1, layout.starts.size), 10.0)
    score = np.zeros_like(information)
    arm = chromosome_arms.bin_arms(layout)
    score[0, :, arm == 0], score[1, :, arm == 0] = 5.0, -5.0
    score[0, :, arm == 1], score[1, :, arm == 1] = 5.0, 2.0
    found = chromosome_arms.deviation(gene_dosage.Dosage(score, information), layout=layout)
    assert found.ratio[0].tolist() == pytest.approx([0.0, 0.2, 0.0, 0.0, 0.0])


def test_ten_arms_with_twenty_genes_each_are_enough_and_nine_are_not() -> None:
    counts, lineage = _sample(1000.0)
    place = (ARM - 2, np.arange(GENES) % PER_ARM)
    for n_whole, reason in ((10, ""), (9, "9 arms with 20 genes, needs 10")):
        usable = (place[0] < n_whole) | (place[1] < 15)
        assert _judge(counts, lineage, usable=usable).reason == reason


def test_aneuploidy_is_the_weighted_mean_of_the_squares_of_the_arms() -> None:
    z = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    weight = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 0.0]])
    arms = chromosome_arms.Deviation(np.zeros((2, 3)), z, weight, np.zeros((1, 2)))
    assert chromosome_arms.mean_square(arms).tolist() == [0.5 * 9 + 0.25, 0.0]


def test_a_gene_with_more_than_a_thousandth_of_a_lineage_is_left_out() -> None:
    sums = np.full((2, 1000), 1000.0)
    sums[1, :3] = [1000.0, 1001.0, 999.0]
    sums[1, 3:] *= (1_000_000 - 3000) / 997_000
    assert gene_dosage.reference(sums).genes.tolist() == [0, *range(2, 1000)]


def test_beyond_sixteenfold_a_tissue_is_not_told_from_one_with_still_more_of_a_gene() -> None:
    layout = chromosome_arms.lay_out(np.full((2, 1000), 300.0), arm=np.repeat([0, 1], 500))

    def shares(factor: float) -> np.ndarray:
        ratio = np.ones(1000)
        ratio[7] = factor
        return chromosome_arms.beside(layout, ratio).expected.shares[-1]

    for at, beyond, short in ((16.0, 17.0, 15.0), (1 / 16, 1 / 17, 1 / 15)):
        assert shares(at)[7] / shares(at)[8] == pytest.approx(at, rel=1e-5)
        np.testing.assert_array_equal(shares(beyond), shares(at))
        assert shares(short)[7] / shares(short)[8] == pytest.approx(short, rel=1e-5)


def test_bins_hold_about_forty_genes_and_reach_from_their_first_gene_to_their_last() -> None:
    counts, lineage = _sample(1000.0)
    bins = _judge(counts, lineage).bins
    used = gene_dosage.reference(
        np.vstack([counts[lineage == code].sum(axis=0).A1 for code in range(3)])
    ).genes
    for arm in np.unique(ARM):
        genes = POSITION[used[ARM[used] == arm]]
        mine = bins.arm == arm
        assert 30 <= genes.size / mine.sum() <= 60
        parts = np.split(genes, np.searchsorted(genes, bins.start[mine])[1:])
        assert [part[0] for part in parts] == bins.start[mine].tolist()
        assert [part[-1] for part in parts] == bins.end[mine].tolist()
