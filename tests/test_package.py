"""What is installed: the wheel, the source distribution, the conda recipe."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from tests.workflow.installed import built

from ctcflow import __version__
from ctcflow.files.shipped import checkout, package, shipped
from ctcflow.files.tables import SHIPPED

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {
    "igraph": "python-igraph",
    "matplotlib": "matplotlib-base",
    "snakemake": "snakemake-minimal",
}
"""What conda calls some packages."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"), "wheel")


def test_the_wheel_holds_all_that_a_run_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        files = {name: archive.read(name) for name in names if "/_shipped/" in name}
    for folder in ("workflow", "resources", "config"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                name = f"ctcflow/_shipped/{path.relative_to(ROOT)}"
                assert files[name] == path.read_bytes()
    package = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {Path(name).suffix for name in package} == {".py", ".jinja", ".js", ".css"}
    assert package <= names
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB")


def test_the_wheel_holds_nothing_that_the_tree_does_not(wheel):
    """Each file is one of git's, byte for byte, but for the metadata that the build writes."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    tracked = {name for name in listed.stdout.decode().split("\0") if name}
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name, content in files.items():
        if ".dist-info/" in name and "/licenses/" not in name:
            continue
        shipped_name = name.removeprefix("ctcflow/_shipped/")
        places = [f"src/{name}", shipped_name, name.rpartition("/licenses/")[2]]
        own = [place for place in places if place in tracked]
        assert own, f"{name} is in the wheel and not in the tree"
        assert any((ROOT / place).read_bytes() == content for place in own), name


def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    with tarfile.open(built(tmp_path, "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (root,) = (tmp_path / "source").iterdir()
    assert built(tmp_path / "again", "wheel", root=root).read_bytes() == wheel.read_bytes()


def test_in_a_checkout_the_files_beside_it_are_used():
    assert package() == ROOT / "src" / "ctcflow"
    assert checkout() == ROOT
    assert all((shipped("resources") / name).is_file() for name in SHIPPED.values())


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys; before = set(sys.modules); import ctcflow;"
    code += " print(len(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20


def test_one_version_everywhere():
    recipe = _recipe()
    assert recipe["package"]["version"] == __version__
    rules = (ROOT / "workflow" / "Snakefile").read_text()
    assert re.findall(r'stop_unless_of\(.*version="([^"]+)"\)', rules) == [__version__]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert __version__ in headings[:2]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation.get("version", __version__)) == __version__


def test_the_recipe_asks_for_what_the_package_asks_for():
    wanted = {_in_conda(line) for line in PROJECT["dependencies"]}
    python = PROJECT["requires-python"].replace(" ", "")
    needed = {line.replace(" ", "") for line in _recipe()["requirements"]["run"]}
    assert needed == {*wanted, f"python{python}"}


def test_the_recipe_has_the_commands_and_the_licence_of_the_package():
    recipe = _recipe()
    entries = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert recipe["build"]["entry_points"] == entries
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["summary"] == PROJECT["description"]


def _in_conda(line: str) -> str:
    name, bound = re.fullmatch(r"([A-Za-z0-9_-]+)\s*(.*)", line).groups()
    return CONDA_NAMES.get(name, name) + bound.replace(" ", "")


def _recipe() -> dict:
    """The recipe with its variables filled in, as conda-build does with Jinja."""
    text = (ROOT / "envs" / "recipe" / "meta.yaml").read_text()
    variables = dict(re.findall(r'\{% set (\w+) = "([^"]+)" %\}', text))
    text = re.sub(r"\{%.*?%\}\n?", "", text)
    text = re.sub(r"\{\{ (\w+) \}\}", lambda found: variables[found[1]], text)
    return yaml.safe_load(re.sub(r"\{\{.*?\}\}", "pinned", text))
