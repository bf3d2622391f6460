"""What is claimed of batch correction, on real cells, in one command.

    python -m benchmarks.integration FOLDER [--draws N] [--seed N]

Blood of four runs, 40 tumour cells of one patient in one of them. Prints one line per claim with
what was seen (`ok`, `short`, or nothing where no figure was promised) and writes both tables below
the folder. Plain Harmony, which is fitted on all cells alike, stands beside. Some minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from benchmarks.integration.blood import PLAIN, corrections, embedded, row
from benchmarks.samples import BLOOD
from threadpoolctl import threadpool_limits

MARKS = {True: "ok   ", False: "short", None: "     "}
SPIKED, N_TUMOUR = "pbmc4k", 40
MIXING = ("iLISI", "batch_entropy", "acceptance")
KEPT = ("cLISI", "ARI pbmc3k, best")
BESIDE = ("graph_connectivity", "ARI pbmc3k, at 1", "ARI pbmc4k, best", "ARI pbmc4k, at 1")
TUMOUR = "TNBC neighbours"


def table(*, draws: int, seed: int) -> pd.DataFrame:
    """Every metric of every method, one row per draw of tumour cells."""
    rows = []
    for draw in range(draws):
        adata = embedded(tuple(BLOOD), spiked=SPIKED, n_tumour=N_TUMOUR, seed=seed + draw)
        for method, points in corrections(adata, seed=seed).items():
            rows.append({"draw": draw, "method": method, **row(adata, points)})
    return pd.DataFrame(rows)


def claims(found: pd.DataFrame) -> Iterator[tuple[str, str, bool | None]]:
    """What is claimed, what was seen in the worst draw, and whether that is enough."""
    by_method = {name: rows.set_index("draw") for name, rows in found.groupby("method")}
    before = by_method["before"]
    for method in ("harmony", "linear", PLAIN):
        after = by_method[method]
        ours = method != PLAIN
        for metric in MIXING:
            higher = bool((after[metric] > before[metric]).all())
            yield (
                f"{method}: {metric} rises",
                _pair(before, after, metric),
                higher if ours else None,
            )
        for metric in KEPT:
            kept = bool((after[metric] >= before[metric]).all())
            yield (
                f"{method}: {metric} not lower",
                _pair(before, after, metric),
                kept if ours else None,
            )
        apart = bool((after[TUMOUR] >= 0.99).all())
        what = f"{method}: neighbours of TNBC cells are TNBC, at least 0.99"
        yield what, _pair(before, after, TUMOUR), apart if ours else None
        for metric in BESIDE:
            yield f"{method}: {metric}", _pair(before, after, metric), None


def _pair(before: pd.DataFrame, after: pd.DataFrame, metric: str) -> str:
    worst = (after[metric] - before[metric]).idxmin()
    return f"{before[metric][worst]:.3f} before, {after[metric][worst]:.3f} after"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3, help="draws of tumour cells")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with threadpool_limits(1):
        rows = table(draws=options.draws, seed=options.seed)
    rows.to_csv(options.folder / "integration.tsv", sep="\t", index=False, float_format="%.5g")
    made = list(claims(rows))
    for what, seen, reached in made:
        print(f"{MARKS[reached]}  {what}: {seen}", flush=True)
    summary = pd.DataFrame(made, columns=["claim", "seen", "reached"])
    summary.to_csv(options.folder / "integration_claims.tsv", sep="\t", index=False)
    print(f"       {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
