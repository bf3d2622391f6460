"""What the scripts of other tools share: samples of a sheet, stage times, clusters as a table."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Print that a stage begins, and how long it took, as one JSON object per line."""
    print(json.dumps({"begins": name}), flush=True)
    start = time.perf_counter()
    yield
    print(json.dumps({"stage": name, "seconds": time.perf_counter() - start}), flush=True)


def paths(sheet: Path) -> dict[str, Path]:
    """File of each sample of a sheet."""
    rows = pd.read_csv(sheet, sep="\t")
    return {row.sample: (sheet.parent / row.path).resolve() for row in rows.itertuples()}


def write_clusters(obs: pd.DataFrame, column: str, path: Path) -> None:
    """`sample`, `barcode`, `cluster` of each cell."""
    barcodes = obs["barcode"].astype(str)
    table = pd.DataFrame(
        {"sample": obs["sample"].astype(str), "barcode": barcodes, "cluster": obs[column]}
    )
    table.to_csv(path, sep="\t", index=False)
