"""Reference expression profiles of blood and non-blood types, as arrays over one sample's genes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

_ATLAS = {
    "CD4+T": ("CD4 T", "lymphoid"),
    "CD8+T": ("CD8 T", "lymphoid"),
    "NK": ("NK", "lymphoid"),
    "B": ("B", "B"),
    "Plasma": ("Plasma", "B"),
    "Monocyte": ("Monocyte", "myeloid"),
    "Macrophage": ("Monocyte", "myeloid"),
    "Myeloid": ("Monocyte", "myeloid"),
    "Dendritic": ("Dendritic", "myeloid"),
    "Fibroblast": ("Fibroblast", ""),
    "Endothelial": ("Endothelial", ""),
    "Epithelial": ("Epithelial", ""),
}
"""Column of the rate table: name of the type, and its null group (empty for non-blood)."""

_BLENDS = {
    "pDC": ("Dendritic", 0.4, "myeloid"),
    "Neutrophil": ("Monocyte", 0.4, "granulocyte"),
    "Platelet": ("Monocyte", 0.6, "anucleate"),
    "Erythroid": ("Monocyte", 0.8, "anucleate"),
}
"""Blood types that the atlas lacks: its nearest type, blended with this share of their markers."""

# not in the marker sets, since red cells leak haemoglobin into every droplet; ten times as much
# of each as of a marker gene
_HAEMOGLOBIN = pd.DataFrame({"set": "Erythroid", "gene": ["HBB", "HBA1", "HBA2"] * 10})

_COLUMNS = ["set", "gene"]

GROUPS = ("lymphoid", "B", "myeloid", "granulocyte", "anucleate")
"""Lineage groups whose leukocytes share a null distribution."""

AMBIENT_SHARE = 0.05
"""Share of every profile that is ambient RNA where no more of it was measured."""
_FLOOR = 2e-6  # share of counts below which the atlas does not tell absence from chance


class Profiles(NamedTuple):
    """Types over the genes that sample and atlas share."""

    columns: npt.NDArray[np.intp]
    """(g,) column of each gene in the sample's matrix."""
    log_rates: npt.NDArray[np.float64]
    """(g, k) logarithm of the share of counts."""
    types: tuple[str, ...]
    """(k,) names."""
    is_blood: npt.NDArray[np.bool_]
    """(k,) blood types."""
    group: npt.NDArray[np.intp]
    """(k,) index into `GROUPS`; non-blood types have that of `lymphoid`, unused."""


def profiles(
    genes: npt.NDArray[np.object_],
    *,
    rates: pd.DataFrame,
    markers: pd.DataFrame,
    left_out: frozenset[str],
    ambient: npt.NDArray[np.float64],
    ambient_share: float,
) -> Profiles:
    """Lay the reference types over a sample's genes.

    Parameters
    ----------
    genes
        (G,) symbols of the sample.
    rates
        Atlas: `symbol`, then counts per million per type.
    markers
        Marker sets: `set`, `gene`, `direction`.
    left_out
        Genes that another line of evidence uses.
    ambient
        (G,) counts or shares per gene in the sample's ambient RNA, or its mean counts.
    ambient_share
        Share of every profile that is ambient RNA (fraction of counts).
    """
    table = rates.set_index("symbol")
    positive = pd.concat(
        [
            markers.loc[
                (markers["direction"] == 1) & markers["set"].isin(_BLENDS), ["set", "gene"]
            ],
            _HAEMOGLOBIN,
        ]
    )
    universe = table.index.union(pd.Index(positive["gene"].unique()))
    # hashed: np.isin sorts objects, which took seconds for 30,000 genes
    names = pd.Index(genes)
    usable = names.isin(universe) & ~names.isin(list(left_out))
    columns = np.flatnonzero(usable)
    shared = genes[columns]
    shares = table.reindex(shared).fillna(0.0) / 1e6
    types, groups, stack = [], [], []
    for column, (name, group) in _ATLAS.items():
        types.append(name)
        groups.append(group)
        stack.append(shares[column].to_numpy(np.float64))
    for name, (nearest, share, group) in _BLENDS.items():
        times = positive.loc[positive["set"] == name, "gene"].value_counts()
        mine = times.reindex(shared).fillna(0.0).to_numpy(np.float64)
        base = shares[nearest].to_numpy(np.float64)
        types.append(name)
        groups.append(group)
        stack.append(_unit(base) * (1 - share) + _unit(mine) * share)
    soup = _unit(ambient[columns])
    blended = [
        _unit(_unit(row) + _FLOOR) * (1 - ambient_share) + soup * ambient_share for row in stack
    ]
    log_rates = np.log(np.maximum(np.column_stack(blended), 1e-12))
    is_blood = np.array([group != "" for group in groups])
    index = np.array([GROUPS.index(group) if group else 0 for group in groups], dtype=np.intp)
    return Profiles(columns, log_rates, tuple(types), is_blood, index)


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = float(values.sum())
    return values / total if total > 0 else np.full(values.size, 1.0 / max(values.size, 1))
