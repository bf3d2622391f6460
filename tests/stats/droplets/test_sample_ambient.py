"""Ambient RNA of a sample with a known profile; correction only where it was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from ctcflow.stats.droplets import ambient, exclusive_genes, sample_ambient
from ctcflow.stats.identity.coarse_lineage import COARSE

OWN = {
    "T and NK": ["CD3D", "CD3E", "CD3G", "TRAC", "TRBC1", "CD2", "CD8A", "CD8B"],
    "B": ["CD79A", "MS4A1", "CD19", "IGHM", "IGHD", "IGKC", "TCL1A", "PAX5"],
    "myeloid": ["LYZ", "S100A8", "S100A9", "S100A12", "FCN1", "VCAN", "CD14", "CSTA"],
}
NAMES = np.array([*sum(OWN.values(), []), *(f"HOUSE{k}" for k in range(150))], dtype=object)
MAKER = np.array([*(name for name, genes in OWN.items() for _ in genes), *[""] * 150])
KINDS = ("T and NK", "B", "myeloid", "neutrophil", "other")
SIZES = (150, 80, 60, 60, 40)
CODE = np.repeat([COARSE.index(kind) for kind in KINDS], SIZES)


def sample(rho: float, seed: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Cells of five lineages with `rho` of their counts from one soup; neutrophils are myeloid."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(0.7, 1, NAMES.size) + 0.2
    shares = []
    for kind in KINDS:
        made = {"neutrophil": "myeloid", "other": ""}.get(kind, kind)
        rate = np.where((MAKER == "") | (made == MAKER), base, 0.0)
        rate = rate * rng.lognormal(0, 0.3, NAMES.size)
        shares.append(rate / rate.sum())
    floating = np.average(shares[:4], axis=0, weights=SIZES[:4])
    umis = rng.lognormal(np.log(2000), 0.4, CODE.size)
    own = np.array(shares)[np.repeat(np.arange(len(KINDS)), SIZES)]
    counts = rng.poisson(umis[:, None] * ((1 - rho) * own + rho * floating))
    return sp.csr_matrix(counts.astype(np.int32)), floating


def measured(
    counts: sp.csr_matrix, soup: np.ndarray | None, **changed: object
) -> sample_ambient.SampleAmbient:
    given: dict[str, object] = {
        "lineage": CODE,
        "used": np.ones(CODE.size, bool),
        "reads": False,
        "seed": 0,
    }
    return sample_ambient.measured(counts, NAMES, soup=soup, **{**given, **changed})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tenth() -> tuple[sp.csr_matrix, np.ndarray]:
    return sample(0.1, 1)


@pytest.mark.parametrize("rho", [0.02, 0.1, 0.25])
def test_known_ambient_rna_is_recovered(rho: float) -> None:
    counts, soup = sample(rho, 2)
    with_droplets = measured(counts, soup)
    assert with_droplets.found.reason == ""
    assert with_droplets.found.rho == pytest.approx(rho, abs=max(0.004, 0.12 * rho))
    assert with_droplets.found.low <= rho <= with_droplets.found.high
    np.testing.assert_array_equal(with_droplets.profile, soup)
    without = measured(counts, None)
    assert without.found.rho == pytest.approx(rho, abs=max(0.01, 0.25 * rho))
    np.testing.assert_allclose(without.profile, counts.toarray().sum(0) / counts.sum())


def test_only_used_cells_are_looked_at(tenth: tuple[sp.csr_matrix, np.ndarray]) -> None:
    """Whatever the cells that are set aside hold changes nothing, not even the profile."""
    counts, soup = tenth
    rng = np.random.default_rng(3)
    used = rng.random(CODE.size) < 0.8
    dense = counts.toarray()
    dense[~used] = rng.integers(0, 50, (int((~used).sum()), NAMES.size))
    for profile in (soup, None):
        clean = measured(counts, profile, used=used)
        dirty = measured(sp.csr_matrix(dense), profile, used=used)
        assert dirty.found == clean.found
        np.testing.assert_array_equal(dirty.profile, clean.profile)
        alone = measured(
            counts[used], profile, lineage=CODE[used], used=np.ones(int(used.sum()), bool)
        )
        assert alone.found == clean.found
    assert measured(sp.csr_matrix(dense), soup).found.rho != clean.found.rho


def test_neutrophils_are_measured_in_as_myeloid_cells(
    tenth: tuple[sp.csr_matrix, np.ndarray],
) -> None:
    counts, soup = tenth
    myeloid = np.where(COARSE.index("neutrophil") == CODE, COARSE.index("myeloid"), CODE)
    assert measured(counts, soup, lineage=myeloid).found == measured(counts, soup).found
    # where all others are unknown, only neutrophils are left to measure in
    only = np.where(COARSE.index("neutrophil") == CODE, CODE, COARSE.index("other"))
    found = measured(counts, soup, lineage=only).found
    assert found.rho == pytest.approx(0.1, abs=0.02)
    nobody = measured(counts, soup, lineage=np.full(CODE.size, COARSE.index("other")))
    assert np.isnan(nobody.found.rho)
    assert nobody.found.reason


def test_tumour_cells_are_not_measured_in(tenth: tuple[sp.csr_matrix, np.ndarray]) -> None:
    """Cells of lineage `other` may express anything: with droplets they have no say."""
    counts, soup = tenth
    dense = counts.toarray()
    dense[COARSE.index("other") == CODE] = 9
    assert measured(sp.csr_matrix(dense), soup).found == measured(counts, soup).found


def test_the_order_of_genes_does_not_matter(tenth: tuple[sp.csr_matrix, np.ndarray]) -> None:
    counts, soup = tenth
    order = np.random.default_rng(4).permutation(NAMES.size)
    found = sample_ambient.measured(
        counts[:, order],
        NAMES[order],
        lineage=CODE,
        used=np.ones(CODE.size, bool),
        soup=soup[order],
        reads=False,
        seed=0,
    )
    first = measured(counts, soup)
    assert found.found.rho == pytest.approx(first.found.rho, rel=1e-9)
    assert found.found.genes == first.found.genes == sum(map(len, OWN.values()))


def test_what_is_not_measured_says_so(tenth: tuple[sp.csr_matrix, np.ndarray]) -> None:
    counts, soup = tenth
    wells = measured(counts, soup, reads=True)
    assert "wells" in wells.found.reason
    assert wells.found.genes == 0
    few = measured(counts, None, used=np.arange(CODE.size) < 10)
    nobody = measured(counts, None, used=np.zeros(CODE.size, bool))
    for result in (wells, few, nobody):
        assert np.isnan(result.found[:3]).all()
        assert result.found.reason
        assert result.profile.shape == (NAMES.size,)
        assert np.isnan(result.profile).all()
    # the profile of the droplets is known even where nothing is measured with it
    known = measured(counts, soup, used=np.zeros(CODE.size, bool))
    assert np.isnan(known.found.rho)
    np.testing.assert_array_equal(known.profile, soup)


def test_shipped_exclusive_genes_know_the_names_used_here() -> None:
    source, _ = exclusive_genes.exclusive(NAMES)
    assert [exclusive_genes.GROUPS[k] if k >= 0 else "" for k in source] == MAKER.tolist()


@pytest.mark.parametrize("share_kept", [0.0, 0.6, 1.0])
def test_only_kept_cells_are_corrected_and_stay_where_they_are(
    tenth: tuple[sp.csr_matrix, np.ndarray], share_kept: float
) -> None:
    counts, soup = tenth
    order = np.random.default_rng(5).permutation(CODE.size)
    counts, lineage = counts[order], CODE[order]
    kept = np.random.default_rng(6).random(CODE.size) < share_kept
    known = measured(counts, soup, lineage=lineage)
    before = counts.toarray()
    after = sample_ambient.without(counts, lineage=lineage, kept=kept, ambient_rna=known, seed=3)
    assert after.dtype == counts.dtype
    dense = after.toarray()
    np.testing.assert_array_equal(counts.toarray(), before)
    np.testing.assert_array_equal(dense[~kept], before[~kept])
    assert (dense >= 0).all()
    assert (dense <= before).all()
    direct = ambient.correct(
        counts[kept], lineage=lineage[kept], rho=known.found.rho, profile=soup, seed=3
    )
    np.testing.assert_array_equal(dense[kept], direct.toarray())
    if share_kept:
        gone = (before - dense)[kept]
        assert gone.sum() / before[kept].sum() == pytest.approx(known.found.rho, rel=0.15)
        # what a T cell cannot make goes, what it makes stays
        t_cell = lineage[kept] == COARSE.index("T and NK")
        foreign, own = np.isin(MAKER, ["B", "myeloid"]), MAKER == "T and NK"
        part = [gone[t_cell][:, g].sum() / before[kept][t_cell][:, g].sum() for g in (foreign, own)]
        assert part[0] > 0.7
        assert part[1] < 0.1
