"""Name groups of cells by marker sets, and draw the borders between types."""

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
_DIFFUSION_STEPS: Final = 6  # most like pbmc3k's authors' types (macro F1); 4 to 10 are alike


class Annotation(NamedTuple):
    """Per group: best type (-1 for none), its score, and its distance to the second best."""

    best: npt.NDArray[np.intp]
    score: Vector
    margin: Vector


def largest_means(means: Matrix) -> Vector:
    """Largest mean of each gene over the groups, which expression is read relative to.

    A gene whose largest mean is near zero cannot speak as loud as one that is well expressed: none
    is below 0.5 (log-normalised units).

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


def score_loadings(weights: Matrix, n_expected: Vector, n_unexpected: Vector) -> Matrix:
    """Part of each gene in the score of each type, with expression relative to its largest mean.

    A score is the mean over the expected genes minus the mean over the genes expected absent, over
    all genes of a set: one that the data lack counts as not expressed, so that a set of which two
    genes are there cannot win with these two.

    Parameters
    ----------
    weights : (n_types, n_genes)
        1 for an expected gene, -1 for one that is expected absent, 0 for all others.
    n_expected, n_unexpected : (n_types,)
        Genes of each set, whether in the data or not.

    Returns
    -------
    (n_genes, n_types)
        NaN for a type of which no expected gene is there.
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


def diffused_scores(
    scores: Scores, *, ties: sparse.csr_matrix, outside: Scores | None, total: Scores
) -> Scores:
    """Average scores over the neighbours of a cell, and theirs, six times.

    Diffusion on the graph (van Dijk 2018, doi:10.1016/j.cell.2018.05.061): a cell counts as much as
    a neighbour with the strongest tie.

    Parameters
    ----------
    scores : (n, n_types)
        Log-normalised values times loadings of `score_loadings` over largest means.
    ties : (n, n)
        Strengths, 0 to 1.
    outside : (n, n_types)
        Sum over neighbours that stay as they are (cells of a reference), each times its strength;
        None without such.
    total : (n, 1)
        Sum of the strengths of all neighbours.

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
    """Draw the borders between types by the markers around each cell.

    Where one type passes into another, the border between two clusters is where the algorithm
    happened to cut, and moves with every cell that is added; a cluster of a rare type takes in
    cells of others. A cell takes the type that scores best around it, if more speaks for it than
    against it.

    Parameters
    ----------
    types : (n,)
        Type of the cluster of each cell, -1 for none, which it keeps.
    scores : (n, n_types)
        Of `diffused_scores`.

    Returns
    -------
    (n,)
    """
    named = types >= 0
    own, at = types[named], scores[named]
    if at.shape[1] < 2:
        return types
    highest = at.max(axis=1)
    # of equal scores that of the cluster's type counts
    goes = (highest > at[np.arange(own.size), own]) & (highest > 0)
    found = types.copy()
    found[named] = np.where(goes, at.argmax(axis=1), own)
    return found
