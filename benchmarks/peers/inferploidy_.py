"""InferPloidy (doi:10.1101/2025.03.13.643178): which cells are aneuploid, by infercnvpy's signal.

Its own two steps with its own defaults, on one core. A cell is called where it says `Aneuploid`.
Once without and once with the normal cells declared.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from benchmarks.peers.judging import Bools, Sample, Verdicts, as_anndata, each, run


def aneuploid(sample: Sample, **normal: Any) -> Bools:
    from inferploidy import run_infercnv, run_inferploidy

    adata = as_anndata(sample)
    adata = adata[:, np.asarray((adata.X > 0).sum(axis=0)).ravel() >= 3].copy()
    adata.var = adata.var[[]]  # it places genes itself
    adata = run_infercnv(adata, n_cores=1, **normal)
    adata = run_inferploidy(adata, n_cores=1, verbose=False, **normal)
    return np.asarray(adata.obs["iploidy_dec"] == "Aneuploid", dtype=bool)


def judge(sample: Sample) -> Verdicts:
    with_reference = partial(aneuploid, sample, ref_key="reference", ref_cat=["normal"])
    return each({"alone": partial(aneuploid, sample), "reference": with_reference})


if __name__ == "__main__":
    run(judge)
