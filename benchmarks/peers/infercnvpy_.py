"""infercnvpy as its tutorial has it: log-normalised genes, `infercnv`, Leiden, `cnv_score`.

The tutorial picks the clusters with a high score by eye. Two rules stand for the eye:

* `clusters`: clusters whose score is more than three scaled median absolute deviations above the
  median over the cells of the sample; once with the mean of all cells as reference (`alone`), once
  with the cells that are declared normal (`reference`);
* `cells`: cells whose own mean absolute signal is above the 99.9th percentile of the cells that
  are declared normal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.peers.judging import Bools, Sample, log_normalised, run

_DEVIATIONS, _TO_SIGMA, _PERCENTILE = 3.0, 1.4826, 0.999


def by_clusters(score: npt.NDArray[np.float64]) -> Bools:
    middle = np.median(score)
    spread = _TO_SIGMA * np.median(np.abs(score - middle))
    return np.asarray(score > middle + _DEVIATIONS * spread)


def signal(sample: Sample, **reference: Any) -> Any:
    """AnnData with infercnvpy's signal, its clusters, and their scores."""
    import infercnvpy

    adata = log_normalised(sample)
    # the chromosomes that infercnvpy leaves out are named so
    adata.var["chromosome"] = "chr" + adata.var["chromosome"].astype(object)
    infercnvpy.tl.infercnv(adata, n_jobs=1, **reference)
    infercnvpy.tl.pca(adata)
    infercnvpy.pp.neighbors(adata)
    infercnvpy.tl.leiden(adata, random_state=0)
    infercnvpy.tl.cnv_score(adata)
    return adata


def judge(sample: Sample) -> dict[str, Bools]:
    alone = signal(sample)
    with_reference = signal(sample, reference_key="reference", reference_cat="normal")
    mean_signal = np.asarray(abs(with_reference.obsm["X_cnv"]).mean(axis=1)).ravel()
    return {
        "clusters, alone": by_clusters(alone.obs["cnv_score"].to_numpy(float)),
        "clusters, reference": by_clusters(with_reference.obs["cnv_score"].to_numpy(float)),
        "cells, reference": mean_signal > np.quantile(mean_signal[sample.reference], _PERCENTILE),
    }


if __name__ == "__main__":
    run(judge)
