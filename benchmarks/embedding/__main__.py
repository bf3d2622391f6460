"""The map of `cluster` beside umap-learn and igraph: neighbours kept, cost, same bytes.

    python -m benchmarks.embedding FOLDER [--seeds N] [--cells N]

Three files of real blood go through `normalize` and `reduce`; every layout gets the graph that
`cluster` makes of the components. umap-learn stands with its own start and number of rounds, and
with ours. Then one layout each of a large simulated cloud, in a process of its own. Writes
`embedding.tsv` and `embedding_cost.tsv`. Ten minutes; needs ../shared/data/real.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
from benchmarks.samples import BLOOD, read, tables
from scipy import sparse

from ctcflow.settings.params import ClusterParams, ReduceParams
from ctcflow.settings.sample_params import NormalizeParams
from ctcflow.stats.clusters.graph_clusters import neighbor_graph
from ctcflow.stats.clusters.layout import curve, umap_layout
from ctcflow.stats.counts.moments import log_normalised
from ctcflow.steps.normalize import normalize
from ctcflow.steps.reduce import reduce

Points = npt.NDArray[np.float64]
Layout = Callable[[sparse.csr_matrix, Points, int], npt.NDArray[np.floating]]

SETS = ("pbmc3k", "pbmc4k", "pbmc1k_v2")
K = 15
EPOCHS = 200
MIN_DIST = ClusterParams().min_dist
CLOUD_GROUPS, CLOUD_COMPONENTS = 12, 30
LARGEST_GAP = 0.01


def ours(graph: sparse.csr_matrix, points: Points, seed: int) -> npt.NDArray[np.floating]:
    """As `cluster` calls it."""
    return umap_layout(graph, start=points[:, :2], min_dist=MIN_DIST, n_epochs=EPOCHS, seed=seed)


def umap_learn(graph: sparse.csr_matrix, points: Points, seed: int) -> npt.NDArray[np.floating]:
    """With its own start (spectral) and number of rounds (500 up to 10,000 cells)."""
    return _umap_learn(graph, points, seed, "spectral", None)


def umap_learn_as_ours(
    graph: sparse.csr_matrix, points: Points, seed: int
) -> npt.NDArray[np.floating]:
    """With our start and number of rounds."""
    start = points[:, :2] * (10 / np.abs(points[:, :2]).max())
    return _umap_learn(graph, points, seed, start.astype(np.float32), EPOCHS)


def _umap_learn(
    graph: sparse.csr_matrix, points: Points, seed: int, start: object, n_epochs: int | None
) -> npt.NDArray[np.floating]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap.umap_ import simplicial_set_embedding

        a, b = curve(min_dist=MIN_DIST)
        positions, _ = simplicial_set_embedding(
            points.astype(np.float32),
            graph.tocoo(),
            n_components=2,
            initial_alpha=1.0,
            a=a,
            b=b,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=n_epochs,
            init=start,
            random_state=np.random.RandomState(seed),
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
        )
    return np.asarray(positions)


def igraph_layout(graph: sparse.csr_matrix, points: Points, seed: int) -> npt.NDArray[np.floating]:
    """igraph's own, with our start and number of rounds."""
    import random

    import igraph

    upper = sparse.triu(graph, k=1, format="coo")
    edges = np.column_stack([upper.row, upper.col])
    network = igraph.Graph(n=graph.shape[0], edges=edges, directed=False)
    start = points[:, :2] * (10 / np.abs(points[:, :2]).max())
    try:
        igraph.set_random_number_generator(random.Random(seed))
        positions = network.layout_umap(
            weights=upper.data.astype(np.float64).tolist(),
            seed=start.tolist(),
            min_dist=MIN_DIST,
            epochs=EPOCHS,
        )
    finally:
        igraph.set_random_number_generator(random)
    return np.asarray(positions.coords)


LAYOUTS: dict[str, Layout] = {
    "ctcflow": ours,
    "umap-learn": umap_learn,
    "umap-learn, our start and rounds": umap_learn_as_ours,
    "igraph": igraph_layout,
}


def components(name: str) -> Points:
    """Principal components of one file, as `reduce` gives them."""
    source = read(BLOOD[name])
    adata = ad.AnnData(
        sparse.csr_matrix(source.X).astype(np.int32), obs=source.obs[[]], var=source.var[[]]
    )
    adata.obs_names = adata.obs_names.astype(object)
    adata.obs["sample"] = adata.obs["batch"] = name
    adata = normalize(adata, params=NormalizeParams())
    factors = adata.obs["size_factor"].to_numpy()
    adata.X = log_normalised(sparse.csr_matrix(adata.X), size_factors=factors).astype(np.float32)
    reduced = reduce([adata], *tables("reduce"), params=ReduceParams())
    return np.asarray(reduced.obsm["X_pca"], dtype=np.float64)


