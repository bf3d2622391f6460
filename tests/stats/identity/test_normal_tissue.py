"""Stroma, skin and tumour cells drawn from known profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from ctcflow.stats.identity import normal_tissue
from ctcflow.stats.identity.normal_tissue import Tissue
from ctcflow.stats.identity.profiles import NORMAL_GROUPS, Profiles

Tables = dict[str, pd.DataFrame]
EPITHELIAL = ("EPCAM", "KRT8", "KRT18", "KRT19", "CLDN4", "ELF3", "KRT7", "TACSTD2")


def drawn(reference: Profiles, type_: str, depth: int, n: int, seed: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    share = np.exp(reference.log_rates[:, reference.types.index(type_)])
    counts = np.zeros((n, int(reference.columns.max()) + 1))
    counts[:, reference.columns] = rng.multinomial(depth, share / share.sum(), n)
    return sparse.csr_matrix(counts)


def judged(
    tables: Tables, reference: Profiles, counts: sparse.csr_matrix, panel: tuple[str, ...] = ()
) -> Tissue:
    symbols = tables["normal_profiles"]["symbol"].to_numpy(dtype=object)[reference.columns]
    return normal_tissue.normal_tissue(
        counts,
        reference=reference,
        shipped_null=tables["identity_null"],
        panel_genes=np.isin(symbols, panel),
    )


@pytest.mark.parametrize("depth", [300, 3000])
@pytest.mark.parametrize("type_", ["Fibroblast", "Endothelial", "Pericyte/smooth muscle"])
def test_stroma_may_be_stroma_and_is_named(
    tables: Tables, reference: Profiles, type_: str, depth: int
) -> None:
    found = judged(tables, reference, drawn(reference, type_, depth, 60, 1), EPITHELIAL)
    assert (found.nearest == type_).mean() > 0.9
    assert (found.p_stroma > 0.05).mean() > 0.9
    assert (found.over_blood > 0).all()


@pytest.mark.parametrize(
    ("type_", "group"),
    [
        ("Secretory", "epithelium"),
        ("Hepatocyte", "epithelium"),
        ("Keratinocyte", "skin"),
        ("Melanocyte", "melanocyte"),
        ("Islet", "endocrine"),
    ],
)
def test_other_tissue_is_no_stroma(
    tables: Tables, reference: Profiles, type_: str, group: str
) -> None:
    found = judged(tables, reference, drawn(reference, type_, 600, 60, 2))
    assert (found.p_stroma < 0.005).mean() > 0.95
    best = np.array(NORMAL_GROUPS)[found.margin.argmax(axis=1)]
    assert (best == group).mean() > 0.9
    assert (np.sort(found.margin, axis=1)[:, -1] > 0).all()
    assert (np.sort(found.margin, axis=1)[:, -2] < 0).all()


def test_keratins_beyond_those_of_stroma_speak_against_it(
    tables: Tables, reference: Profiles
) -> None:
    """A fibroblast with five counts of five epithelial genes is none; with one, it may be."""
    symbols = list(tables["normal_profiles"]["symbol"])
    plain = drawn(reference, "Fibroblast", 600, 40, 3)
    for genes, expected in ((EPITHELIAL[:5], True), (("KRT18",), False)):
        counts = plain.toarray()
        counts[:, [symbols.index(gene) for gene in genes]] += 1
        found = judged(tables, reference, sparse.csr_matrix(counts), EPITHELIAL)
        assert ((found.p_stroma_panel < 0.005).mean() > 0.9) == expected
        assert (found.nearest == "Fibroblast").mean() > 0.9


def test_p_is_the_tail_of_the_shipped_null(tables: Tables, reference: Profiles) -> None:
    """By hand: normal up to the upper tenth, exponential beyond it."""
    counts = drawn(reference, "Fibroblast", 640, 30, 4)
    found = judged(tables, reference, counts)
    null = tables["identity_null"].set_index(["group", "depth"]).loc[("stroma", 640)]
    z = (-found.margin[:, NORMAL_GROUPS.index("stroma")] - null["centre"]) / null["spread"]
    border = stats.norm.isf(0.1)
    tail = np.where(z <= border, stats.norm.sf(z), 0.1 * np.exp(-(z - border) / 0.4))
    np.testing.assert_allclose(found.p_stroma, tail, rtol=1e-9)
    assert (found.p_stroma_panel == 1).all()  # no panel was looked at


def test_margins_are_differences_of_multinomial_likelihoods(
    tables: Tables, reference: Profiles
) -> None:
    counts = drawn(reference, "Secretory", 500, 3, 5)
    found = judged(tables, reference, counts)
    cell = counts.toarray()[1, reference.columns].astype(int)
    shares = np.exp(reference.log_rates)
    each = np.array(
        [stats.multinomial.logpmf(cell, 500, share / share.sum()) for share in shares.T]
    )
    groups = np.array(tables["normal_types"]["group"])
    best = {name: each[groups == name].max() for name in NORMAL_GROUPS}
    for column, name in enumerate(NORMAL_GROUPS):
        rival = max(value for other, value in best.items() if other != name)
        assert found.margin[1, column] == pytest.approx((best[name] - rival) / 500, abs=1e-6)
    blood = each[reference.is_blood].max()
    assert found.over_blood[1] == pytest.approx((max(best.values()) - blood) / 500, abs=1e-6)


def test_no_cell_and_a_cell_without_a_count(tables: Tables, reference: Profiles) -> None:
    counts = drawn(reference, "Fibroblast", 100, 2, 6).tolil()
    counts[0] = 0
    found = judged(tables, reference, counts.tocsr(), EPITHELIAL)
    assert found.nearest[0] == ""
    assert found.p_stroma[0] >= 0.5
    assert found.over_blood[0] == 0
    none = judged(tables, reference, counts.tocsr()[:0], EPITHELIAL)
    assert none.nearest.size == none.p_stroma.size == none.over_blood.size == 0


def test_a_cell_plainly_resembles_a_tissue_that_is_a_tenth_of_a_nat_per_count_ahead(
    reference: Profiles,
) -> None:
    """More and more counts of another tissue are added to cells of one."""
    first = drawn(reference, "Islet", 3000, 60, 7)
    second = drawn(reference, "Fibroblast", 3000, 60, 8)
    rng = np.random.default_rng(9)
    share = np.linspace(0.4, 0.8, 60)[:, None]
    mixed = rng.binomial(first.toarray().astype(int), 1 - share)
    mixed += rng.binomial(second.toarray().astype(int), share)
    counts = sparse.csr_matrix(mixed.astype(float))
    shared = counts[:, reference.columns]
    likelihood = np.asarray(shared @ reference.log_rates)
    depth = np.asarray(shared.sum(axis=1)).ravel()
    ahead = normal_tissue.margins(likelihood, depth=depth, types=reference).max(axis=1)
    assert ((ahead > 0.1) & (ahead < 0.2)).sum() > 5
    assert (ahead < 0.1).sum() > 3
    plainly = normal_tissue.plainly_like(counts, reference=reference)
    np.testing.assert_array_equal(plainly >= 0, ahead >= 0.1)
    assert {reference.types[row] for row in plainly[ahead > 0.3]} == {"Islet", "Fibroblast"}
