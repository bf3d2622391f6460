"""What a cell is called, from its lines of evidence: rules in words, the first that holds decides.

A tumour call has to be improbable under each normal explanation: the leukocytes of the sample, and
the other normal cells that end up in a tube. Thresholds are the same for every panel and tumour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.stats.thresholds import MISSING_P, SHOWN_P

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

CLASSES: Final = ("CTC", "CTC aggregate", "non-blood other", "uncertain", "blood")

_CLEARLY_MISSING_P: Final = 1e-4
_MOSTLY_MISSING_P: Final = 1e-3  # enough beside a panel
_ONE_GENE_P: Final = 1e-3  # of a single gene that leukocytes hardly ever show
_STRONG_PANEL_P: Final = 1e-4  # with two genes or more: stands against a kept blood identity
_STRONG_STROMA_PANEL_P: Final = 1e-3  # of the first panel in stroma: stands against its looks
ANEUPLOID_P: Final = 1e-3
"""Aneuploid at or below this p: tissue with a shuffled genome passes 0.01 too often."""
_STROMA_P: Final = 0.05  # above it, a cell may well be one of stroma or endothelium
_NO_STROMA_P: Final = 0.005  # at or below it, it is none; between the two it cannot be told
_SKIN: Final = 10.0  # nats for skin and against any other tissue: 20,000 to 1
_SKIN_PER_COUNT: Final = 0.02  # and as many for each count of a deep cell
_SKIN_COUNTS: Final = 100.0  # less these
_PANELS_OF_STROMA: Final = ("sarcoma",)  # collagens and what goes with them
UNDER_BLOOD: Final = -0.12
"""Nats per count over blood below which a leukocyte fits better than any tissue does."""
_OVER_BLOOD: Final = 0.03  # nats per count for a normal epithelium and against any leukocyte
PARTNER_P: Final = 1e-6
"""Genes of a blood cell beside those of the tumour cell."""

ANEUPLOID: Final = "aneuploid"
DIPLOID: Final = "diploid as far as seen"
NOT_SEEN: Final = "not seen"
FEWEST_UMIS_TO_SEE: Final = 3000
"""Counts from which an aneuploid cell mostly shows it, so that its absence says something."""


class Evidence(NamedTuple):
    """Lines of evidence of n cells; copy number, partner and tissue are NaN where not judged."""

    umis: Floats
    """(n,) counts."""
    significant: Bools
    """(n,) called at the error rate that was asked for; all others are `blood`."""
    p_identity: Floats
    """(n,) a leukocyte lacks so much blood identity."""
    p_panel: Floats
    """(n,) a leukocyte shows so much of a tumour panel."""
    n_panel_genes: npt.NDArray[np.integer]
    """(n,) genes of that panel that are seen."""
    p_copy_number: Floats
    """(n,) a diploid cell is as aneuploid."""
    p_stroma: Floats
    """(n,) a cell of stroma or endothelium looks so little like it."""
    p_stroma_panel: Floats
    """(n,) a cell of stroma or endothelium shows so much of a panel."""
    nearest: Objects
    """(n,) normal type, not of blood, that the cell looks most like; empty where not judged."""
    only_stroma_speaks: Bools
    """(n,) that type is one of stroma, and the panel is one of genes that stroma is made of."""
    over_other_tissue: Floats
    """(n,) log-likelihood of the group of that type over the best other group."""
    is_skin: Bools
    """(n,) that type is one of skin, squamous or basal epithelium."""
    is_epithelium: Bools
    """(n,) that type is one of any epithelium, endocrine cells among them."""
    over_blood: Floats
    """(n,) log-likelihood per count of that type over the best leukocyte."""
    p_partner: Floats
    """(n,) a tumour cell alone shows so many genes of a blood cell."""

    @classmethod
    def of(cls, obs: pd.DataFrame, *, significant: Bools) -> Evidence:
        """Take the lines of evidence as `score` leaves them.

        Parameters
        ----------
        obs
            n cells, with the columns of the lines of evidence.
        significant
            (n,) see `Evidence`.
        """
        group = obs[keys.OTHER_GROUP.key].astype(str)
        return cls(
            umis=obs[keys.TOTAL_COUNTS.key].to_numpy(np.float64),
            significant=significant,
            p_identity=obs[keys.P_IDENTITY.key].to_numpy(np.float64),
            p_panel=obs[keys.P_PANEL.key].to_numpy(np.float64),
            n_panel_genes=obs[keys.N_PANEL_GENES.key].to_numpy(),
            p_copy_number=obs[keys.P_COPY_NUMBER.key].to_numpy(np.float64),
            p_stroma=obs[keys.P_STROMA.key].to_numpy(np.float64),
            p_stroma_panel=obs[keys.P_STROMA_PANEL.key].to_numpy(np.float64),
            nearest=obs[keys.OTHER_TYPE.key].astype(str).to_numpy(dtype=object),
            only_stroma_speaks=(
                (group == "stroma") & obs[keys.TUMOUR_PANEL.key].astype(str).isin(_PANELS_OF_STROMA)
            ).to_numpy(),
            over_other_tissue=obs[keys.OVER_OTHER_TISSUE.key].to_numpy(np.float64),
            is_skin=(group == "skin").to_numpy(),
            is_epithelium=group.isin(["epithelium", "endocrine", "skin"]).to_numpy(),
            over_blood=obs[keys.OVER_BLOOD.key].to_numpy(np.float64),
            p_partner=obs[keys.P_PARTNER.key].to_numpy(np.float64),
        )


class Facts(NamedTuple):
    """What the lines of evidence mean for n cells; each (n,), False where a line was not judged."""

    significant: Bools
    missing: Bools
    """Blood identity is missing."""
    clearly: Bools
    """It is clearly missing."""
    panel: Bools
    """A tumour panel is shown by several genes, in a cell that lacks blood identity."""
    one_gene: Bools
    """So is one gene that leukocytes hardly ever show."""
    strong: Bools
    """The panel is shown so strongly that it stands against a kept blood identity."""
    aneuploid: Bools
    shuffled: Bools
    """Aneuploid, and clearly no leukocyte or with a strong panel."""
    stroma: Bools
    """It may well be a normal cell of stroma or endothelium."""
    maybe_stroma: Bools
    """That is not ruled out."""
    no_stroma: Bools
    """Aneuploid, with more of a panel than stroma shows."""
    keeps_off_stroma: Bools
    """Shuffled, and unlike stroma."""
    skin: Bools
    """Plainly normal skin, squamous or basal epithelium."""
    epithelium: Bools
    """Plainly epithelial by all of its genes."""
    nearer_blood: Bools
    """Nearer to blood than to any tissue, and yet no leukocyte."""
    together: Bools
    """Genes of a blood cell beside those of the tumour cell."""


class Rule(NamedTuple):
    """A class, where it holds, and why in words."""

    holds: Callable[[Facts], Bools]
    name: str
    reason: str
    """`{type}` is the normal type that the cell looks most like."""


RULES: Final = (
    Rule(lambda of: ~of.significant, "blood", ""),
    Rule(
        lambda of: of.stroma & ~of.no_stroma,
        "non-blood other",
        "no leukocyte, but as a normal cell of stroma or endothelium may be: {type}",
    ),
    Rule(
        lambda of: of.skin,
        "non-blood other",
        "no leukocyte, but like normal skin, squamous or basal epithelium: {type}",
    ),
    Rule(
        lambda of: of.maybe_stroma & ~of.no_stroma & ~of.keeps_off_stroma,
        "uncertain",
        "no leukocyte; a normal cell of stroma or endothelium is not ruled out: {type}",
    ),
    Rule(
        lambda of: of.nearer_blood & ~of.shuffled & ~(of.together & of.strong),
        "uncertain",
        "further from blood than a leukocyte is, and yet nearer to it than to any tissue",
    ),
    Rule(
        lambda of: (
            of.missing & of.together & (of.panel | of.one_gene | (of.clearly & of.aneuploid))
        ),
        "CTC aggregate",
        "a tumour cell, and genes of a blood cell that ambient RNA does not explain",
    ),
    Rule(
        lambda of: of.panel & of.aneuploid,
        "CTC",
        "no leukocyte and no stroma, tumour panel seen, copy number aneuploid",
    ),
    Rule(lambda of: of.panel, "CTC", "no leukocyte and no stroma, tumour panel seen"),
    Rule(
        lambda of: of.one_gene,
        "CTC",
        "no leukocyte and no stroma, one panel gene that leukocytes hardly show",
    ),
    Rule(
        lambda of: of.clearly & of.aneuploid,
        "CTC",
        "clearly no leukocyte, and copy number aneuploid; hardly any panel gene",
    ),
    Rule(
        lambda of: of.epithelium,
        "CTC",
        "no leukocyte and no stroma, and epithelial by all of its genes: {type}",
    ),
    Rule(
        lambda of: of.strong,
        "CTC aggregate",
        "tumour panel seen in a cell that keeps its blood identity",
    ),
    Rule(
        lambda of: of.clearly,
        "uncertain",
        "no known normal cell, but hardly any tumour panel gene",
    ),
    Rule(
        lambda of: of.missing,
        "uncertain",
        "blood identity is missing, but not clearly, and so is the panel",
    ),
    Rule(lambda of: of.significant, "uncertain", "all lines of evidence are weak"),
)
"""In their order: the first that holds decides."""


def classify(of: Evidence) -> tuple[Objects, Objects]:
    """Name each cell, and say why.

    Returns
    -------
    classes, reasons
        (n,) one of `CLASSES`, and a sentence; empty for `blood`.
    """
    facts = _facts(of)
    classes = np.full(of.p_panel.size, "", dtype=object)
    reasons = classes.copy()
    for rule in RULES:
        chosen = rule.holds(facts) & (classes == "")
        classes[chosen], reasons[chosen] = rule.name, rule.reason
    for row in np.flatnonzero(reasons != ""):
        reasons[row] = str(reasons[row]).format(type=of.nearest[row])
    return classes, reasons


def _facts(of: Evidence) -> Facts:
    missing = of.p_identity <= MISSING_P
    clearly = of.p_identity <= _CLEARLY_MISSING_P
    mostly = of.p_identity <= _MOSTLY_MISSING_P
    aneuploid = of.p_copy_number <= ANEUPLOID_P  # False where NaN
    several = (of.n_panel_genes >= 2) & ~of.only_stroma_speaks
    strong = (of.p_panel <= _STRONG_PANEL_P) & several
    seen = (of.n_panel_genes >= 1) & ~of.only_stroma_speaks
    as_stroma = 2 * np.minimum(of.p_stroma, of.p_stroma_panel)  # Bonferroni; NaN: not judged
    shuffled = aneuploid & (strong | clearly)
    as_skin = of.over_other_tissue >= np.maximum(_SKIN, _SKIN_PER_COUNT * (of.umis - _SKIN_COUNTS))
    return Facts(
        significant=of.significant,
        missing=missing,
        clearly=clearly,
        panel=missing & (of.p_panel <= SHOWN_P) & several & (mostly | strong),
        one_gene=(of.p_panel <= _ONE_GENE_P) & seen & mostly,
        strong=strong,
        aneuploid=aneuploid,
        shuffled=shuffled,
        stroma=missing & (as_stroma > _STROMA_P),
        # keratins in a cell that looks like stroma: RNA of its tissue, or two cells
        maybe_stroma=missing & ((as_stroma > _NO_STROMA_P) | (of.p_stroma > _STROMA_P)),
        # stroma is often taken for aneuploid, and full of the genes of a sarcoma
        no_stroma=aneuploid & (of.p_stroma_panel <= _STRONG_STROMA_PANEL_P),
        keeps_off_stroma=shuffled & (of.p_stroma <= _STROMA_P),
        skin=missing & of.is_skin & as_skin & ~shuffled,
        epithelium=missing & of.is_epithelium & (of.over_blood >= _OVER_BLOOD),
        nearer_blood=missing & (of.over_blood < UNDER_BLOOD),
        together=of.p_partner <= PARTNER_P,  # False where NaN
    )


def malignancy(of: Evidence, *, called: Bools) -> Objects:
    """What copy number says of the malignancy of calls; empty for other cells.

    Parameters
    ----------
    of
        Lines of evidence.
    called
        (n,) cells that are called.

    Returns
    -------
    `aneuploid`, `diploid as far as seen`, or `not seen` where copy number was not judged or the
    cell is too shallow for an aneuploid one to show it.
    """
    words = np.full(called.size, "", dtype=object)
    judged = ~np.isnan(of.p_copy_number) & (of.umis >= FEWEST_UMIS_TO_SEE)
    words[called] = NOT_SEEN
    words[called & judged] = DIPLOID
    words[called & (of.p_copy_number <= ANEUPLOID_P)] = ANEUPLOID
    return words
