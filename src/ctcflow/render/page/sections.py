"""Sections with the evidence behind the calls, in the order in which a sceptic would ask for it."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.call import Calibration, Tail
from ctcflow.records.score import Decoys
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Column, Content, Kind, table
from ctcflow.render.tables.records import records_table

MOST_CALLS: Final = 2000
MOST_SET_ASIDE: Final = 500
_DECOYS: Final = ("sample", *Decoys.__annotations__)
_TAIL: Final = tuple(Tail.__annotations__)
_HEADINGS: Final = {
    "n_clusters": "clusters",
    "n_null": "null cells",
}
_OF_CALLS: Final = {
    "barcode": Column("Barcode", "code"),
    "sample": Column("Sample"),
    "class": Column("Class"),
    "p": Column("p", "p"),
    "q": Column("q", "p"),
    "p_panel": Column("p of panel", "p"),
    "p_identity": Column("p of identity", "p"),
    "n_panel_genes": Column("Panel genes", "count"),
    "panel_genes": Column("Seen"),
    "phenotype": Column("Phenotype"),
    "lineage": Column("Nearest lineage"),
    "partner": Column("Partner"),
    "reason": Column("Why"),
}
"""Columns of the table of calls, by their names in `ctc.tsv`."""
_REVIEW: Final = ("class_before_review", "verdict", "reviewer")
_CLASS_STYLE: Final = {"CTC": "ctc", "CTC aggregate": "aggregate", "uncertain": "uncertain"}


def calls(ctc: pd.DataFrame, figure: bytes, cards: Markup) -> Markup:
    """Write the calls (one row each), the figure of two lines of evidence, and the cards."""
    shown = ctc.head(MOST_CALLS)
    reviewed = [name for name in _REVIEW if (ctc[name] != "").any()]
    scores = list(ctc.columns[list(ctc.columns).index("phenotype") + 1 :])
    columns = [
        *_OF_CALLS.values(),
        *(Column(name.replace("_", " ").capitalize()) for name in reviewed),
        *(Column(name.replace("_", " "), "number") for name in scores),
    ]
    names = [*_OF_CALLS, *reviewed, *scores]
    rows = [_call_row(row) for row in shown[names].itertuples(index=False, name=None)]
    caption = f"Called, uncertain and reviewed cells ({len(ctc):,}).{_first(len(ctc), MOST_CALLS)}"
    empty = "No cell was called, and none is uncertain."
    return fill(
        "sections/calls",
        table=table(caption, columns, rows, search=True, empty=empty),
        picture=figure,
        cards=cards,
    )


def calibration(record: Calibration, figure: bytes) -> Markup:
    """Write how often null cells have a p at or below each level."""
    observed = [list(row)[:4] for row in record.get("observed") or []]
    tail = records_table(record.get("tail"), _TAIL)
    columns = (
        Column("p promised", "p"),
        Column("observed", "p"),
        Column("low", "p"),
        Column("high", "p"),
    )
    rows: list[list[Content]] = [[*row, *[None] * (4 - len(row))] for row in observed]
    caption = "Observed fractions with intervals."
    decoys = records_table(record.get("decoys"), _DECOYS)
    return fill(
        "sections/calibration",
        picture=figure,
        null_cells=numbers.number_or_none(record.get("n_null")),
        observed=table(caption, columns, rows, empty="There are no numbers."),
        tail=framed("Null cells of each sample, and the factor that their tail asked for.", tail),
        shares=_decoy_shares(decoys),
        decoys=None
        if decoys.empty
        else framed("Mean share of blood cells over the decoys, lowest and highest.", decoys),
    )


def _decoy_shares(decoys: pd.DataFrame) -> list[str]:
    """Describe how often blood cells have small p for decoy panels."""
    shares = []
    for level, samples in decoys.groupby("level", sort=False):
        share = (samples["share"] * samples["cells"]).sum() / samples["cells"].sum()
        claimed = f"{100 * level:g} %"
        shares.append(f"{100 * share:.2g} % at p up to {claimed} (claimed: {claimed})")
    return shares


def set_aside(droplets: pd.DataFrame) -> Markup:
    """Write the cells that were set aside although they show tumour evidence."""
    first = ["barcode", "sample", "reason", "evidence"]
    cells = droplets[[*first, *(name for name in droplets.columns if name not in first)]]
    return fill(
        "sections/set_aside",
        table=framed(
            f"Droplets set aside with tumour evidence ({len(droplets):,})."
            f"{_first(len(droplets), MOST_SET_ASIDE)}",
            cells.head(MOST_SET_ASIDE),
            search=True,
            empty="No droplet with tumour evidence was set aside.",
        ),
    )


def _call_row(row: tuple[Any, ...]) -> list[Content]:
    genes = numbers.text(row[8]).replace(",", ", ")
    return [*row[:2], class_mark(row[2]), *row[3:8], genes, *row[9:]]


def class_mark(name: numbers.Value) -> Markup:
    """Write a class with the mark that it has in the figures."""
    kind = numbers.text(name)
    return fill("cells/class_mark", name=kind, style=_CLASS_STYLE.get(kind, ""))


def _first(total: int, most: int) -> str:
    return f" The first {most:,}; all are in the table beside the page." if total > most else ""


def framed(
    caption: str, data: pd.DataFrame, *, search: bool = False, empty: str = "none"
) -> Markup:
    """Write a DataFrame as a table, with headings and number formats chosen by column."""
    columns = [Column(_heading(str(name)), _kind(str(name), data[name])) for name in data.columns]
    rows = [list(row) for row in data.itertuples(index=False, name=None)]
    return table(caption, columns, rows, search=search, empty=empty)


def _heading(name: str) -> str:
    words = _HEADINGS.get(name, name.replace("_", " "))
    return words[:1].upper() + words[1:]


def _kind(name: str, values: pd.Series) -> Kind:
    if name == "barcode":
        return "code"
    if pd.api.types.is_integer_dtype(values):
        return "count"
    return "number" if pd.api.types.is_float_dtype(values) else "text"
