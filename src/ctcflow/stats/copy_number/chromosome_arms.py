"""Gene dosage of cells summed over chromosome arms, relative to the nearest lineage for each arm.

A deviation only counts if it is seen relative to every lineage: the deviation nearest to zero is
used, and 0 if lineages disagree in sign. Otherwise differences between two lineages alone would
look like copy-number changes.
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
"""Variance of the relative dosage over altered arms; sets the weight of arms by their counts."""
FEWEST_GENES = 20
"""Fewest genes of an arm that is judged."""
_GENES_PER_BIN = 40
_MOST_FOLD = 16.0  # cap on tissue over blood: beyond it, rare and absent cannot be distinguished
_LEAST_SHARE = 1e-9


class Layout(NamedTuple):
    """A reference with its genes grouped into bins and chromosome arms."""

    expected: Reference
    starts: Ints
    """(b,) first gene of each bin."""
    arms: Ints
    """(a,) arm codes."""
    arm_starts: Ints
    """(a,) first bin of each arm."""
    judged: Bools
    """(a,) arms with enough genes."""


class Deviation(NamedTuple):
    """Deviation of dosage, cells x judged arms unless noted."""

    ratio: Floats
    """Dosage relative to the cell's own median arm, minus one; 0 where lineages disagree."""
    z: Floats
    """The same in standard deviations of the model."""
    weight: Floats
    """Share of a typical aberration that the arm's counts can show (0 to 1)."""
    centre: Floats
    """(l, n) median over arms that was subtracted, by lineage."""


def lay_out(sums: Floats, *, arm: Ints) -> Layout:
    """Group the genes that all lineages express into bins of equal size within arms.

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
    """Add one more lineage to a layout: a tissue that differs from blood by the given factors.

    Tissue profiles come from other samples and platforms. Platform effects on a gene are the same
    in blood, so only the ratio of tissue to blood is used, times the expression in the sample's
    blood.

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


def deviation(dosages: Dosage, *, layout: Layout) -> Deviation:
    """Deviation of each arm from the cell's own median arm, for the nearest lineage."""
    score = np.add.reduceat(dosages.score, layout.arm_starts, axis=2)[:, :, layout.judged]
    information = np.add.reduceat(dosages.information, layout.arm_starts, axis=2)
    information = information[:, :, layout.judged]
    ratio = score / np.maximum(information, 1e-6)
    # centred, since a tumour cell also expresses other genes, which lowers all of these alike
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


def mean_square(deviations: Deviation) -> Floats:
    """Weighted mean square of z over the arms of each cell."""
    weight = np.maximum(deviations.weight.sum(axis=1), 1e-12)
    return np.asarray((deviations.weight * deviations.z**2).sum(axis=1) / weight)


def along_genome(dosages: Dosage, *, centre: Floats, layout: Layout) -> Floats:
    """Relative dosage minus one per bin, for display.

    Neighbouring bins of the same arm are averaged in at half weight, and bins with few counts are
    shrunk to 0.

    Returns
    -------
    (n, b)
    """
    arm = bin_arms(layout)
    same = 0.5 * (arm[:-1] == arm[1:])
    near = np.diag(np.ones(arm.size)) + np.diag(same, 1) + np.diag(same, -1)
    score, information = dosages.score @ near, dosages.information @ near
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
