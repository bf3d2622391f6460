"""Coarse lineages, for which quality limits are set and ambient RNA is measured."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.intp]

COARSE: Final = ("T and NK", "B", "myeloid", "platelet", "erythrocyte", "neutrophil", "other")
"""Coarse lineages in the order of their codes; those of `exclusive_genes.GROUPS` come first."""

_OF_TYPE: Final = {
    "CD4 T": "T and NK",
    "CD8 T": "T and NK",
    "NK": "T and NK",
    "B": "B",
    "Plasma": "B",
    "Monocyte": "myeloid",
    "Dendritic": "myeloid",
    "pDC": "myeloid",
    "Macrophage": "myeloid",
    "Mast": "myeloid",
    "Progenitor": "myeloid",
    "Megakaryocyte": "platelet",
    "Neutrophil": "neutrophil",
    "Platelet": "platelet",
    "Erythroid": "erythrocyte",
}
"""Coarse lineage of each blood type of `profiles`."""

ANUCLEATE: Final = ("platelet", "erythrocyte")


def coarse(types: tuple[str, ...], *, lineage: Ints, is_blood: npt.NDArray[np.bool_]) -> Ints:
    """Coarse lineage of each cell.

    Parameters
    ----------
    types
        (k,) names of the types of `profiles.Profiles`.
    lineage
        (n,) best blood type of each cell, an index into `types`.
    is_blood
        (n,) cells that do not lack blood identity; all others are `other`.

    Returns
    -------
    (n,) index into `COARSE`.
    """
    codes = np.array([COARSE.index(_OF_TYPE.get(name, "other")) for name in types], dtype=np.intp)
    return np.where(is_blood, codes[lineage], COARSE.index("other"))
