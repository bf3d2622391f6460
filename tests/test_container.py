"""The container image has what a run needs; `make test-image` builds it, as root on Debian."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "envs" / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def test_its_python_and_its_packages_are_the_locked_ones():
    (base,) = [line for line in LINES if line.startswith("FROM ")]
    wanted = (ROOT / ".python-version").read_text().strip()
    assert re.fullmatch(rf"FROM python:{re.escape(wanted)}-slim-\w+", base)
    installed = [part for line in LINES if line.startswith("RUN ") for part in line.split("&&")]
    installed = [part for part in installed if "pip install" in part]
    assert len(installed) == 3
    assert all("--require-hashes" in part or part.rstrip().endswith("-e .") for part in installed)


def test_what_is_copied_is_not_ignored_and_nothing_else_is_sent():
    copied = {name for line in LINES if line.startswith("COPY ") for name in line.split()[1:-1]}
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


@pytest.fixture
def image(tmp_path) -> Path:
    """The files that the image gets, where they would be."""
    folder = tmp_path / "opt"
    folder.mkdir()
    for line in LINES:
        if line.startswith("COPY "):
            *names, where = line.split()[1:]
            for name in names:
                source = ROOT / name
                if source.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(source, folder / where, ignore=ignored)
                else:
                    shutil.copy(source, folder / where)
    return folder


def test_its_files_are_enough_for_a_run(image, tmp_path):
    inside = {**os.environ, "PYTHONPATH": str(image / "src"), "HOME": str(tmp_path)}
    inside["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inside['PATH']}"
    run = tmp_path / "run"
    code = [sys.executable, "-c", "import ctcflow; print(ctcflow.__file__)"]
    where = subprocess.run(
        code, env=inside, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(image))
    params = '{"cells_per_sample": 60, "n_genes": 1000, "n_patients": 1, "n_healthy": 0}'
    for given in (("simulate", str(run), "--params", params), ("run", str(run))):
        command = [sys.executable, "-m", "ctcflow", *given]
        done = subprocess.run(
            command, env=inside, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (run / "results" / "report" / "report.html").stat().st_size > 0
