"""Everything that is claimed of quality control, in one command: `python -m benchmarks.qc FOLDER`.

Prints one line per claim with what was seen, and writes the tables behind them below the folder.
Takes about half an hour on two cores; each table has a script of its own for a part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from benchmarks.qc import aggregates, ambient, doublets, retention

Claim = tuple[str, str, bool]


def of_retention(found: pd.DataFrame) -> Iterator[Claim]:
    ours = found[found["method"] == "ctcflow"]
    for (what, wanted), rows in ours.groupby(["what", "wanted"], sort=False):
        worst = rows["share_kept"].min() if wanted.startswith(">=") else rows["share_kept"].max()
        reached = bool((rows["reached"] == "True").all())
        yield f"{what} {wanted}", f"{worst:.4f} at worst, {len(rows)} cases", reached
    for method in ("scanpy tutorial", "pooled 5 MAD"):
        rows = found[(found["method"] == method) & (found["what"] == "tumour cells kept")]
        kept = rows["share_kept"]
        yield f"tumour cells that {method} keeps", f"{kept.min():.4f} to {kept.max():.4f}", True


def of_doublets(speed: pd.DataFrame, found: pd.DataFrame) -> Iterator[Claim]:
    for row in found.to_dict("records"):
        best = max(row["scrublet_exact_median"], row["scrublet_default_median"])
        seen = f"average precision {row['ctcflow_median']:.3f}, scrublet {best:.3f}"
        yield f"doublets of {row['data']}", seen, bool(row["at_least_scrublet"])
    ratio = speed.set_index("method")["wall_s"] / speed["wall_s"].iloc[1]
    default, exact = ratio["scrublet default"], ratio["scrublet exact"]
    yield "doublets: 5 times faster than scrublet", f"{default:.1f} times", bool(default >= 5)
    yield "doublets: as fast as exact scrublet", f"{exact:.1f} times", bool(exact >= 1)


def of_ambient(found: pd.DataFrame) -> Iterator[Claim]:
    for droplets, rows in found.groupby("droplets"):
        name = "with" if droplets else "without"
        seen = f"{int(rows['within'].sum())} of {len(rows)} increments within the limits"
        yield f"ambient RNA {name} unfiltered droplets", seen, bool(rows["within"].all())


def of_aggregates(found: pd.DataFrame) -> Iterator[Claim]:
    together = found[found["interval"] == "95 % all"]  # what `call` uses
    for row in together.to_dict("records"):
        name = f"aggregates, {row['loading']}, {row['samples']}"
        covered = row["coverage_of_intervals"]
        yield f"{name}: intervals cover", f"{covered:.4f}", covered >= 0.94
        if row["samples"].startswith("random"):
            claims = row["samples_with_a_claim"]
            yield f"{name}: samples with a claim", f"{claims:.4f}", claims <= 0.03


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "qc_benchmark")
    folder.mkdir(parents=True, exist_ok=True)
    claims: list[Claim] = []
    for name, tables, judge in (
        ("retention", lambda: (retention.table(),), of_retention),
        ("ambient", lambda: (ambient.table(),), of_ambient),
        ("aggregates", lambda: (aggregates.run(2000, seed=0),), of_aggregates),
        ("doublets", doublets.table, of_doublets),
    ):
        made = tables()
        for number, table in enumerate(made):
            # of several tables the last is the main one
            part = "" if number == len(made) - 1 else "_times"
            table.to_csv(folder / f"{name}{part}.tsv", sep="\t", index=False, float_format="%.5g")
        new = list(judge(*made))
        for what, seen, reached in new:
            print(f"{'ok  ' if reached else 'MISS'}  {what}: {seen}", flush=True)
        claims += new
    summary = pd.DataFrame(claims, columns=["claim", "seen", "reached"])
    summary.to_csv(folder / "summary.tsv", sep="\t", index=False)


if __name__ == "__main__":
    main()
