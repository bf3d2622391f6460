"""The class of each cell, from its lines of evidence: the first rule that applies decides.

A cell is called a tumour cell only if it is improbable under each normal explanation: leukocytes of
the sample, and the other normal cells that get into a blood tube. The thresholds are the same for
every panel and every type of tumour.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys
from ctcflow.stats.thresholds import (
    MISSING_P,
    RANDOM_ERROR,
    RANDOM_ERROR_OF_COPIES,
    SHOWN_P,
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

CLASSES: Final = ("CTC", "CTC aggregate", "non-blood other", "uncertain", "blood")

_CLEARLY_MISSING_P: Final = 1e-4
_MOSTLY_MISSING_P: Final = 1e-3  # of identity: enough if a panel is expressed as well
_ONE_GENE_P: Final = 1e-3  # of a single panel gene that leukocytes hardly ever express
_STRONG_PANEL_P: Final = 1e-4  # with two genes or more: overrides a blood identity that is kept
_STRONG_STROMA_PANEL_P: Final = 1e-3  # of the first panel: overrides a stroma-like profile
ANEUPLOID_P: Final = 1e-3
"""Aneuploid at or below this p. Expression of another tissue alone, without its copy number (genes
in random order along the genome), passes a limit of 0.01 too often."""
_STROMA_P: Final = 0.05  # above it, the cell may well be stroma or endothelium
_NO_STROMA_P: Final = 0.005  # at or below it, it is neither; between the two it is undecided
# Log-likelihood ratio (nats) of skin over any other tissue that counts as skin: at least 10 (odds
# of 20,000 to 1), and at least 0.02 per count of the cell beyond the first 100.
_SKIN: Final = 10.0
_SKIN_PER_COUNT: Final = 0.02
_SKIN_COUNTS: Final = 100.0
_PANELS_OF_STROMA: Final = ("sarcoma",)  # collagens and other genes of normal stroma
UNDER_BLOOD: Final = -0.12
"""Log-likelihood ratio per count (nats) of the best tissue over the best leukocyte, below which the
leukocyte fits better."""
_OVER_BLOOD: Final = 0.03  # the same (nats per count), from which a cell is plainly epithelial
PARTNER_P: Final = 1e-6
"""Largest p at which a blood cell shares the droplet of a tumour cell."""

ANEUPLOID: Final = "aneuploid"
DIPLOID: Final = "diploid as far as seen"
NOT_SEEN: Final = "not seen"
FEWEST_UMIS_TO_SEE: Final = 3000
"""Counts (UMIs) from which aneuploidy is usually detected in an aneuploid cell, so that its absence
is informative."""


class Evidence(NamedTuple):
    """Lines of evidence of n cells; copy number, partner and tissue are NaN where not judged.

    Each `p_` is the probability that a normal cell of the kind named shows the same or more.
    """

    umis: Floats
    """(n,) counts."""
    significant: Bools
    """(n,) significant at the error rate that was asked for; all other cells are `blood`."""
    p_identity: Floats
    """(n,) that a leukocyte lacks so much of its blood identity."""
    p_panel: Floats
    """(n,) that a leukocyte expresses so much of a tumour panel."""
    n_panel_genes: npt.NDArray[np.integer]
    """(n,) genes of that panel that are seen."""
    p_copy_number: Floats
    """(n,) that a diploid cell looks as aneuploid."""
    p_stroma: Floats
    """(n,) that a cell of stroma or endothelium resembles its own type so little."""
    p_stroma_panel: Floats
    """(n,) that a cell of stroma or endothelium expresses so much of a panel."""
    nearest: Objects
    """(n,) normal cell type outside blood that fits best; empty where not judged."""
    only_stroma_speaks: Bools
    """(n,) that type is stroma, and the panel consists of genes that normal stroma expresses."""
    over_other_tissue: Floats
    """(n,) log-likelihood ratio of that type's group over the best other group (nats)."""
    is_skin: Bools
    """(n,) that type is one of skin, squamous or basal epithelium."""
    is_epithelium: Bools
    """(n,) that type is one of any epithelium, endocrine cells among them."""
    over_blood: Floats
    """(n,) log-likelihood ratio per count of that type over the best leukocyte (nats)."""
    p_partner: Floats
    """(n,) that a tumour cell alone in its droplet shows so many genes of a blood cell."""

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
    """The facts that the rules use, for n cells; each (n,), False where a line was not judged."""

    significant: Bools
    missing: Bools
    """Blood identity is missing."""
    clearly: Bools
    """It is clearly missing."""
    panel: Bools
    """Several genes of a tumour panel are expressed, in a cell that lacks blood identity."""
    one_gene: Bools
    """One panel gene that leukocytes hardly ever express is seen, in a cell that lacks blood
    identity."""
    strong: Bools
    """The panel is expressed so strongly that it overrides a blood identity that is kept."""
    aneuploid: Bools
    shuffled: Bools
    """Aneuploid, and either blood identity is clearly missing or the panel is strong."""
    stroma: Bools
    """It may well be a normal cell of stroma or endothelium."""
    maybe_stroma: Bools
    """A normal cell of stroma or endothelium is not ruled out."""
    no_stroma: Bools
    """Aneuploid, with more panel expression than stroma has."""
    keeps_off_stroma: Bools
    """`shuffled`, and its expression does not fit stroma."""
    skin: Bools
    """Plainly normal skin, squamous or basal epithelium."""
    epithelium: Bools
    """Plainly epithelial, judged by all genes."""
    nearer_blood: Bools
    """Blood identity is missing, but blood still fits better than any tissue."""
    together: Bools
    """Genes of a blood cell are seen in addition to those of the tumour cell."""


