"""Rules that laboratories decide by, beside the tools; they run in the checkout's environment.

* EPCAM seen and PTPRC not.
* Two or more, or three or more, of the genes of ctcflow's own epithelial panel.
* `scanpy.tl.score_genes` of that panel, above the 99.9th percentile of all healthy blood; a file
  of healthy blood is judged by the others.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmarks.calling.methods import EPCAM_GATE, gates, members, score_genes
from benchmarks.peers.judging import Bools, Sample, as_anndata, log_normalised, read, run

PANEL = members("pan_epithelial")
_PERCENTILE = 0.999


def scores(sample: Sample) -> npt.NDArray[np.float64]:
    lognorm = log_normalised(sample)
    score_genes(lognorm, PANEL, np.ones(lognorm.n_obs, dtype=bool))
    return np.asarray(lognorm.obs["score"], dtype=np.float64)


@lru_cache
def of_healthy() -> dict[str, npt.NDArray[np.float64]]:
    """Scores of the cells of each file of healthy blood."""
    folders = sorted(Path(sys.argv[1]).glob("healthy_*"))
    return {folder.name: scores(read(folder)) for folder in folders}


def judge(sample: Sample) -> dict[str, Bools]:
    others = [values for name, values in of_healthy().items() if name != sample.name]
    limit = np.quantile(np.concatenate(others), _PERCENTILE)
    panel = sample.counts[:, sample.genes.index.isin(PANEL)]
    several = np.asarray((panel > 0).sum(axis=1)).ravel()
    return {
        EPCAM_GATE: gates(as_anndata(sample))[EPCAM_GATE],
        "two panel genes": several >= 2,
        "three panel genes": several >= 3,
        "score_genes": scores(sample) > limit,
    }


if __name__ == "__main__":
    run(judge)
