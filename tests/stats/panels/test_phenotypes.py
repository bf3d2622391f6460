"""Phenotypes and signature scores of calls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctcflow.stats.panels.phenotypes import against_calls, phenotypes

SCORES = pd.DataFrame(
    {
        "epithelial": [0.3, 0.0, 0.3, 0.0, 0.3],
        "mesenchymal_blood_safe": [0.0, 0.3, 0.3, 0.0, 0.0],
        "hypoxia": [0.2, 0.2, 0.2, 0.2, 0.9],
    }
)


def test_programmes_that_are_on_name_the_phenotype_of_calls_only() -> None:
    called = np.array([True, True, True, True, False])
    assert phenotypes(SCORES, called=called).tolist() == [
        *("epithelial", "mesenchymal", "hybrid", "", "")
    ]
    assert phenotypes(SCORES[["hypoxia"]], called=called).tolist() == [""] * 5


def test_z_is_against_calls_and_a_score_that_never_varies_has_none() -> None:
    called = np.array([True, True, True, True, False])
    z = against_calls(SCORES, called=called)
    by_hand = stats.zscore(SCORES["epithelial"][:4], ddof=1)
    assert z["epithelial"][:4].to_numpy() == pytest.approx(by_hand, rel=1e-6)
    assert z["hypoxia"].isna().all()
    assert z.iloc[4].isna().all()
    assert against_calls(SCORES, called=np.arange(5) < 2).isna().all().all()


def test_a_programme_is_on_from_a_score_of_a_tenth() -> None:
    scores = pd.DataFrame({"epithelial": [0.1, np.nextafter(0.1, 0)]})
    assert phenotypes(scores, called=np.ones(2, dtype=bool)).tolist() == ["epithelial", ""]
