"""Blood identity: how badly the leukocyte profiles fit a cell, by all genes outside the panels."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ctcflow import keys, numbers
from ctcflow.evidence.line import Cell, Column, Found, Line
from ctcflow.evidence.look import Looked
from ctcflow.stats.thresholds import MISSING_P


def measured(of: Looked) -> Found:
    """P of each cell, its lineage, and whether it is one of the leukocytes that form the null."""
    blood, types = of.blood, np.array(of.types, dtype=object)
    cells = {
        keys.LINEAGE: pd.Categorical(types[blood.lineage]),
        keys.P_IDENTITY: blood.p,
        keys.IS_LEUKOCYTE: blood.is_leukocyte,
    }
    few = f"{blood.n_blood_like} leukocytes, needs {of.settings.fewest}: the shipped blood is used"
    return Found(
        cells,
        {keys.P_IDENTITY: of.together.p_identity},
        not_run="" if blood.own_null else few,
    )


def _says(cell: Cell) -> str:
    p = numbers.probability(cell.get(keys.P_IDENTITY.key))
    return f"p {p}; nearest {numbers.text(cell.get(keys.LINEAGE.key))}"


def _against(cell: Cell) -> str:
    p = numbers.number_or_none(cell.get(keys.P_IDENTITY.key))
    if p is None or p <= MISSING_P:
        return ""
    return (
        f"It keeps its blood identity (p {p:.2g}): a blood cell with tumour RNA, or two cells in"
        " one droplet."
    )


LINE: Final = Line(
    name="null from the sample's own leukocytes",
    label="Identity",
    columns=(
        Column(keys.LINEAGE, "category"),
        # A group can only weaken the evidence: leukocytes in it were selected as outliers, so
        # their pooled p is too small.
        Column(keys.P_IDENTITY, "p", listed=True, together="weaker"),
        Column(keys.IS_LEUKOCYTE, "truth"),
    ),
    says=_says,
    against=_against,
)
