"""Three typical mistakes per file that users write, and what is said: `docs/mistakes.md` is this.

`CTCFLOW_WRITE_DOCS=1 pytest tests/test_mistakes_page.py` writes the page.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctcflow.errors import CtcflowError
from ctcflow.run import plan

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "mistakes.md"
HEADER = "sample\tpath\trole\tday"
SHEET = f"{HEADER}\nP01\tcounts.h5\t\t0\n"
CONFIG = "samples: config/samples.tsv\n"
VERDICTS = "verdicts: config/verdicts.tsv\n"
VERDICT = "sample\tbarcode\tverdict\treviewer\treason\n"
PANELS = "panels: config/panels.tsv\n"

CASES = {
    "The sample sheet (`config/samples.tsv`)": (
        (
            "a path that does not exist",
            {"samples.tsv": SHEET.replace("counts.h5", "count.h5")},
        ),
        ("a role that is none", {"samples.tsv": SHEET.replace("\t\t0", "\tcontrol\t0")}),
        ("a date instead of a day", {"samples.tsv": SHEET.replace("\t0\n", "\t2024-03-01\n")}),
        (
            "a row with a cell too few (blanks instead of a tab)",
            {"samples.tsv": SHEET.replace("P01\t", "P01  ")},
        ),
    ),
    "The configuration (`config/config.yaml`)": (
        ("a misspelt parameter", {"config.yaml": f"{CONFIG}qc:\n  min_gene: 200\n"}),
        ("a value out of bounds", {"config.yaml": f"{CONFIG}call:\n  fdr: 5\n"}),
        (
            "an indentation that is not YAML",
            {"config.yaml": f"{CONFIG}qc:\n min_umis: 3\n  a: 1\n"},
        ),
    ),
    "A panel of your own (`panels`, `cell_types`, `gene_programs`)": (
        ("a file that is not there", {"config.yaml": CONFIG + PANELS}),
        (
            "a table without the column `direction`",
            {"config.yaml": CONFIG + PANELS, "panels.tsv": "set\tgene\nmine\tEPCAM\n"},
        ),
        (
            "a direction in words",
            {
                "config.yaml": CONFIG + PANELS,
                "panels.tsv": "set\tgene\tdirection\nmine\tEPCAM\tup\n",
            },
        ),
    ),
    "A reviewer's verdicts (`config/verdicts.tsv`)": (
        (
            "a sample that is not in the sheet",
            {"config.yaml": CONFIG + VERDICTS, "verdicts.tsv": f"{VERDICT}P1\tA-1\tveto\tAB\tx\n"},
        ),
        (
            "another word than confirm or veto",
            {"config.yaml": CONFIG + VERDICTS, "verdicts.tsv": f"{VERDICT}P01\tA-1\tno\tAB\tx\n"},
        ),
        (
            "no reason",
            {"config.yaml": CONFIG + VERDICTS, "verdicts.tsv": f"{VERDICT}P01\tA-1\tveto\tAB\t\n"},
        ),
    ),
}
HEAD = """# Typical mistakes, and what is said

`ctcflow check my_run` finds all of these before anything runs, each in one line, with exit code 2.
Made by a test from what the program says (`tests/test_mistakes_page.py`); `RUN` is that of the run.
"""


def said(folder: Path, files: dict[str, str]) -> str:
    """The line for the user of a run with these files below `config/`."""
    config = folder / "config"
    config.mkdir(parents=True)
    (config / "counts.h5").write_bytes(b"x")
    for name, text in {"config.yaml": CONFIG, "samples.tsv": SHEET, **files}.items():
        (config / name).write_text(text)
    with pytest.raises(CtcflowError) as refused:
        plan.check_tables(plan.opened(folder))
    line = str(refused.value)
    assert "\n" not in line
    return line.replace(str(folder), "RUN")


def page(folder: Path) -> str:
    lines = [HEAD]
    for number, (file, cases) in enumerate(CASES.items()):
        lines += [f"## {file}", "", "| Mistake | What is said |", "|---|---|"]
        for place, (mistake, files) in enumerate(cases):
            line = said(folder / f"{number}_{place}", files).replace("|", "\\|")
            lines.append(f"| {mistake} | {line} |")
        lines.append("")
    return "\n".join(lines)


def test_the_page_is_what_is_said(tmp_path):
    made = page(tmp_path)
    if os.environ.get("CTCFLOW_WRITE_DOCS"):
        PAGE.write_text(made)
    stale = "docs/mistakes.md is stale: CTCFLOW_WRITE_DOCS=1 pytest tests/test_mistakes_page.py"
    assert PAGE.read_text() == made, stale


def test_a_run_without_mistakes_is_not_refused(tmp_path):
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        said(tmp_path / "run", {})
