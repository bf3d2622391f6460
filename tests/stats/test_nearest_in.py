"""Nearest points of a reference, against looking at all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ctcflow.stats import nearest_in as module
from ctcflow.stats.nearest_in import nearest_in


def naive(reference: np.ndarray, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    squared = ((query[:, None].astype(float) - reference[None].astype(float)) ** 2).sum(axis=2)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.take_along_axis(squared, order, axis=1))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(0, 12),
    st.integers(1, 50),
    st.data(),
)
def test_it_finds_what_looking_at_all_finds(n: int, m: int, k: int, data: st.DataObject) -> None:
    # whole numbers: ties are many, and exact in both
    values = st.integers(-3, 3)
    reference = data.draw(hnp.arrays(np.float64, (n, 3), elements=values))
    query = data.draw(hnp.arrays(np.float64, (m, 3), elements=values))
    indices, distances = nearest_in(reference, query, k=k, n_threads=1)
    order, wanted = naive(reference, query, min(k, n))
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, wanted)


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_many_points_in_many_blocks(monkeypatch: pytest.MonkeyPatch, far: float) -> None:
    monkeypatch.setattr(module, "_ROWS", 16)
    monkeypatch.setattr(module, "_COLUMNS", 100)
    monkeypatch.setattr(module, "_SAMPLED", 64)
    rng = np.random.default_rng(0)
    reference = (rng.normal(0, 3, (2500, 6)) + far).astype(np.float32)
    query = (rng.normal(0, 3, (90, 6)) + far).astype(np.float32)
    indices, distances = nearest_in(reference, query, k=7, n_threads=2)
    order, wanted = naive(reference, query, 7)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, wanted, rtol=1e-9)
    again = nearest_in(reference, query, k=7, n_threads=1)
    assert again[0].tobytes() == indices.tobytes()
    assert again[1].tobytes() == distances.tobytes()


def test_nothing_to_find() -> None:
    indices, distances = nearest_in(np.zeros((5, 2)), np.zeros((0, 2)), k=3, n_threads=1)
    assert indices.shape == distances.shape == (0, 3)
    indices, _ = nearest_in(np.zeros((0, 2)), np.zeros((4, 2)), k=3, n_threads=1)
    assert indices.shape == (4, 0)
