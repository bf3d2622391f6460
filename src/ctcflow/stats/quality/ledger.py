"""Who was set aside and why, so that the lines add up."""

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
        Per reason to set aside, (n,) the cells that it holds for.
    rescued
        (n,) cells that are kept whatever holds for them.
    remarks
        Per remark, (n,) cells; those that were kept are counted, as a part of them.

    Returns
    -------
    Lines with `stage`, `reason`, `cells`: what came in is what was kept and all that was set aside.
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
    """Words that hold for each of `n` cells, separated by `;`."""
    text = np.full(n, "", dtype=object)
    for word, cells in words.items():
        text[cells] = [f"{before};{word}" if before else word for before in text[cells]]
    return text
