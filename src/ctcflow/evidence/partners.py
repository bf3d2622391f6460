"""Partners: a blood cell in the same droplet as a tumour cell, known by its genes."""

from __future__ import annotations

from typing import Final

import pandas as pd

from ctcflow import keys, numbers
from ctcflow.evidence.line import Cell, Column, Found, Line
from ctcflow.evidence.look import Looked
from ctcflow.stats.counts.gene_sets import handling
from ctcflow.stats.panels.partners import lineage_genes, partners


def measured(of: Looked) -> Found:
    """For each candidate, the blood lineage whose genes are least expected, and p."""
    shipped = of.shipped
    partner = partners(
        of.sample.counts,
        # not for reads: the model describes molecules (UMIs) in droplets
        candidates=of.roles.candidates & of.sample.are_molecules,
        genes=lineage_genes(
            of.sample.genes,
            rates=shipped.rates,
            markers=shipped.cell_types,
            left_out=handling(shipped.technical) | of.members,
        ),
        ambient=of.ambient,
    )
    return Found(
        {keys.PARTNER_LINEAGE: pd.Categorical(partner.lineage), keys.P_PARTNER: partner.p},
    )


def _says(cell: Cell) -> str:
    return numbers.text(cell.get(keys.PARTNER.key))


def _against(cell: Cell) -> str:
    partner = numbers.text(cell.get(keys.PARTNER.key))
    if not partner:
        return ""
    return (
        f"Genes of a {partner} beside its own: an aggregate, or two cells that shared a droplet by"
        " chance (see Aggregates)."
    )


LINE: Final = Line(
    name="partner",
    label="Partner",
    columns=(Column(keys.PARTNER_LINEAGE, "category"), Column(keys.P_PARTNER, "p")),
    says=_says,
    against=_against,
)
