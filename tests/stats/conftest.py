"""Helpers for tests of `stats`."""

from __future__ import annotations

import pandas as pd
import pytest

from ctcflow.stats.identity.profiles import Profiles, profiles


@pytest.fixture(scope="module")
def reference(tables: dict[str, pd.DataFrame]) -> Profiles:
    """All normal cells over the genes of the shipped table, without ambient RNA."""
    return profiles(
        tables["normal_profiles"]["symbol"].to_numpy(dtype=object),
        reference=tables["normal_profiles"],
        types=tables["normal_types"],
        left_out=frozenset(),
        ambient=None,
        ambient_share=0.0,
    )
