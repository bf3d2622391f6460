"""Published claims about mapping, on real cells: a part of `benchmarks/projection`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
REAL = Path(__file__).parents[2] / "shared" / "data" / "real"


@pytest.fixture(scope="module")
def held_out() -> Iterator[ModuleType]:
    if not REAL.is_dir():
        pytest.skip("../shared/data/real is absent")
    before = dict(os.environ)  # the command sets numbers of threads
    sys.path.insert(0, str(ROOT))
    from benchmarks.projection import held_out as module

    yield module
    sys.path.remove(str(ROOT))
    os.environ.clear()
    os.environ.update(before)


def test_tumour_cells_are_not_in_a_reference_of_blood_and_blood_is(
    held_out: ModuleType, tmp_path: Path
) -> None:
    """Two files are the reference; the third has another chemistry than either."""
    runs = held_out.runs(tmp_path, seed=0, old=("pbmc1k_v2", "pbmc3k"), full=False)
    found = held_out.mapped(runs)
    tumour = held_out.is_tumour(found)
    novelty = found.obs["novelty"].to_numpy()
    assert tumour.sum() == 40
    assert held_out.auroc(novelty, tumour) >= held_out.LEAST_AUROC
    assert (found.obs["cell_type"][tumour] == "not in the reference").mean() >= 0.9
    assert (found.obs["cell_type"][~tumour] == "not in the reference").mean() <= 0.01
    # the lineage is known from the cell alone: what it is mapped to must agree with it
    lineage, label = (found.obs[c].astype(str)[~tumour] for c in ("lineage", "cell_type"))
    for name, types in {"B": ("B",), "Monocyte": ("Monocyte", "cDC"), "NK": ("NK", "CD8")}.items():
        mine = label[(lineage == name).to_numpy()]
        assert mine.str.startswith(types).mean() >= 0.95, name
    assert held_out.shift_left(runs, 0) <= 0.01
    # the same files without their rare genes, as many are published
    for new in ("pbmc1k_v3", "pbmc3k"):
        lacking, same = held_out.without_genes(runs._replace(new=new), held_out.rare_genes)
        assert lacking > 0.25
        assert same >= 0.99
