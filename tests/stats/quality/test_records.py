"""Records of quality control: the values of numpy, in a form that JSON can hold."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.droplets import raw_droplets
from ctcflow.stats.droplets.ambient import Contamination
from ctcflow.stats.droplets.knee import Knee
from ctcflow.stats.droplets.metrics import Quality
from ctcflow.stats.identity.coarse_lineage import COARSE
from ctcflow.stats.quality import records
from ctcflow.stats.quality.limits import Limits

ROW = Limits(30, True, 123.456, 78.9, 17.23456, 1500.0, 9.87654, 20000.4, 4000.0)
FEW = Limits(3, False, 100.0, 50.0, 50.0, *[np.nan] * 4)


def as_json(record: object) -> object:
    """Through JSON and back; NaN and numpy numbers are refused."""
    return json.loads(json.dumps(record, allow_nan=False))


@settings(max_examples=100, deadline=None)
@given(
    st.floats(-1e300, 1e300, allow_subnormal=False)
    | st.sampled_from([math.nan, math.inf, -math.inf])
)
def test_numbers_have_four_digits_or_are_null(value: float) -> None:
    found = records.number(np.float64(value))
    if not math.isfinite(value):
        assert found is None
        return
    assert type(found) is float
    assert found == pytest.approx(value, rel=5.1e-4)
    assert records.number(found) == found
    assert len(f"{abs(found):e}".split("e")[0].rstrip("0")) <= 5  # d.ddd


def test_limits_of_lineages_that_have_a_cell() -> None:
    rows = [FEW] * len(COARSE)
    rows[2] = ROW
    lineage = np.array([2] * 40 + [6] * 3)
    found = records.limits(rows, lineage=lineage, reads=False)
    assert as_json(found) == found
    assert [(r["lineage"], r["cells"], r["adaptive"]) for r in found] == [
        ("myeloid", 40, True),
        ("other", 3, False),
    ]
    for record, row in zip(found, (ROW, FEW), strict=True):
        for name in Limits._fields[2:]:
            value = getattr(row, name)
            assert record[name] == (None if np.isnan(value) else pytest.approx(value, rel=1e-3))
    assert set(found[0]) == {"lineage", *Limits._fields}
    assert records.limits(rows, lineage=np.zeros(0, np.intp), reads=False) == []


def test_limits_on_counts_mean_nothing_for_reads() -> None:
    lineage = np.zeros(4, np.intp)
    reads = records.limits([ROW], lineage=lineage, reads=True)[0]
    molecules = records.limits([ROW], lineage=lineage, reads=False)[0]
    hidden = {name for name in molecules if reads[name] != molecules[name]}
    assert hidden == {"min_umis", "damaged_umis", "damaged_pct_mt", "high_umis"}
    assert all(reads[name] is None for name in hidden)


def quality(n: int, seed: int, *, mitochondrial: bool = True) -> tuple[Quality, np.ndarray]:
    rng = np.random.default_rng(seed)
    umis = rng.lognormal(8, 1, n).round()
    pct_mt = rng.uniform(0, 30, n) if mitochondrial else np.full(n, np.nan)
    lineage = rng.choice([0, 3, 6], n, p=[0.9, 0.08, 0.02])
    return Quality(umis, (umis / 3).round(), {"mitochondrial": pct_mt}, pct_mt, False), lineage


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 400), st.booleans())
def test_distributions_are_quantiles_of_each_lineage(
    seed: int, n: int, mitochondrial: bool
) -> None:
    measured, lineage = quality(n, seed, mitochondrial=mitochondrial)
    values = {
        "total_counts": measured.umis,
        "n_genes_by_counts": measured.genes,
        "pct_counts_mt": measured.percent["mitochondrial"],
    }
    found = records.distributions(measured, lineage=lineage)
    as_json(found)
    shown = {(record["lineage"], record["metric"]): record["values"] for record in found}
    assert len(shown) == len(found)
    metrics = list(values)[: 3 if mitochondrial else 2]
    assert set(shown) == {(COARSE[code], m) for code in np.unique(lineage) for m in metrics}
    for (name, metric), points in shown.items():
        mine = np.sort(values[metric][lineage == COARSE.index(name)])
        assert len(points) == min(41, mine.size)
        if mine.size <= 41:
            np.testing.assert_allclose(points, mine, rtol=1e-3)
            continue
        grid = np.linspace(0, 1, 41)
        low = np.quantile(mine, grid, method="lower") * (1 - 1e-3)
        high = np.quantile(mine, grid, method="higher") * (1 + 1e-3)
        assert ((points >= low) & (points <= high)).all()


def test_ambient_share_with_its_interval_or_why_not() -> None:
    found = records.contamination(
        Contamination(0.0512345, 0.04, 0.0654321, 31, ""), measured_on="droplets", corrected=True
    )
    assert as_json(found) == {
        "share": 0.05123,
        "low": 0.04,
        "high": 0.06543,
        "genes": 31,
        "measured_on": "droplets",
        "corrected": True,
        "reason": "",
    }
    missing = records.contamination(
        Contamination(*[np.nan] * 3, 2, "2 genes, needs 5"), measured_on="cells", corrected=False
    )
    assert as_json(missing) == {
        "share": None,
        "low": None,
        "high": None,
        "genes": 2,
        "measured_on": None,
        "corrected": False,
        "reason": "2 genes, needs 5",
    }


def judged(outside: list[bool], retain: float = 640.0) -> raw_droplets.Tested:
    return raw_droplets.Tested(
        np.array([True, False]),
        np.array(outside, dtype=bool),
        3,
        retain,
        Knee(812.34, np.nan),
        [[1, 900], [4, 20]],
        [[1, 900]],
    )


def test_droplets_are_counted_by_numpy_and_written_as_python_numbers() -> None:
    found = records.droplets(judged([True, False, True]), lower=100)
    assert as_json(found) == {
        "barcodes": 5,
        "lower": 100,
        "retain": 640.0,
        "knee": 812.3,
        "inflection": None,
        "tested": 3,
        "outside": 2,
        "curve": [[1, 900], [4, 20]],
        "cells_curve": [[1, 900]],
    }
    assert records.droplets(judged([], np.inf), lower=100)["retain"] is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.booleans(), max_size=9),
    st.lists(st.sampled_from([records.OUTSIDE, "few counts", "damaged;few genes"]), max_size=9),
)
def test_lines_on_droplets_that_were_not_given(outside: list[bool], reasons: list[str]) -> None:
    listed = [{"barcode": "A", "reason": reason, "evidence": ""} for reason in reasons]
    found = records.outside(judged(outside), listed)
    assert as_json(found) == found
    assert [line["cells"] for line in found] == [sum(outside), reasons.count(records.OUTSIDE)]
    assert {line["stage"] for line in found} == {"unfiltered"}  # so no part of the sums of `qc`
