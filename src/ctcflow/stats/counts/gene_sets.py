"""Find the genes of a sample that belong to sets, which are given by names or patterns."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd


def in_set(
    names: npt.NDArray[np.object_], technical: pd.DataFrame, chosen: str
) -> npt.NDArray[np.bool_]:
    """Which genes belong to a technical set.

    Parameters
    ----------
    names
        (G,) symbols.
    technical
        `set`, and `gene` (a name) or `pattern` (a regular expression).
    chosen
        Name of the set.

    Returns
    -------
    (G,) True for members.
    """
    rows = technical[technical["set"] == chosen]
    member = pd.Index(names).isin(rows["gene"].dropna())
    for pattern in rows["pattern"].dropna():
        expression = re.compile(str(pattern))
        member |= np.array([expression.search(str(name)) is not None for name in names], dtype=bool)
    return np.asarray(member, dtype=bool)


def handling(technical: pd.DataFrame) -> frozenset[str]:
    """Genes that reflect how a cell was handled or what it met, not its type.

    Dissociation genes (van den Brink 2017, doi:10.1038/nmeth.4437): the atlas types other than
    blood come from dissociated tissue, and old or damaged leukocytes express these genes too.
    Nuclear RNA (MALAT1, NEAT1): a cell that has lost its cytoplasm shows little else. Genes that
    interferon induces: monocytes of an infected donor are still monocytes.
    """
    chosen = technical["set"].isin(["dissociation", "nuclear", "interferon"])
    return frozenset(technical.loc[chosen, "gene"].dropna())


def columns_of_sets(
    names: npt.NDArray[np.object_], sets: pd.DataFrame
) -> dict[str, npt.NDArray[np.intp]]:
    """Find the columns of the genes of each set.

    Parameters
    ----------
    names
        (G,) symbols.
    sets
        `set`, `gene`, `direction`; only genes with direction 1 are used.

    Returns
    -------
    Ascending indices of the genes that are in the data, by name of the set, in the table's order.
    """
    positive, index = sets[sets["direction"] == 1], pd.Index(names)
    return {
        str(name): np.flatnonzero(index.isin(genes))
        for name, genes in positive.groupby("set", sort=True)["gene"]
    }


def genes_of_sets(sets: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Genes with direction 1 of each set, by name of the set, in the table's order.

    Parameters
    ----------
    sets
        `set`, `gene`, `direction`.
    """
    genes = sets[sets["direction"] == 1].groupby("set", sort=False)["gene"]
    return {str(name): frozenset(genes_of_set) for name, genes_of_set in genes}
