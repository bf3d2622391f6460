"""Sections on the samples: their quality, and aggregates compared with chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.call import SampleAggregate
from ctcflow.render.page.environment import fill
from ctcflow.render.page.sections import framed
from ctcflow.render.page.table import Column, Content, Valued, table
from ctcflow.render.tables.of_run import AmbientRow, LimitRow

MOST_LIMITS: Final = 2000
_LIMITS_FROM: Final[Mapping[bool, str]] = {True: "own droplets", False: "parameters"}
_YES_NO: Final[Mapping[bool, str]] = {True: "yes", False: "no"}
_MEASURED_ON: Final = {"droplets": "unfiltered droplets", "cells": "cells"}


def quality(
    figure: bytes,
    droplets: Markup | None,
    *,
    limits: pd.DataFrame,
    ambient: pd.DataFrame,
    ledger: pd.DataFrame,
    ingest: pd.DataFrame,
    read_counts: Sequence[str],
) -> Markup:
    """Write what was read, distributions with limits, droplets, ambient RNA and the ledger.

    Parameters
    ----------
    figure
        Figure of `render.figures.quality`.
    droplets
        Result of `droplets_figure`; None without unfiltered droplets.
    limits, ambient, ledger, ingest
        Tables of `render.tables.of_run`.
    read_counts
        Names of samples without UMIs.
    """
    fates = _pivot(ledger)
    return fill(
        "sections/quality",
        read=_read(ingest),
        picture=figure,
        limits=_limits(limits, read_counts),
        ambient=_ambient(ambient),
        droplets=droplets,
        ledger=framed("Ledger: how many cells met which fate.", fates, search=len(fates) > 12),
    )


def _read(ingest: pd.DataFrame) -> Markup:
    """What `ingest` noticed; the columns with numbers only are in results/ingest.tsv."""
    columns = (
        Column("Sample"),
        Column("Format", "code"),
        Column("Cells", "count"),
        Column("Genes", "count"),
        Column("Known genes", "count"),
        Column("Mitochondrial genes", "count"),
        Column("Panel genes in the data"),
        Column("What was noticed"),
    )
    names = ("sample", "format", "cells", "genes", "genes_known", "mt_genes", "panel_genes")
    rows: list[list[Content]] = [
        [*(getattr(row, name) for name in names), numbers.text(row.notes) or "nothing"]
        for row in ingest.itertuples(index=False)
    ]
    caption = "What was read of each sample."
    return table(caption, columns, rows, search=len(rows) > 12, empty="Nothing was recorded.")


def droplets_figure(figure: bytes, not_shown: str) -> Markup:
    """Write the barcode rank plots; `not_shown` says for which samples there is no panel."""
    return fill("sections/droplets", picture=figure, not_shown=not_shown)


def aggregates(per_partner: pd.DataFrame) -> Markup:
    """Write observed and expected numbers of droplets with a CTC and a partner."""
    columns = (
        Column("Sample"),
        Column("Partner"),
        Column("Observed", "count"),
        Column("Expected by chance", "number"),
        Column("Ratio", "number"),
        Column("Interval of the ratio"),
        Column("Verdict"),
    )
    rows = [_aggregate_row(row) for row in per_partner.to_dict("records")]
    return fill(
        "sections/aggregates",
        table=table(
            "Droplets called CTC aggregate, by partner, and how many random doublets would give. "
            "One droplet cannot tell an aggregate from a random doublet; a count can, where the "
            "interval of the ratio does not hold 1.",
            columns,
            rows,
            search=len(rows) > 12,
            empty="No sample was compared with chance.",
        ),
    )


def _limits(limits: pd.DataFrame, read_counts: Sequence[str]) -> Markup:
    columns = (
        Column("Sample"),
        Column("Lineage"),
        Column("Droplets", "count"),
        Column("Limits from"),
        Column("Fewest counts", "number"),
        Column("Fewest genes", "number"),
        Column("Most mitochondrial (%)", "number"),
        Column("Damaged"),
        Column("Remark over"),
    )
    reads = (
        f" Without UMIs, limits on counts mean nothing and are not set: {', '.join(read_counts)}."
        if read_counts
        else ""
    )
    more = (
        f" The first {MOST_LIMITS:,}; all are in the table beside the page."
        if len(limits) > MOST_LIMITS
        else ""
    )
    return table(
        "Limits as applied, by coarse lineage. Set aside: fewer counts, fewer genes or more "
        "mitochondrial counts than the limit, or damaged; a remark sets nothing aside. Limits "
        "come from the lineage's own droplets, or from the parameters where it has too few."
        f"{reads}{more}",
        columns,
        [_limit_row(row) for row in limits.head(MOST_LIMITS).to_dict("records")],
        search=len(limits) > 12,
        empty="None is recorded.",
    )


def _limit_row(row: LimitRow) -> list[Content]:
    pair = [row.get("damaged_umis"), row.get("damaged_pct_mt")]
    below, above = (numbers.short(limit) for limit in pair)
    damaged = "" if numbers.MISSING in (below, above) else f"under {below} with over {above} %"
    remarks = [
        (numbers.short(row.get("high_umis")), "counts"),
        (numbers.short(row.get("high_genes")), "genes"),
    ]
    return [
        numbers.text(row.get("sample")),
        numbers.text(row.get("lineage")),
        row.get("cells"),
        _LIMITS_FROM.get(row["adaptive"], ""),
        row.get("min_umis"),
        row.get("min_genes"),
        row.get("max_pct_mt"),
        damaged,
        ", ".join(f"{limit} {what}" for limit, what in remarks if limit != numbers.MISSING),
    ]


def _ambient(ambient: pd.DataFrame) -> Markup:
    columns = (
        Column("Sample"),
        Column("Ambient share of counts"),
        Column("Interval"),
        Column("Measured on"),
        Column("Genes", "count"),
        Column("Counts corrected"),
    )
    return table(
        "Ambient RNA: share of the counts of a sample that were not made in the cell they are "
        "counted for. Calls take it as part of what a blood cell shows, corrected or not; "
        "corrected counts are for the map and the clusters.",
        columns,
        [_ambient_row(row) for row in ambient.to_dict("records")],
        search=len(ambient) > 12,
        empty="It was not looked at.",
    )


def _ambient_row(row: AmbientRow) -> list[Content]:
    share = numbers.number_or_none(row.get("share"))
    if share is None:
        why = numbers.text(row.get("reason"))
        shown = Valued(f"not measured: {why}" if why else "not measured", -1.0)
    else:
        shown = Valued(f"{numbers.short(100 * share)} %", share)
    ends = [numbers.number_or_none(end) for end in (row.get("low"), row.get("high"))]
    between = numbers.interval(*(None if end is None else 100 * end for end in ends))
    basis = numbers.text(row.get("measured_on"))
    return [
        numbers.text(row.get("sample")),
        shown,
        f"{between} %" if between else "",
        _MEASURED_ON.get(basis, basis),
        row.get("genes"),
        _YES_NO.get(row["corrected"], ""),
    ]


def _aggregate_row(row: SampleAggregate) -> list[Content]:
    low, high = (numbers.number_or_none(end) for end in (row.get("low"), row.get("high")))
    between = ""
    if low is not None:
        # no upper limit: so few are expected by chance that the data cannot give one
        above = f"{numbers.short(low)} and more" if high is None else numbers.interval(low, high)
        holds = low <= 1 and (high is None or high >= 1)
        between = f"{above} (holds 1)" if holds else above
    return [
        numbers.text(row.get("sample")),
        numbers.text(row.get("partner")),
        row.get("observed"),
        row.get("expected"),
        row.get("ratio"),
        between,
        numbers.text(row.get("verdict")),
    ]


def _pivot(ledger: pd.DataFrame) -> pd.DataFrame:
    """One row per sample, one column per stage and reason, both in order of appearance."""
    if ledger.empty:
        return ledger
    fate = [
        ": ".join(part for part in (numbers.text(stage), numbers.text(reason)) if part)
        for stage, reason in zip(ledger["stage"], ledger["reason"], strict=True)
    ]
    cells = pd.DataFrame(
        {"sample": ledger["sample"].map(numbers.text), "fate": fate, "cells": ledger["cells"]}
    )
    wide = cells.pivot_table(
        index="sample",
        columns="fate",
        values="cells",
        aggfunc="sum",
        fill_value=0,
        sort=False,
        observed=True,
    )
    return wide.reset_index().rename_axis(columns=None)
