"""Non-Python files are part of the digests of the steps that render with them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ctcflow.contracts import STEPS
from ctcflow.workflow import step_code

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src" / "ctcflow" / "render" / "page"
FILES = sorted(str(p.relative_to(PAGE)) for p in PAGE.rglob("*.*") if p.suffix[:3] != ".py")
TEMPLATE = "templates/sections/calls.html.jinja"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that a test may edit and leaves as it was."""
    folder = tmp_path_factory.mktemp("package") / "src"
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "ctcflow"


@pytest.fixture(scope="module")
def before(package: Path) -> dict[str, str]:
    return digests(package)


def digests(package: Path) -> dict[str, str]:
    """Digest of every step; of which files there are, nothing is remembered."""
    for remembered in (step_code._not_python, step_code._files_named):
        remembered.cache_clear()
    return {step: step_code.step_code(package, step, []) for step in (*STEPS, "export")}


def changed(package: Path, before: dict[str, str]) -> set[str]:
    return {step for step, digest in digests(package).items() if digest != before[step]}


@pytest.mark.parametrize("file", FILES)
def test_an_edit_of_a_file_of_the_page_re_runs_the_report_only(package, before, file):
    path = package / "render" / "page" / file
    text = path.read_text()
    path.write_text(f"{text}\n")
    assert changed(package, before) == {"report"}
    path.write_text(text)
    os.utime(path, (1, 1))
    assert changed(package, before) == set()


def test_templates_scripts_and_the_style_sheet_are_among_these_files():
    assert {TEMPLATE, "page.css", "tables.js"} < set(FILES)
    assert {Path(file).suffix for file in FILES} == {".jinja", ".js", ".css"}


def test_a_template_with_another_name_re_runs_the_report(package, before):
    path = package / "render" / "page" / TEMPLATE
    moved = path.rename(path.with_name("other.html.jinja"))
    assert changed(package, before) == {"report"}
    moved.rename(path)
    assert changed(package, before) == set()


@pytest.mark.parametrize(
    "file",
    [
        # only an installed package has these, and a checkout must have the same digests
        "_shipped/workflow/Snakefile",
        "render/page/templates/.calls.html.jinja.swp",
        "render/page/not_named.js",
    ],
)
def test_files_that_no_step_names_count_for_none(package, before, file):
    path = package / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    assert changed(package, before) == set()
    path.unlink()
