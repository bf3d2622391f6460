"""Profiles fitted to a sample: what platform and cells were planted is found again."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from ctcflow.stats import sample_profiles
from ctcflow.stats.profiles import Profiles

TYPES = (
    *("CD4 T", "CD8 T", "NK", "B", "Plasma", "Monocyte", "Monocyte", "Dendritic", "Platelet"),
    *("Fibroblast", "Epithelial"),
)


@pytest.fixture
def reference() -> Profiles:
    rates = np.random.default_rng(0).dirichlet(np.full(60, 0.5), len(TYPES)).T + 1e-4
    is_blood = np.array([name not in {"Fibroblast", "Epithelial"} for name in TYPES])
    return Profiles(
        np.arange(60),
        np.log(rates / rates.sum(axis=0)),
        TYPES,
        is_blood,
        np.arange(len(TYPES), dtype=np.intp) % 3,
    )


def cells(rates: np.ndarray, kinds: np.ndarray, depth: int) -> sp.csr_matrix:
    rng = np.random.default_rng(1)
    return sp.csr_matrix(np.array([rng.multinomial(depth, rates[:, kind]) for kind in kinds]))


def test_a_platform_is_carried_over_to_types_that_the_sample_does_not_hold(
    reference: Profiles,
) -> None:
    rates = np.exp(reference.log_rates)
    platform = np.random.default_rng(2).lognormal(0, 1, 60)
    seen = rates * platform[:, None]
    seen /= seen.sum(axis=0)
    kinds = np.repeat([0, 3, 5], 60)
    found = sample_profiles.on_platform(
        reference, cells(seen, kinds, 4000), rows=np.arange(180), lineage=kinds
    )
    tissue = [TYPES.index("Fibroblast"), TYPES.index("Epithelial")]

    def away(log_rates: np.ndarray) -> float:
        return float(np.abs(log_rates - np.log(seen))[:, tissue].mean())

    assert away(found.log_rates) < 0.5 * away(reference.log_rates)
    np.testing.assert_allclose(np.exp(found.log_rates).sum(axis=0), 1)


def test_few_cells_change_little_and_other_types_nothing(reference: Profiles) -> None:
    kinds = np.zeros(4, dtype=np.intp)
    shared = cells(np.full((60, 1), 1 / 60), kinds, 50)
    found = sample_profiles.of_leukocytes(reference, shared, rows=np.arange(4), lineage=kinds)
    np.testing.assert_array_equal(found.log_rates[:, 1:], reference.log_rates[:, 1:])
    mean = np.asarray(shared.sum(axis=0)).ravel()
    by_hand = (mean + 5000 * np.exp(reference.log_rates[:, 0])) / (mean.sum() + 5000)
    np.testing.assert_allclose(np.exp(found.log_rates[:, 0]), by_hand)


def test_two_at_once_are_half_of_each_and_belong_to_the_first(reference: Profiles) -> None:
    found = sample_profiles.with_two_at_once(reference)
    n = len(TYPES)
    assert len(found.types) == n + len(sample_profiles.TOGETHER)
    place = found.types.index("B and Monocyte")
    one, two = TYPES.index("B"), TYPES.index("Monocyte")  # the first of that name
    rates = np.exp(reference.log_rates)
    np.testing.assert_allclose(
        np.exp(found.log_rates[:, place]), (rates[:, one] + rates[:, two]) / 2
    )
    assert found.is_blood[n:].all()
    assert found.group[place] == reference.group[one]
    np.testing.assert_array_equal(found.log_rates[:, :n], reference.log_rates)
