"""Assign cell types to groups of cells by marker sets, and refine the borders between types."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

Codes = npt.NDArray[np.intp]
Scores = npt.NDArray[np.float32]

_NOISE: Final = 0.5
# best agreement with the authors' types of pbmc3k (macro F1); 4 to 10 steps are about equal
_DIFFUSION_STEPS: Final = 6


class Annotation(NamedTuple):
    """Per group: best type (-1 for none), its score, and its distance to the second best."""

    best: npt.NDArray[np.intp]
    score: Vector
    margin: Vector


def largest_means(means: Matrix) -> Vector:
    """Largest mean of each gene over the groups, by which expression is scaled.

    Values are at least 0.5 (log-normalised units), so that a gene with hardly any expression does
    not get the same weight as one that is well expressed.

    Parameters
    ----------
    means : (n_groups, n_genes)
        Mean log-normalised expression.

    Returns
    -------
    (n_genes,)
    """
    return np.asarray(np.maximum(means.max(axis=0, initial=0.0), _NOISE))


def set_weights(
    genes: npt.NDArray[np.intp], *, sets: npt.NDArray[np.intp], directions: Vector, n_genes: int
) -> tuple[Matrix, Vector, Vector]:
    """Arrange marker sets as a matrix over the genes of the data.

    Parameters
    ----------
    genes : (n_markers,)
        Index of each marker gene in the data; -1 where it is missing.
    sets : (n_markers,)
        Set of each marker.
    directions : (n_markers,)
        Positive for a gene that should be expressed, negative for one that should be absent.
    n_genes
        Number of genes of the data.

    Returns
    -------
    weights, n_expected, n_unexpected
        As `score_loadings` takes them.
    """
    n_sets = int(sets.max()) + 1 if sets.size else 0
    weights = np.zeros((n_sets, n_genes))
    here = genes >= 0
    weights[sets[here], genes[here]] = directions[here]
    up = directions > 0
    expected = np.bincount(sets[up], minlength=n_sets).astype(np.float64)
    return weights, expected, np.bincount(sets[~up], minlength=n_sets).astype(np.float64)


def score_loadings(weights: Matrix, n_expected: Vector, n_unexpected: Vector) -> Matrix:
    """Weight of each gene in the score of each type, for expression scaled by its largest mean.

    A score is the mean over the expected genes minus the mean over the genes that should be absent.
    Both are over all genes of a set: a gene missing from the data counts as not expressed, so that
    a set cannot win with the only two genes that the data have of it.

    Parameters
    ----------
    weights : (n_types, n_genes)
        1 for an expected gene, -1 for one that should be absent, 0 for all others.
    n_expected, n_unexpected : (n_types,)
        Number of genes of each set, whether in the data or not.

    Returns
    -------
    (n_genes, n_types)
        NaN for a type none of whose expected genes is in the data.
    """
    up = np.where(weights > 0, 1.0, 0.0) / np.maximum(n_expected, 1)[:, None]
    down = np.where(weights < 0, 1.0, 0.0) / np.maximum(n_unexpected, 1)[:, None]
    here = (weights > 0).any(axis=1)
    return np.asarray(np.where(here[:, None], up - down, np.nan).T)


def best_types(scores: Matrix, *, floor: float) -> Annotation:
    """Choose the best type of each group.

    Parameters
    ----------
    scores : (n_groups, n_types)
        NaN where a type cannot be scored.
    floor
        Groups whose best score is below this get no type.

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
        has_second = np.isfinite(second)
        margin = np.where(has_second, top - np.where(has_second, second, 0.0), np.nan)
    best = np.where(top >= floor, best, -1)
    return Annotation(best, np.where(np.isfinite(top), top, np.nan), margin)


def diffused_scores(
    scores: Scores, *, ties: sparse.csr_matrix, outside: Scores | None, total: Scores
) -> Scores:
    """Smooth scores over the neighbour graph, in six steps of diffusion.

    See van Dijk 2018, doi:10.1016/j.cell.2018.05.061. In each step a cell itself has the same
    weight as a neighbour with the strongest possible tie.

    Parameters
    ----------
    scores : (n, n_types)
        Log-normalised values times loadings of `score_loadings` over largest means.
    ties : (n, n)
        Strengths, 0 to 1.
    outside : (n, n_types)
        Weighted sum of the scores of neighbours whose scores stay fixed (cells of a reference);
        None without such neighbours.
    total : (n, 1)
        Sum of the tie strengths over all neighbours.

    Returns
    -------
    (n, n_types)
    """
    for _ in range(_DIFFUSION_STEPS):
        around = ties @ scores + scores
        if outside is not None:
            around += outside
        scores = around / (total + 1)
    return scores


def border_types(types: Codes, scores: Scores) -> Codes:
    """Reassign cells at the borders between types, by the markers of their neighbourhoods.

    Where types form a continuum, the border between two clusters is arbitrary and moves with every
    added cell, and a cluster of a rare type contains cells of others. Each cell gets the type with
    the best score in its neighbourhood, if this score is positive.

    Parameters
    ----------
    types : (n,)
        Type of each cell's cluster; cells with -1 (no type) keep it.
    scores : (n, n_types)
        Result of `diffused_scores`.

    Returns
    -------
    (n,)
    """
    named = types >= 0
    cluster_types, at = types[named], scores[named]
    if at.shape[1] < 2:
        return types
    highest = at.max(axis=1)
    # if scores are equal, the type of the cluster is kept
    goes = (highest > at[np.arange(cluster_types.size), cluster_types]) & (highest > 0)
    found = types.copy()
    found[named] = np.where(goes, at.argmax(axis=1), cluster_types)
    return found
