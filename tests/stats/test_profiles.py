"""Reference profiles over a sample's genes: shares, blends, ambient RNA, and genes left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcflow.stats.profiles import AMBIENT_SHARE, GROUPS, profiles

RESOURCES = Path(__file__).parents[2] / "resources"


@pytest.fixture(scope="module")
def rates() -> pd.DataFrame:
    return pd.read_csv(RESOURCES / "genes" / "lineage_rates.tsv.gz", sep="\t")


@pytest.fixture(scope="module")
def markers() -> pd.DataFrame:
    return pd.read_csv(RESOURCES / "signatures" / "cell_types.tsv", sep="\t")


def _some(rates: pd.DataFrame) -> np.ndarray:
    names = ["CD3D", "MS4A1", "LYZ", "KRT8", "COL1A1", "PECAM1", "FCGR3B", "PPBP", "HBB", "NKG7"]
    common = rates["symbol"].iloc[:300].tolist()
    return np.array(["not_a_gene", *dict.fromkeys(names + common)], dtype=object)


def _made(rates: pd.DataFrame, markers: pd.DataFrame, genes: np.ndarray, **changed: object):
    given = {
        "rates": rates,
        "markers": markers,
        "left_out": frozenset({"KRT8"}),
        "ambient": np.ones(genes.size),
        "ambient_share": AMBIENT_SHARE,
    }
    return profiles(genes, **{**given, **changed})


def test_each_profile_is_shares_of_all_counts(rates: pd.DataFrame, markers: pd.DataFrame) -> None:
    genes = _some(rates)
    made = _made(rates, markers, genes)
    np.testing.assert_allclose(np.exp(made.log_rates).sum(0), 1.0)
    assert made.log_rates.shape == (made.columns.size, len(made.types))
    assert made.is_blood.size == made.group.size == len(made.types)
    assert "not_a_gene" not in genes[made.columns]
    assert "KRT8" not in genes[made.columns]
    assert {"CD3D", "LYZ", "HBB"} <= set(genes[made.columns])
    assert set(np.array(made.types)[~made.is_blood]) == {"Fibroblast", "Endothelial", "Epithelial"}
    lineage = dict(zip(made.types, made.group, strict=True))
    assert [GROUPS[lineage[t]] for t in ("CD4 T", "B", "Monocyte", "Neutrophil", "Platelet")] == [
        "lymphoid", "B", "myeloid", "granulocyte", "anucleate",
    ]  # fmt: skip


def test_atlas_types_are_the_table_the_floor_and_the_ambient_share(
    rates: pd.DataFrame, markers: pd.DataFrame
) -> None:
    genes = _some(rates)
    rng = np.random.default_rng(0)
    ambient = rng.random(genes.size)
    made = _made(rates, markers, genes, ambient=ambient)
    shared = genes[made.columns]
    own = rates.set_index("symbol")["B"].reindex(shared).fillna(0.0)
    floored = own / own.sum() + 2e-6
    soup = ambient[made.columns] / ambient[made.columns].sum()
    expected = (1 - AMBIENT_SHARE) * floored / floored.sum() + AMBIENT_SHARE * soup
    np.testing.assert_allclose(np.exp(made.log_rates[:, made.types.index("B")]), expected)


@pytest.mark.parametrize(
    ("gene", "kind"),
    [
        ("MS4A1", "B"),
        ("KRT19", "Epithelial"),
        ("COL1A1", "Fibroblast"),
        ("PPBP", "Platelet"),
        ("HBB", "Erythroid"),
        ("CSF3R", "Neutrophil"),
    ],
)
def test_markers_are_highest_in_their_own_type(
    rates: pd.DataFrame, markers: pd.DataFrame, gene: str, kind: str
) -> None:
    universe = pd.unique(
        pd.concat([rates["symbol"], markers["gene"], pd.Series(["HBB", "HBA1", "HBA2"])])
    )
    genes = universe.astype(object)
    made = _made(rates, markers, genes, ambient=np.ones(genes.size))
    row = np.flatnonzero(genes[made.columns] == gene)
    best = np.argsort(-made.log_rates[row[0]])[:2]
    assert kind in {made.types[k] for k in best}


def test_order_of_the_genes_only_reorders_the_profiles(
    rates: pd.DataFrame, markers: pd.DataFrame
) -> None:
    genes = _some(rates)
    ambient = np.random.default_rng(1).random(genes.size)
    order = np.random.default_rng(2).permutation(genes.size)
    made = _made(rates, markers, genes, ambient=ambient)
    moved = _made(rates, markers, genes[order], ambient=ambient[order])
    frame = pd.DataFrame(made.log_rates, index=genes[made.columns])
    other = pd.DataFrame(moved.log_rates, index=genes[order][moved.columns])
    np.testing.assert_allclose(other.loc[frame.index], frame, rtol=1e-12)


def test_a_sample_without_counts_or_without_genes_has_profiles(
    rates: pd.DataFrame, markers: pd.DataFrame
) -> None:
    genes = _some(rates)
    empty = _made(rates, markers, genes, ambient=np.zeros(genes.size))
    assert np.isfinite(empty.log_rates).all()
    foreign = np.array(["x", "y"], dtype=object)
    nothing = _made(rates, markers, foreign, ambient=np.ones(2))
    assert nothing.columns.size == 0
    assert nothing.log_rates.shape == (0, len(nothing.types))
