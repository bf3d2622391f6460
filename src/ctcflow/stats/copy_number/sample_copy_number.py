"""Copy number of one sample: which cells are judged, and which leukocytes are the reference."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from ctcflow.records.score import CopyNumber
from ctcflow.stats.copy_number import gene_order
from ctcflow.stats.copy_number.aneuploidy import NormalTissue, copy_number
from ctcflow.stats.identity.coarse_lineage import COARSE, coarse
from ctcflow.stats.thresholds import MISSING_P, SHOWN_P

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

LINEAGES: Final = ("T and NK", "B", "myeloid")
"""Coarse lineages that serve as reference."""


class Roles(NamedTuple):
    """The role of each cell of a sample in the analysis of copy number."""

    candidates: Bools
    """(n,) cells that are judged."""
    lineage: Ints
    """(n,) index into `LINEAGES` of the reference cells; -1 for all others."""


class SampleCopyNumber(NamedTuple):
    """Copy number of all cells of a sample; NaN for cells that were not judged."""

    aneuploidy: Floats
    """(n,) see `aneuploidy.CopyNumber`."""
    p: Floats
    """(n,) see `aneuploidy.CopyNumber`."""
    p_together: Floats
    """(g,) p of the summed counts of each group of cells that are judged together."""
    arms: list[str]
    """(a,) names such as `1p`; none where it could not run."""
    arm_log2_ratio: npt.NDArray[np.float32]
    """(n, a) log2 dosage relative to the nearest lineage."""
    record: CopyNumber


def roles(
    types: tuple[str, ...],
    *,
    lineage: Ints,
    is_leukocyte: Bools,
    p_identity: Floats,
    p_panel: Floats,
) -> Roles:
    """Choose the candidates, which are judged, and the leukocytes that serve as reference.

    Parameters
    ----------
    types
        (k,) names of the types of `profiles.Profiles`.
    lineage
        (n,) best blood type of each cell, an index into `types`.
    is_leukocyte
        (n,) cells with blood identity as expected.
    p_identity, p_panel
        (n,) p of each line of evidence.

    Returns
    -------
    Candidates are cells that lack blood identity, and leukocytes that express the tumour panel (a
    tumour cell may be in the same droplet); the latter are not used as reference.
    """
    shown = p_panel <= SHOWN_P
    kind = coarse(types, lineage=lineage, is_blood=is_leukocyte & ~shown)
    codes = {COARSE.index(name): place for place, name in enumerate(LINEAGES)}
    of_reference = np.array([codes.get(code, -1) for code in range(len(COARSE))], dtype=np.intp)
    return Roles(shown | ((p_identity <= MISSING_P) & ~is_leukocyte), of_reference[kind])


def sample_copy_number(
    counts: sp.csr_matrix,
    *,
    names: npt.NDArray[np.object_],
    genes: pd.DataFrame,
    usable: Bools,
    of: Roles,
    together: sp.csr_matrix,
    normal: NormalTissue,
    fewest: int,
    seed: int,
) -> SampleCopyNumber:
    """Judge the candidates of a sample, with its leukocytes as reference.

    Parameters
    ----------
    counts
        (n, G) raw counts, cells in an order that does not depend on the file: see
        `aneuploidy.copy_number`.
    names
        (G,) symbols.
    genes
        Positions of genes: see `gene_order.gene_order`.
    usable
        (G,) genes that may be used: see `gene_order.usable`.
    of
        Role of each cell.
    together
        (g, n) groups of candidates that are judged together: see
        `evidence.look.Together.members`.
    normal
        Normal tissue that the candidates, then these groups, plainly resemble.
    fewest
        Fewest leukocytes of a lineage that serve as reference (cells).
    seed
        Seed for thinning the leukocytes.
    """
    place = gene_order.gene_order(names, table=genes)
    rows = np.flatnonzero(of.candidates)
    copies = copy_number(
        counts,
        arm=place.arm,
        position=place.position,
        usable=usable,
        lineage=of.lineage,
        candidates=rows,
        groups=together,
        normal=normal,
        fewest=fewest,
        seed=seed,
    )
    n_alone = rows.size
    judged = ~np.isnan(copies.p[:n_alone])
    arms, n_cells = gene_order.arm_names(copies.arms), counts.shape[0]
    aneuploidy, p = np.full(n_cells, np.nan), np.full(n_cells, np.nan)
    profile = np.full((n_cells, len(arms)), np.nan, dtype=np.float32)
    aneuploidy[rows[judged]] = copies.aneuploidy[:n_alone][judged]
    p[rows] = copies.p[:n_alone]
    profile[rows[judged]] = copies.arm_log2_ratio[judged]
    record: CopyNumber = {
        "candidates": int(rows.size),
        "judged": int(judged.sum()),
        "reference_cells": {
            name: int((of.lineage == code).sum()) for code, name in enumerate(LINEAGES)
        },
        "null_cells": copies.n_null,
        "arms": arms,
        "reason": copies.reason,
    }
    return SampleCopyNumber(aneuploidy, p, copies.p[n_alone:], arms, profile, record)
