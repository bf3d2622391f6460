"""Recall of real tumour cells in real blood, from spiked in to called, and false calls.

    python -m benchmarks.calling.recall [OUT.tsv]

Tumour cells are thinned without replacement to exact depths and mixed into real blood, each of them
once per depth; the sample goes through `qc`, `score` and `call` with the pan-epithelial panel. What
`qc` loses counts as missed. Beside it two gates on the same cells: EPCAM seen and PTPRC not, and
two or more of twelve epithelial genes. False calls are blood cells of the same samples; each
distinct blood cell counts once, however many samples it was in (the worst class it ever got).
Thresholds were developed on the TNBC cells (one patient) and on these PBMC: this is no held-out
figure for them. The lung cancer lines took no part in the rules of `call`, but in those of `qc`;
they are of another platform than the blood, which makes them easier to tell.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.samples import (
    BLOOD,
    lung_cancer_lines,
    measured,
    over,
    read,
    sample,
    tables,
    thinned,
    tumour_cells,
)

from ctcflow.params import CallParams, ScoreParams
from ctcflow.stats.tail import clopper_pearson
from ctcflow.steps.call import call
from ctcflow.steps.score import score

DEPTHS = (4000, 1500, 600, 300, 150)
RATES = {0.01: "1:100"}
TWELVE = (
    *("EPCAM", "KRT7", "KRT8", "KRT18", "KRT19", "CLDN4"),
    *("ELF3", "CLDN7", "KRT5", "KRT14", "KRT17", "CDH1"),
)
RANK = ("blood", "non-blood other", "set aside", "uncertain", "CTC aggregate", "CTC")
"""Classes from harmless to a call."""


def classes(adata: ad.AnnData) -> pd.DataFrame:
    """Class, p and q of every cell, `set aside` for those that `qc` set aside."""
    checked = measured(adata)
    kept = checked[checked.obs["keep"].to_numpy()].copy()
    scored = score(kept, *tables("score"), params=ScoreParams())
    row = {"sample": "s", "patient": "s", "draw": "s", "role": "patient"}
    scored.uns["ctcflow"] = json.dumps({"sample": row, "steps": {}})
    found = call([scored], params=CallParams()).obs.set_index("barcode")
    names = found["class"].astype(str).reindex(checked.obs_names).fillna("set aside")
    numbers = found[["p", "q", "p_panel", "p_identity"]].reindex(checked.obs_names)
    return numbers.assign(**{"class": names, "part": checked.obs["part"].astype(str)})


def gates(adata: ad.AnnData) -> dict[str, npt.NDArray[np.bool_]]:
    """What laboratories gate by."""
    seen = {
        name: adata[:, name].X.toarray().ravel() > 0
        for name in {*TWELVE, "PTPRC"} & set(adata.var_names)
    }
    none = np.zeros(adata.n_obs, dtype=bool)
    several = sum((seen.get(name, none).astype(int) for name in TWELVE), none.astype(int))
    return {
        "EPCAM+ PTPRC-": seen.get("EPCAM", none) & ~seen.get("PTPRC", none),
        "two of twelve": several >= 2,
    }


def grid(blood_name: str, tumour_name: str, tumour: ad.AnnData, seed: int) -> Iterator:
    """Rows of one blood and one tumour source."""
    blood = read(BLOOD[blood_name])
    names = blood.var_names.union(tumour.var_names)
    own, cells = over(blood, names), over(tumour, names)
    rng = np.random.default_rng(seed)
    for rate, shown in RATES.items():
        at_once = max(1, round(own.shape[0] * rate))
        for depth in DEPTHS:
            thin = thinned(cells, depth, rng)
            order = rng.permutation(thin.shape[0])
            found: list[str] = []
            gated: dict[str, list[bool]] = {}
            worst = np.zeros(own.shape[0], dtype=int)
            worst_gate: dict[str, npt.NDArray[np.bool_]] = {}
            below: list[npt.NDArray[np.float64]] = []
            for start in range(0, order.size, at_once):
                mixed = sample(
                    {"blood": own, "tumour": thin[order[start : start + at_once]]}, names
                )
                by_gate = gates(mixed)
                made = classes(mixed)
                mine = (made["part"] == "tumour").to_numpy()
                found += made.loc[mine, "class"].tolist()
                rank = made.loc[~mine, "class"].map(RANK.index).to_numpy()
                worst = np.maximum(worst, rank)
                below.append(made.loc[~mine, "p"].to_numpy(np.float64))
                for gate, passed in by_gate.items():
                    gated.setdefault(gate, []).extend(passed[mine].tolist())
                    worst_gate[gate] = worst_gate.get(gate, False) | passed[~mine]
            shared = {
                "tumour": tumour_name,
                "blood": blood_name,
                "umis": depth,
                "rate": shown,
                "n_tumour": len(found),
                "n_blood": own.shape[0],
            }
            points = {
                "CTC": (np.isin(found, ["CTC"]), worst == RANK.index("CTC")),
                "CTC, aggregate, uncertain": (
                    np.isin(found, RANK[3:]),
                    worst >= RANK.index("uncertain"),
                ),
                **{gate: (np.array(hits), worst_gate[gate]) for gate, hits in gated.items()},
            }
            for method, (hits, false) in points.items():
                low, high = clopper_pearson(int(hits.sum()), len(hits), confidence=0.95)
                yield {
                    **shared,
                    "method": method,
                    "recall": hits.mean(),
                    "low": low,
                    "high": high,
                    "false_cells": int(false.sum()),
                }


def table(seed: int = 0) -> pd.DataFrame:
    """All rows; one seed decides all draws."""
    sources = {"TNBC": tumour_cells(), "lung cancer lines": lung_cancer_lines()}
    rows = [row for name in BLOOD for row in grid(name, "TNBC", sources["TNBC"], seed)]
    rows += list(grid("pbmc4k", "lung cancer lines", sources["lung cancer lines"], seed))
    return pd.DataFrame(rows)


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".tsv")
    found = table()
    found.to_csv(out, sep="\t", index=False, float_format="%.4g")
    print(found.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
