"""Tables shared by the tests of the simulator."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

RESOURCES = Path(__file__).parents[2] / "resources" / "genes"


@pytest.fixture(scope="session")
def genes() -> pd.DataFrame:
    return pd.read_csv(
        RESOURCES / "genes.tsv.gz", sep="\t", dtype={"chromosome": str}, keep_default_na=False
    )


@pytest.fixture(scope="session")
def rates() -> pd.DataFrame:
    return pd.read_csv(RESOURCES / "lineage_rates.tsv.gz", sep="\t", keep_default_na=False)
