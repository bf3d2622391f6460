"""Thresholds on p that quality control, the lines of evidence and the class rules share."""

from __future__ import annotations

from typing import Final

MISSING_P: Final = 0.01
"""Blood identity is missing at or below this p."""
SHOWN_P: Final = 0.01
"""A tumour panel is expressed at or below this p: the cell is examined further and listed, and it
is not a null cell."""
RANDOM_ERROR: Final = 0.2
"""Twice the standard deviation of log10 p of blood identity, and of the p that is called by, over
seeds, at the limits from 1e-2 to 1e-4 (decades): leukocytes are thinned at random to measure their
null. Measured on three files: see `docs/calling.md`."""
RANDOM_ERROR_OF_COPIES: Final = 0.5
"""The same of the p of copy number, at 1e-3 (decades)."""
