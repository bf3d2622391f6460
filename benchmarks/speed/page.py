"""The page `speed.md` and its figures, from the tables that `benchmarks.speed` wrote.

    python -m benchmarks.speed.page FOLDER DOCS

`speed.tsv`, `speed_stages.tsv` and `speed_starts_*.tsv` beside the page hold all that was measured;
what FOLDER has anew takes the place of what they know.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.speed.__main__ import APART
from benchmarks.speed.starts import PARTS
from matplotlib.figure import Figure

from ctcflow.numbers import plural
from ctcflow.render.marks import BLUE, GREEN, ORANGE, PURPLE, VERMILLION

COLOURS = {"ctcflow": VERMILLION, "tutorial": BLUE, "expert": GREEN, "floor": PURPLE}
USUAL = 5000
"""Cells per sample from which on a run counts for the growth with cells."""
HEAD = [
    "Whole processes on two cores, simulated cohorts, one after the other on one machine",
    "(`make bench-speed`). `tutorial` and `expert` are scanpy in one script; `floor` reads every",
    "count once and calls the libraries for neighbours and Leiden. The scripts do not do what",
    "`score`, `call` and `report` do: `same work` leaves these out of `ctcflow`. Seconds are to be",
    "compared within one size: machines of the same kind differ twofold.",
]
DONE = [
    "Done about it: a job imports only what it uses (a test holds that no job of a sample imports",
    "scipy.stats, igraph, scikit-learn, matplotlib or numba); what only ctcflow reads is not",
    "compressed; the steps of the cohort read names and values of a sample apart, each once per",
    "pass; Snakemake decides once per job. Not done: several samples in one job, which would make",
    "a failure or a new sample dearer, and a process that stays and forks jobs, which would save",
    "most of the imports and outlive a Snakemake that is killed.",
]
SHOWN = {
    "side": "side",
    "cells": "cells",
    "samples": "samples",
    "seconds": "s",
    "same_work_seconds": "s, same work",
    "tree_mib": "MiB, all processes",
    "largest_mib": "MiB, largest process",
    "ari": "ARI to the truth",
}


def main(folder: Path, docs: Path) -> None:
    rows = kept(docs / "speed.tsv", tables_of(folder, "speed"), ["cells", "samples", "side"])
    parts_of = ["cells", "samples", "side", "stage"]
    stages = kept(docs / "speed_stages.tsv", tables_of(folder, "stages"), parts_of)
    for column in ("failed", "beside"):
        if column not in rows:
            rows[column] = None
    whole = rows[rows["failed"].isna()].reset_index(drop=True)
    runs = scaling(whole)
    beside_scripts(whole).savefig(docs / "speed.png", dpi=110)
    text = [
        "# Time and memory",
        "",
        *HEAD,
        "",
        *table(whole),
        "",
        *failures(rows),
        *company(rows),
        "",
    ]
    text += ["![sides](speed.png)", "", *ratios(whole), ""]
    parts = largest_parts(stages, whole)
    if parts:
        text += ["## Where the time goes", "", *parts, ""]
    if len(runs) > 1:
        figure, fitted = against_cells(runs)
        figure.savefig(docs / "scale.png", dpi=110)
        text += ["![cells](scale.png)", "", *fitted, ""]
    costs = number_of_samples(whole)
    for path in folder.glob("starts_*.tsv"):
        shutil.copy(path, docs / f"speed_{path.name}")
    for path in sorted(docs.glob("speed_starts_*.tsv")):
        costs += starts(path, stages, whole)
    if costs:
        text += ["## What a sample costs", "", *costs, "", *DONE, ""]
    (docs / "speed.md").write_text("\n".join(text))


def tables_of(folder: Path, kind: str) -> pd.DataFrame:
    """Tables of one kind of all sizes; the size is in their names."""
    tables = []
    for path in sorted(folder.glob(f"{kind}_*.tsv")):
        _, cells, samples = path.stem.split("_")
        tables.append(pd.read_csv(path, sep="\t").assign(cells=int(cells), samples=int(samples)))
    return pd.concat(tables) if tables else pd.DataFrame()


def kept(path: Path, rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Write rows into a table, in which sizes and sides that were not run now stay."""
    run = keys[:3]
    if path.exists():
        before = pd.read_csv(path, sep="\t")
        now = pd.MultiIndex.from_frame(rows[run]) if len(rows) else []
        rows = pd.concat([before[~pd.MultiIndex.from_frame(before[run]).isin(now)], rows])
    rows = rows.sort_values(keys, kind="stable").reset_index(drop=True)
    rows = rows[[*keys, *(name for name in rows if name not in keys)]]
    rows.to_csv(path, sep="\t", index=False, float_format="%.4g")
    return rows


