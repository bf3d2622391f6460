"""Aneuploidy, inferred from expression with the sample's own leukocytes as diploid reference."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from ctcflow import keys, numbers
from ctcflow.evidence.classes import ANEUPLOID
from ctcflow.evidence.line import Cell, Column, Found, Line
from ctcflow.evidence.look import Looked
from ctcflow.stats.copy_number.aneuploidy import NormalTissue
from ctcflow.stats.copy_number.gene_order import usable
from ctcflow.stats.copy_number.sample_copy_number import sample_copy_number
from ctcflow.stats.identity.normal_tissue import against_blood

_NORMAL_COPIES: Final = 0.05


def measured(of: Looked) -> Found:
    """Dosage of each chromosome arm in the candidates, and p that a diploid cell is as uneven."""
    names, shipped, settings = of.sample.genes, of.shipped, of.settings
    like = np.append(of.plainly, of.together.plainly)
    used = np.unique(like[like >= 0])
    ratio = against_blood(of.judge.reference, used, n_genes=names.size)
    places = np.where(like >= 0, np.searchsorted(used, like), -1)
    copies = sample_copy_number(
        of.sample.counts,
        names=names,
        genes=shipped.genes,
        usable=usable(names, technical=shipped.technical, left_out=of.members),
        of=of.roles,
        together=of.together.members,
        normal=NormalTissue(ratio, places),
        fewest=settings.fewest_of_lineage,
        seed=settings.seed,
    )
    cells = {
        keys.ANEUPLOIDY: copies.aneuploidy,
        keys.P_COPY_NUMBER: copies.p,
        keys.COPY_NUMBER: pd.DataFrame(copies.arm_log2_ratio, columns=copies.arms),
    }
    groups = {keys.P_COPY_NUMBER: copies.p_together}
    return Found(cells, groups, copies.record, str(copies.record["reason"]))


def _says(cell: Cell) -> str:
    p = numbers.probability(cell.get(keys.P_COPY_NUMBER.key))
    return "not judged" if p == numbers.MISSING else f"p {p}"


def _against(cell: Cell) -> str:
    p = numbers.number_or_none(cell.get(keys.P_COPY_NUMBER.key))
    if cell.get(keys.MALIGNANCY.key) == ANEUPLOID:  # alone or together with its group
        return ""
    if p is None:
        return "Copy number was not judged: expression alone speaks for it."
    if p <= _NORMAL_COPIES:
        return ""
    return (
        f"Its copy number is as in normal cells (p {p:.2g}): so are tumours with few changes, and"
        " normal epithelium."
    )


LINE: Final = Line(
    name="copy number",
    label="Copy number",
    columns=(
        Column(keys.ANEUPLOIDY, "number"),
        # a deep cell alone may show changes that are averaged out in its group
        Column(keys.P_COPY_NUMBER, "p", listed=True, together="either"),
        Column(keys.COPY_NUMBER, "table"),
    ),
    says=_says,
    against=_against,
)
