"""Recognition of leukocytes: cells drawn from the shipped profiles, and planted tumour cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from ctcflow.stats.identity import leukocytes as leukocytes_module
from ctcflow.stats.identity import likelihood as ident
from ctcflow.stats.identity.leukocytes import Leukocytes, among_blood_like, leukocytes, odd_tail
from ctcflow.stats.identity.profiles import GROUPS, Profiles, profiles

Tables = dict[str, pd.DataFrame]
BLOOD = ("CD4 T", "B", "Monocyte", "Neutrophil", "Platelet")
TUMOUR = "Secretory"


class Made(NamedTuple):
    reference: Profiles
    counts: sp.csr_matrix
    kind: np.ndarray


def _reference(tables: Tables) -> Profiles:
    rng = np.random.default_rng(0)
    markers = tables["cell_types"].loc[tables["cell_types"]["direction"] == 1, "gene"]
    atlas = tables["normal_profiles"]["symbol"].to_numpy(dtype=object)
    names = [*rng.choice(atlas, 900, replace=False), *markers, "LYZ", "CD3D", "KRT8"]
    genes = np.array(list(dict.fromkeys(["not in the atlas", *names])), dtype=object)
    return profiles(
        genes,
        reference=tables["normal_profiles"],
        types=tables["normal_types"],
        left_out=frozenset({"EPCAM", "HBB"}),
        ambient=None,
        ambient_share=0.0,
    )


def _cells(reference: Profiles, kinds: list[str], depth: np.ndarray, seed: int) -> sp.csr_matrix:
    """Cells of these types, with genes outside the reference too; types of cells vary a little."""
    rng = np.random.default_rng(seed)
    n_genes = int(reference.columns.max()) + 1
    dense = np.zeros((len(kinds), n_genes), dtype=np.int64)
    for cell, kind in enumerate(kinds):
        share = np.exp(reference.log_rates[:, reference.types.index(kind)])
        share = share * rng.lognormal(0, 0.2, share.size)
        dense[cell, reference.columns] = rng.multinomial(depth[cell], share / share.sum())
    dense[:, 0] = 7  # `not in the atlas`
    return sp.csr_matrix(dense)


@pytest.fixture(scope="module")
def made(tables: Tables) -> Made:
    """350 leukocytes and 30 tumour cells of 150 to 4,000 counts."""
    reference = _reference(tables)
    kind = np.array([*np.repeat(BLOOD, 70), *[TUMOUR] * 30])
    depth = np.random.default_rng(1).integers(150, 4000, kind.size)
    return Made(reference, _cells(reference, kind.tolist(), depth, 2), kind)


def fitted(
    made: Made, tables: Tables, rows: np.ndarray | slice = slice(None), fewest: int = 50
) -> Leukocytes:
    return leukocytes(
        made.counts[rows],
        reference=made.reference,
        suspect=np.zeros(made.counts[rows].shape[0], dtype=bool),
        shipped_null=tables["identity_null"],
        fewest=fewest,
    )


@pytest.mark.parametrize("fewest", [50, 10_000])
def test_leukocytes_are_known_and_tumour_cells_lack_blood_identity(
    made: Made, tables: Tables, fewest: int
) -> None:
    found = fitted(made, tables, fewest=fewest)
    blood = made.kind != TUMOUR
    assert found.own_null == (fewest == 50)
    names = np.array(made.reference.types)[found.lineage]
    assert (names[blood] == made.kind[blood]).mean() > 0.95
    assert made.reference.is_blood[found.lineage].all()
    assert found.is_leukocyte[blood].mean() > 0.97
    assert not found.is_leukocyte[~blood].any()
    assert (found.p[~blood] < 1e-4).all()
    assert (found.p[blood] < 0.01).mean() < 0.03
    assert abs(found.n_blood_like - int(blood.sum())) <= 5
    if found.own_null:  # its own leukocytes are what they are compared with
        assert 0.35 < (found.p[blood] < 0.5).mean() < 0.65
        assert 0.03 < (found.p[blood] < 0.1).mean() < 0.2


def test_tumour_cells_do_not_move_the_null_that_they_are_judged_by(
    made: Made, tables: Tables
) -> None:
    """The p of every leukocyte is the same without the tumour cells, to the last digit."""
    blood = made.kind != TUMOUR
    both, alone = fitted(made, tables), fitted(made, tables, np.flatnonzero(blood))
    for name in ("lineage", "is_leukocyte", "p"):
        np.testing.assert_array_equal(getattr(both, name)[blood], getattr(alone, name))
    assert both.n_blood_like == alone.n_blood_like


def test_a_file_without_the_genes_that_no_cell_shows_has_the_same_leukocytes(
    tables: Tables,
) -> None:
    """Seurat's `min.cells` and scanpy's `filter_genes`: what is left of tissue profiles must not be
    scaled up to stand for all of them."""
    atlas = tables["normal_profiles"]
    genes = np.sort(atlas["symbol"].to_numpy(dtype=object))
    types = tables["normal_types"]
    blood = types.loc[types["group"].isin(GROUPS), "profile"]
    mean = atlas.set_index("symbol").loc[genes, blood].to_numpy(np.float64).mean(axis=1)
    given = {"types": types, "left_out": frozenset({"EPCAM"}), "ambient": None}
    whole = profiles(genes, reference=atlas, ambient_share=0.0, **given)
    kind = [*np.repeat(BLOOD, 40), *[TUMOUR] * 30]
    counts = _cells(whole, kind, np.full(len(kind), 800), 5)
    counts.resize(len(kind), genes.size)
    shown = np.asarray((counts > 0).sum(axis=0)).ravel()
    # Secretory cells as they are, of leukocytes no trace of what most tissues express
    kept = (mean >= 50) | (shown >= 3)
    assert kept.mean() < 0.8
    filtered = profiles(genes[kept], reference=atlas, ambient_share=0.0, **given)
    for fewest in (50, 10_000):
        options = {"shipped_null": tables["identity_null"], "fewest": fewest}
        none = np.zeros(len(kind), dtype=bool)
        before = leukocytes(counts, reference=whole, suspect=none, **options)
        after = leukocytes(counts[:, kept], reference=filtered, suspect=none, **options)
        assert before.n_blood_like == after.n_blood_like
        # by the null of the file itself a cell at the border may fall on the other side
        assert (before.is_leukocyte == after.is_leukocyte).mean() > 0.99
        assert (after.p[np.array(kind) == TUMOUR] < 1e-3).all()


def test_with_the_shipped_null_every_cell_is_judged_by_itself(made: Made, tables: Tables) -> None:
    every = fitted(made, tables, fewest=10_000)
    order = np.random.default_rng(3).permutation(made.kind.size)
    shuffled = fitted(made, tables, order, fewest=10_000)
    for rows, found in ((order, shuffled), ([5], fitted(made, tables, np.array([5])))):
        np.testing.assert_array_equal(found.lineage, every.lineage[rows])
        np.testing.assert_array_equal(found.is_leukocyte, every.is_leukocyte[rows])
        np.testing.assert_allclose(found.p, every.p[rows], rtol=1e-9)


def test_p_is_that_of_the_shipped_table_looked_up_by_hand(made: Made, tables: Tables) -> None:
    """Centre and spread of the row of the table, at a depth that the table has."""
    reference, table = made.reference, tables["identity_null"]
    depth = np.full(40, 640)
    counts = _cells(reference, ["Monocyte"] * 40, depth, 4)
    found = leukocytes(
        counts,
        reference=reference,
        suspect=np.zeros(counts.shape[0], dtype=bool),
        shipped_null=table,
        fewest=10_000,
    )
    rates, seen = reference.log_rates, counts.toarray()[:, reference.columns]
    row = table[(table["group"] == "monocyte") & (table["depth"] == 640)].iloc[0]
    for cell in range(40):
        fit = seen[cell] @ rates / 640
        blood, other = fit[reference.is_blood].max(), fit[~reference.is_blood].max()
        if reference.types[found.lineage[cell]] != "Monocyte":
            continue
        z = (other - blood - row["centre"]) / row["spread"]
        # normal up to its upper tenth, exponential beyond
        border = stats.norm.isf(0.1)
        expected = stats.norm.sf(z) if z <= border else 0.1 * np.exp(-(z - border) / 0.4)
        assert found.p[cell] == pytest.approx(expected, rel=1e-6)
        assert found.is_leukocyte[cell] == (other - blood < -0.25 and z < 3)
    assert (found.lineage == reference.types.index("Monocyte")).mean() > 0.9


def test_the_order_of_the_rows_of_the_shipped_table_does_not_matter(
    made: Made, tables: Tables
) -> None:
    mixed = dict(tables)
    mixed["identity_null"] = tables["identity_null"].sample(frac=1, random_state=0)
    for fewest in (50, 10_000):
        first, again = fitted(made, tables, fewest=fewest), fitted(made, mixed, fewest=fewest)
        np.testing.assert_array_equal(again.p, first.p)
    groups = {*GROUPS, "stroma"}
    assert set(tables["identity_null"]["group"]) == groups
    assert len(tables["identity_null"]) == len(groups) * ident.DEPTHS.size


def test_genes_outside_the_reference_have_no_say(made: Made, tables: Tables) -> None:
    dense = made.counts.toarray()
    outside = np.setdiff1d(np.arange(dense.shape[1]), made.reference.columns)
    assert outside.size >= 2
    dense[:, outside] = np.random.default_rng(5).integers(0, 500, (dense.shape[0], outside.size))
    again = fitted(made._replace(counts=sp.csr_matrix(dense)), tables)
    np.testing.assert_array_equal(again.p, fitted(made, tables).p)


def test_the_same_cells_give_the_same_answer_and_stay_as_they_are(
    made: Made, tables: Tables
) -> None:
    before = made.counts.toarray()
    np.testing.assert_array_equal(fitted(made, tables).p, fitted(made, tables).p)
    np.testing.assert_array_equal(made.counts.toarray(), before)


def test_the_own_null_is_used_from_the_given_number_of_blood_like_cells(
    made: Made, tables: Tables
) -> None:
    n = fitted(made, tables).n_blood_like
    assert fitted(made, tables, fewest=n).own_null
    assert not fitted(made, tables, fewest=n + 1).own_null
    assert fitted(made, tables, fewest=n + 1).n_blood_like == n


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_cells(made: Made, tables: Tables, n: int) -> None:
    found = fitted(made, tables, np.arange(n))
    assert found.p.size == found.lineage.size == found.is_leukocyte.size == n
    assert not found.own_null
    assert ((found.p > 0) & (found.p <= 1)).all()


def test_a_cell_without_a_count_in_the_reference_says_nothing(made: Made, tables: Tables) -> None:
    dense = made.counts.toarray()
    dense[3] = 0
    dense[4, made.reference.columns] = 0
    found = fitted(made._replace(counts=sp.csr_matrix(dense)), tables)
    assert not found.is_leukocyte[3:5].any()
    assert found.p[3:5].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("thin", [100, 300])
def test_thinned_leukocytes_are_still_leukocytes(made: Made, tables: Tables, thin: int) -> None:
    """Few counts are no lack of blood identity: the null is that of their depth."""
    blood = made.kind != TUMOUR
    shallow = ident.thinned(
        made.counts.astype(np.float64), depth=thin, rng=np.random.default_rng(6)
    )
    some = np.arange(made.kind.size) % 5 == 0
    dense = np.where(some[:, None], shallow.toarray(), made.counts.toarray())
    found = fitted(made._replace(counts=sp.csr_matrix(dense)), tables)
    assert (found.p[some & blood] < 0.01).mean() < 0.05
    assert (found.p[some & ~blood] < 0.01).mean() > (0.6 if thin == 100 else 0.95)


def test_without_one_leukocyte_as_expected_the_shipped_null_stands(
    made: Made, tables: Tables
) -> None:
    """One cell between blood and tumour that shows the panel: nothing is learned from it."""
    reference = made.reference
    mixture = 0.55 * np.exp(reference.log_rates[:, reference.types.index("Monocyte")])
    mixture += 0.45 * np.exp(reference.log_rates[:, reference.types.index(TUMOUR)])
    counts = np.zeros((1, made.counts.shape[1]))
    counts[0, reference.columns] = np.random.default_rng(0).multinomial(
        20_000, mixture / mixture.sum()
    )
    found = leukocytes(
        sp.csr_matrix(counts),
        reference=reference,
        suspect=np.ones(1, dtype=bool),
        shipped_null=tables["identity_null"],
        fewest=1,
    )
    assert found.n_blood_like == 0
    assert not found.is_leukocyte.any()
    assert not found.own_null
    assert 0 < found.p[0] < 0.05


def test_where_no_leukocyte_is_near_its_group_the_shipped_null_stands(
    made: Made, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = fitted(made, tables, fewest=made.kind.size + 1)
    monkeypatch.setattr(leukocytes_module, "_NULL_Z", -np.inf)
    found = fitted(made, tables)
    assert found.n_blood_like > 300
    assert not found.own_null
    np.testing.assert_array_equal(found.p, shipped.p)


@pytest.mark.parametrize("n", [300, 3000])  # below, and above what has a tail of its own
def test_rare_leukocytes_far_from_the_others_weaken_p_of_blood_like_cells_only(n: int) -> None:
    rng = np.random.default_rng(n)
    z = np.concatenate([rng.normal(size=n), np.full(n // 100, 15.0), [15.0, 15.0]])
    light = stats.norm.sf(z)  # 1e-51 at 15
    blood_like = np.arange(z.size) < z.size - 2
    found = among_blood_like(light, z, blood_like=blood_like, odd=odd_tail(z[blood_like]))
    assert (found >= light).all()
    np.testing.assert_array_equal(found[-2:], light[-2:])
    odd = blood_like & (z == 15.0)
    assert (found[odd] >= 1e-4).all()
    assert (found[odd] <= 0.05).all()
    # cells that show a tumour panel say nothing of the tail
    tail = odd_tail(z[blood_like & ~odd])
    hidden = among_blood_like(light, z, blood_like=blood_like, odd=tail)
    assert (hidden[odd] <= found[odd]).all()
    assert (hidden[odd] < 1e-4).all() == (n == 3000)


def test_suspects_are_judged_but_never_learned_from(tables: Tables) -> None:
    """Cells that show a tumour panel are withheld from the null and from the tail of odd cells."""
    reference = _reference(tables)
    kind = np.repeat(BLOOD, 160)
    depth = np.random.default_rng(3).integers(150, 600, kind.size)
    counts = _cells(reference, kind.tolist(), depth, 4)
    suspect = np.arange(kind.size) % 4 == 0

    def found(rows: np.ndarray, withheld: np.ndarray) -> Leukocytes:
        return leukocytes(
            counts[rows],
            reference=reference,
            suspect=withheld,
            shipped_null=tables["identity_null"],
            fewest=50,
        )

    everyone = np.arange(kind.size)
    judged = found(everyone, suspect)
    alone = found(everyone[~suspect], np.zeros((~suspect).sum(), dtype=bool))
    assert judged.n_blood_like == alone.n_blood_like <= (~suspect).sum()
    np.testing.assert_array_equal(judged.null.grid.centre, alone.null.grid.centre)
    np.testing.assert_array_equal(judged.null.grid.spread, alone.null.grid.spread)
    assert judged.null.odd is not None
    assert 550 <= judged.null.odd.body.size <= (~suspect).sum()
    assert judged.is_leukocyte[suspect].mean() > 0.9  # so that the panel's null holds them
