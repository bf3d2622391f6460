"""Libraries that share barcodes: planted sharing is found, sharing by chance is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctcflow.stats.droplets import sharing

ALPHA = 1e-3


def _barcode(code: int) -> str:
    """Sixteen letters that spell the number in base four."""
    return "".join("ACGT"[(code >> (2 * place)) & 3] for place in range(16)) + "-1"


def _library(codes: np.ndarray, seed: int) -> pd.Series:
    umis = np.random.default_rng(seed).integers(500, 20_000, codes.size)
    return pd.Series(umis, index=pd.Index([_barcode(int(c)) for c in codes], dtype=object))


def _random(n: int, seed: int) -> pd.Series:
    codes = np.random.default_rng(seed).choice(sharing.WHITELIST, n, replace=False)
    return _library(codes, seed + 1000)


def test_the_same_file_twice_is_named_with_its_counts() -> None:
    cells = {"a": _random(800, 0), "b": _random(800, 1), "c": _random(800, 0)}
    (pair,) = sharing.shared_barcodes(cells, alpha=ALPHA)
    assert (pair.first, pair.second) == ("a", "c")
    assert pair.barcodes == pair.same_counts == 800
    assert pair.expected == pytest.approx(800 * 800 / 737_280)


def test_hopped_barcodes_are_named_without_equal_counts() -> None:
    own = np.random.default_rng(3).choice(sharing.WHITELIST, 3000, replace=False)
    first = _library(own[:1500], 1)
    second = _library(np.concatenate([own[1500:], own[:60]]), 2)
    cells = {"z": first, "other": _random(1500, 9), "a": second}
    (pair,) = sharing.shared_barcodes(cells, alpha=ALPHA)
    assert (pair.first, pair.second, pair.barcodes) == ("z", "a", 60)
    assert pair.same_counts < 3


def test_a_lane_suffix_does_not_hide_a_shared_sequence() -> None:
    first = _random(300, 0)
    second = first.set_axis([name.replace("-1", "-2") for name in first.index])
    (pair,) = sharing.shared_barcodes({"a": first, "b": second}, alpha=ALPHA)
    assert pair.barcodes == 300


def test_independent_libraries_raise_no_alarm() -> None:
    """21 libraries, 210 pairs, some three barcodes shared by chance in each."""
    cells = {f"s{i}": _random(1500, i) for i in range(21)}
    assert sharing.shared_barcodes(cells, alpha=ALPHA) == []


def test_the_number_of_alarms_is_what_alpha_says() -> None:
    """At a level of one in two per cohort, far fewer than half of many cohorts alarm."""
    alarms = sum(
        bool(
            sharing.shared_barcodes(
                {"a": _random(600, 10_000 + seed), "b": _random(600, 20_000 + seed)}, alpha=0.2
            )
        )
        for seed in range(60)
    )
    assert stats.binomtest(alarms, 60, 0.2).proportion_ci(0.99).low <= 0.2


def test_wells_of_plates_do_not_count() -> None:
    wells = pd.Index([f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)])
    plate = pd.Series(np.arange(96) + 1000, index=wells)
    assert sharing.shared_barcodes({"a": plate, "b": plate}, alpha=ALPHA) == []
    # one library of droplets beside a plate
    assert sharing.shared_barcodes({"a": plate, "b": _random(50, 0)}, alpha=ALPHA) == []


def test_small_cohorts_are_silent() -> None:
    nothing = pd.Series(np.zeros(0, dtype=np.int64), index=pd.Index([], dtype=object))
    assert sharing.shared_barcodes({}, alpha=ALPHA) == []
    assert sharing.shared_barcodes({"a": _random(10, 0)}, alpha=ALPHA) == []
    assert sharing.shared_barcodes({"a": nothing, "b": nothing}, alpha=ALPHA) == []
    assert sharing.shared_barcodes({"a": nothing, "b": _random(10, 0)}, alpha=ALPHA) == []


@pytest.mark.parametrize(("same", "word"), [(400, "index hopping"), (401, "the same file twice")])
def test_more_than_half_with_the_same_counts_is_the_same_file(same: int, word: str) -> None:
    first = _random(800, 0)
    second = first.copy()
    second.iloc[same:] += 1
    found = sharing.sentences({"a": first, "b": second}, alpha=ALPHA)
    assert [name for name, _ in found] == ["a", "b"]
    assert all(word in sentence for _, sentence in found)
