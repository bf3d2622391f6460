"""Everything that is claimed of calls, in one command.

    python -m benchmarks.calling FOLDER [--part NAME] [--processes N] [--null-cells N]

Prints one line per claim with what was seen (`ok`, `short`, or nothing where no figure was
promised) and writes the tables behind them below the folder. Same seed, same tables, for any number
of processes.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

import pandas as pd
from benchmarks.calling import (
    alike,
    calibrate,
    cost,
    grid,
    mesenchymal,
    no_information,
    null_cells,
    origin,
    other_types,
    real_ctcs,
    recall,
    shares,
    tissues,
)

PARTS = {
    "calibrate": calibrate,
    "recall": recall,
    "grid": grid,
    "shares": shares,
    "alike": alike,
    "tissues": tissues,
    "origin": origin,
    "other_types": other_types,
    "mesenchymal": mesenchymal,
    "real_ctcs": real_ctcs,
    "no_information": no_information,
    "null_cells": null_cells,
    "cost": cost,
}
MARKS = {True: "ok   ", False: "short", None: "     "}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", choices=PARTS, action="append", help="all parts without it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--null-cells", type=int, default=10_000_000, help="simulated null cells")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.part or PARTS:
        start = time.perf_counter()
        make = partial(PARTS[name].table, processes=options.processes, seed=options.seed)
        tables = make(n_cells=options.null_cells) if name == "null_cells" else make()
        for title, rows in tables.items():
            path = options.folder / f"{title}.tsv"
            rows.to_csv(path, sep="\t", index=False, float_format="%.5g")
        made = list(PARTS[name].claims(tables))
        for what, seen, reached in made:
            print(f"{MARKS[reached]}  {what}: {seen}", flush=True)
        columns = ["claim", "seen", "reached"]
        summary = pd.DataFrame(made, columns=columns)
        summary.to_csv(options.folder / f"{name}_claims.tsv", sep="\t", index=False)
        print(f"       {name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
