"""From calls and truth to one table: false calls in healthy blood, recall by depth, T cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from benchmarks.peers.inputs import DEPTHS, TISSUE

from ctcflow.stats.calls.p_values import clopper_pearson

_CONFIDENCE = 0.95
_NOT_TUMOUR = ("blood", "T cell", "monocyte")
Row = dict[str, str | int | float]


def calls_of(output: Path, truth: pd.DataFrame) -> pd.DataFrame:
    """Calls of every sample that was judged, with the truth; a column `way: NAME` per decision."""
    parts = []
    for sample, cells in truth.groupby("sample", sort=False):
        path = output / f"{sample}.tsv"
        if path.exists():
            calls = pd.read_csv(path, sep="\t", index_col="barcode")
            parts.append(cells.join(calls.add_prefix("way: "), on="barcode"))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def share(called: pd.Series, name: str, per: float) -> Row:
    """How many of these cells are called, with the exact interval; empty where there are none."""
    if called.empty:
        return {name: "", f"{name}_low": "", f"{name}_high": ""}
    count, total = int(called.sum()), len(called)
    low, high = clopper_pearson(count, total, confidence=_CONFIDENCE)
    return {name: count / total * per, f"{name}_low": low * per, f"{name}_high": high * per}


def is_tumour(cells: pd.DataFrame) -> pd.Series:
    return ~(cells["truth"].isin(_NOT_TUMOUR) | cells["truth"].str.startswith(TISSUE))


def row(called: pd.Series, cells: pd.DataFrame) -> Row:
    kind = cells["sample"].str.split("_").str[0]
    healthy = called[kind == "healthy"]
    mixed = called[kind.isin(["mixture", "tissue"]) & (cells["truth"] == "blood")]
    t_cells = called[cells["truth"] == "T cell"]
    tissue = called[cells["truth"].str.startswith(TISSUE)]
    tumour = is_tumour(cells)
    found: Row = {"blood_cells": len(healthy), "false_calls": int(healthy.sum())}
    found |= share(healthy, "per_10000", 1e4)
    found |= {"mixture_blood_cells": len(mixed), "mixture_false_calls": int(mixed.sum())}
    found["tumour_cells"] = int(tumour.sum())
    for depth in DEPTHS:
        found |= share(called[tumour & (cells["depth"] == depth)], f"recall_{depth}", 1.0)
    found |= {"tissue_cells": len(tissue)} | share(tissue, "tissue_called", 1.0)
    return found | {"t_cells": len(t_cells)} | share(t_cells, "t_cells_called", 1.0)


def note(output: Path, truth: pd.DataFrame) -> str:
    """Which samples have no verdict, and why."""
    errors = sorted(output.glob("*.error"))
    seen = [path.read_text().strip() for path in errors]
    kinds = [f"{seen.count(text)} samples: {text}" for text in dict.fromkeys(seen)]
    judged = {path.stem for path in output.glob("*.*")} & set(truth["sample"])
    waiting = truth["sample"].nunique() - len(judged)
    return "; ".join([*kinds, *([f"{waiting} samples not run"] if waiting else [])])


def seconds(output: Path) -> float | str:
    """Of all samples together, with all ways of deciding; imports are not counted."""
    path = output / "seconds.tsv"
    return float(pd.read_csv(path, sep="\t", header=None)[1].sum()) if path.exists() else ""


def rows(output: Path, truth: pd.DataFrame) -> Iterator[Row]:
    """One row per way of deciding of a tool, or one with a note where it judged nothing."""
    cells = calls_of(output, truth)
    common: Row = {"seconds": seconds(output), "note": note(output, truth)}
    ways = [name for name in cells.columns if name.startswith("way: ")]
    for way in ways:
        judged = cells[cells[way].notna()]
        yield {"decision": way.removeprefix("way: "), **row(judged[way], judged), **common}
    if not ways:
        yield {"decision": "", **common, "seconds": ""}


def by_kind(output: Path, truth: pd.DataFrame) -> Iterator[Row]:
    """Share that is called of each tumour and each normal tissue, at each depth."""
    cells = calls_of(output, truth)
    for way in [name for name in cells.columns if name.startswith("way: ")]:
        foreign = cells[~cells["truth"].isin(_NOT_TUMOUR) & cells[way].notna()]
        for (name, depth), part in foreign.groupby(["truth", "depth"]):
            common: Row = {
                "decision": way.removeprefix("way: "),
                "cells_of": name,
                "depth": int(depth),
            }
            yield common | {"cells": len(part)} | share(part[way], "called", 1.0)


def _shown(line: pd.Series, name: str, digits: int) -> str:
    if line[name] == "":
        return ""
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return f"{line[name]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def markdown(summary: pd.DataFrame) -> str:
    """The table for people; intervals in brackets."""
    depths = [f"recall at {depth:,}" for depth in DEPTHS]
    head = ["tool", "how it was run", "blood cells", "false calls", "per 10,000 (95 %)"]
    head += [
        "false calls in mixtures",
        "tumour cells",
        *depths,
        "normal tissue called",
        "T cells called",
        "seconds",
        "note",
    ]
    lines = [head, ["---"] * len(head)]
    for _, line in summary.fillna("").iterrows():
        has = line["blood_cells"] != ""
        whole = [f"{line[name]:.0f}" if has else "" for name in ("blood_cells", "false_calls")]
        mixed = (
            f"{line['mixture_false_calls']:.0f} of {line['mixture_blood_cells']:.0f}" if has else ""
        )
        recalls = [_shown(line, f"recall_{depth}", 2) for depth in DEPTHS]
        shown = [f"{line['tool']} ({line['version']})" if line["version"] else line["tool"]]
        shown += [
            "; ".join(filter(None, [line["how"], line["decision"]])),
            *whole,
            _shown(line, "per_10000", 1),
            mixed,
        ]
        shown += [f"{line['tumour_cells']:.0f}" if has else "", *recalls]
        shown += [_shown(line, "tissue_called", 2), _shown(line, "t_cells_called", 3)]
        shown += [f"{line['seconds']:.0f}" if line["seconds"] != "" else "", line["note"]]
        lines.append(shown)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
