"""Format numbers for people: few digits, and a dash for a missing number."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd

MISSING: Final = "–"
Value = str | float | np.number | np.bool_ | list[Any] | tuple[Any, ...] | dict[str, Any] | None
"""What a record or a table may hold. Not `object`, which is what mypy takes `record.get("x")` for
where the record has no field `x`: a wrong name is thus an error where its value is shown."""


def number_or_none(value: Value) -> float | None:
    """Return a finite number, or None for text, truth values, missing and infinite values."""
    if value is None or isinstance(value, bool | str | list | dict | tuple) or pd.isna(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def count(value: Value) -> str:
    """Show a whole number with separators: `12,345`."""
    number = number_or_none(value)
    return MISSING if number is None else f"{number:,.0f}"


def short(value: Value) -> str:
    """Show two significant digits, and whole numbers from 100 on: `3.7`, `0.012`, `1,204`."""
    number = number_or_none(value)
    if number is None:
        return MISSING
    return f"{number:,.0f}" if abs(number) >= 99.5 else f"{number:.2g}"


def probability(value: Value) -> str:
    """Show a probability with two significant digits: `0.0012`, `3.1e-08`."""
    number = number_or_none(value)
    return MISSING if number is None else f"{number:.2g}"


def interval(low: Value, high: Value) -> str:
    """Show an interval, empty where either end is missing: `1.6 to 12`."""
    if number_or_none(low) is None or number_or_none(high) is None:
        return ""
    return f"{short(low)} to {short(high)}"


def text(value: Value) -> str:
    """Show text; empty for a missing value."""
    if value is None or (not isinstance(value, str | list | dict | tuple) and pd.isna(value)):
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def plural(value: int, noun: str) -> str:
    """Show a number with its noun: `1 sample`, `2 samples`."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"
