"""Unfiltered droplets: set differences of barcodes, and planted cells in simulated ambient RNA."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.droplets import ambient_profile, raw_droplets
from ctcflow.stats.identity.profiles import Profiles

GENES, LOWER = 300, 100
BASES = np.array(list("ACGT"))


@pytest.fixture(autouse=True, scope="module")
def _fewer_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_droplets, "_DRAWS", 2500)
        patch.setattr(raw_droplets, "_DEEPEST", 400)
        yield


def whitelist(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    names = {"".join(rng.choice(BASES, 16)) for _ in range(n)}
    assert len(names) == n
    return np.array(sorted(names, key=lambda name: name[::-1]), dtype=object)


def numbered(n: int) -> sp.csr_matrix:
    """A matrix whose rows tell where they came from."""
    return sp.csr_matrix(np.arange(1, n + 1)[:, None])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 25), st.sampled_from(["", "-1", "_P01"]))
def test_beside_is_the_set_difference(seed: int, n_given: int, suffix: str) -> None:
    rng = np.random.default_rng(seed)
    names = whitelist(25, seed)[rng.permutation(25)]
    mine = rng.permutation(names)[:n_given]
    found = raw_droplets.beside(
        np.array([name + suffix for name in mine], dtype=object), numbered(25), names
    )
    assert sorted(found.barcodes) == sorted(set(names) - set(mine))
    where = {name: row + 1 for row, name in enumerate(names)}
    assert found.counts.toarray().ravel().tolist() == [where[name] for name in found.barcodes]


def test_the_order_beside_depends_neither_on_the_file_nor_on_the_barcodes() -> None:
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(1.0, (20, 30)))
    none = np.zeros(0, dtype=object)
    first = raw_droplets.beside(none, counts, whitelist(20, 4)).counts
    order = rng.permutation(20)
    second = raw_droplets.beside(none, counts[order], whitelist(20, 9)).counts
    assert (first != second).nnz == 0


@pytest.mark.parametrize(
    ("given_form", "droplet_form"),
    [("{}-1", "{}"), ("{}", "{}-1"), ("{}-1", "{}_P01"), ("P1_{}", "{}-1"), ("{}x", "s#{}")],
)
def test_what_a_laboratory_adds_is_looked_through(given_form: str, droplet_form: str) -> None:
    names = whitelist(12, 1)
    found = raw_droplets.beside(
        np.array([given_form.format(name) for name in names[3:7]], dtype=object),
        numbered(12),
        np.array([droplet_form.format(name) for name in names], dtype=object),
    )
    left = [*names[:3], *names[7:]]
    assert sorted(found.barcodes) == sorted(droplet_form.format(name) for name in left)


def test_equal_barcodes_are_believed_before_equal_bases() -> None:
    """Two lanes share a whitelist: `-1` was given, `-2` of the same bases was not."""
    names = whitelist(3, 2)
    every = np.array([f"{name}-{lane}" for lane in (1, 2) for name in names], dtype=object)
    found = raw_droplets.beside(every[:2], numbered(6), every)
    assert sorted(found.barcodes) == sorted(every[2:])


def test_bases_are_not_looked_at_where_one_barcode_is_the_same() -> None:
    """Then both name droplets alike, and another suffix is another droplet."""
    one, two = whitelist(2, 5)
    every = np.array([f"{one}-1", f"{two}-1"], dtype=object)
    mine = np.array([f"{one}-1", f"{two}-2"], dtype=object)
    assert raw_droplets.beside(mine, numbered(2), every).barcodes.tolist() == [f"{two}-1"]


@pytest.mark.parametrize("twice", ["given", "droplets"])
def test_bases_that_name_two_droplets_are_not_looked_through(twice: str) -> None:
    names = whitelist(3, 3)
    lanes = np.array([f"{name}-{lane}" for lane in (1, 2) for name in names], dtype=object)
    mine, every = (lanes, names) if twice == "given" else (names, lanes)
    found = raw_droplets.beside(mine, numbered(every.size), every)
    assert sorted(found.barcodes) == sorted(every)


def test_names_without_bases_and_nobody_given() -> None:
    names = np.array(["well_3", "well_1", "well_2"], dtype=object)
    found = raw_droplets.beside(names[:1], numbered(3), names).barcodes
    assert sorted(found) == ["well_1", "well_2"]
    other = np.array(["cell_1", "cell_2"], dtype=object)
    assert raw_droplets.beside(other, numbered(3), names).barcodes.size == 3
    nobody = raw_droplets.beside(other[:0], numbered(3), names)
    assert sorted(nobody.counts.toarray().ravel()) == [1, 2, 3]
    everybody = raw_droplets.beside(names, numbered(3), names)
    assert everybody.counts.shape == (0, 1)


def test_a_name_without_bases_is_nobodys_match() -> None:
    """What was given as `foo` is not the droplet `bar`; the matching bases are."""
    given = np.array(["ACGTACGT-1", "foo"], dtype=object)
    droplets = np.array(["ACGTACGT", "bar", "CCCCCCCC"], dtype=object)
    found = raw_droplets.beside(given, numbered(3), droplets)
    assert sorted(found.barcodes) == ["CCCCCCCC", "bar"]
    assert found.found == 1


def filled(umis: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    return sp.csr_matrix(rng.multinomial(umis, share / share.sum()).reshape(-1, GENES))


def types(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.gamma(0.5, 1, GENES) * rng.lognormal(0, 1.0, (3, GENES))
    return made / made.sum(axis=1, keepdims=True)


def profiles_of(shares: np.ndarray) -> Profiles:
    log_rates = np.log(0.95 * shares + 0.05 * shares.mean(axis=0) + 1e-9).T
    names = ("B", "CD4 T", "Epithelial")[: len(shares)]
    return Profiles(
        np.arange(GENES),
        log_rates,
        np.zeros(len(shares)),
        names,
        np.array([True, True, False])[: len(shares)],
        np.array([1, 0, 0])[: len(shares)],
        np.empty(0, dtype=np.intp),
    )


class Library:
    """Given: 60 cells, 60 empties, 5 of few counts. Others: soup, and 30 cells left out."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        kinds = types()
        floating = kinds[:2].mean(axis=0)  # tumour cells are too rare to float
        self.given = sp.vstack(
            [
                filled(rng.integers(200, 3000, 30), kinds[0], rng),
                filled(rng.integers(200, 3000, 30), kinds[1], rng),
                filled(rng.integers(LOWER + 1, 260, 60), floating, rng),
                filled(rng.integers(5, LOWER + 1, 5), kinds[0], rng),
            ],
            format="csr",
        )
        self.kind = np.repeat([0, 1, 2, 3], [30, 30, 60, 5])
        self.other = sp.vstack(
            [
                filled(rng.integers(1, LOWER + 1, 2500), floating, rng),
                filled(rng.integers(LOWER + 1, 260, 500), floating, rng),
                filled(rng.integers(150, 600, 20), kinds[1], rng),
                filled(rng.integers(150, 600, 10), kinds[2], rng),
            ],
            format="csr",
        )
        self.other_kind = np.repeat([0, 1, 2, 3], [2500, 500, 20, 10])
        every = sp.vstack([self.given, self.other], format="csr")
        self.ambient = ambient_profile.ambient_profile(every, lower=LOWER)


