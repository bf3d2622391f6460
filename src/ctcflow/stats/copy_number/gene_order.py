"""Positions of genes on the autosomes, and which genes may be used for copy number."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow.stats.counts.gene_sets import in_set

Names = npt.NDArray[np.object_]
Ints = npt.NDArray[np.intp]

_AUTOSOMES: Final = 22
_MASKED: Final = ("immunoglobulin_tcr", "hla")
"""Technical gene sets that are not used: immune receptor genes are rearranged, and HLA expression
depends on activation more than on dosage."""


class GeneOrder(NamedTuple):
    """Position of each gene."""

    arm: Ints
    """(G,) code of the chromosome arm, ascending along the genome; -1 if not on an autosome, or
    unknown."""
    position: npt.NDArray[np.float64]
    """(G,) start on the chromosome (base pairs); 0 where the arm is -1."""


def gene_order(names: Names, *, table: pd.DataFrame) -> GeneOrder:
    """Find the position of each gene; mitochondrial and sex-linked genes have none.

    Parameters
    ----------
    names
        (G,) symbols.
    table
        `symbol`, `chromosome`, `arm` (p or q), `start`. A symbol on several arms has no position;
        of several positions on one arm the first is used.
    """
    number = pd.to_numeric(table["chromosome"], errors="coerce").fillna(0).astype(np.intp)
    autosomal = number.between(1, _AUTOSOMES) & table["arm"].isin(["p", "q"])
    placed = pd.DataFrame(
        {
            "symbol": table["symbol"],
            "arm": np.where(autosomal, 2 * number + (table["arm"] == "q"), -1),
            "start": np.where(autosomal, table["start"], 0),
        }
    ).drop_duplicates(["symbol", "arm"])
    unique = placed[~placed["symbol"].duplicated(keep=False)].set_index("symbol")
    places = unique.reindex(names)
    return GeneOrder(
        places["arm"].fillna(-1).to_numpy(np.intp), places["start"].fillna(0).to_numpy(np.float64)
    )


def arm_names(codes: Ints) -> list[str]:
    """Names of arms by their codes: `1p`, `1q`, `2p`."""
    return [f"{code // 2}{'pq'[code % 2]}" for code in codes.tolist()]


def usable(
    names: Names, *, technical: pd.DataFrame, left_out: frozenset[str]
) -> npt.NDArray[np.bool_]:
    """Choose genes whose expression follows dosage and that no other line of evidence uses.

    Parameters
    ----------
    names
        (G,) symbols.
    technical
        Gene sets by name or pattern: those of immunoglobulins, T-cell receptors and HLA are masked.
    left_out
        Genes that another line of evidence uses.

    Returns
    -------
    (G,)
    """
    found = ~pd.Index(names).isin(left_out)
    for chosen in _MASKED:
        found &= ~in_set(names, technical, chosen)
    return np.asarray(found, dtype=bool)