class Rule(NamedTuple):
    """A class, the cells to which it applies, and the reason in words."""

    holds: Callable[[Facts], Bools]
    name: str
    reason: str
    """`{type}` stands for the normal cell type that fits best (`Evidence.nearest`)."""


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
"""In order: the first rule that applies to a cell decides."""


def classify(of: Evidence) -> tuple[Objects, Objects]:
    """Give each cell a class, and the reason for it.

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
        # keratins in a stroma-like cell may be ambient RNA of its tissue, or a second cell
        maybe_stroma=missing & ((as_stroma > _NO_STROMA_P) | (of.p_stroma > _STROMA_P)),
        # stroma often looks aneuploid and always expresses sarcoma genes: ask for other genes
        no_stroma=aneuploid & (of.p_stroma_panel <= _STRONG_STROMA_PANEL_P),
        keeps_off_stroma=shuffled & (of.p_stroma <= _STROMA_P),
        skin=missing & of.is_skin & as_skin & ~shuffled,
        epithelium=missing & of.is_epithelium & (of.over_blood >= _OVER_BLOOD),
        nearer_blood=missing & (of.over_blood < UNDER_BLOOD),
        together=of.p_partner <= PARTNER_P,  # False where NaN
    )


def as_likely(of: Evidence, *, p: Floats, q: Floats, fdr: float, max_p: float) -> Objects:
    """Another class that each cell may have by the random error of its p; empty for most cells.

    Leukocytes are thinned at random to measure their null, so that another seed gives another p:
    `RANDOM_ERROR`, and `RANDOM_ERROR_OF_COPIES` for copy number.

    Parameters
    ----------
    of
        Lines of evidence.
    p, q
        (n,) of the call.
    fdr, max_p
        The limits on q and p, as in `Evidence.significant`.
    """
    named, _ = classify(of)
    others = np.full(named.size, "", dtype=object)
    for sign, sign_of_copies in product((-1.0, 1.0), repeat=2):
        factor = 10.0 ** (sign * RANDOM_ERROR)
        of_copies = 10.0 ** (sign_of_copies * RANDOM_ERROR_OF_COPIES)
        moved = of._replace(
            significant=(q * factor <= fdr) & (p * factor <= max_p),
            p_identity=of.p_identity * factor,
            p_copy_number=of.p_copy_number * of_copies,
        )
        other, _ = classify(moved)
        others = np.where((other != named) & (others == ""), other, others)
    return others


def malignancy(of: Evidence, *, called: Bools) -> Objects:
    """Malignancy of each called cell as far as copy number tells; empty for other cells.

    Parameters
    ----------
    of
        Lines of evidence.
    called
        (n,) cells that are called.

    Returns
    -------
    `aneuploid`, `diploid as far as seen`, or `not seen` where copy number was not judged or the
    cell has too few counts for aneuploidy to be detected.
    """
    words = np.full(called.size, "", dtype=object)
    judged = ~np.isnan(of.p_copy_number) & (of.umis >= FEWEST_UMIS_TO_SEE)
    words[called] = NOT_SEEN
    words[called & judged] = DIPLOID
    words[called & (of.p_copy_number <= ANEUPLOID_P)] = ANEUPLOID
    return words
