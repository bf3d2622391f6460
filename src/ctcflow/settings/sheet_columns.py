"""Columns of the sample sheet in the obs of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anndata import AnnData


def add_row(adata: AnnData, row: Mapping[str, Any]) -> None:
    """Copy the sheet's columns to obs; text as categories, which take little memory."""
    import pandas as pd

    values = {key: value for key, value in row.items() if key != "extra" and value is not None}
    for key, value in {**values, **row.get("extra", {})}.items():
        column = pd.Series([value] * adata.n_obs, index=adata.obs_names)
        adata.obs[key] = pd.Categorical(column) if isinstance(value, str) else column.astype(float)
