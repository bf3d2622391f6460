"""Copy number of called cells in the report: which are shown, their order, and the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from ctcflow import keys, numbers
from ctcflow.records.call import SampleNotRun
from ctcflow.render.page.environment import fill
from ctcflow.render.page.table import Column, Content, table
from ctcflow.render.tables.of_run import CALLED

MOST_ROWS: Final = 200


class Judged(NamedTuple):
    """Called and uncertain cells with copy number, sorted by sample and class."""

    sample: list[str]
    """(m,) name of each cell's sample, in the order of the file."""
    kind: list[str]
    """(m,) class."""
    p: npt.NDArray[np.float64]
    """(m,) p of copy number, ascending within sample and class."""
    arms: list[str]
    """(a,) names of the arms, along the genome."""
    log2_ratio: npt.NDArray[np.float64]
    """(m, a) NaN for arms that were not judged in a sample."""
    n_judged: int
    """Number of cells that were judged, of which m are shown."""
    n_called: int
    """Number of called and uncertain cells."""


def judged(obs: pd.DataFrame, log2_ratio: pd.DataFrame | None) -> Judged:
    """Choose at most `MOST_ROWS` cells: calls before uncertain cells, evenly within a class."""
    arms = along_genome(log2_ratio) if log2_ratio is not None else []
    if log2_ratio is None or keys.CLASS.key not in obs:
        return Judged([], [], np.empty(0), [], np.empty((0, 0)), 0, 0)
    table = pd.DataFrame(
        {
            "sample": obs[keys.SAMPLE.key].astype(str).to_numpy(dtype=object),
            "kind": obs[keys.CLASS.key].astype(str).to_numpy(dtype=object),
            "p": obs[keys.P_COPY_NUMBER.key].to_numpy(np.float64, na_value=np.nan),
        }
    )
    table["first"] = table["sample"].map({n: i for i, n in enumerate(table["sample"].unique())})
    table["rank"] = table["kind"].map({name: i for i, name in enumerate(CALLED)})
    called = table[table["rank"].notna()]
    known = called[called["p"].notna()].sort_values(["first", "rank", "p"], kind="stable")
    shown = known.loc[_chosen(known)]
    return Judged(
        shown["sample"].tolist(),
        shown["kind"].tolist(),
        shown["p"].to_numpy(np.float64),
        arms,
        log2_ratio[arms].to_numpy(np.float64)[shown.index],
        len(known),
        len(called),
    )


def _chosen(known: pd.DataFrame) -> pd.Index:
    chosen: list[int] = []
    for _, of_class in known.groupby("rank", sort=True):
        n = len(of_class)
        room = min(MOST_ROWS - len(chosen), n)
        chosen += of_class.index[np.arange(room) * n // max(room, 1)].tolist()
    return known.index[known.index.isin(chosen)]


def along_genome(log2_ratio: pd.DataFrame) -> list[str]:
    """Names of the arms from 1p to 22q."""
    return sorted(log2_ratio.columns, key=_place)


def _place(arm: str) -> tuple[int, str]:
    return int(arm[:-1]), arm[-1]


def section(copies: Judged, figure: bytes, not_run: Sequence[SampleNotRun]) -> Markup:
    """Write the heat map with its explanation, and where copy number was not run and why."""
    missing: list[list[Content]] = [
        [numbers.text(row.get("sample")), numbers.text(row.get("reason"))]
        for row in not_run
        if numbers.text(row.get("what")) == "copy number"
    ]
    where = (Column("Sample"), Column("Reason"))
    caption = "Samples where it was not run."
    return fill(
        "sections/copy_number",
        judged=copies.n_judged,
        called=numbers.plural(copies.n_called, "called or uncertain cell"),
        shown=len(copies.sample),
        picture=figure,
        missing=table(caption, where, missing, search=len(missing) > 12) if missing else None,
    )
