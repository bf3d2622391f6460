"""How well batches are mixed among nearest neighbours."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]
Vector = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]

_ROUNDS: Final = 50
_TOLERANCE: Final = 1e-5


def kernel_weights(distances: Floats, *, perplexity: float) -> Floats:
    """Weights of the neighbours of each cell, whose width gives the stated perplexity.

    The kernel of the local inverse Simpson index (Korsunsky 2019,
    doi:10.1038/s41592-019-0619-0).

    Parameters
    ----------
    distances : (n, k)
        Distances to the neighbours, without the cell itself.
    perplexity
        Effective number of neighbours; below k.

    Returns
    -------
    (n, k)
        Weights; rows sum to one.
    """
    n, k = distances.shape
    weights = np.full((n, k), 1.0 / max(k, 1))
    low, high, scale = np.full(n, -np.inf), np.full(n, np.inf), np.ones(n)
    for _ in range(_ROUNDS):
        weights, entropy = _kernel(distances, scale)
        off = entropy - np.log(perplexity)
        wrong = np.abs(off) >= _TOLERANCE
        if not wrong.any():
            break
        low = np.where(wrong & (off > 0), scale, low)
        high = np.where(wrong & (off <= 0), scale, high)
        doubled = np.where(np.isfinite(high), (np.maximum(low, 0) + high) / 2, scale * 2)
        halved = np.where(np.isfinite(low), (low + np.minimum(high, 1e300)) / 2, scale / 2)
        scale = np.where(wrong, np.where(off > 0, doubled, halved), scale)
    return weights


def inverse_simpson(weights: Floats, neighbors: Codes, *, n_labels: int) -> Vector:
    """Local inverse Simpson index (LISI): effective number of labels among the neighbours.

    Parameters
    ----------
    weights : (n, k)
        Weights from `kernel_weights`.
    neighbors : (n, k)
        Label of each neighbour, 0 to `n_labels` - 1.
    n_labels
        Number of labels.

    Returns
    -------
    (n,)
        1 (one label) to `n_labels` (all equally).
    """
    simpson = np.zeros(weights.shape[0])
    for label in range(n_labels):
        simpson += np.where(neighbors == label, weights, 0.0).sum(axis=1) ** 2
    return 1.0 / np.where(simpson > 0, simpson, 1.0)


def _kernel(distances: npt.NDArray[np.float64], scale: Vector) -> tuple[Vector, Vector]:
    """Weights that sum to one, and their entropy (nats)."""
    # Subtract the nearest distance: the weights are the same, and they cannot all underflow.
    excess = distances - distances.min(axis=1, keepdims=True)
    raw = np.exp(-excess * scale[:, None])
    total = raw.sum(axis=1)
    weights = raw / total[:, None]
    entropy = np.log(total) + scale * (weights * excess).sum(axis=1)
    return weights, entropy


def label_shares(neighbors: Codes, *, n_labels: int) -> npt.NDArray[np.float64]:
    """Share of each label among the neighbours of each cell.

    Parameters
    ----------
    neighbors : (n, k)
        Label of each neighbour.

    Returns
    -------
    (n, n_labels)
    """
    n, k = neighbors.shape
    flat = np.arange(n)[:, None] * n_labels + neighbors
    counts = np.bincount(flat.ravel(), minlength=n * n_labels).reshape(n, n_labels)
    return np.asarray(counts / max(k, 1))


def batch_entropy(neighbors: Codes, *, shares: Vector) -> Vector:
    """Entropy of the batches among each cell's neighbours, relative to random mixing.

    Parameters
    ----------
    neighbors : (n, k)
        Batch of each neighbour.
    shares : (n_batches,)
        Share of each batch among all cells; sums to one.

    Returns
    -------
    (n,)
        0 for neighbours of one batch, about 1 for a random draw of all cells.
    """
    local = _entropy(label_shares(neighbors, n_labels=shares.size))
    overall = float(_entropy(shares[None, :])[0])
    return local / overall if overall > 0 else np.full(neighbors.shape[0], np.nan)


def _entropy(shares: npt.NDArray[np.float64]) -> Vector:
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(-(shares * logs).sum(axis=1))


def acceptance(neighbors: Codes, *, shares: Vector, alpha: float) -> npt.NDArray[np.bool_]:
    """Test in which neighbourhoods the batches are compatible with random mixing (kBET).

    Büttner 2019, doi:10.1038/s41592-018-0254-1: Pearson's chi-squared of the batches among the
    neighbours against their shares of all cells.

    Parameters
    ----------
    neighbors : (n, k)
        Batch of each neighbour.
    shares : (n_batches,)
        Share of each batch among all cells; all positive, sum to one.
    alpha
        Neighbourhoods with a smaller p are rejected (probability).

    Returns
    -------
    (n,)
        True where not rejected.
    """
    from scipy.special import chdtrc

    k = neighbors.shape[1]
    expected = k * shares
    observed = k * label_shares(neighbors, n_labels=shares.size)
    statistic = ((observed - expected) ** 2 / expected).sum(axis=1)
    return np.asarray(chdtrc(max(shares.size - 1, 1), statistic) >= alpha)
