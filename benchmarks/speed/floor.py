"""The floor: every count read once, and the bare library calls for neighbours and Leiden.

    python -m benchmarks.speed.floor SHEET FOLDER

Neighbours of random points in 30 dimensions, as many as there are cells: nothing that gives real
points is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.speed.stages import paths, stage


def main(sheet: Path, folder: Path) -> None:
    del folder
    with stage("import"):
        import h5py
        import igraph
        import numpy as np
        from pynndescent import NNDescent
    with stage("read"):
        n_cells = 0
        for path in paths(sheet).values():
            with h5py.File(path) as file:
                n_cells += int(file["matrix/shape"][1])
                file["matrix/data"][:]
                file["matrix/indices"][:]
    with stage("neighbors"):
        # five groups, so that Leiden has something to find
        rng = np.random.default_rng(0)
        points = (
            rng.normal(size=(n_cells, 30)) + 3 * rng.normal(size=(5, 30))[np.arange(n_cells) % 5]
        )
        neighbours, _ = NNDescent(
            points.astype(np.float32), n_neighbors=15, random_state=0
        ).neighbor_graph
    with stage("leiden"):
        edges = np.column_stack([np.repeat(np.arange(n_cells), 14), neighbours[:, 1:].ravel()])
        graph = igraph.Graph(n=n_cells, edges=edges).simplify()
        graph.community_leiden(objective_function="modularity", n_iterations=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
