"""Figures of the report, drawn from the result of `tl.call`.

Each function returns a matplotlib figure, which a notebook shows and `figure.savefig` writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.records.call import Call
from ctcflow.render import marks
from ctcflow.render.copy_number import judged
from ctcflow.render.figures import heat_map
from ctcflow.render.figures import plots as figures
from ctcflow.render.page import answer
from ctcflow.render.report_figures import counts_of_draws, evidence_of

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

__all__ = ["copy_number", "draws", "evidence"]


def evidence(called: AnnData) -> Figure:
    """Draw each cell by how much blood identity it lacks and how much of a tumour panel it shows.

    Parameters
    ----------
    called
        Result of `tl.call`, or `results/call/call.h5ad`.

    Raises
    ------
    CtcflowError
        It has no calls.
    """
    _check(called)
    with marks.drawing():
        return figures.lines_of_evidence(evidence_of(called.obs))


def draws(called: AnnData) -> Figure:
    """Draw the number of CTCs and aggregates per blood draw with its exact interval.

    Parameters
    ----------
    called
        Result of `tl.call`, or `results/call/call.h5ad`.

    Raises
    ------
    CtcflowError
        It has no calls.
    """
    _check(called)
    calls = io.record(called, keys.CALL, Call)
    per_draw = answer.draws_of(calls.get("draws") or [], calls.get("samples") or [])
    with marks.drawing():
        return figures.draw_counts(counts_of_draws(per_draw))


def copy_number(called: AnnData) -> Figure:
    """Draw the copy number of the chromosome arms of the cells that were judged (log2).

    Parameters
    ----------
    called
        Result of `tl.call`, or `results/call/call.h5ad`.

    Raises
    ------
    CtcflowError
        It has no calls.
    """
    _check(called)
    with marks.drawing():
        return heat_map.heat_map(judged(called.obs, called.obsm.get(keys.COPY_NUMBER.key)))


def _check(called: AnnData) -> None:
    if keys.CLASS.key not in called.obs or keys.CALL.key not in called.uns:
        raise CtcflowError("this holds no calls: give what cf.tl.call returns")
