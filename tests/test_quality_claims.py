"""Published claims about quality control, on real cells: a part of `benchmarks/qc`, same code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
REAL = Path(__file__).parents[2] / "shared" / "data" / "real"


@pytest.fixture(scope="module")
def retention() -> Iterator[ModuleType]:
    if not REAL.is_dir():
        pytest.skip("../shared/data/real is absent")
    sys.path.insert(0, str(ROOT))
    from benchmarks.qc import retention as module

    yield module
    sys.path.remove(str(ROOT))


def _ours(rows: Iterator[dict[str, object]]) -> pd.DataFrame:
    found = pd.DataFrame(list(rows))
    print(found.to_string(index=False))
    return found[found["method"] == "ctcflow"]


@pytest.mark.parametrize(("blood", "depth"), [("pbmc3k", 600), ("pbmc1k_v2", 300)])
def test_tumour_cells_survive(retention: ModuleType, blood: str, depth: int) -> None:
    tumour = retention.tumour_cells()
    found = _ours(retention.tumour_rows(blood, tumour, (depth,), 1, what="tumour cells kept"))
    assert found["n"].tolist() == [228]
    assert (found["share_kept"] >= retention.LEAST_KEPT[depth]).all()


def test_the_shallowest_tumour_cells_survive(retention: ModuleType) -> None:
    lines = retention.lung_cancer_lines()[::2]
    rows = retention.tumour_rows("pbmc1k_v3", lines, (150,), 1, what="cell lines kept")
    (found,) = _ours(rows).to_dict("records")
    assert found["n"] == 250
    assert found["share_kept"] >= 0.97


def test_blood_is_kept(retention: ModuleType) -> None:
    found = _ours(retention.blood_rows("pbmc3k"))
    assert len(found) == 10
    assert (found["reached"] == "True").all()


@pytest.mark.parametrize("blood", ["pbmc3k", "pbmc4k"])
def test_damaged_cells_are_set_aside(retention: ModuleType, blood: str) -> None:
    found = _ours(retention.damaged_rows(blood, 1))
    assert found["n"].min() > 100
    assert (found["share_kept"] <= 0.05).all()


def test_empty_droplets_are_set_aside(retention: ModuleType) -> None:
    found = _ours(retention.empty_rows("pbmc3k", 1))
    aims = found[found["what"].str.startswith("empty") & (found["wanted"] != "<=1.0")]
    assert len(aims) == 7
    assert (aims["share_kept"] <= 0.05).all()
    assert found.loc[found["detail"] == "blood", "share_kept"].min() >= 0.97
