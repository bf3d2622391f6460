"""What p says something: one place for each meaning, for quality control, evidence and classes."""

from __future__ import annotations

from typing import Final

MISSING_P: Final = 0.01
"""Blood identity is missing at or below this p."""
SHOWN_P: Final = 0.01
"""A tumour panel is shown at or below this p: a cell is looked at, listed, and no null cell."""