def quality(seeds: int) -> pd.DataFrame:
    """Trustworthiness and share of the K nearest cells kept: one row per file, layout, seed."""
    from sklearn.manifold import trustworthiness

    rows = []
    for name in SETS:
        points = components(name)
        near, _, graph = neighbor_graph(points, k=K, n_threads=1)
        for method, layout in LAYOUTS.items():
            for seed in range(seeds):
                positions = np.asarray(layout(graph, points, seed), dtype=np.float64)
                rows.append(
                    {
                        "set": name,
                        "cells": len(points),
                        "method": method,
                        "seed": seed,
                        "trustworthiness": trustworthiness(points, positions, n_neighbors=K),
                        "neighbours kept": kept(points, positions),
                    }
                )
                print(*rows[-1].values(), sep="\t", flush=True)
    return pd.DataFrame(rows)


def kept(points: Points, positions: Points) -> float:
    """Share of the K nearest other cells that are among the K nearest on the map."""
    before, _, _ = neighbor_graph(points, k=K + 1, n_threads=1)
    after, _, _ = neighbor_graph(positions, k=K + 1, n_threads=1)
    pairs = zip(before[:, 1:], after[:, 1:], strict=True)
    return float(np.mean([np.isin(near, other).mean() for near, other in pairs]))


def cloud(n: int) -> Points:
    """Twelve groups in 30 components."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(CLOUD_GROUPS, CLOUD_COMPONENTS))
    return rng.normal(size=(n, CLOUD_COMPONENTS)) + centres[rng.integers(0, CLOUD_GROUPS, n)]


def one_layout(method: str, graph_file: Path) -> None:
    """Lay out one cloud and print seconds, peak memory of the process, and the digest."""
    points = np.load(graph_file.with_suffix(".npy"))
    graph = sparse.load_npz(graph_file)
    if method == "umap-learn":  # compiled apart: what it takes to compile is no property of the map
        umap_learn(neighbor_graph(cloud(200), k=K, n_threads=1)[2], cloud(200), 0)
    start = time.process_time()
    positions = LAYOUTS[method](graph, points, 0)
    seconds = time.process_time() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    digest = hashlib.sha256(np.ascontiguousarray(positions).tobytes()).hexdigest()[:12]
    print(f"{seconds:.1f}\t{most:.0f}\t{digest}")


def cost(folder: Path, n: int) -> pd.DataFrame:
    """CPU seconds, MiB and digest, with one thread, two, and two again."""
    file = folder / "cloud.npz"
    points = cloud(n)
    sparse.save_npz(file, neighbor_graph(points, k=K, n_threads=1)[2])
    np.save(file.with_suffix(".npy"), points)
    rows = []
    for method in ("ctcflow", "umap-learn", "igraph"):
        for threads in ("1", "2", "2"):
            names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
            run = subprocess.run(
                [sys.executable, "-m", "benchmarks.embedding", str(file), "--layout", method],
                env={**os.environ, **dict.fromkeys(names, threads)},
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, most, digest = run.stdout.split("\n")[-2].split("\t")
            rows.append([method, n, threads, float(seconds), float(most), digest])
            print(*rows[-1], sep="\t", flush=True)
    file.unlink()
    file.with_suffix(".npy").unlink()
    return pd.DataFrame(rows, columns=["method", "cells", "threads", "CPU s", "MiB", "digest"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", type=int, default=50_000, help="of the cloud")
    parser.add_argument("--layout", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.layout:
        one_layout(options.layout, options.folder)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    qualities = quality(options.seeds)
    qualities.to_csv(options.folder / "embedding.tsv", sep="\t", index=False, float_format="%.4f")
    means = qualities.groupby(["set", "method"])[["trustworthiness", "neighbours kept"]].mean()
    print(means.round(4).to_string())
    for name in SETS:
        gap = means.loc[(name, "umap-learn")] - means.loc[(name, "ctcflow")]
        print("ok   " if (gap <= LARGEST_GAP).all() else "short", name, gap.round(4).to_dict())
    table = cost(options.folder, options.cells)
    table.to_csv(options.folder / "embedding_cost.tsv", sep="\t", index=False)


if __name__ == "__main__":
    main()
