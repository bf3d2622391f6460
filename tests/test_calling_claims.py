"""Published claims about calls, on real cells: a part of `benchmarks/calling`, same code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
REAL = Path(__file__).parents[2] / "shared" / "data" / "real"


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    if not REAL.is_dir():
        pytest.skip("../shared/data/real is absent")
    sys.path.insert(0, str(ROOT))
    from benchmarks import samples
    from benchmarks.calling import (
        calibrate,
        draws,
        null_cells,
        other_types,
        real_ctcs,
        shares,
        tissues,
    )

    yield SimpleNamespace(
        samples=samples,
        calibrate=calibrate,
        draws=draws,
        null_cells=null_cells,
        other_types=other_types,
        real_ctcs=real_ctcs,
        shares=shares,
        tissues=tissues,
    )
    sys.path.remove(str(ROOT))


def spiked(bench: SimpleNamespace, blood: str, depth: int, n: int) -> pd.DataFrame:
    """Classes of blood with `n` real tumour cells of this depth, with and without copy number."""
    own, tumour = bench.samples.read(bench.samples.BLOOD[blood]), bench.samples.tumour_cells()
    names = own.var_names.union(tumour.var_names)
    rng = np.random.default_rng(1)
    thin = bench.samples.thinned(bench.samples.over(tumour, names), depth, rng)
    parts = {"blood": bench.samples.over(own, names), "tumour": thin[rng.permutation(228)[:n]]}
    given, hidden = bench.draws.classes(
        bench.samples.sample(parts, names), copy_number=(True, False)
    )
    return given.assign(
        without=hidden["class"], tumour=given.index.str.startswith("tumour").astype(bool)
    )


@pytest.mark.parametrize(
    ("blood", "depth", "n", "least"), [("pbmc1k_v2", 1500, 20, 20), ("pbmc3k", 300, 30, 26)]
)
def test_tumour_cells_are_called_and_blood_is_not(
    bench: SimpleNamespace, blood: str, depth: int, n: int, least: int
) -> None:
    found = spiked(bench, blood, depth, n)
    print(found.groupby(["tumour", "class"]).size())
    tumour = found[found["tumour"]]
    assert (tumour["class"] == "CTC").sum() >= least
    assert (tumour["without"] == "CTC").sum() >= least - 1
    assert tumour["class"].isin(["CTC", "CTC aggregate", "uncertain"]).sum() >= n - 1
    assert not found.loc[~found["tumour"], "class"].isin(["CTC", "CTC aggregate"]).any()


@pytest.mark.parametrize("blood", ["pbmc1k_v3", "cite_eccite_pbmc_control_RNA_ADT_HTO.h5ad"])
def test_blood_alone_has_no_tumour_cell(bench: SimpleNamespace, blood: str) -> None:
    found = bench.real_ctcs.run(bench.real_ctcs.Task("blood alone", blood))
    assert len(found) > 400
    assert not found["class"].isin(["CTC", "CTC aggregate"]).any()


def test_one_tumour_as_it_is(bench: SimpleNamespace) -> None:
    """Tissue: ambient RNA and copy number were not measured; four cells come with a macrophage."""
    found = bench.real_ctcs.run(bench.real_ctcs.Task("TNBC alone", bench.samples.TUMOUR))
    shares = pd.crosstab(found["group"], found["class"], normalize="index")
    print(shares)
    assert shares.loc["aneuploid", ["CTC", "CTC aggregate"]].sum() >= 0.98
    assert shares.loc["aneuploid", "CTC"] >= 0.96
    assert shares.loc["diploid"].get("CTC", 0.0) <= 0.03


def test_pools_of_tumour_cells_are_known_though_they_are_reads(bench: SimpleNamespace) -> None:
    """Nine of the 29 show one gene of the panel or none, of millions of reads: platelets."""
    found = bench.real_ctcs.run(bench.real_ctcs.Task("picked CTCs", "GSE51827"))
    assert len(found) == 29
    assert found["class"].isin(["CTC", "CTC aggregate"]).sum() >= 17
    assert (found["class"] == "CTC").sum() >= 12
    assert (found["class"] == "blood").sum() <= 9


@pytest.mark.parametrize("kind", ["keratinocyte", "endothelial", "progenitor"])
def test_other_cells_are_no_tumour(bench: SimpleNamespace, kind: str) -> None:
    task = bench.other_types.Task(kind, "pbmc3k", 50, np.random.SeedSequence(3))
    found = bench.other_types.run(task)
    mine = found[(found["cells_are"] == kind) & found["copy_number"]]
    assert mine["cells"].sum() == 50
    assert mine.loc[mine["class"] == "CTC", "cells"].sum() <= (2 if kind == "keratinocyte" else 0)


def test_half_of_a_sample_may_be_tumour_cells(bench: SimpleNamespace) -> None:
    seed = np.random.SeedSequence(5)
    task = bench.shares.Task(bench.shares.TUMOURS[0], 600, "pbmc1k_v2", 60, 60, 1, seed)
    found = bench.shares.run(task)
    tumour, blood = (found.loc[found["part"] == part, "class"] for part in ("tumour", "blood"))
    print(tumour.value_counts(), blood.value_counts())
    assert len(tumour) == len(blood) == 60
    assert tumour.isin(["CTC", "CTC aggregate"]).mean() >= 0.9
    assert not blood.isin(["CTC", "CTC aggregate"]).any()


def test_skin_that_the_reference_never_saw_is_no_tumour(bench: SimpleNamespace) -> None:
    called = 0
    for kind in ("skin fibroblast", "skin endothelial"):
        seed = np.random.SeedSequence(7)
        found = bench.tissues.run(bench.tissues.Task(kind, 600, "pbmc1k_v2", 30, 300, seed))
        mine = found[found["part"] == "kind"]
        print(kind, mine["class"].value_counts())
        assert len(mine) == 30
        assert (found["left_out"] == "Skin_HCA").all()
        called += int(mine["class"].isin(["CTC", "CTC aggregate"]).sum())
    assert called <= 1


def test_p_of_other_scores_is_rare_enough_in_blood(bench: SimpleNamespace) -> None:
    found = bench.calibrate.of_blood(("pbmc1k_v2", np.random.SeedSequence(3)))
    every = found[(found["depth"] == "all") & (found["judged_by"] == "the largest over kinds")]
    assert len(every) == 6 * len(bench.calibrate.LEVELS)
    assert (every["observed_over_nominal"] <= bench.calibrate.WITHIN).all(), every
    one = found[(found["depth"] == "all") & (found["judged_by"] == "all together")]
    random = one[one["score"].str.startswith("random") & (one["level"] >= 0.01)]
    assert random["observed_over_nominal"].between(0.7, 1.4).all(), random


def test_the_null_of_other_scores_is_the_same_beside_many_tumour_cells(
    bench: SimpleNamespace,
) -> None:
    task = bench.calibrate.Task(bench.draws.TNBC, 1500, np.random.SeedSequence(4))
    found = bench.calibrate.of_shares(task).set_index("score")
    for part in ("blood", "tumour"):
        assert (found[f"largest change, {part}"] <= bench.calibrate.SAME).all(), found.T
    assert (
        found.loc["epithelial genes", ["tumour p <= .001, 2%", "tumour p <= .001, 50%"]].min() > 0.9
    )
    assert (found["false at expected 1, 50%"] <= 1).all()