def failures(rows: pd.DataFrame) -> list[str]:
    """Scripts that took all memory: in which part, and after how long."""
    return [
        f"* `{row.side}` at {row.cells:,} cells in {plural(row.samples, 'sample')} took all memory"
        f" of the machine ({row.tree_mib:,.0f} MiB) in its part `{row.failed}` after"
        f" {row.seconds:,.0f} s."
        for row in rows[rows["failed"].notna()].itertuples()
    ]


def company(rows: pd.DataFrame) -> list[str]:
    """What ran on the machine beside a measurement, as noted by hand in column `beside`."""
    return [
        f"* Beside `{row.side}` at {row.cells:,} cells ran: {row.beside}."
        for row in rows[rows["beside"].notna()].itertuples()
    ]


def ratios(rows: pd.DataFrame) -> list[str]:
    """How many times longer, and how much more memory, the scripts took for the same work."""
    lines = []
    for (cells, samples), part in rows.groupby(["cells", "samples"]):
        sides = part.set_index("side")
        for script in ("tutorial", "expert"):
            if {"ctcflow", script} <= set(sides.index):
                ours, other = sides.loc["ctcflow"], sides.loc[script]
                faster = other["same_work_seconds"] / ours["same_work_seconds"]
                memory = ours["tree_mib"] / other["tree_mib"]
                lines.append(
                    f"* {cells:,} cells in {samples} samples: the same work {faster:.1f} times"
                    f" faster than `{script}`, with {memory:.2f} of its memory; ARI"
                    f" {ours['ari']:.3f} and {other['ari']:.3f}."
                )
    return lines


