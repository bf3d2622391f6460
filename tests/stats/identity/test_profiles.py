"""Reference profiles over a sample's genes: shares, floor, ambient RNA, and genes left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcflow.stats.identity.blood_profiles import TOGETHER, of_each_type, with_two_at_once
from ctcflow.stats.identity.profiles import GROUPS, NORMAL_GROUPS, Profiles, profiles

RESOURCES = Path(__file__).parents[3] / "resources" / "genes"
SOME = ["CD3D", "MS4A1", "LYZ", "KRT8", "COL1A1", "PECAM1", "FCGR3B", "PPBP", "HBB", "NKG7"]


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    return pd.read_csv(RESOURCES / "normal_profiles.tsv.gz", sep="\t", keep_default_na=False)


@pytest.fixture(scope="module")
def types() -> pd.DataFrame:
    return pd.read_csv(RESOURCES / "normal_types.tsv", sep="\t", keep_default_na=False)


def _some(reference: pd.DataFrame) -> np.ndarray:
    return np.array(["not_a_gene", *SOME, *reference["symbol"].iloc[:300]], dtype=object)


def _made(
    reference: pd.DataFrame, types: pd.DataFrame, genes: np.ndarray, **changed: object
) -> Profiles:
    given = {
        "reference": reference,
        "types": types,
        "left_out": frozenset({"KRT8"}),
        "ambient": None,
        "ambient_share": 0.0,
    }
    return profiles(genes, **{**given, **changed})


def test_each_profile_is_shares_of_all_counts(reference: pd.DataFrame, types: pd.DataFrame) -> None:
    genes = _some(reference)
    made = _made(reference, types, genes)
    np.testing.assert_allclose(np.exp(made.log_rates).sum(0), 1.0)
    assert made.log_rates.shape == (made.columns.size, len(types))
    assert made.is_blood.size == made.group.size == len(made.types) == len(types)
    assert {"not_a_gene", "KRT8"}.isdisjoint(genes[made.columns])
    assert {"CD3D", "LYZ"} <= set(genes[made.columns])
    groups = np.array([*GROUPS, *NORMAL_GROUPS])[made.group]
    assert list(groups) == list(types["group"])
    assert (made.is_blood == np.isin(groups, GROUPS)).all()


def test_genes_that_no_cell_shows_count_as_zeros_where_they_are_rare_in_blood(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    genes = reference["symbol"].to_numpy(dtype=object)
    whole = _made(reference, types, genes)
    assert (whole.log_seen == 0).all()
    rates = reference[types["profile"]].to_numpy(np.float64)
    blood = rates[:, types["group"].isin(GROUPS).to_numpy()].mean(axis=1)
    rng = np.random.default_rng(0)
    rare, common = (np.flatnonzero(found) for found in (blood < 50, blood >= 50))
    dropped = genes[rng.choice(rare, rare.size // 2, replace=False)]
    kept = genes[~np.isin(genes, dropped)]
    found = _made(reference, types, kept)
    places = pd.Index(genes[whole.columns]).get_indexer(kept[found.columns])
    np.testing.assert_allclose(found.log_rates + found.log_seen, whole.log_rates[places])
    assert found.log_seen[~found.is_blood].mean() < found.log_seen[found.is_blood].mean() < 0
    # what is common in blood was not measured; where much of it lacks, nothing of the rest was
    for share, counted in ((0.2, True), (0.5, False)):
        lacks = genes[rng.choice(common, int(share * common.size), replace=False)]
        one = _made(reference, types, genes[~np.isin(genes, lacks)])
        assert (one.log_seen == 0).all()
        both = _made(reference, types, kept[~np.isin(kept, lacks)])
        assert (both.log_seen < 0).all() == counted


def test_haemoglobin_is_known_and_in_no_profile(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    genes = _some(reference)
    made = _made(reference, types, genes)
    assert list(genes[made.haemoglobin]) == ["HBB"]
    assert "HBB" not in genes[made.columns]


def test_a_profile_is_the_table_the_floor_and_the_ambient_share(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    genes = _some(reference)
    ambient = np.random.default_rng(0).random(genes.size)
    made = _made(reference, types, genes, ambient=ambient, ambient_share=0.05)
    shared = genes[made.columns]
    floored = reference.set_index("symbol").loc[shared, "B 1"] + 5
    soup = ambient[made.columns] / ambient[made.columns].sum()
    expected = 0.95 * floored / floored.sum() + 0.05 * soup
    place = list(types["profile"]).index("B 1")
    np.testing.assert_allclose(np.exp(made.log_rates[:, place]), expected)


@pytest.mark.parametrize(
    ("gene", "type_"),
    [
        ("MS4A1", "B"),
        ("CD3D", "CD4 T"),
        ("COL1A1", "Fibroblast"),
        ("VWF", "Endothelial"),
        ("PPBP", "Platelet"),
        ("TPSAB1", "Mast"),
        ("ALB", "Hepatocyte"),
        ("KRT5", "Keratinocyte"),
        ("PMEL", "Melanocyte"),
        ("ACTG2", "Pericyte/smooth muscle"),
        ("PLP1", "Schwann/glia"),
        ("CHGA", "Neuroendocrine"),
        ("CD34", "Progenitor"),
    ],
)
def test_markers_of_the_field_are_high_in_their_type(
    reference: pd.DataFrame, types: pd.DataFrame, gene: str, type_: str
) -> None:
    """Textbook markers: the best profile of the type is among the tenth that shows most of it."""
    row = reference.set_index("symbol").loc[gene, list(types["profile"])].to_numpy(np.float64)
    mine = (types["type"] == type_).to_numpy()
    assert row[mine].max() >= np.quantile(row, 0.9)
    assert row[mine].max() > 20


def test_order_of_the_genes_only_reorders_the_profiles(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    genes = _some(reference)
    order = np.random.default_rng(2).permutation(genes.size)
    made, moved = _made(reference, types, genes), _made(reference, types, genes[order])
    frame = pd.DataFrame(made.log_rates, index=genes[made.columns])
    other = pd.DataFrame(moved.log_rates, index=genes[order][moved.columns])
    np.testing.assert_allclose(other.loc[frame.index], frame, rtol=1e-12)


def test_a_sample_without_counts_or_without_genes_has_profiles(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    genes = _some(reference)
    empty = _made(reference, types, genes, ambient=np.zeros(genes.size), ambient_share=0.05)
    assert np.isfinite(empty.log_rates).all()
    nothing = _made(reference, types, np.array(["x", "y"], dtype=object))
    assert nothing.columns.size == 0
    assert nothing.log_rates.shape == (0, len(types))


def test_two_blood_cells_at_once_are_half_of_each(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    made = _made(reference, types, _some(reference))
    both = with_two_at_once(made)
    k = len(made.types)
    assert both.types[k:] == tuple(f"{one} and {two}" for one, two in TOGETHER)
    assert both.is_blood[k:].all()
    names, means = of_each_type(made)
    first, second = (means[:, names.index(name)] for name in TOGETHER[0])
    np.testing.assert_allclose(np.exp(both.log_rates[:, k]), (first + second) / 2)
    np.testing.assert_array_equal(both.log_rates[:, :k], made.log_rates)
    assert GROUPS[both.group[k]] == "T"


def test_pairs_of_a_type_that_the_reference_lacks_are_not_added(
    reference: pd.DataFrame, types: pd.DataFrame
) -> None:
    few = types[types["type"].isin(["B", "Monocyte", "Fibroblast"])]
    both = with_two_at_once(_made(reference, few, _some(reference)))
    assert both.types[len(few) :] == ("B and Monocyte",)
    lone = types[types["type"].isin(["B", "Fibroblast"])]
    assert len(with_two_at_once(_made(reference, lone, _some(reference))).types) == len(lone)


def test_the_shipped_tables_belong_together(reference: pd.DataFrame, types: pd.DataFrame) -> None:
    assert list(reference.columns[1:]) == list(types["profile"])
    assert set(types["group"]) == {*GROUPS, *NORMAL_GROUPS}
    assert reference["symbol"].is_unique
    made = types[~types["profile"].str.endswith("cycling")]
    sources = made["sources"].str.split("; ").explode()
    assert (sources != "").all()
    assert sources.duplicated(keep=False).sum() < 10  # placenta and decidua share labels
    values = reference.iloc[:, 1:].to_numpy()
    assert (values >= 0).all()
    # counts per million: what the genes without identity leave, which in red cells is little
    red = types["type"].isin(["Erythroid"]).to_numpy()
    assert (values.sum(0)[~red] > 4e5).all()
    assert (values.sum(0) < 1.05e6).all()
