"""Thresholds on p that quality control, the lines of evidence and the class rules share."""

from __future__ import annotations

from typing import Final

MISSING_P: Final = 0.01
"""Blood identity is missing at or below this p."""
SHOWN_P: Final = 0.01
"""A tumour panel is expressed at or below this p: the cell is examined further and listed, and it
is not a null cell."""
