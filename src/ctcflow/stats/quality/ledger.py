"""The ledger: how many cells were set aside and why, with lines that add up to all cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ctcflow.records.qc import LedgerLine

Bools = npt.NDArray[np.bool_]
Names = npt.NDArray[np.object_]


def ledger(
    reasons: Mapping[str, Bools], *, rescued: Bools, remarks: Mapping[str, Bools]
) -> list[LedgerLine]:
    """Count every cell once: by its first reason, as rescued, or as kept.

    Parameters
    ----------
    reasons
        Per reason to set aside, (n,) the cells that it applies to.
    rescued
        (n,) cells that are kept in spite of any reason.
    remarks
        Per remark, (n,) the cells that it applies to; only kept cells are counted.

    Returns
    -------
    Lines with `stage`, `reason`, `cells`. The cells of the input are the sum of those that were
    kept and those that were set aside.
    """
    flagged = np.logical_or.reduce(list(reasons.values()))
    kept, waiting = ~flagged | rescued, flagged & ~rescued
    lines = [("cells in", kept.size)]
    for reason, cells in reasons.items():
        lines.append((f"set aside: {reason}", int((waiting & cells).sum())))
        waiting = waiting & ~cells
    lines.append(("rescued: tumour evidence", int((flagged & rescued).sum())))
    lines.append(("kept", int(kept.sum())))
    lines += [(f"of these, {name}", int((kept & cells).sum())) for name, cells in remarks.items()]
    return [{"stage": "qc", "reason": reason, "cells": cells} for reason, cells in lines]


def joined(words: Mapping[str, Bools], *, n: int) -> Names:
    """Words that apply to each of `n` cells, separated by `;`."""
    text = np.full(n, "", dtype=object)
    for word, cells in words.items():
        text[cells] = [f"{before};{word}" if before else word for before in text[cells]]
    return text