def largest_parts(stages: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Parts of each side at the largest size that several sides have, the longest first."""
    sides = rows.groupby(["cells", "samples"])["side"].nunique()
    if not (sides > 2).any():
        return []
    cells, samples = sides[sides > 2].index.max()
    stages = stages[(stages["cells"] == cells) & (stages["samples"] == samples)]
    lines = [f"{cells:,} cells in {samples} samples, seconds; of `ctcflow` summed over jobs:", ""]
    for side, part in stages.groupby("side", sort=False):
        longest = part.sort_values("seconds", ascending=False)
        named = ", ".join(f"{row.stage} {row.seconds:,.0f}" for row in longest.itertuples())
        lines.append(f"* `{side}`: {named}")
    sides_of_size = rows[(rows["cells"] == cells) & (rows["samples"] == samples)].set_index("side")
    wanted = (
        sides_of_size.loc["tutorial", "same_work_seconds"] / 5
        if "tutorial" in sides_of_size.index
        else None
    )
    if wanted:
        now = sides_of_size.loc["ctcflow", "same_work_seconds"]
        lines += ["", *_five_times(now, wanted, stages)]
    return lines


def _five_times(now: float, wanted: float, stages: pd.DataFrame) -> list[str]:
    if now <= wanted:
        return [
            f"The same work takes {now:,.0f} s; a fifth of `tutorial` would be {wanted:,.0f} s."
        ]
    parts = stages[(stages["side"] == "ctcflow") & ~stages["stage"].isin(APART)]
    longest = parts.sort_values("seconds", ascending=False).iloc[0]
    return [
        f"Five times faster than `tutorial` would be {wanted:,.0f} s instead of {now:,.0f} s. The"
        f" longest part, `{longest.stage}`, holds {longest.seconds / parts['seconds'].sum():.0%} of"
        f" the same work: {now - wanted:,.0f} s less on two cores are"
        f" {2 * (now - wanted) / longest.seconds:.0%} of it.",
    ]


def scaling(rows: pd.DataFrame) -> pd.DataFrame:
    """Runs of ctcflow in samples of a usual size."""
    ours = rows[rows["side"] == "ctcflow"]
    return ours[ours["cells"] / ours["samples"] >= USUAL]


def number_of_samples(rows: pd.DataFrame) -> list[str]:
    """The same cells in more samples: seconds, and seconds per further sample."""
    lines = []
    ours = rows[rows["side"] == "ctcflow"]
    for cells, part in ours.groupby("cells"):
        first = part.iloc[0]
        for more in part.iloc[1:].itertuples():
            each = (more.seconds - first["seconds"]) / (more.samples - first["samples"])
            lines.append(
                f"* {cells:,} cells in {more.samples} samples instead of {first['samples']}:"
                f" {more.seconds:,.0f} s instead of {first['seconds']:,.0f} s, {each:.1f} s per"
                " further sample on two cores."
            )
    return lines


def starts(path: Path, stages: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Table of seconds per job, what a sample costs, and the share that starts have in a run."""
    jobs = pd.read_csv(path, sep="\t").set_index("rule")
    cells, samples = path.stem.split("_")[-2:]
    lines = [
        "",
        f"Seconds of a job in samples of {int(cells) // int(samples):,} cells, with every import"
        " timed (which costs some time too): `rest` is the start of shell and interpreter and what"
        " Snakemake does around a job.",
        "",
        "| rule | " + " | ".join(jobs) + " |",
        "|" + "---|" * (len(jobs.columns) + 1),
    ]
    for rule, row in jobs.iterrows():
        seconds = " | ".join(f"{row[name]:.2f}" for name in jobs.columns[1:])
        lines.append(f"| {rule} | {row['jobs']:.0f} | {seconds} |")
    sample = jobs.loc[jobs["jobs"] == int(samples), ["seconds", *PARTS]].sum()
    shares = ", ".join(f"{part} {sample[part]:.1f}" for part in PARTS)
    lines += ["", f"A sample costs {sample['seconds']:.1f} s of a core: {shares}."]
    for row in scaling(rows).itertuples():
        of_size = stages[(stages["cells"] == row.cells) & (stages["samples"] == row.samples)]
        spent = of_size.loc[of_size["side"] == "ctcflow", "seconds"].sum()
        number = jobs["jobs"].where(jobs["jobs"] == 1, row.samples)
        start = (number * (jobs["imports"] + jobs["rest"])).sum()
        lines.append(
            f"* {row.cells:,} cells in {plural(row.samples, 'sample')}: starts and imports are"
            f" {start / spent:.0%} of the {spent:,.0f} s of all jobs."
        )
    return lines


def table(rows: pd.DataFrame) -> list[str]:
    shown = rows[list(SHOWN)].rename(columns=SHOWN)
    lines = ["| " + " | ".join(shown) + " |", "|" + "---|" * len(shown.columns)]
    for row in shown.itertuples(index=False):
        cells = [
            value
            if isinstance(value, str)
            else "not measured"
            if pd.isna(value)
            else f"{value:.3f}"
            if name.startswith("ARI")
            else f"{value:,.0f}"
            for name, value in zip(shown, row, strict=True)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def beside_scripts(rows: pd.DataFrame) -> Figure:
    """Same work of each side where there are several, per number of cells."""
    sizes = [n for n, part in rows.groupby(["cells", "samples"]) if part["side"].nunique() > 1]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, column, title in zip(
        figure.subplots(1, 2),
        ("same_work_seconds", "tree_mib"),
        ("Seconds, same work", "MiB, all processes"),
        strict=True,
    ):
        for place, (cells, samples) in enumerate(sizes):
            part = rows[(rows["cells"] == cells) & (rows["samples"] == samples)].set_index("side")
            for offset, side in enumerate(COLOURS):
                if side in part.index:
                    where, value = place + 0.2 * (offset - 1.5), part.loc[side, column]
                    label = side if place == 0 else None
                    axes.bar(where, value, width=0.18, color=COLOURS[side], label=label)
        axes.set_xticks(range(len(sizes)), [f"{n:,} cells\nin {m} samples" for n, m in sizes])
        axes.set_title(title, loc="left")
    if sizes:
        figure.axes[0].legend(frameon=False)
    return figure


def against_cells(runs: pd.DataFrame) -> tuple[Figure, list[str]]:
    """Time and memory against cells on two logarithmic axes, with the slope of each."""
    figure, sentences = Figure(figsize=(8, 3.2), layout="constrained"), []
    cells = runs["cells"].to_numpy(float)
    for axes, column, title, colour in zip(
        figure.subplots(1, 2),
        ("seconds", "largest_mib"),
        ("Seconds", "MiB, largest process"),
        (VERMILLION, ORANGE),
        strict=True,
    ):
        seen = runs[column].to_numpy(float)
        slope, level = np.polyfit(np.log(cells), np.log(seen), 1)
        axes.loglog(cells, seen, "o", color=colour)
        axes.loglog(cells, np.exp(level) * cells**slope, "-", color=colour, linewidth=1)
        axes.set_title(f"{title}: cells$^{{{slope:.2f}}}$", loc="left")
        axes.set_xlabel("cells")
        last = np.log(seen[-1] / seen[-2]) / np.log(cells[-1] / cells[-2])
        sentences.append(
            f"* {title}: grow with cells to the power of {slope:.2f}; from {cells[-2]:,.0f} to"
            f" {cells[-1]:,.0f} cells alone {last:.2f}."
        )
    return figure, sentences


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