def judged(
    given: sp.csr_matrix,
    other: sp.csr_matrix,
    ambient: ambient_profile.Ambient,
    reference: Profiles | None = None,
    seed: int = 0,
) -> raw_droplets.Tested:
    return raw_droplets.tested(
        given,
        other,
        ambient=ambient,
        reference=reference or profiles_of(types()),
        lower=LOWER,
        fdr=0.01,
        seed=seed,
    )


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(0)


def totals(counts: sp.csr_matrix) -> np.ndarray:
    return np.asarray(counts.sum(axis=1)).ravel()


def test_planted_cells_are_found_and_empties_are_not(library: Library) -> None:
    found = judged(library.given, library.other, library.ambient)
    kind, other = library.kind, library.other_kind
    assert found.given_empty[kind <= 1].mean() < 0.05
    assert found.given_empty[kind == 2].mean() > 0.95
    assert not found.given_empty[kind == 3].any()  # too few counts for the test
    assert not found.outside[other == 0].any()
    assert found.outside[other == 1].mean() < 0.01
    assert found.outside[other == 2].mean() > 0.9
    assert found.outside[other == 3].mean() > 0.9
    above = (totals(library.given) > LOWER).sum() + (totals(library.other) > LOWER).sum()
    assert found.n_tested == above == 60 + 60 + 500 + 30


