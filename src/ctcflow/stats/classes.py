"""What a cell is called, from its lines of evidence: rules in words, the first that holds decides.

Thresholds were set on one triple-negative breast cancer and four PBMC data sets, and are the same
for every panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

CLASSES: Final = ("CTC", "CTC aggregate", "non-blood other", "uncertain", "blood")

MISSING_P: Final = 0.01
"""Blood identity is missing at or below this p."""
_CLEARLY_MISSING_P: Final = 1e-4
_PANEL_P: Final = 0.01  # with two genes or more
_ONE_GENE_P: Final = 1e-3  # of a single gene that leukocytes hardly ever show
_STRONG_PANEL_P: Final = 1e-4  # with two genes or more: stands against a kept blood identity
_ANEUPLOID_P: Final = 1e-3  # tissue with a shuffled genome passes 0.01 too often
_CARCINOMA_TOO: Final = ("Fibroblast/Mural", "Keratinocyte")
"""Programmes that carcinoma cells show in part: in part they outweigh a weak panel only."""
_KERATINOCYTE_P: Final = 1e-8
"""Keratinocytes have the panel's keratins, but a carcinoma not so many of their other markers."""
PARTNER_P: Final = 1e-6
"""Genes of a blood cell beside those of the tumour cell."""


def classify(
    *,
    significant: Bools,
    p_identity: Floats,
    p_panel: Floats,
    n_panel_genes: npt.NDArray[np.integer],
    p_copy_number: Floats,
    other_type: Objects,
    p_other: Floats,
    p_partner: Floats,
) -> tuple[Objects, Objects]:
    """Name each cell, and say why.

    Parameters
    ----------
    significant
        (n,) called at the error rate that was asked for; all others are `blood`.
    p_identity, p_panel, p_copy_number
        (n,) lines of evidence; a copy number that is NaN was not judged and says nothing.
    n_panel_genes
        (n,) panel genes seen.
    other_type, p_other
        (n,) non-tumour type whose markers are seen, empty for none, and how surprising they are.
    p_partner
        (n,) how surprising the genes of a blood cell are in a tumour cell; NaN: not asked.

    Returns
    -------
    classes, reasons
        (n,) one of `CLASSES`, and a sentence; empty for `blood`.
    """
    several = n_panel_genes >= 2
    missing = p_identity <= MISSING_P
    clearly = p_identity <= _CLEARLY_MISSING_P
    aneuploid = p_copy_number <= _ANEUPLOID_P  # False where NaN
    strong = (p_panel <= _STRONG_PANEL_P) & several
    panel = (p_panel <= _PANEL_P) & several
    one_gene = (p_panel <= _ONE_GENE_P) & (n_panel_genes >= 1) & clearly
    typed = other_type != ""
    ambiguous = np.isin(other_type, _CARCINOMA_TOO)
    outweighed = typed & (p_other < p_panel) & ~(ambiguous & strong)
    skin = (other_type == "Keratinocyte") & (p_other <= _KERATINOCYTE_P)
    # an aneuploid copy number takes a cell from its rival only where it is enough to call it
    rival = (outweighed | skin) & ~(ambiguous & aneuploid & (panel | clearly))
    together = p_partner <= PARTNER_P  # False where NaN
    rules: Sequence[tuple[Bools, str, str]] = (
        (~significant, "blood", ""),
        (
            missing & rival,
            "non-blood other",
            "blood identity missing; markers of {type} outweigh the tumour panel",
        ),
        (
            missing & together & (panel | one_gene | (clearly & aneuploid)),
            "CTC aggregate",
            "a tumour cell, and genes of a blood cell that ambient RNA does not explain",
        ),
        (
            missing & panel & aneuploid,
            "CTC",
            "blood identity missing, tumour panel seen, copy number aneuploid",
        ),
        (missing & panel, "CTC", "blood identity missing and tumour panel seen"),
        (
            one_gene,
            "CTC",
            "blood identity clearly missing and one panel gene that leukocytes hardly show",
        ),
        (
            clearly & aneuploid,
            "CTC",
            "blood identity clearly missing and copy number aneuploid, hardly any panel gene",
        ),
        (strong, "CTC aggregate", "tumour panel seen in a cell that keeps its blood identity"),
        (missing, "uncertain", "blood identity missing, but hardly any tumour panel gene"),
        (significant, "uncertain", "both lines of evidence are weak"),
    )
    classes = np.full(p_panel.size, "", dtype=object)
    reasons = classes.copy()
    for holds, name, reason in rules:
        chosen = holds & (classes == "")
        classes[chosen], reasons[chosen] = name, reason
    for row in np.flatnonzero(classes == "non-blood other"):
        reasons[row] = str(reasons[row]).format(type=other_type[row])
    return classes, reasons
