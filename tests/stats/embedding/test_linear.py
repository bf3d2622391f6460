"""Batch effects adjusted for lineages, against dummy variables and limma's contrasts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctcflow.stats.embedding.linear import batch_effects, cell_table, connected_sets, not_comparable

CODES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=60)


def effects(points: np.ndarray, lineages: np.ndarray, batches: np.ndarray) -> np.ndarray:
    return batch_effects(points, lineages=lineages, batches=batches, n_lineages=4, n_batches=5)


def cloud(codes: list[tuple[int, int]], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lineages, batches = np.array(codes).T
    return np.random.default_rng(seed).normal(size=(len(codes), 3)), lineages, batches


@given(CODES, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_fitted_values_are_those_of_least_squares(codes: list, seed: int) -> None:
    points, lineages, batches = cloud(codes, seed)
    found = effects(points, lineages, batches)
    lineage = np.eye(4)[lineages]
    design = np.hstack([lineage, np.eye(5)[batches]])
    expected = points - design @ np.linalg.lstsq(design, points)[0]
    rest = points - found[batches]
    residual = rest - lineage @ np.linalg.lstsq(lineage, rest)[0]
    np.testing.assert_allclose(residual, expected, atol=1e-9)
    sizes = np.bincount(batches, minlength=5)
    sets = connected_sets(cell_table(batches, lineages, shape=(5, 4)) > 0)
    for name in set(sets):
        members = sets == name
        np.testing.assert_allclose(sizes[members] @ found[members], 0, atol=1e-8)
        if members.sum() == 1:
            assert np.allclose(found[members], 0)


@given(CODES, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_shift_of_one_batch_is_removed_exactly(codes: list, seed: int) -> None:
    points, lineages, batches = cloud(codes, seed)
    moved = points + np.array([5.0, -3.0, 100.0]) * (batches == batches[0])[:, None]
    first = points - effects(points, lineages, batches)[batches]
    second = moved - effects(moved, lineages, batches)[batches]
    sets = connected_sets(cell_table(batches, lineages, shape=(5, 4)) > 0)[batches]
    for name in set(sets):
        mine = sets == name
        # Only where the whole set lies is left: nothing but its mean tells that.
        np.testing.assert_allclose(
            first[mine] - first[mine].mean(axis=0),
            second[mine] - second[mine].mean(axis=0),
            atol=1e-7,
        )


def test_differences_between_batches_are_those_of_limma() -> None:
    """removeBatchEffect: contr.sum for batches beside the design, lmFit, take beta of batch off."""
    rng = np.random.default_rng(4)
    lineages, batches = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    points = rng.normal(size=(200, 3)) + 2.0 * batches[:, None] ** 1.3
    contrasts = np.vstack([np.eye(4), -np.ones((1, 4))])
    design = np.hstack([np.eye(4)[lineages], contrasts[batches]])
    beta = np.linalg.lstsq(design, points)[0][4:]
    theirs = contrasts @ beta
    mine = effects(points, lineages, batches)
    np.testing.assert_allclose(mine - mine[0], theirs - theirs[0], atol=1e-10)


def test_balanced_cells_give_means_of_batches() -> None:
    lineages, batches = np.repeat(np.arange(4), 50), np.tile(np.arange(5), 40)
    points = np.random.default_rng(0).normal(size=(200, 3))
    means = np.array([points[batches == b].mean(axis=0) for b in range(5)])
    expected = means - points.mean(axis=0)
    np.testing.assert_allclose(effects(points, lineages, batches), expected, atol=1e-12)


def test_composition_is_no_batch_effect() -> None:
    """A batch of mostly another lineage is not pulled: what a shift without lineages would do."""
    lineages = np.repeat([0, 1, 0, 1], [90, 10, 10, 90])
    batches = np.repeat([0, 1], 100)
    points = np.column_stack([10.0 * lineages, 0.0 * lineages, 0.0 * lineages])
    np.testing.assert_allclose(effects(points, lineages, batches), 0, atol=1e-12)


def test_why_a_batch_cannot_be_compared() -> None:
    table = np.array([[20, 0, 0], [30, 2, 0], [0, 40, 0], [3, 3, 3], [0, 0, 0]])
    strict = not_comparable(table, fewest=10)
    assert strict[:2] == ["", ""]
    assert "no lineage is shared with another batch with at least 10" in strict[2]
    assert strict[3:] == ["fewer than 10 leukocytes of each lineage", "no leukocytes"]
    assert not_comparable(table, fewest=1) == ["", "", "", "", "no leukocytes"]
    assert not_comparable(np.zeros((0, 0), dtype=int), fewest=1) == []
    apart = not_comparable(np.diag([5, 5]), fewest=1)
    assert apart == ["no lineage is shared with another batch"] * 2
