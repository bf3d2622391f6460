"""Names and ids of genes against a hand-made table and against the shipped one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.counts.gene_names import ids_of_groups, of_other_species, resolve

TABLE = pd.DataFrame(
    {
        "gene_id": [f"ENSG{k:011d}" for k in (1, 2, 3, 4, 5)],
        "symbol": ["EPCAM", "PTPRC", "TWIN", "TWIN", "SEPTIN6"],
    }
)
EPCAM, PTPRC, TWIN_1, TWIN_2, SEPTIN6 = TABLE["gene_id"]
UNKNOWN = "ENSG00000999999"


def names(*text: str) -> np.ndarray:
    return np.array(text, dtype=object)


@pytest.mark.parametrize(
    "gene",
    [
        "mm10_Actb",
        "mm10___Actb",
        "mm9_Actb",
        "mm39-Actb",
        "GRCm38_Actb",
        "GRCm39_Actb",
        "mm10-2020-A_Actb",
        "GRCm39-2024-A_Actb",
        "grcm38_actb",
        "rn6_Actb",
        "rn7_Actb",
        "Rnor_6.0_Actb",
        "mRatBN7.2_Actb",
        "GRCr8_Actb",
        "GRCm38.p6_Actb",
        "mRatBN7-2-2024-A_Actb",
        "ENSMUSG00000029580",
        "ENSMUSG00000029580.14",
        "ENSRNOG00000034254",
        "mm10_ENSMUSG00000029580",
        "ENSDARG00000037746",
    ],
)
def test_genes_of_another_species_are_told(gene: str) -> None:
    assert of_other_species(names(gene, "EPCAM"), None, ()).tolist() == [True, False]
    assert of_other_species(names("EPCAM", gene), names("", ""), ()).tolist() == [False, True]


@pytest.mark.parametrize(
    "gene",
    [
        "EPCAM",
        "hg19_EPCAM",
        "GRCh38_EPCAM",
        "GRCh38-2020-A_EPCAM",
        "ENSG00000119888",
        "ENSG00000119888.11",
        "GRCh38_ENSG00000119888",
        "ENSA",
        "RN7SK",
        "RNR1",
        "MMP9",
        "MM9",
        "RNF6",
        "",
    ],
)
def test_human_genes_are_not(gene: str) -> None:
    assert of_other_species(names(gene, "mm10_Actb"), None, ()).tolist() == [False, True]


def test_ids_tell_where_names_do_not() -> None:
    found = of_other_species(
        names("Actb", "ACTB", "mm10_X"), names("ENSMUSG00000029580", "ENSG00000075624", ""), ()
    )
    assert found.tolist() == [True, False, True]


def test_where_nothing_is_human_nothing_is_told_apart() -> None:
    assert not of_other_species(names("mm10_Actb", "mm10_Gapdh"), None, ()).any()
    assert not of_other_species(names("Actb"), names("ENSMUSG00000029580"), ()).any()
    none = of_other_species(names(), None, ())
    assert none.dtype == bool
    assert none.size == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["EPCAM", "mm10_Actb", "ENSMUSG00000029580", "ENSG00000119888"]),
        min_size=1,
        max_size=8,
    )
)
def test_each_gene_is_told_by_itself(found: list[str]) -> None:
    foreign = [name in ("mm10_Actb", "ENSMUSG00000029580") for name in found]
    expected = foreign if not all(foreign) else [False] * len(found)
    assert of_other_species(names(*found), None, ()).tolist() == expected


def test_ids_become_symbols_whatever_their_form() -> None:
    given_names = names(
        EPCAM,
        f"{EPCAM}.7",
        f"GRCh38_{EPCAM}.12",
        f"{PTPRC}.3_PAR_Y",
        f"hg19___{PTPRC}",
        "GRCh38-2020-A_PTPRC",
    )
    found = resolve(given_names, None, TABLE)
    assert found.names.tolist() == ["EPCAM"] * 3 + ["PTPRC"] * 3
    assert found.ids.tolist() == [EPCAM] * 3 + [PTPRC] * 3
    assert found.recognised.tolist() == [True] * 6
    assert found.counted == {
        "genes_recognised": 6,
        "prefixes_removed": 3,
        "ids_to_symbols": 5,
        "ids_unknown": 0,
        "symbols_updated": 0,
        "symbols_without_id": 0,
    }


def test_the_id_of_the_file_decides_and_old_symbols_are_updated() -> None:
    found = resolve(
        names("SEPT6", "EPCAM", "NEW", "TWIN", "TWIN"),
        names(f"{SEPTIN6}.9", "", UNKNOWN, TWIN_2, "not an id"),
        TABLE,
    )
    assert found.names.tolist() == ["SEPTIN6", "EPCAM", "NEW", "TWIN", "TWIN"]
    # a symbol of two genes has no id unless the file gives one
    assert found.ids.tolist() == [SEPTIN6, EPCAM, UNKNOWN, TWIN_2, ""]
    assert found.recognised.tolist() == [True, True, False, True, True]
    assert found.counted["symbols_updated"] == 1
    assert found.counted["symbols_without_id"] == 1
    assert found.counted["ids_to_symbols"] == 0


def test_an_id_column_is_believed_before_an_id_for_a_name() -> None:
    found = resolve(names(EPCAM, PTPRC), names(PTPRC, ""), TABLE)
    assert found.names.tolist() == ["PTPRC", "PTPRC"]
    assert found.ids.tolist() == [PTPRC, PTPRC]


def test_unknown_names_stay_and_unknown_ids_lose_their_version() -> None:
    found = resolve(names("GFP", f"{UNKNOWN}.4", "ENSA", "epcam"), None, TABLE)
    assert found.names.tolist() == ["GFP", UNKNOWN, "ENSA", "epcam"]
    assert found.ids.tolist() == ["", UNKNOWN, "", ""]
    assert not found.recognised.any()
    assert found.counted["ids_unknown"] == 1
    assert found.counted["genes_recognised"] == 0
    assert found.counted["symbols_without_id"] == 3


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    prefix=st.sampled_from(["", "GRCh38_", "hg19___", "GRCh38-2024-A_"]),
    version=st.sampled_from(["", ".1", ".23"]),
    as_ids=st.booleans(),
)
def test_every_shipped_gene_comes_back(
    tables: dict[str, pd.DataFrame], seed: int, prefix: str, version: str, as_ids: bool
) -> None:
    rows = tables["genes"].sample(50, random_state=seed % 2**32)
    once = ~rows["symbol"].isin(tables["genes"]["symbol"][tables["genes"]["symbol"].duplicated()])
    rows = rows[once]
    written = (
        [f"{prefix}{i}{version}" for i in rows["gene_id"]]
        if as_ids
        else [f"{prefix}{name}" for name in rows["symbol"]]
    )
    found = resolve(names(*written), None, tables["genes"])
    assert found.names.tolist() == rows["symbol"].tolist()
    assert found.ids.tolist() == rows["gene_id"].tolist()
    assert found.recognised.all()
    assert found.counted["prefixes_removed"] == (len(rows) if prefix else 0)
    # what is resolved is resolved: a second time changes nothing
    again = resolve(found.names, found.ids, tables["genes"])
    np.testing.assert_array_equal(again.names, found.names)
    assert again.counted["symbols_updated"] == again.counted["prefixes_removed"] == 0
    symbols = set(tables["genes"]["symbol"])
    assert not of_other_species(found.names, found.ids, symbols).any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_first_id_of_each_group_is_taken(data: st.DataObject) -> None:
    n, n_groups = data.draw(st.integers(0, 10)), data.draw(st.integers(1, 4))
    groups = data.draw(st.lists(st.integers(0, n_groups - 1), min_size=n, max_size=n))
    ids = data.draw(st.lists(st.sampled_from(["", "A", "B", "C"]), min_size=n, max_size=n))
    found = ids_of_groups(names(*ids), np.array(groups, dtype=np.intp), n_groups)
    expected = [
        next((i for i, g in zip(ids, groups, strict=True) if g == group and i), "")
        for group in range(n_groups)
    ]
    assert found.tolist() == expected
