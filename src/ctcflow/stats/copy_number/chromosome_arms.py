"""Gene dosage of cells summed over chromosome arms, against the lineage each arm is nearest to.

A deviation counts where it is seen against every lineage: the one nearest to zero is taken, and
none where lineages disagree in sign, since one lineage against another alone invents events.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ctcflow.stats.copy_number.gene_dosage import Dosage, Reference, reference

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

VARIANCE = 0.12
"""Of the relative dosage of altered arms: weighs arms of many counts against those of few."""
FEWEST_GENES = 20
"""Of an arm that is judged."""
_GENES_PER_BIN = 40
_MOST_FOLD = 16.0  # between a tissue and blood: beyond it profiles do not tell rare from absent
_LEAST_SHARE = 1e-9


class Layout(NamedTuple):
    """A reference with its genes laid out in bins and arms."""

    expected: Reference
    starts: Ints
    """(b,) first gene of each bin."""
    arms: Ints
    """(a,) codes."""
    arm_starts: Ints
    """(a,) first bin of each arm."""
    judged: Bools
    """(a,) arms with enough genes."""


class Deviation(NamedTuple):
    """Cells x judged arms."""

    ratio: Floats
    """Relative dosage over the cell's own median arm, less one; 0 where lineages disagree."""
    z: Floats
    """The same in standard deviations of the model."""
    weight: Floats
    """Share of a typical aberration that the arm's counts can show (0 to 1)."""
    centre: Floats
    """(l, n) median over arms that was taken off, by lineage."""


def lay_out(sums: Floats, *, arm: Ints) -> Layout:
    """Lay the genes that lineages share out in bins of equal size within arms.

    Parameters
    ----------
    sums
        (l, G) counts of each lineage's reference cells, genes in genomic order.
    arm
        (G,) arm codes, ascending.
    """
    expected = reference(sums)
    codes, first, size = np.unique(arm[expected.genes], return_index=True, return_counts=True)
    starts: list[int] = []
    arm_starts: list[int] = []
    for begin, genes in zip(first, size, strict=True):
        arm_starts.append(len(starts))
        n_bins = max(1, round(genes / _GENES_PER_BIN))
        starts.extend(int(begin + genes * step // n_bins) for step in range(n_bins))
    return Layout(
        expected,
        np.array(starts, dtype=np.intp),
        codes.astype(np.intp),
        np.array(arm_starts, dtype=np.intp),
        size >= FEWEST_GENES,
    )


def beside(layout: Layout, ratio: Floats) -> Layout:
    """The same layout with one more lineage: a tissue that differs from blood by these factors.

    Factors come from other samples on other platforms; what a platform does to a gene, it does in
    blood too, so that only their ratio to blood is taken, and the rest from the sample's blood.

    Parameters
    ----------
    ratio
        (G,) share of counts of each gene over that in blood, genes as in `lay_out`.
    """
    expected = layout.expected
    factor = np.clip(ratio[expected.genes], 1.0 / _MOST_FOLD, _MOST_FOLD)
    shares = np.exp(np.log(np.maximum(expected.shares, _LEAST_SHARE)).mean(axis=0)) * factor
    shares = (shares / max(float(shares.sum()), 1e-300)).astype(np.float32)
    between = expected.dispersion.mean(axis=0)
    return layout._replace(
        expected=expected._replace(
            shares=np.vstack([expected.shares, shares]),
            dispersion=np.vstack([expected.dispersion, between]),
        )
    )


def deviation(found: Dosage, *, layout: Layout) -> Deviation:
    """Compare arms with the cell's own median arm and with the nearest lineage."""
    score = np.add.reduceat(found.score, layout.arm_starts, axis=2)[:, :, layout.judged]
    information = np.add.reduceat(found.information, layout.arm_starts, axis=2)
    information = information[:, :, layout.judged]
    ratio = score / np.maximum(information, 1e-6)
    # a tumour cell spends counts on genes of its own: it is short of all others alike
    centre = _weighted_median(ratio, information)
    ratio = ratio - centre[:, :, None]
    z = ratio * np.sqrt(information)
    nearest = np.abs(z).argmin(axis=0)[None]
    agree = (z > 0).all(axis=0) | (z < 0).all(axis=0)
    typical = np.take_along_axis(information, nearest, 0)[0] * VARIANCE
    return Deviation(
        np.where(agree, np.take_along_axis(ratio, nearest, 0)[0], 0.0),
        np.where(agree, np.take_along_axis(z, nearest, 0)[0], 0.0),
        typical / (1.0 + typical),
        centre,
    )


def mean_square(found: Deviation) -> Floats:
    """Weighted mean square of z over the arms of each cell."""
    weight = np.maximum(found.weight.sum(axis=1), 1e-12)
    return np.asarray((found.weight * found.z**2).sum(axis=1) / weight)


def along_genome(found: Dosage, *, centre: Floats, layout: Layout) -> Floats:
    """Relative dosage less one per bin, for the eye.

    Neighbours of the same arm enter at half weight, and bins of few counts are shrunk to 0.

    Returns
    -------
    (n, b)
    """
    arm = bin_arms(layout)
    same = 0.5 * (arm[:-1] == arm[1:])
    near = np.diag(np.ones(arm.size)) + np.diag(same, 1) + np.diag(same, -1)
    score, information = found.score @ near, found.information @ near
    ratio = (score - centre[:, :, None] * information) / (information + 1.0 / VARIANCE)
    nearest = np.abs(ratio).argmin(axis=0)[None]
    agree = (ratio > 0).all(axis=0) | (ratio < 0).all(axis=0)
    return np.where(agree, np.take_along_axis(ratio, nearest, 0)[0], 0.0)


def bin_arms(layout: Layout) -> Ints:
    """Arm code of each bin."""
    bins = np.arange(layout.starts.size)
    return layout.arms[np.searchsorted(layout.arm_starts, bins, side="right") - 1]


def _weighted_median(values: Floats, weight: Floats) -> Floats:
    order = np.argsort(values, axis=-1, kind="stable")
    mass = np.cumsum(np.take_along_axis(weight, order, -1), axis=-1)
    middle = (mass >= mass[..., -1:] / 2).argmax(axis=-1)[..., None]
    at = np.take_along_axis(order, middle, -1)
    return np.asarray(np.take_along_axis(values, at, -1)[..., 0])
