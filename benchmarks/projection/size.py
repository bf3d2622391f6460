"""A sample of 5,000 cells against a reference of 1,000,000, as one process after `score`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ctcflow.files import bundle

Claim = tuple[str, str, bool | None]

MOST_SECONDS, MOST_GB = 60, 3.0
_GENES, _COMPONENTS, _TYPES, _SOFT, _MARKERS = 2000, 30, 15, 100, 120


def made(folder: Path, n_reference: int, n_cells: int, seed: int) -> tuple[Path, dict[str, Path]]:
    """A simulated bundle, and the files of a sample up to `score`."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 3, (_TYPES, _COMPONENTS))
    types = rng.integers(0, _TYPES, n_reference)
    noise = rng.standard_normal((n_reference, _COMPONENTS), dtype=np.float32)
    embedding = centres[types].astype(np.float32) + noise
    soft = rng.integers(0, _SOFT, n_reference)
    limit = {"intercept": 2.0, "slope": 0.0, "above": 1.0}
    names = [str(k) for k in range(_TYPES)]
    genes = np.array([f"G{k}" for k in range(_GENES)])
    manifest = {
        "format": bundle.FORMAT,
        "ctcflow": "0",
        "cells": n_reference,
        "samples": 100,
        "method": "harmony",
        "target_umis": 10_000.0,
        "n_neighbors": 15,
        "clusters": names,
        "cell_types": names,
        "scored_types": names,
        "limits": {"null_cells": 100, "distance": limit, "unexpected": limit},
        "controls": {
            "dispersion": {"ratio": 1.0, "source": "none"},
            "blanks": {"draws": 0, "limit": None, "reason": "none"},
            "healthy": dict.fromkeys(("samples", "cells", "called"), 0)
            | dict.fromkeys(("rate", "rate_low", "rate_high", "claimed"))
            | {"flag": ""},
        },
        "steps": {},
    }
    reference = bundle.Reference(
        manifest,
        genes=genes,
        gene_ids=np.array([""] * _GENES),
        means=np.full(_GENES, 0.3),
        loadings=np.linalg.qr(rng.normal(size=(_GENES, _COMPONENTS)))[0],
        cluster_sizes=np.bincount(soft, minlength=_SOFT).astype(np.float64),
        cluster_sums=np.array([embedding[soft == k].sum(axis=0) for k in range(_SOFT)], float),
        lineages=np.array([], dtype=np.str_),
        lineage_means=np.zeros((0, _COMPONENTS)),
        embedding=embedding,
        umap=embedding[:, :2].copy(),
        cluster=types.astype(np.int32),
        cell_type=types.astype(np.int32),
        group=types.astype(np.int32),
        group_means=rng.exponential(0.3, (_TYPES, _GENES)).astype(np.float32),
        marker_genes=genes[:_MARKERS],
        marker_loadings=rng.normal(0, 0.1, (_MARKERS, _TYPES)),
        type_scores=rng.normal(0.3, 0.1, (n_reference, _TYPES)).astype(np.float32),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reference.zip"
    path.write_bytes(bundle.packed(reference))
    return path, _sample(folder, genes, n_cells, rng)


def _sample(
    folder: Path, genes: np.ndarray, n_cells: int, rng: np.random.Generator
) -> dict[str, Path]:
    """Counts over 20,000 genes, some 2,000 seen per cell, and what the steps add."""
    names = [*genes, *(f"X{k}" for k in range(20_000 - genes.size))]
    counts = sp.random_array(
        (n_cells, len(names)), density=0.1, format="csr", dtype=np.float32, rng=rng
    )
    counts.data = np.ceil(counts.data * 3).astype(np.int32)
    obs = pd.DataFrame(index=[f"c{k}" for k in range(n_cells)])
    bare = ad.AnnData(obs=obs, var=pd.DataFrame(index=names))
    record = {"version": "0", "params": {"target_umis": 10_000.0}}
    files = {}
    for step in ("ingest", "qc", "normalize", "score"):
        adata = bare.copy()
        adata.uns["ctcflow"] = json.dumps({"sample": {"sample": "s"}, "steps": {step: record}})
        if step == "ingest":
            adata.X = sp.csr_matrix(counts)
        elif step == "qc":
            adata.obs["keep"] = True
            adata.obs["total_counts"] = np.asarray(counts.sum(axis=1)).ravel()
        elif step == "normalize":
            adata.obs["size_factor"] = np.asarray(counts.sum(axis=1)).ravel() / 10_000
        else:
            adata.obs["is_leukocyte"] = True
            adata.obs["lineage"] = "B"
        files[step] = folder / f"{step}.h5ad"
        adata.write_h5ad(files[step])
    return files


def table(folder: Path, *, n_reference: int, n_cells: int, seed: int) -> dict[str, pd.DataFrame]:
    """`projection_size`: wall time (s) and peak memory (GB) of the process."""
    reference, files = made(folder, n_reference, n_cells, seed)
    inputs = [f"reference={reference}", *(f"{name}={path}" for name, path in files.items())]
    command = [sys.executable, "-m", "ctcflow", "project", "--in", *inputs]
    command += ["--out", f"adata={folder / 'project.h5ad'}", "--threads", "2"]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit("project was refused")
    row = {
        "reference": n_reference,
        "cells": n_cells,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "gb": used.ru_maxrss / 1e6,
    }
    return {"projection_size": pd.DataFrame([row])}


def claims(found: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    for row in found["projection_size"].to_dict("records"):
        what = f"{row['cells']:.0f} cells onto {row['reference']:.0f} in < {MOST_SECONDS} s"
        cpu = f"{row['seconds']:.1f} s ({row['cpu_seconds']:.1f} s of CPU)"
        yield what, cpu, row["seconds"] < MOST_SECONDS
        yield f"the same, below {MOST_GB:g} GB", f"{row['gb']:.2f} GB", row["gb"] < MOST_GB
