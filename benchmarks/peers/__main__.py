"""Open tools that call tumour cells, on the same healthy blood and the same mixtures as ctcflow.

    python -m benchmarks.peers FOLDER [--tool NAME ...] [--table]

Makes the samples, an environment for each tool, and its calls, and goes on where it was stopped.
Prints one table and writes `peers.tsv`, `peers.md` and `peers_by_kind.tsv` into the folder.
A tool that cannot be had or needs a model from elsewhere has a row that says so.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from benchmarks.peers import inputs, ours, table
from benchmarks.peers.environments import TOOLS, CannotRun, Tool, run, version

_STOPPED = "stopped.txt"


def name_of(tool: Tool | None) -> str:
    """Name of a tool, and of its folder; without a tool that of ctcflow."""
    return ours.TITLE if tool is None else tool.name


def attempt(output: Path, judge: Callable[[], None]) -> None:
    """Run a tool; what stopped it is kept for the table."""
    output.mkdir(parents=True, exist_ok=True)
    (output / _STOPPED).unlink(missing_ok=True)
    try:
        judge()
    except CannotRun as problem:
        (output / _STOPPED).write_text(str(problem))


def judged(tool: Tool | None, folder: Path) -> None:
    """Let a tool, or ctcflow where none is given, judge all samples."""
    output, samples = folder / name_of(tool), folder / "inputs"
    if tool is not None:
        attempt(output, lambda: run(tool, samples, output))
        return
    # the checkout may be another one by now
    shutil.rmtree(output, ignore_errors=True)
    attempt(output, lambda: ours.run(samples, output))


def of_tool(tool: Tool | None, folder: Path, truth: pd.DataFrame) -> pd.DataFrame:
    """The rows of one tool."""
    output = folder / name_of(tool)
    rows = pd.DataFrame(table.rows(output, truth))
    stopped = output / _STOPPED
    if stopped.exists():
        judged_none = (rows["decision"] == "").all()
        rows["note"] = stopped.read_text() + ("" if judged_none else "; " + rows["note"])
    name = (output / ours.VERSION).read_text() if tool is None else version(tool)
    rows.insert(0, "tool", tool.title if tool else ours.TITLE)
    rows.insert(1, "version", name)
    rows.insert(2, "how", tool.how if tool else "the workflow of this checkout, defaults")
    return rows


def summary(folder: Path, truth: pd.DataFrame) -> pd.DataFrame:
    """One row per decision of every tool that was tried."""
    tried = [tool for tool in (None, *TOOLS) if (folder / name_of(tool)).exists()]
    by_kind = []
    for tool in tried:
        output = folder / name_of(tool)
        rows = pd.DataFrame(table.by_kind(output, truth))
        rows.insert(0, "tool", tool.title if tool else ours.TITLE)
        by_kind.append(rows)
    options = {"sep": "\t", "index": False, "float_format": "%.5g"}
    pd.concat(by_kind).to_csv(folder / "peers_by_kind.tsv", **options)
    rows_of_tools = pd.concat([of_tool(tool, folder, truth) for tool in tried], ignore_index=True)
    rows_of_tools.to_csv(folder / "peers.tsv", **options)
    return rows_of_tools


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    names = [name_of(tool) for tool in (*TOOLS, None)]
    parser.add_argument("--tool", choices=names, action="append", help="all without it")
    parser.add_argument("--table", action="store_true", help="only the table of what was judged")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder = options.folder.resolve()  # tools are started from the root
    truth = inputs.make(options.folder / "inputs", seed=options.seed)
    for tool in () if options.table else (*TOOLS, None):
        if not options.tool or name_of(tool) in options.tool:
            judged(tool, options.folder)
    text = table.markdown(summary(options.folder, truth))
    (options.folder / "peers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
