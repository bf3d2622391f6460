"""Reference profiles of normal human cells, as arrays over one sample's genes."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

GROUPS: Final = (
    "T",
    "NK",
    "B",
    "plasma",
    "monocyte",
    "dendritic",
    "mast",
    "granulocyte",
    "megakaryocyte",
    "erythroid",
    "progenitor",
)
"""Lineage groups of blood, each with a null distribution of its own."""
NORMAL_GROUPS: Final = ("stroma", "epithelium", "skin", "endocrine", "melanocyte", "neuron", "germ")
"""Groups of normal cells outside blood."""
AMBIENT_SHARE: Final = 0.05
"""Ambient share of every profile, used if the ambient RNA was measured in droplets but not in
cells."""

_FLOOR = 5.0  # counts per million below which the profiles cannot show that a gene is absent
_COMMON = 50.0
"""Mean counts per million in blood above which a gene counts as common in leukocytes."""
_LEAST_COMMON = 0.65
"""Smallest share of the common genes that a file of whole transcriptomes has."""
_HAEMOGLOBIN = ("HBB", "HBA1", "HBA2", "HBD", "HBG1", "HBG2")


class Profiles(NamedTuple):
    """Profiles of cell types over the genes that sample and reference share."""

    columns: npt.NDArray[np.intp]
    """(g,) column of each gene in the sample's matrix, genes in the order of their names."""
    log_rates: npt.NDArray[np.float64]
    """(g, k) logarithm of the share of counts. The shares of a profile sum to one together with
    those of genes that are common in blood but missing from the file because no cell expresses
    them."""
    log_seen: npt.NDArray[np.float64]
    """(k,) logarithm of the share of a profile in these genes, if the file lacks other genes
    because hardly any cell expresses them; else 0."""
    types: tuple[str, ...]
    """(k,) names; several profiles may be of one type."""
    is_blood: npt.NDArray[np.bool_]
    """(k,) blood types."""
    group: npt.NDArray[np.intp]
    """(k,) index into `GROUPS` followed by `NORMAL_GROUPS`."""
    haemoglobin: npt.NDArray[np.intp]
    """(h,) columns of the haemoglobin genes, which no profile uses."""


def profiles(
    genes: npt.NDArray[np.object_],
    *,
    reference: pd.DataFrame,
    types: pd.DataFrame,
    left_out: frozenset[str],
    ambient: npt.NDArray[np.float64] | None,
    ambient_share: float,
) -> Profiles:
    """Align the reference profiles with a sample's genes; nothing is fitted to the sample's cells.

    Parameters
    ----------
    genes
        (G,) symbols of the sample.
    reference
        `symbol`, then counts per million of each profile.
    types
        `profile`, `type`, `group` of each profile.
    left_out
        Genes that another line of evidence uses, or that do not reflect the cell type.
    ambient
        (G,) share of each gene in the ambient RNA; None where it was not measured.
    ambient_share
        Share of every profile that is ambient RNA (fraction of counts).
    """
    symbols = pd.Index(reference["symbol"])
    places = symbols.get_indexer(pd.Index(genes))
    usable = (places >= 0) & ~pd.Index(genes).isin(list(left_out))
    columns = np.flatnonzero(usable)
    # sorted by name: thinning draws gene by gene, and the order of genes in a file must not matter
    columns = columns[np.argsort(genes[columns].astype(str), kind="stable")]
    is_blood = types["group"].isin(GROUPS).to_numpy()
    told = ~symbols.isin(list(left_out))
    in_blood = reference[types["profile"][is_blood]].to_numpy(np.float64).mean(axis=1)
    no_blood, hardly_shown = _never_seen(in_blood, has=symbols.isin(genes), told=told)
    # in place: each copy of the profiles takes 16 MB
    share = np.empty((columns.size, len(types)))
    log_seen = np.zeros(len(types))
    for column, name in enumerate(types["profile"]):
        rates = reference[name].to_numpy(np.float64) + _FLOOR
        share[:, column] = rates[places[columns]]
        told_of = max(share[:, column].sum() + rates[no_blood].sum(), 1e-300)
        share[:, column] /= told_of
        log_seen[column] = -np.log1p(rates[hardly_shown].sum() / told_of) if columns.size else 0.0
    if ambient is not None:
        share *= 1 - ambient_share
        share += _unit(ambient[columns])[:, None] * ambient_share
    codes = {name: code for code, name in enumerate((*GROUPS, *NORMAL_GROUPS))}
    return Profiles(
        columns,
        np.log(share, out=share),
        log_seen,
        tuple(types["type"]),
        is_blood,
        types["group"].map(codes).to_numpy(dtype=np.intp),
        np.flatnonzero(np.isin(genes, _HAEMOGLOBIN)),
    )


def _never_seen(
    in_blood: npt.NDArray[np.float64],
    *,
    has: npt.NDArray[np.bool_],
    told: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Genes that a file lacks because hardly any cell expresses them: measured, and zero.

    Files are often filtered for genes that are seen in at least a few cells. But if a file lacks
    many of the genes that are common in blood, its genes were selected, and missing genes were not
    measured.

    Parameters
    ----------
    in_blood
        (r,) mean counts per million of each gene of the reference in profiles of blood.
    has
        (r,) genes that the file has.
    told
        (r,) genes that are used.

    Returns
    -------
    (r,) missing genes that are common in blood: no cell is a leukocyte that expresses them; and
    (r,) the other missing genes, which a few cells other than leukocytes may have expressed.
    """
    common = in_blood >= _COMMON
    lacks = told & ~has
    if has[common & told].sum() < _LEAST_COMMON * (common & told).sum():
        lacks[:] = False
    return np.asarray(lacks & common), np.asarray(lacks & ~common)


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = float(values.sum())
    return values / total if total > 0 else np.full(values.size, 1.0 / max(values.size, 1))
