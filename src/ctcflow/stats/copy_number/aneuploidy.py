"""Infer aneuploidy from expression, with the sample's own leukocytes as diploid reference.

The null hypothesis is a diploid cell of a type that is not in the reference. Leukocytes, thinned
to the cell's depth and compared only with lineages that they do not belong to, are such cells; no
leukocyte is part of the reference that it is compared with. A candidate is scored against the same
leave-one-lineage-out references, and the maximum is kept. If the candidate plainly resembles a
normal tissue, this tissue is added to the references as one more lineage: genes that differ between
an islet cell and blood, for example, are no aberration of an islet cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats.calls import p_values
from ctcflow.stats.copy_number import chromosome_arms as arms
from ctcflow.stats.copy_number.chromosome_arms import Layout
from ctcflow.stats.copy_number.gene_dosage import dosage
from ctcflow.stats.identity.likelihood import robust_moments, thinned

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

DEPTHS: Floats = np.array([100.0 * 2.0**step for step in range(6)])
"""Counts in usable genes at which the null is measured (counts per cell).

There is no higher level: all aneuploid cells are found at the highest one, and at more counts only
the differences between tissues grow.
"""

_FEWEST_LINEAGES = 2
_FEWEST_GENES = 500  # fewest genes that are expressed in every lineage
_FEWEST_ARMS = 10
_FEWEST_AT_DEPTH = 50  # fewest null cells for a null at a depth
_AT_ONCE = 500  # cells or groups whose counts are in memory at a time
_MOST_NULL = 300  # most null cells per lineage and depth
_TAIL = 0.1
_TRIMMED = 0.002
_SMALLEST_SCALE = 0.45  # spreads; blood of three data sets gave 0.65 to 0.84
_LOWEST_RATIO = 2.0**-3


class Bins(NamedTuple):
    """Positions of the columns of the profile along the genome."""

    arm: Ints
    """(b,) arm code."""
    start: Floats
    """(b,) position of the first gene (base pairs)."""
    end: Floats
    """(b,) position of the last gene (base pairs)."""


class CopyNumber(NamedTuple):
    """Profiles of c candidates; aneuploidy of candidates and g groups; no columns where not run."""

    arms: Ints
    """(a,) arm codes that were judged."""
    arm_log2_ratio: Floats
    """(c, a) log2 dosage relative to the nearest lineage; 0 where lineages disagree in sign."""
    arm_z: Floats
    """(c, a) the relative dosage in standard deviations of the model."""
    bins: Bins
    bin_log2_ratio: Floats
    """(c, b) smoothed along the arm and shrunk to 0 where there are few counts."""
    aneuploidy: Floats
    """(c + g,) mean square deviation of arms from the median of null cells, in units of their
    spread."""
    p: Floats
    """(c + g,) probability that a diploid cell of unknown type looks as aneuploid; NaN where not
    judged."""
    depth: Floats
    """(c,) counts in usable genes."""
    n_null: int
    """Number of null cells."""
    reason: str
    """Why it did not run; empty where it did."""


class NormalTissue(NamedTuple):
    """Expression of normal cells other than leukocytes, relative to blood."""

    ratio: Floats
    """(k, G) share of counts of each gene over that in blood, for k profiles; 1 where unknown."""
    nearest: Ints
    """(m,) profile that each candidate, then each group, plainly resembles; -1 for none."""


class _Null(NamedTuple):
    depths: Floats
    centre: Floats
    spread: Floats
    tail: p_values.ExponentialTail
    n_cells: int


class _Against(NamedTuple):
    """The references that cells are compared with, and the null."""

    whole: Layout  # with all lineages: for the profiles
    without: list[Layout]  # each lacks one lineage
    null: _Null


def copy_number(
    counts: sp.csr_matrix,
    *,
    arm: Ints,
    position: Floats,
    usable: Bools,
    lineage: Ints,
    candidates: Ints,
    fewest: int,
    seed: int,
    groups: sp.csr_matrix | None = None,
    normal: NormalTissue | None = None,
) -> CopyNumber:
    """Judge how aneuploid candidates are.

    Parameters
    ----------
    counts
        (n, G) raw counts. Thinning draws random numbers leukocyte by leukocyte, in the order of
        the rows: put them in an order that does not depend on the file. The result of a candidate
        depends on no other candidate.
    arm
        (G,) code of each gene's chromosome arm, ascending along the genome; negative: not placed.
    position
        (G,) position on the chromosome (base pairs).
    usable
        (G,) genes that may be used: without immunoglobulin, T-cell receptor, HLA, mitochondrial
        and sex-chromosome genes, and without genes that another line of evidence uses.
    lineage
        (n,) code of each reference cell's lineage; -1 if it is not a reference cell. Related types
        share a code (T and NK cells, B cells, myeloid cells), because leukocytes compared with
        closely related types are not a valid null for a cell of another tissue.
    candidates
        (c,) rows to judge; not reference cells.
    fewest
        Fewest cells of a lineage that serve as a reference.
    seed
        Seed of the thinning.
    groups
        (g, n) 1 for cells whose counts are summed and judged as one: aneuploidy and p are those
        of the c candidates, then of these groups.
    normal
        Normal tissue used as reference in addition to the lineages; None for leukocytes only.

    Returns
    -------
    CopyNumber
        With a reason, and p NaN, if fewer than two lineages have `fewest` cells, or they share
        fewer than 500 expressed genes, or these are on fewer than ten arms. p is NaN for cells
        below `DEPTHS[0]` counts. Cells deeper than the null are scaled down to its highest depth
        without the noise of thinning, which errs on the side of diploid; profiles use all counts.
        Beyond the null cells, p comes from an exponential tail.
    """
    placed = np.flatnonzero(usable & (arm >= 0))
    placed = placed[np.lexsort((position[placed], arm[placed]))]
    matrix = counts[:, placed].tocsr().astype(np.float64)
    cells = matrix[candidates].tocsr()
    depth = np.asarray(cells.sum(axis=1), dtype=np.float64).ravel()
    against = _against(
        matrix, arm=arm[placed], lineage=lineage, fewest=fewest, rng=np.random.default_rng(seed)
    )
    if isinstance(against, str):
        return _not_run(depth, 0 if groups is None else groups.shape[0], against)
    layout = against.whole
    tissue = None if normal is None else normal._replace(ratio=normal.ratio[:, placed])
    aneuploidy, p = _judged(matrix, candidates, groups, against, tissue)
    dosages = dosage(cells, expected=layout.expected, starts=layout.starts)
    by_arm = arms.deviation(dosages, layout=layout)
    return CopyNumber(
        arms=layout.arms[layout.judged],
        arm_log2_ratio=_log2(by_arm.ratio),
        arm_z=by_arm.z,
        bins=_bins(layout, position[placed]),
        bin_log2_ratio=_log2(arms.along_genome(dosages, centre=by_arm.centre, layout=layout)),
        aneuploidy=aneuploidy,
        p=p,
        depth=depth,
        n_null=against.null.n_cells,
        reason="",
    )


def _judged(
    matrix: sp.csr_matrix,
    candidates: Ints,
    groups: sp.csr_matrix | None,
    against: _Against,
    normal: NormalTissue | None,
) -> tuple[Floats, Floats]:
    """Aneuploidy and p of candidates, then of groups; few groups are summed at a time."""
    chosen = np.ones(candidates.size), (np.arange(candidates.size), candidates)
    asked = sp.csr_matrix(chosen, shape=(candidates.size, matrix.shape[0]))
    if groups is not None:
        asked = sp.vstack([asked, groups]).tocsr()
    aneuploidy, p = np.full((2, asked.shape[0]), np.nan)
    for first in range(0, asked.shape[0], _AT_ONCE):
        block = slice(first, first + _AT_ONCE)
        cells = (asked[block] @ matrix).tocsr()
        depth = np.asarray(cells.sum(axis=1), dtype=np.float64).ravel()
        near = None if normal is None else normal._replace(nearest=normal.nearest[block])
        aneuploidy[block] = _aneuploidy(cells, depth, against.without, against.null, near)
        p[block] = p_values.exponential_tail_p(aneuploidy[block], against.null.tail)
        p[block][depth < DEPTHS[0]] = np.nan
    return aneuploidy, p


def _against(
    matrix: sp.csr_matrix, *, arm: Ints, lineage: Ints, fewest: int, rng: np.random.Generator
) -> _Against | str:
    """Build the references that cells are compared with, or say why there are too few cells."""
    codes, size = np.unique(lineage[lineage >= 0], return_counts=True)
    if size.sum() < fewest:
        return f"{size.sum()} reference cells, needs {fewest}"
    codes = codes[size >= fewest]
    if codes.size < _FEWEST_LINEAGES:
        have = "1 lineage has" if codes.size == 1 else "no lineage has"
        return f"{have} {fewest} reference cells, needs {_FEWEST_LINEAGES} lineages"
    sums = np.vstack([np.asarray(matrix[lineage == code].sum(axis=0)) for code in codes])
    whole = arms.lay_out(sums, arm=arm)
    shared = whole.expected.genes.size
    if shared < _FEWEST_GENES:
        return f"{shared} genes expressed in every lineage, needs {_FEWEST_GENES}"
    if whole.judged.sum() < _FEWEST_ARMS:
        return f"{whole.judged.sum()} arms with {arms.FEWEST_GENES} genes, needs {_FEWEST_ARMS}"
    without = [
        arms.lay_out(np.delete(sums, left_out, axis=0), arm=arm) for left_out in range(codes.size)
    ]
    members = [np.flatnonzero(lineage == code) for code in codes]
    null = _null(matrix, members, without, rng)
    if null is None:
        return f"too few reference cells with {DEPTHS[0]:.0f} counts, needs {_FEWEST_AT_DEPTH}"
    return _Against(whole, without, null)


def _null(
    matrix: sp.csr_matrix,
    members: list[Ints],
    without: list[Layout],
    rng: np.random.Generator,
) -> _Null | None:
    """Score leukocytes against the lineages that they do not belong to, at each depth."""
    total = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
    levels: list[Floats] = []
    for level in DEPTHS:
        values = [np.empty(0)]
        for rows, layout in zip(members, without, strict=True):
            deep = _spread_out(rows[total[rows] >= level])
            if deep.size:
                drawn = thinned(matrix[deep].tocsr(), depth=float(level), rng=rng)
                values.append(_mean_square(drawn, layout))
        measured = np.concatenate(values)
        if measured.size < _FEWEST_AT_DEPTH:
            break
        levels.append(measured)
    if not levels:
        return None
    moments = np.array([robust_moments(values) for values in levels])
    scaled = [
        (values - centre) / spread for values, (centre, spread) in zip(levels, moments, strict=True)
    ]
    fitted = p_values.fit_exponential_tail(
        np.concatenate(scaled),
        fraction=_TAIL,
        trimmed=_TRIMMED,
        smallest_scale=_SMALLEST_SCALE,
        largest_scale=np.inf,
        prior_values=0.0,
    )
    return _Null(DEPTHS[: len(levels)], moments[:, 0], moments[:, 1], fitted, levels[0].size)


def _aneuploidy(
    cells: sp.csr_matrix,
    depth: Floats,
    without: list[Layout],
    null: _Null,
    normal: NormalTissue | None,
) -> Floats:
    """Largest standardised deviation of each cell over all leave-one-lineage-out references."""
    # Deep cells are scaled down by expectation instead of random thinning, so that the result has
    # no random part and does not depend on the other candidates.
    share = np.minimum(1.0, null.depths[-1] / np.maximum(depth, 1.0))
    level = sp.csr_matrix(sp.diags_array(share) @ cells)
    log_depth = np.log(np.clip(depth, null.depths[0], null.depths[-1]))
    log_levels = np.log(null.depths)
    centre = np.interp(log_depth, log_levels, null.centre)
    spread = np.exp(np.interp(log_depth, log_levels, np.log(null.spread)))
    values = np.vstack([_beside_tissue(level, layout, normal) for layout in without])
    return np.asarray((values.max(axis=0) - centre) / spread)


def _beside_tissue(cells: sp.csr_matrix, layout: Layout, normal: NormalTissue | None) -> Floats:
    """Mean square deviation from the lineages and the tissue that each cell plainly resembles."""
    if normal is None:
        return _mean_square(cells, layout)
    found = np.empty(cells.shape[0])
    for row in np.unique(normal.nearest):
        rows = np.flatnonzero(normal.nearest == row)
        here = layout if row < 0 else arms.beside(layout, normal.ratio[row])
        found[rows] = _mean_square(cells[rows].tocsr(), here)
    return found


def _mean_square(cells: sp.csr_matrix, layout: Layout) -> Floats:
    dosages = dosage(cells, expected=layout.expected, starts=layout.starts)
    return arms.mean_square(arms.deviation(dosages, layout=layout))


def _spread_out(rows: Ints) -> Ints:
    """At most `_MOST_NULL` of the rows, evenly over their order."""
    if rows.size <= _MOST_NULL:
        return rows
    return rows[np.arange(_MOST_NULL) * rows.size // _MOST_NULL]


def _bins(layout: Layout, position: Floats) -> Bins:
    genes = layout.expected.genes
    last = np.append(layout.starts[1:], genes.size) - 1
    start, end = position[genes[layout.starts]], position[genes[last]]
    return Bins(arms.bin_arms(layout), start, end)


def _log2(relative: Floats) -> Floats:
    return np.asarray(np.log2(np.maximum(1.0 + relative, _LOWEST_RATIO)))


def _not_run(depth: Floats, n_groups: int, reason: str) -> CopyNumber:
    none, nan = np.empty(0, dtype=np.intp), np.full(depth.size + n_groups, np.nan)
    wide = np.empty((depth.size, 0))
    bins = Bins(none, np.empty(0), np.empty(0))
    return CopyNumber(none, wide, wide, bins, wide, nan, nan, depth, 0, reason)
