"""Published claims about batch correction, on real cells: a part of `benchmarks/integration`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
REAL = Path(__file__).parents[2] / "shared" / "data" / "real"


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    if not REAL.is_dir():
        pytest.skip("../shared/data/real is absent")
    sys.path.insert(0, str(ROOT))
    from benchmarks.integration import blood

    yield blood
    sys.path.remove(str(ROOT))


def test_batches_are_mixed_types_kept_and_tumour_cells_stay_apart(bench: Any) -> None:
    """pbmc3k (chemistry v1) and pbmc1k v3, with tumour cells of one patient in the second only."""
    names = ("pbmc3k", "pbmc1k_v3")
    adata = bench.embedded(names, spiked="pbmc1k_v3", n_tumour=25, seed=0)
    tumour = (adata.obs["part"] == "tumour").to_numpy()
    assert tumour.sum() >= 24
    found = {
        method: bench.row(adata, points)
        for method, points in bench.corrections(adata, seed=0).items()
    }
    print(found)
    before = found["before"]
    for method, mixed in (("harmony", 5.0), ("linear", 2.0)):
        after = found[method]
        assert after["iLISI"] > mixed * before["iLISI"]
        assert after["acceptance"] > before["acceptance"]
        # Of two files; the seed of Leiden alone moves it by 0.02.
        assert after["ARI pbmc3k, best"] >= before["ARI pbmc3k, best"] - 0.03
        assert after["cLISI"] >= before["cLISI"] - 0.005
        assert after["TNBC neighbours"] >= 0.99
