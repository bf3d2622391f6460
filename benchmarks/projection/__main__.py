"""Everything that is claimed of mapping onto a frozen reference, in one command.

    python -m benchmarks.projection FOLDER [--cells N] [--seed N]

Prints one line per claim with what was seen (`ok`, `short`, or nothing where no figure was
promised) and writes the tables behind them below the folder.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.projection import held_out, size

MARKS = {True: "ok   ", False: "short", None: "     "}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=1_000_000, help="cells of the large reference")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    tables = held_out.table(held_out.runs(options.folder, seed=options.seed), seed=options.seed)
    tables |= size.table(
        options.folder / "size", n_reference=options.cells, n_cells=5000, seed=options.seed
    )
    for title, rows in tables.items():
        path = options.folder / f"{title}.tsv"
        rows.to_csv(path, sep="\t", index=False, float_format="%.5g")
    for what, seen, reached in (*held_out.claims(tables), *size.claims(tables)):
        print(f"{MARKS[reached]}  {what}: {seen}", flush=True)
    print(f"       projection: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
