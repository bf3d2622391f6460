"""Ambient RNA of known amount mixed into real blood: is the increment recovered?

    python -m benchmarks.qc.ambient [OUT.tsv]

Counts of each cell are thinned and drawn anew from the measured ambient profile of pbmc4k, so that
its total stays; then `qc` estimates the ambient share, with droplets of that profile and without.
The estimate at 0 is what the blood came with; the increment over it is judged.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from benchmarks.samples import BLOOD, empties, measured, measured_soup, read

SAMPLES = ("pbmc3k", "pbmc1k_v2", "pbmc1k_v3")
FRACTIONS = (0.0, 0.02, 0.05, 0.10, 0.20)
SEEDS = range(3)
EMPTY_UMIS = 500_000  # counts of the simulated droplets without a cell, in droplets of 20


def mixed(
    counts: sp.csr_matrix, *, fraction: float, share: npt.NDArray, rng: np.random.Generator
) -> sp.csr_matrix:
    """Replace a fraction of each cell's counts by ambient RNA; totals stay."""
    result = counts.astype(np.int64)
    before = np.asarray(result.sum(axis=1)).ravel()
    result.data = rng.binomial(result.data, 1.0 - fraction)
    missing = before - np.asarray(result.sum(axis=1)).ravel()
    return (result + empties(missing, share, rng)).tocsr()


def estimates(name: str, seed: int) -> list[dict[str, object]]:
    """What `qc` says at each fraction, with and without droplets."""
    blood = read(BLOOD[name])
    share = measured_soup(blood.var_names)
    rng = np.random.default_rng(seed)
    empty = empties(np.full(EMPTY_UMIS // 20, 20), share, rng)
    rows: list[dict[str, object]] = []
    for fraction in FRACTIONS:
        cells = mixed(blood.X, fraction=fraction, share=share, rng=rng).astype(np.int32)
        adata = ad.AnnData(cells, obs=blood.obs[[]].copy(), var=blood.var[[]].copy())
        names = [*adata.obs_names, *(f"empty_{i}" for i in range(empty.shape[0]))]
        droplets = ad.AnnData(
            sp.vstack([cells, empty.astype(np.int32)]).tocsr(),
            obs=pd.DataFrame(index=names),
            var=adata.var.copy(),
        )
        for unfiltered in (droplets, None):
            ambient = json.loads(measured(adata.copy(), unfiltered).uns["qc"])["ambient"]
            rows.append(
                {
                    "blood": name,
                    "droplets": unfiltered is not None,
                    "seed": seed,
                    "mixed": fraction,
                    **{key: ambient[key] for key in ("share", "low", "high", "genes")},
                }
            )
    return rows


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Increment over the estimate at 0, and whether it is within what is allowed."""
    key = ["blood", "droplets", "seed"]
    base = table[table["mixed"] == 0].set_index(key)["share"].rename("at_0")
    table = table.join(base, on=key)
    table["increment"] = table["share"] - table["at_0"]
    table["allowed"] = np.where(
        table["droplets"],
        np.maximum(0.005, table["mixed"] / 5),
        np.maximum(0.01, table["mixed"] * 2 / 5),
    )
    table["within"] = (table["increment"] - table["mixed"]).abs() <= table["allowed"]
    return table[table["mixed"] > 0].reset_index(drop=True)


def table() -> pd.DataFrame:
    """One row per blood, seed, fraction, with and without droplets."""
    rows = [row for name in SAMPLES for seed in SEEDS for row in estimates(name, seed)]
    return judged(pd.DataFrame(rows))


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".tsv")
    increments = table()
    increments.to_csv(out, sep="\t", index=False, float_format="%.5f")
    shown = increments.groupby(["blood", "droplets", "mixed"]).agg(
        at_0=("at_0", "mean"),
        increment=("increment", "mean"),
        lowest=("increment", "min"),
        highest=("increment", "max"),
        low=("low", "mean"),
        high=("high", "mean"),
        genes=("genes", "max"),
        allowed=("allowed", "max"),
        within=("within", "all"),
    )
    print(shown.round(4).to_string())


if __name__ == "__main__":
    main()
