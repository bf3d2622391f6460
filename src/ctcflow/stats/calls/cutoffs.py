"""Prognostic cut-offs of CellSearch, and in which cases they may be mentioned."""

from __future__ import annotations

from ctcflow.records.call import Draw

_ENRICHMENT = "cellsearch"
_PER_TUBE = 7.5  # mL
CUTOFFS = {"breast": 5, "prostate": 5, "colorectal": 3}
"""Number of CTCs per tube at or above which the prognosis is worse, by cancer."""


def cutoff(draw: Draw, *, enrichment: list[str | None], cancer: list[str | None]) -> str:
    """Say whether a draw is above or below the cut-off of its cancer, without interpreting it.

    The cut-offs are 5 (breast, prostate) or 3 (colorectal) cells per 7.5 mL of blood
    (doi:10.1155/2010/426218). They were found with CellSearch and are not valid for another
    enrichment. Even after enrichment by CellSearch, cells are called here by their RNA and not from
    its images; the sentence says so.

    Parameters
    ----------
    draw
        `role`, `per_ml`, `per_ml_low`, `per_ml_high` (cells per mL, not corrected for recovery,
        as the counts behind the cut-offs were not either).
    enrichment, cancer
        One value per lane, from the sample sheet.
    """
    if draw["role"] != "patient":
        return ""
    if {_plain(name) for name in enrichment} != {_ENRICHMENT}:
        return "no cut-off: they belong to CellSearch"
    kinds = {_plain(name) for name in cancer}
    kind = kinds.pop()
    if kinds or kind not in CUTOFFS:
        return f"no cut-off: known for {', '.join(CUTOFFS)} only (cancer_type)"
    low, high = draw["per_ml_low"], draw["per_ml_high"]
    if low is None or high is None:
        return "no cut-off: it is per 7.5 mL, and counts per mL are not given"
    least = CUTOFFS[kind]
    place = "interval includes"
    if low * _PER_TUBE >= least:
        place = "at or above"
    elif high * _PER_TUBE < least:
        place = "below"
    return (
        f"{place} {least} per {_PER_TUBE} mL ({kind}, CellSearch; the cut-off was made for cells"
        " seen on its images, these are called by RNA)"
    )


def _plain(name: str | None) -> str:
    return (name or "").strip().lower()
