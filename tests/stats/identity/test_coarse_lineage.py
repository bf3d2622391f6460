"""Coarse lineage of every type of the shipped profiles, against textbook haematology."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcflow.stats.droplets import exclusive_genes
from ctcflow.stats.identity.coarse_lineage import ANUCLEATE, COARSE, coarse
from ctcflow.stats.identity.profiles import Profiles, profiles

MEMBERS = {
    "T and NK": {"CD4 T", "CD8 T", "NK"},
    "B": {"B", "Plasma"},
    "myeloid": {"Monocyte", "Dendritic", "pDC", "Macrophage", "Mast", "Progenitor"},
    "neutrophil": {"Neutrophil"},
    "platelet": {"Platelet", "Megakaryocyte"},
    "erythrocyte": {"Erythroid"},
}


@pytest.fixture(scope="module")
def reference(tables: dict[str, pd.DataFrame]) -> Profiles:
    return profiles(
        np.array(["CD3D", "MS4A1", "LYZ", "KRT8", "PPBP", "HBB"], dtype=object),
        reference=tables["normal_profiles"],
        types=tables["normal_types"],
        left_out=frozenset(),
        ambient=None,
        ambient_share=0.0,
    )


def test_every_type_of_the_profiles_has_the_lineage_it_belongs_to(reference: Profiles) -> None:
    each = np.arange(len(reference.types))
    found = coarse(reference.types, lineage=each, is_blood=np.ones(each.size, bool))
    members: dict[str, set[str]] = {name: set() for name in COARSE}
    for name, code in zip(reference.types, found, strict=True):
        members[COARSE[code]].add(name)
    other = members.pop("other")
    assert members == MEMBERS
    assert {"Fibroblast", "Endothelial", "Keratinocyte", "Melanocyte", "Neuron"} <= other
    # a blood type that falls through to `other` would get the limits of tumour cells
    assert (found[reference.is_blood] != COARSE.index("other")).all()


def test_a_cell_without_blood_identity_is_other_whatever_fits_best(reference: Profiles) -> None:
    rng = np.random.default_rng(0)
    lineage, is_blood = rng.integers(0, len(reference.types), 200), rng.random(200) < 0.5
    found = coarse(reference.types, lineage=lineage, is_blood=is_blood)
    expected = [
        next((n for n, types in MEMBERS.items() if blood and reference.types[k] in types), "other")
        for k, blood in zip(lineage, is_blood, strict=True)
    ]
    assert [COARSE[code] for code in found] == expected


def test_unknown_types_and_no_cells() -> None:
    types = ("B", "Hepatocyte")
    found = coarse(types, lineage=np.array([1, 0]), is_blood=np.ones(2, bool))
    assert [COARSE[code] for code in found] == ["other", "B"]
    nobody = coarse(types, lineage=np.zeros(0, np.intp), is_blood=np.zeros(0, bool))
    assert nobody.size == 0
    assert nobody.dtype == np.intp


def test_codes_are_those_that_exclusive_genes_use() -> None:
    assert COARSE[: len(exclusive_genes.GROUPS)] == exclusive_genes.GROUPS
    assert len(set(COARSE)) == len(COARSE) == len(MEMBERS) + 1
    assert set(ANUCLEATE) == {"platelet", "erythrocyte"}
