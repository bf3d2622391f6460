"""A small bundle of a frozen reference, whole in every part."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctcflow.files import bundle

CONTROLS: dict[str, Any] = {
    "dispersion": {"ratio": 1.0, "source": "assumed"},
    "blanks": {"draws": 0, "limit": None, "reason": "no control"},
    "healthy": {
        "samples": 0,
        "cells": 0,
        "called": 0,
        "rate": None,
        "rate_low": None,
        "rate_high": None,
        "claimed": None,
        "flag": "",
    },
}


def manifest() -> dict[str, Any]:
    return {
        "format": bundle.FORMAT,
        "ctcflow": "1.2.3",
        "cells": 5,
        "samples": 2,
        "method": "harmony",
        "target_umis": 10_000.0,
        "n_neighbors": 3,
        "clusters": [f"cluster {code}" for code in range(5)],
        "cell_types": ["T cell"],
        "scored_types": ["T cell", "B cell"],
        "limits": {"null_cells": 0, "distance": None, "unexpected": None},
        "controls": CONTROLS,
        "steps": {},
    }


def small() -> bundle.Reference:
    rng = np.random.default_rng(0)
    return bundle.Reference(
        manifest(),  # type: ignore[arg-type]
        genes=np.array(["A", "MYC"]),
        gene_ids=np.array(["", "ENSG1"]),
        means=rng.normal(size=2),
        loadings=rng.normal(size=(2, 3)),
        cluster_sizes=np.zeros(0),
        cluster_sums=np.zeros((0, 3)),
        lineages=np.array([], dtype=np.str_),
        lineage_means=np.zeros((0, 3)),
        embedding=rng.normal(size=(5, 3)).astype(np.float32),
        umap=rng.normal(size=(5, 2)).astype(np.float32),
        cluster=np.arange(5, dtype=np.int32),
        cell_type=np.zeros(5, dtype=np.int32),
        group=np.arange(5, dtype=np.int32),
        group_means=rng.normal(size=(5, 2)).astype(np.float32),
        marker_genes=np.array(["CD3D"]),
        marker_loadings=rng.normal(size=(1, 2)),
        type_scores=rng.normal(size=(5, 2)).astype(np.float32),
    )
