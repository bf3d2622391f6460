"""Partners of tumour cells: against an explicit integral, simulated droplets and real mixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, sparse, stats

from ctcflow.stats.calls import aggregates
from ctcflow.stats.identity import profiles
from ctcflow.stats.panels.partners import (
    LINEAGES,
    LineageGenes,
    lineage_genes,
    partners,
    poisson_quantile,
)

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "real"
TNBC = "tumour_copykat_TNBC_302.h5ad"
PBMC = "blood_pbmc4k_soupx_with_real_soup_profile.h5ad"


def _everyone(counts: np.ndarray) -> np.ndarray:
    return np.ones(counts.shape[0], dtype=bool)


def test_p_is_the_integral_over_how_much_ambient_rna_a_droplet_has() -> None:
    """Two genes, Poisson given a gamma amount of ambient RNA; 0.05 strays at 1e-4 of the counts."""
    umis, ambient, rate = 2000, np.array([2e-5, 4e-5, 0.0]), np.array([1e-3, 1e-3])
    counts = np.array([[3, 1, umis - 4], [1, 0, umis - 1], [0, 0, umis]])
    genes = {
        "one": LineageGenes(np.array([0, 1]), rate),
        "none": LineageGenes(np.arange(0), np.empty(0)),
    }
    found = partners(
        sparse.csr_matrix(counts), candidates=_everyone(counts), genes=genes, ambient=ambient
    )
    stray = 0.05 * (1 - np.exp(-1e-4 * umis))

    def seen(amount: float) -> np.ndarray:
        return 1 - (1 - stray) * np.exp(-umis * (2e-6 + amount * ambient[:2]))

    droplets = stats.gamma(a=10, scale=0.1)

    def mean(chance: Callable[[np.ndarray], float]) -> float:
        return integrate.quad(lambda x: droplets.pdf(x) * chance(seen(x)), 0, 8, epsabs=1e-12)[0]

    # the first gene floats less and weighs more: nothing but itself reaches its weight
    both, first = mean(np.prod), mean(lambda p: p[0])
    assert found.p == pytest.approx([2 * both, min(2 * first, 1), 1], rel=1e-4)
    assert found.lineage.tolist() == ["one", "one", ""]


def test_a_gene_counts_once_however_many_counts_it_has() -> None:
    counts = np.array([[1, 0, 999], [60, 0, 940]])
    genes = {"one": LineageGenes(np.array([0, 1]), np.array([1e-3, 1e-3]))}
    p = partners(
        sparse.csr_matrix(counts),
        candidates=_everyone(counts),
        genes=genes,
        ambient=np.array([1e-5, 1e-5, 0.0]),
    ).p
    assert p[0] == p[1] > 1e-3


def test_ambient_rna_explains_what_it_explains() -> None:
    """Deep droplets of ambient RNA alone, a third more variable between droplets than the model."""
    rng = np.random.default_rng(3)
    n_genes, n = 100, 4000
    profile = rng.dirichlet(np.full(n_genes, 0.5)) * 0.02
    genes = {
        name: LineageGenes(np.arange(start, start + 50), np.full(50, 4e-4))
        for name, start in (("a", 0), ("b", 50))
    }
    for umis in (300, 3000, 18_000):
        amount = rng.gamma(7.5, 1 / 7.5, size=(n, 1)) * 0.1
        counts = rng.poisson(umis * (amount * profile + 1e-6))
        rest = np.full((n, 1), umis) - counts.sum(axis=1, keepdims=True)
        whole = sparse.csr_matrix(np.hstack([counts, np.maximum(rest, 0)]))
        ambient = np.append(0.1 * profile, 0.0)
        p = partners(whole, candidates=_everyone(counts), genes=genes, ambient=ambient).p
        for level in (1e-2, 1e-3):
            assert (p <= level).mean() <= level, (umis, level)
        none = partners(whole, candidates=_everyone(counts), genes=genes, ambient=ambient / 50).p
        assert umis == 300 or (none <= 1e-3).mean() > 0.05  # the same counts, not explained


def test_others_than_candidates_are_not_judged_and_no_gene_is_no_partner() -> None:
    counts = sparse.csr_matrix(np.full((3, 4), 5))
    genes = {"a": LineageGenes(np.array([0, 1]), np.full(2, 1e-3))}
    nothing = {"a": LineageGenes(np.arange(0), np.empty(0))}
    some = np.array([True, False, True])
    found = partners(counts, candidates=some, genes=genes, ambient=np.zeros(4))
    assert np.isnan(found.p).tolist() == [False, True, False]
    assert found.lineage.tolist() == ["a", "", "a"]
    alone = partners(counts[1:2], candidates=some[:1], genes=genes, ambient=np.zeros(4))
    assert alone.p[0] == found.p[0]
    missing = partners(counts, candidates=some, genes=nothing, ambient=np.zeros(4))
    assert missing.p[some].tolist() == [1, 1]
    assert missing.lineage.tolist() == ["", "", ""]
    for known in (genes, nothing):
        empty = partners(counts[:0], candidates=some[:0], genes=known, ambient=np.zeros(4))
        assert empty.p.size == empty.lineage.size == 0


def test_names_are_types_of_profiles_that_have_a_partner_lineage(
    tables: dict[str, pd.DataFrame],
) -> None:
    assert set(LINEAGES) == set(aggregates.PARTNER_OF)
    known = profiles.profiles(
        np.array(["CD3E", "LYZ"], dtype=object),
        reference=tables["normal_profiles"],
        types=tables["normal_types"],
        left_out=frozenset(),
        ambient=None,
        ambient_share=0.0,
    )
    assert set(LINEAGES) <= set(known.types)


def test_genes_are_what_the_atlas_shows_in_blood_and_not_in_tissue(
    tables: dict[str, pd.DataFrame],
) -> None:
    rates = pd.DataFrame(
        {
            "symbol": ["T1", "WIDE", "TISSUE", "RARE", "S100A8", "PANEL", "PPBP"],
            **dict.fromkeys(tables["rates"].columns[1:], 0.0),
        }
    ).set_index("symbol")
    rates["CD4+T"] = [100, 800, 800, 50, 900, 900, 0]
    rates["Monocyte"] = [0, 300, 300, 0, 900, 900, 0]
    rates["Endothelial"] = [0, 19, 60, 0, 0, 0, 0]
    names = np.array(["PPBP", "RARE", "TISSUE", "WIDE", "PANEL", "T1", "S100A8", "CXCR2"], object)
    found = lineage_genes(
        names,
        rates=rates.reset_index(),
        markers=tables["cell_types"],
        left_out=frozenset(["PANEL"]),
    )
    assert tuple(found) == LINEAGES
    by_name = {lineage: set(names[mine.columns]) for lineage, mine in found.items()}
    assert by_name["CD4 T"] == {"T1", "WIDE"}
    assert by_name["Monocyte"] == {"WIDE"}
    assert by_name["Neutrophil"] == {"WIDE", "CXCR2"}
    assert by_name["Platelet"] == {"PPBP"}
    assert by_name["B"] == set()
    of = dict(zip(names[found["CD4 T"].columns], found["CD4 T"].rate, strict=True))
    assert of == pytest.approx({"T1": 1e-4, "WIDE": 8e-4})


def test_sixty_counts_per_million_and_fifteen_times_the_tissue_are_enough(
    tables: dict[str, pd.DataFrame],
) -> None:
    names = np.array(["RATE", "LESS", "TISSUE", "MORE"], dtype=object)
    rates = pd.DataFrame({"symbol": names, **dict.fromkeys(tables["rates"].columns[1:], 0.0)})
    rates["CD4+T"] = [60.0, 59.9, 240.0, 240.0]
    rates["Fibroblast"] = [0.0, 0.0, 16.0, 16.1]
    found = lineage_genes(
        names, rates=rates, markers=tables["cell_types"].iloc[:0], left_out=frozenset()
    )
    assert names[found["CD4 T"].columns].tolist() == ["RATE", "TISSUE"]


def test_no_shipped_gene_is_one_that_tumours_present_antigens_with(
    tables: dict[str, pd.DataFrame],
) -> None:
    names = tables["rates"]["symbol"].to_numpy(dtype=object)
    found = lineage_genes(
        names, rates=tables["rates"], markers=tables["cell_types"], left_out=frozenset()
    )
    used = {gene for mine in found.values() for gene in names[mine.columns]}
    assert not {gene for gene in used if gene.startswith("HLA-")} | used & {"CD74", "B2M"}
    assert {"CD3D", "CD79A", "MS4A1", "TYROBP", "NKG7", "FCN1"} <= used


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/real is absent")
# of anndata 0.13 with pandas 3.1, whenever a file with text is read; nothing of ours
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_real_leukocytes_are_found_beside_real_tumour_cells_and_not_without(
    tables: dict[str, pd.DataFrame],
) -> None:
    tumour, blood = (anndata.read_h5ad(REAL / name) for name in (TNBC, PBMC))
    tumour = tumour[tumour.obs["copykat_pred"] == "aneuploid"]
    shared = tumour.var_names.intersection(blood.var_names)
    tumour, blood = tumour[:, shared], blood[:, shared]
    names = shared.to_numpy(dtype=object)
    members = tables["panels"].query("set == 'pan_epithelial' and direction == 1")["gene"]
    genes = lineage_genes(
        names,
        rates=tables["rates"],
        markers=tables["cell_types"],
        left_out=frozenset(members),
    )
    rng = np.random.default_rng(0)
    soup = blood.var["soup_est"].to_numpy(np.float64)
    depth = 1500

    def thinned(counts: np.ndarray) -> np.ndarray:
        share = np.minimum(1.0, depth / counts.sum(axis=1, keepdims=True))
        return rng.binomial(counts, share)

    alone = thinned(tumour.X.toarray().astype(np.int64))
    rows = rng.integers(0, blood.n_obs, tumour.n_obs)
    together = alone + thinned(blood.X[rows].toarray().astype(np.int64))
    p, lineage = {}, {}
    for name, counts in (("alone", alone), ("together", together)):
        lineage[name], p[name] = partners(
            sparse.csr_matrix(counts),
            candidates=_everyone(counts),
            genes=genes,
            ambient=0.05 * soup / soup.sum(),
        )
    # four of the 228 came with a leukocyte: see the counts of CD3D, GZMA or CD163 in them
    assert (p["alone"] <= 1e-4).sum() <= 3
    found = p["together"] <= 1e-4
    assert found.mean() > 0.7
    kinds = blood.obs["Annotation"].astype(str).to_numpy()[rows]
    right = {
        "B": ("B",),
        "MNP": ("Monocyte", "Neutrophil"),
        "NK": ("NK", "CD8 T"),
        "T_CD4": ("CD4 T", "CD8 T"),
    }
    for kind, names_ in right.items():
        mine = found & (kinds == kind)
        assert mine.sum() >= 5, kind
        assert np.isin(lineage["together"][mine], names_).mean() > 0.9, kind


@given(
    mean=st.lists(st.floats(0, 1e5), min_size=1, max_size=20).map(np.array),
    q=st.sampled_from([0.05, 0.5, 0.8, 0.999]),
)
def test_the_quantile_is_that_of_scipy_stats(mean: np.ndarray, q: float) -> None:
    np.testing.assert_array_equal(poisson_quantile(q, mean), stats.poisson.ppf(q, mean))
