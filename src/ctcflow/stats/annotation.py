"""Name groups of cells by marker sets."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

_NOISE: Final = 0.5


class Annotation(NamedTuple):
    """Per group: best type (-1 for none), its score, and its distance to the second best."""

    best: npt.NDArray[np.intp]
    score: Vector
    margin: Vector


def relative_expression(means: Matrix) -> Matrix:
    """Mean of each gene in each group as a share of its largest mean.

    A gene whose largest mean is near zero cannot speak as loud as one that is well expressed: the
    denominator is never below 0.5 (log-normalised units).

    Parameters
    ----------
    means : (n_groups, n_genes)
        Mean log-normalised expression.

    Returns
    -------
    (n_groups, n_genes)
        0 to 1.
    """
    if means.shape[0] == 0:
        return means.copy()
    return np.asarray(means / np.maximum(means.max(axis=0), _NOISE))


def set_weights(
    genes: npt.NDArray[np.intp], *, sets: npt.NDArray[np.intp], directions: Vector, n_genes: int
) -> tuple[Matrix, Vector, Vector]:
    """Lay marker sets out over the genes of the data.

    Parameters
    ----------
    genes : (n_markers,)
        Place of each marker gene in the data; -1 where it is not there.
    sets : (n_markers,)
        Set of each marker.
    directions : (n_markers,)
        Positive for an expected gene, negative for one that is expected absent.
    n_genes
        Genes of the data.

    Returns
    -------
    weights, n_expected, n_unexpected
        As `type_scores` takes them.
    """
    n_sets = int(sets.max()) + 1 if sets.size else 0
    weights = np.zeros((n_sets, n_genes))
    here = genes >= 0
    weights[sets[here], genes[here]] = directions[here]
    up = directions > 0
    expected = np.bincount(sets[up], minlength=n_sets).astype(np.float64)
    return weights, expected, np.bincount(sets[~up], minlength=n_sets).astype(np.float64)


def type_scores(
    relative: Matrix, *, weights: Matrix, n_expected: Vector, n_unexpected: Vector
) -> Matrix:
    """Mean over the expected genes minus mean over the genes expected absent.

    Means are over all genes of a set: one that the data lack counts as not expressed, so that a
    set of which two genes are there cannot win with these two.

    Parameters
    ----------
    relative : (n_groups, n_genes)
        Of `relative_expression`.
    weights : (n_types, n_genes)
        1 for an expected gene, -1 for one that is expected absent, 0 for all others.
    n_expected, n_unexpected : (n_types,)
        Genes of each set, whether in the data or not.

    Returns
    -------
    (n_groups, n_types)
        NaN for a type of which no expected gene is there.
    """
    wanted, unwanted = (weights > 0).astype(float), (weights < 0).astype(float)
    up = relative @ wanted.T / np.maximum(n_expected, 1)
    down = relative @ unwanted.T / np.maximum(n_unexpected, 1)
    return np.asarray(np.where(wanted.any(axis=1), up - down, np.nan))


def best_types(scores: Matrix, *, floor: float) -> Annotation:
    """Choose the best type of each group.

    Parameters
    ----------
    scores : (n_groups, n_types)
        NaN where a type cannot be scored.
    floor
        Groups whose best score is below this stay without a type.

    Returns
    -------
    Annotation
        The margin is NaN with fewer than two types.
    """
    n_groups, n_types = scores.shape
    none = np.full(n_groups, np.nan)
    if n_types == 0 or n_groups == 0:
        return Annotation(np.full(n_groups, -1), none, none.copy())
    filled = np.where(np.isnan(scores), -np.inf, scores)
    ordered = np.sort(filled, axis=1)
    best = filled.argmax(axis=1)
    top = ordered[:, -1]
    margin = none.copy()
    if n_types > 1:
        second = ordered[:, -2]
        known = np.isfinite(second)
        margin = np.where(known, top - np.where(known, second, 0.0), np.nan)
    best = np.where(top >= floor, best, -1)
    return Annotation(best, np.where(np.isfinite(top), top, np.nan), margin)