def test_a_library_of_soup_alone_holds_no_cell() -> None:
    rng = np.random.default_rng(1)
    floating = types()[:2].mean(axis=0)
    other = sp.vstack(
        [
            filled(rng.integers(1, LOWER + 1, 2500), floating, rng),
            filled(rng.integers(LOWER + 1, 500, 600), floating, rng),
        ],
        format="csr",
    )
    ambient = ambient_profile.ambient_profile(other, lower=LOWER)
    found = judged(other[:0], other, ambient)
    assert found.outside.sum() <= 3
    assert found.n_tested == 600


def test_curve_retain_and_totals(library: Library) -> None:
    found = judged(library.given, library.other, library.ambient)
    mine = totals(library.given)
    assert found.retain == max(0.1 * np.quantile(mine, 0.99), LOWER + 1)
    assert not found.given_empty[mine >= found.retain].any()
    every = np.sort(np.concatenate([mine, totals(library.other)]))[::-1]
    for curve, truth in ((found.curve, every), (found.cells_curve, np.sort(mine)[::-1])):
        ranks, umis = np.array(curve).T
        assert (np.diff(ranks) > 0).all()
        assert (ranks[0], ranks[-1]) == (1, truth.size)
        np.testing.assert_array_equal(umis, truth[ranks - 1])
        assert len(curve) <= 200
        assert all(type(value) is int for point in curve for value in point)
    assert LOWER < found.points.inflection < found.points.knee < mine.max()


def test_the_order_of_barcodes_does_not_matter_and_the_seed_does(library: Library) -> None:
    rng = np.random.default_rng(2)
    first = judged(library.given, library.other, library.ambient)
    mine, rest = rng.permutation(library.kind.size), rng.permutation(library.other_kind.size)
    again = judged(library.given[mine], library.other[rest], library.ambient)
    np.testing.assert_array_equal(again.given_empty, first.given_empty[mine])
    np.testing.assert_array_equal(again.outside, first.outside[rest])
    assert again[2:] == first[2:]
    same = judged(library.given, library.other, library.ambient)
    np.testing.assert_array_equal(same.outside, first.outside)
    others = [judged(library.given, library.other, library.ambient, seed=s) for s in (1, 2)]
    for other in others:  # other draws, same answer for all but a droplet or two at the border
        assert (other.outside != first.outside).sum() <= 3
        assert (other.given_empty != first.given_empty).sum() <= 3


def test_droplets_are_judged_together(library: Library) -> None:
    """Given or not, the same droplet is a cell or not: only `retain` depends on what was given."""
    first = judged(library.given, library.other, library.ambient)
    small = totals(library.given) < first.retain
    moved = np.flatnonzero(small & (library.kind <= 2))
    stay = np.flatnonzero(~small | (library.kind == 3))
    again = judged(
        library.given[stay],
        sp.vstack([library.other, library.given[moved]], format="csr"),
        library.ambient,
    )
    differ = again.outside[-moved.size :] == first.given_empty[moved]
    assert moved.size > 50
    assert differ.mean() < 0.05
    assert again.n_tested == first.n_tested


def test_nobody_given(library: Library) -> None:
    found = judged(library.given[:0], library.other, library.ambient)
    assert found.given_empty.size == 0
    assert found.retain == np.inf
    assert found.cells_curve == []
    kind = library.other_kind
    assert found.outside[kind >= 2].mean() > 0.9
    assert found.outside[kind <= 1].mean() < 0.01


def test_nobody_beside(library: Library) -> None:
    found = judged(library.given, library.other[:0], library.ambient)
    assert found.outside.size == 0
    assert found.curve == found.cells_curve
    assert found.given_empty[library.kind == 2].mean() > 0.9
    assert found.given_empty[library.kind <= 1].mean() < 0.05


def test_cells_of_one_kind_are_kept_though_the_soup_looks_like_them() -> None:
    rng = np.random.default_rng(3)
    kind = types()[:1]
    given = filled(rng.integers(1500, 4000, 80), kind[0], rng)
    other = sp.vstack(
        [
            filled(rng.integers(1, LOWER + 1, 2000), kind[0], rng),
            filled(rng.integers(LOWER + 1, 250, 300), kind[0], rng),
        ],
        format="csr",
    )
    ambient = ambient_profile.ambient_profile(sp.vstack([given, other], format="csr"), lower=LOWER)
    for reference in (profiles_of(kind), profiles_of(types())):
        found = judged(given, other, ambient, reference)
        assert not found.given_empty.any()
        assert found.outside.mean() < 0.01
