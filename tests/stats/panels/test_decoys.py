"""Decoys are matched, harmless where blood is as the null says, and loud where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from ctcflow.stats.panels import decoys

N_GENES = 2000
MEMBERS = np.arange(40, dtype=np.intp)
CANDIDATES = np.arange(40, N_GENES, dtype=np.intp)


def blood(
    n: int, *, sd: float = 0.0, rich: float = 1.0, seed: int = 0
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Poisson counts of two lineages, the second `rich` in these genes.

    Genes vary together over cells where `sd` is above 0.
    """
    rng = np.random.default_rng(seed)
    rates = 10.0 ** rng.uniform(-6, -4, N_GENES)
    fold = np.exp(rng.normal(0, 1, (2, N_GENES)))
    fold[1] *= rich
    lineage = (rng.random(n) < 0.2).astype(int)
    depth = rng.lognormal(7.6, 0.5, n)
    together = np.exp(rng.normal(0, sd, n) - sd**2 / 2)
    mean = (rates * fold)[lineage] * (depth * together)[:, None]
    counts = rng.poisson(mean)
    # the rest of each cell's counts, in a gene that nothing is drawn from
    rest = np.maximum(depth - counts.sum(1), 0).astype(int)
    return sp.csr_matrix(np.column_stack([counts, rest])), lineage.astype(np.intp)


def shares(counts: sp.csr_matrix, lineage: np.ndarray, **change: object) -> np.ndarray:
    given = {
        "lineage": lineage,
        "n_lineages": 2,
        "members": MEMBERS,
        "candidates": CANDIDATES,
        "n_decoys": 10,
        "weight": 50_000.0,
        "rng": np.random.default_rng(1),
    }
    return decoys.decoy_shares(counts, **(given | change))  # type: ignore[arg-type]


def test_cells_as_the_null_says_reach_a_p_no_more_often_than_it_says() -> None:
    found = shares(*blood(4000))
    assert found.shape == (10, 2)
    # sums of few genes move in steps: below the level, not far below
    assert 0.002 < found[:, 0].mean() <= 0.012
    assert found[:, 1].mean() <= 0.0015


def test_genes_that_go_together_in_blood_are_seen() -> None:
    assert shares(*blood(4000, sd=1.0))[:, 0].mean() > 0.02


def test_lineages_that_are_not_told_apart_are_seen() -> None:
    counts, lineage = blood(4000, rich=4.0)
    told = shares(counts, lineage)[:, 0].mean()
    untold = shares(counts, np.zeros_like(lineage), n_lineages=1)[:, 0].mean()
    assert told <= 0.012
    assert untold > 2 * told


def test_a_decoy_gene_is_as_frequent_as_the_gene_that_it_stands_for() -> None:
    rng = np.random.default_rng(0)
    among = np.sort(10.0 ** rng.uniform(-7, -4, 5000))
    among[:800] = 0.0
    wanted = np.concatenate([np.zeros(5), 10.0 ** rng.uniform(-6, -4, 60)])
    places = decoys._matched(wanted, among=among, rng=rng)
    assert len(set(places)) == wanted.size
    assert (among[places[:5]] == 0).all()
    assert np.abs(np.log10(among[places[5:]] / wanted[5:])).max() < 0.1


def test_the_same_seed_gives_the_same_decoys_whatever_the_order_of_the_cells() -> None:
    counts, lineage = blood(500)
    order = np.random.default_rng(2).permutation(500)
    assert (shares(counts, lineage) == shares(counts[order], lineage[order])).all()
    other = shares(counts, lineage, rng=np.random.default_rng(9))
    assert (shares(counts, lineage) != other).any()


@pytest.mark.parametrize(
    "change",
    [
        {"members": np.empty(0, dtype=np.intp)},
        {"candidates": CANDIDATES[:39]},
        {"n_decoys": 0},
    ],
)
def test_what_cannot_be_matched_gives_no_share(change: dict[str, object]) -> None:
    counts, lineage = blood(50)
    found = shares(counts, lineage, **change)
    assert found.shape == (0, 2)
    assert decoys.summary(found, n_cells=50) == []


def test_decoys_have_no_panel_genes_and_no_technical_ones() -> None:
    names = np.array(["EPCAM", "TP53", "MT-CO1", "XIST", "ACTB"], dtype=object)
    technical = pd.DataFrame(
        {"set": ["mitochondrial", "sex"], "gene": [None, "XIST"], "pattern": ["^MT-", None]}
    )
    members = np.array([0], dtype=np.intp)
    measured = np.ones(names.size, dtype=bool)
    found = decoys.candidates_of(names, technical=technical, members=members, measured=measured)
    assert found.tolist() == [1, 4]
    measured[1] = False  # a name without a count that nobody knows
    found = decoys.candidates_of(names, technical=technical, members=members, measured=measured)
    assert found.tolist() == [4]


def test_no_cells_and_one_cell() -> None:
    counts, lineage = blood(1)
    assert shares(counts[:0], lineage[:0]).shape == (0, 2)
    assert shares(counts, lineage).shape == (10, 2)


def test_the_summary_gives_mean_and_range() -> None:
    rows = decoys.summary(np.array([[0.01, 0.0], [0.03, 0.002]]), n_cells=500)
    assert rows[0] == {
        "decoys": 2, "cells": 500, "level": 0.01, "share": 0.02, "low": 0.01, "high": 0.03,
    }  # fmt: skip
    assert rows[1]["share"] == 0.001
