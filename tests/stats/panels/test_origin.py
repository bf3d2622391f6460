"""Tissue of origin: cells drawn from profiles of normal cells, and invariances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from ctcflow.files import io
from ctcflow.files.tables import SHIPPED
from ctcflow.stats.identity.profiles import GROUPS
from ctcflow.stats.panels import origin

RESOURCES = Path(__file__).parents[3] / "resources"
TABLE = io.read_table(RESOURCES / SHIPPED["tissue_markers"])
OF = origin.markers(TABLE)
PROFILES = io.read_table(RESOURCES / SHIPPED["normal_profiles"])
TYPES = io.read_table(RESOURCES / SHIPPED["normal_types"])
GENES = PROFILES["symbol"].to_numpy(dtype=object)
# less the erythroid cells of a liver atlas: they are full of the RNA of hepatocytes
BLOOD = TYPES.loc[TYPES["group"].isin(GROUPS) & (TYPES["profile"] != "Erythroid 2"), "profile"]


def cells_like(profile: str, *, n: int, umis: int, seed: int = 0) -> sp.csr_matrix:
    """Multinomial draws from a profile of normal cells."""
    share = PROFILES[profile].to_numpy(np.float64)
    draws = np.random.default_rng(seed).multinomial(umis, share / share.sum(), size=n)
    return sp.csr_matrix(draws)


def pool_of(counts: sp.csr_matrix, genes: np.ndarray = GENES) -> origin.Pool:
    every = np.ones(counts.shape[0], dtype=bool)
    return origin.counts_in_markers(counts, cells=every, genes=genes, of=OF)


def told(found: origin.Origin) -> dict[str, str]:
    return {answer.level: answer.name for answer in found.answers if answer.told}


@pytest.mark.parametrize(
    ("profile", "tissue", "kind"),
    [
        ("Hepatocyte 1", "liver", "epithelial"),
        ("Melanocyte 1", "melanocyte", "melanocytic"),
        ("Islet 1", "neuroendocrine epithelium", "neuroendocrine or neural crest"),
        ("Fibroblast 1", "soft tissue or bone", "mesenchymal"),
    ],
)
def test_cells_of_a_profile_are_of_its_tissue(profile: str, tissue: str, kind: str) -> None:
    found = origin.origin([pool_of(cells_like(profile, n=5, umis=2000))], of=OF)
    assert told(found) == {"class": kind, "tissue": tissue}
    assert found.sentence == f"tissue of origin: {tissue} (from 5 CTCs)"
    assert (found.cells, found.counts) == (5, 10_000)


@pytest.mark.parametrize("profile", BLOOD)
def test_blood_cells_have_no_tissue_of_origin(profile: str) -> None:
    found = origin.origin([pool_of(cells_like(profile, n=5, umis=600))], of=OF)
    assert told(found) == {}
    assert found.sentence == "tissue of origin: cannot be told from 5 CTCs"


def test_a_tissue_that_is_not_known_here_is_not_given_another_name() -> None:
    genes = [
        "EPCAM",
        "KRT8",
        "KRT18",
        "KRT19",
        "CDH1",
        "CLDN4",
        "CLDN7",
        "ELF3",
        "ESRP1",
        "TACSTD2",
    ]
    counts = np.zeros((5, GENES.size), dtype=np.int64)
    counts[:, np.isin(GENES, genes)] = 3
    counts[:, np.flatnonzero(GENES == "ACTB")] = 570
    found = origin.origin([pool_of(sp.csr_matrix(counts))], of=OF)
    assert told(found) == {"class": "epithelial"}
    assert found.sentence.endswith("cannot be told from 5 CTCs; class of tumour: epithelial")


def test_the_order_of_cells_and_of_samples_does_not_matter() -> None:
    counts = cells_like("Hepatocyte 1", n=6, umis=600)
    first = origin.origin([pool_of(counts)], of=OF)
    turned = origin.origin([pool_of(counts[[5, 2, 4]]), pool_of(counts[[3, 1, 0]])], of=OF)
    assert [answer[:3] for answer in first.answers] == [answer[:3] for answer in turned.answers]
    for one, other in zip(first.answers, turned.answers, strict=True):
        np.testing.assert_allclose(one[3:6], other[3:6], rtol=1e-9)


def test_more_of_the_same_counts_keep_the_ranking() -> None:
    counts = cells_like("Hepatocyte 1", n=5, umis=600)
    once, twice = (origin.origin([pool_of(counts * times)], of=OF) for times in (1, 2))
    assert [a.name for a in once.answers if a.rank == 1] == [
        a.name for a in twice.answers if a.rank == 1
    ]
    # beyond the most that counts they change nothing at all
    deep, deeper = (origin.origin([pool_of(counts * times)], of=OF) for times in (200, 400))
    for one, other in zip(deep.answers, deeper.answers, strict=True):
        np.testing.assert_allclose(one[3:6], other[3:6], rtol=1e-6)


def test_one_cell_among_many_decides_nothing() -> None:
    """A hepatocyte among four leukocytes: without it there is no liver."""
    liver = cells_like("Hepatocyte 1", n=1, umis=600)
    blood = cells_like("CD4 T 1", n=4, umis=600)
    assert told(origin.origin([pool_of(liver)], of=OF))["tissue"] == "liver"
    found = origin.origin([pool_of(sp.vstack([liver, blood]))], of=OF)
    first = next(answer for answer in found.answers if answer.level == origin.TISSUE)
    assert first.name == "liver"
    assert first.lower < first.weight
    assert told(found) == {}


def test_one_gene_decides_nothing() -> None:
    counts = np.zeros((5, GENES.size), dtype=np.int64)
    counts[:, np.flatnonzero(GENES == "KLK3")] = 100
    counts[:, np.flatnonzero(GENES == "ACTB")] = 500
    assert told(origin.origin([pool_of(sp.csr_matrix(counts))], of=OF)) == {}


@pytest.mark.parametrize("n_cells", [1, 3])
def test_limits_are_those_with_any_one_cell_or_gene_left_out(n_cells: int) -> None:
    """Of a single cell there is only a gene to leave out."""
    pool = pool_of(cells_like("Hepatocyte 1", n=n_cells, umis=30 // n_cells))
    seen = np.flatnonzero(np.asarray(pool.counts.sum(axis=0)).ravel()[:-1])
    cells = np.arange(n_cells)
    less = [pool._replace(counts=pool.counts[cells != cell]) for cell in cells if n_cells > 1]
    every = np.arange(pool.measured.size)
    less += [pool._replace(measured=pool.measured & (every != gene)) for gene in seen]
    at = OF.tissues.tolist().index("liver")
    weights = [origin._weights(one.counts.astype(float), one.measured, OF)[0, at] for one in less]
    answers = origin.origin([pool], of=OF).answers
    liver = next(answer for answer in answers if answer.name == "liver")
    np.testing.assert_allclose(liver.lower, min(*weights, liver.weight))
    np.testing.assert_allclose(liver.upper, max(*weights, liver.weight))
    assert liver.lower < liver.weight - 0.01


def test_a_gene_that_blood_shows_is_weaker_evidence() -> None:
    """GATA3 is a gene of T cells too; ANKRD30A is of none of blood."""
    one, other = (OF.genes.tolist().index(gene) for gene in ("GATA3", "ANKRD30A"))
    evidence = origin._log_evidence(
        np.full((1, 2), 1.0),
        np.array([3000.0]),
        np.full((2, 1), 0.6),
        OF.background[[one, other]],
    )[0, :, 0]
    assert 0 < evidence[0] < evidence[1] - 0.5


def test_genes_that_were_not_measured_say_nothing() -> None:
    """Without the genes of the liver the file cannot speak against it by their absence."""
    liver = set(TABLE.loc[TABLE["tissue"] == "liver", "gene"])
    kept = ~np.isin(GENES, list(liver))
    counts = cells_like("Hepatocyte 1", n=5, umis=600)
    pool = pool_of(counts[:, kept], GENES[kept])
    assert not pool.measured[np.isin(OF.genes, list(liver))].any()
    empty = pool._replace(measured=np.ones_like(pool.measured))
    missing, absent = (origin._weights(p.counts, p.measured, OF)[0] for p in (pool, empty))
    at = OF.tissues.tolist().index("liver")
    assert missing[at] > absent[at]


def test_a_draw_without_a_cell_has_no_answer() -> None:
    nothing = origin.origin([pool_of(sp.csr_matrix((3, GENES.size), dtype=np.int64))], of=OF)
    assert nothing == origin.Origin([], 0, 0, "")


def test_cells_that_cannot_be_called_are_left_empty_and_no_count_is_lost() -> None:
    counts = cells_like("Hepatocyte 1", n=3, umis=600)
    cells = np.array([True, False, True])
    pool = origin.counts_in_markers(counts, cells=cells, genes=GENES, of=OF)
    assert np.asarray(pool.counts.sum(axis=1)).ravel().tolist() == [600, 0, 600]
    place = OF.genes.tolist().index("ALB")
    albumin = counts[:, np.flatnonzero(GENES == "ALB")].toarray().ravel()
    assert pool.counts[:, [place]].toarray().ravel().tolist() == [albumin[0], 0, albumin[2]]


def test_the_evidence_of_a_gene_is_that_of_poisson_counts_and_bounded() -> None:
    shares, background = np.array([[0.6, 0.05]]), np.array([3e-6])
    for count in (0, 1, 7, 500):
        found = origin._log_evidence(
            np.array([[float(count)]]), np.array([3000.0]), shares, background
        )[0, 0]
        off = stats.poisson.pmf(count, 3000 * background[0])
        on = stats.poisson.pmf(count, 3000 * (background[0] + origin._RATES)).mean()
        if off > 0:
            np.testing.assert_allclose(found, np.log(1 - shares[0] + shares[0] * on / off))
        assert found[0] - found[1] <= np.log(0.6 / 0.05) + 1e-9


def test_the_background_is_the_largest_rate_of_blood() -> None:
    blood = TYPES.loc[TYPES["group"].isin(GROUPS), "profile"]
    most = PROFILES.set_index("symbol")[blood].max(axis=1)
    stated = TABLE.drop_duplicates("gene").set_index("gene")["blood"]
    expected = most.reindex(stated.index).fillna(0.0)
    np.testing.assert_allclose(stated, expected, rtol=1e-4)


def test_shares_are_shares_and_a_gene_is_listed_once_per_tissue() -> None:
    assert ((TABLE["share"] > 0) & (TABLE["share"] < 1)).all()
    with pytest.raises(ValueError, match="duplicate"):
        origin.markers(pd.concat([TABLE, TABLE.head(1)]))


def test_of_two_rates_in_blood_the_larger_is_the_background() -> None:
    row = {"class": "epithelial", "tissue": "liver", "gene": "ALB", "share": 0.9, "blood": 3.0}
    other = row | {"tissue": "lung", "share": 0.1, "blood": 40.0}
    both = origin.markers(pd.DataFrame([row, other])).background
    assert both == origin.markers(pd.DataFrame([other])).background
    assert both > origin.markers(pd.DataFrame([row])).background
