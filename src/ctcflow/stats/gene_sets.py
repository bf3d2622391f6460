"""Which genes of a sample belong to a set that is given by names or patterns."""

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


def dissociation(technical: pd.DataFrame) -> frozenset[str]:
    """Genes that tissue shows because it was dissociated (van den Brink 2017, 10.1038/nmeth.4437).

    The types of the atlas that are not blood come from dissociated tissue, so that these genes,
    which old or damaged leukocytes show too, tell handling from handling and not blood from tissue.
    """
    return frozenset(technical.loc[technical["set"] == "dissociation", "gene"].dropna())
