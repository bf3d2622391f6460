"""Convert JSON objects of `uns` to tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from ctcflow import numbers

_DIGITS: Final = 4


def records_table(records: Sequence[Mapping[str, object]] | None, columns: Sequence[str]) -> Any:
    """Make a table of JSON objects.

    Parameters
    ----------
    records
        The objects; None is the same as an empty list.
    columns
        Columns that come first and always exist; other keys follow in their order.

    Returns
    -------
    pd.DataFrame
        Lists are joined by `; `; missing text and numbers are None; floats have four significant
        digits.
    """
    rows = list(records or [])
    extra = dict.fromkeys(key for row in rows for key in row if key not in columns)
    return pd.DataFrame(
        {key: _values([row.get(key) for row in rows]) for key in (*columns, *extra)}
    )


def significant(values: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Round to four significant digits.

    This is precise enough to compare values with thresholds, and hides the noise of float32.
    """
    return np.array([float(f"{value:.{_DIGITS}g}") for value in values], dtype=np.float64)


def _values(values: list[Any]) -> pd.Series:
    plain = [_joined(value) for value in values]
    if plain and all(value is None or _is_whole(value) for value in plain):
        return pd.Series(plain, dtype="Int64")
    if plain and all(value is None or _is_number(value) for value in plain):
        return pd.Series(significant(np.array(plain, dtype=np.float64)))
    return pd.Series(plain, dtype=object)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _joined(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return "; ".join(numbers.text(item) for item in value)
    if isinstance(value, dict):
        return numbers.text(value)
    return None if isinstance(value, float) and np.isnan(value) else value
