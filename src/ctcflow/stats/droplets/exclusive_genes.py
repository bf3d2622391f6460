"""Genes that some blood lineages cannot express."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

GROUPS: Final = ("T and NK", "B", "myeloid", "platelet", "erythrocyte")
"""Coarse lineages, in the order of their codes."""

_SOURCES: Final = {
    "T and NK": "CD3D CD3E CD3G TRAC TRBC1 CD2 CD8A CD8B BCL11B GNLY NKG7 KLRF1 KLRD1 GZMA GZMK",
    "B": "CD79A MS4A1 CD19 IGHM IGHD IGKC IGLC2 IGLC3 IGHG1 IGHG2 IGHG3 IGHG4 IGHA1 IGHA2 TCL1A"
    " VPREB3 LINC00926 FCRLA PAX5",
    "myeloid": "LYZ S100A8 S100A9 S100A12 FCN1 VCAN CD14 CSTA MS4A6A CLEC12A CLEC7A",
    "platelet": "PPBP PF4 GNG11",
    "erythrocyte": "HBB HBA1 HBA2 HBD",
}
_STICK: Final = {"platelet": ("T and NK",), "erythrocyte": ("T and NK", "B", "myeloid")}
"""Lineages in which the genes of a source are a sign of ambient RNA. Platelets stick to myeloid and
B cells, so platelet genes are no such sign there."""


def exclusive(genes: npt.NDArray[np.object_]) -> tuple[Ints, Bools]:
    """Which lineage of `GROUPS` expresses a gene, and which cannot.

    Parameters
    ----------
    genes
        (G,) symbols.

    Returns
    -------
    source
        (G,) index into `GROUPS`, -1 for genes that are not used.
    excluded
        (len(GROUPS), G) lineages that cannot express the gene.
    """
    source = np.full(genes.size, -1, dtype=np.intp)
    excluded = np.zeros((len(GROUPS), genes.size), dtype=bool)
    for code, name in enumerate(GROUPS):
        of_lineage = np.isin(genes, _SOURCES[name].split())
        source[of_lineage] = code
        for other in _STICK.get(name, ("T and NK", "B", "myeloid")):
            if other != name:
                excluded[GROUPS.index(other), of_lineage] = True
    return source, excluded
