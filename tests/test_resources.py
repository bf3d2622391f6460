"""Every shipped table is documented, unchanged and cited."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pandas as pd
import pytest

from ctcflow.files.tables import SHIPPED

RESOURCES = Path(__file__).parents[1] / "resources"
README = (RESOURCES / "README.md").read_text()
FILES = sorted(path for path in RESOURCES.rglob("*.tsv*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_origin_licence_and_hash_are_stated(path):
    name = path.relative_to(RESOURCES).as_posix()
    row = re.search(rf"^\| `{re.escape(name)}` \|(.+)\|(.+)\|(.+)\|$", README, re.MULTILINE)
    assert row, f"{name} is not in the table of resources/README.md"
    assert all(cell.strip() for cell in row.groups())
    assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}" in README


def test_every_table_is_used_and_every_used_table_is_there():
    assert {path.relative_to(RESOURCES).as_posix() for path in FILES} == set(SHIPPED.values())


@pytest.mark.parametrize(
    "path", sorted((RESOURCES / "signatures").glob("*.tsv")), ids=lambda p: p.name
)
def test_each_gene_has_a_citation_or_the_word_unverified(path):
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    stated = table["reference"].str.fullmatch(r"doi:10\.\d{4,}/\S+|PMC\d+|unverified")
    assert stated.all(), table[~stated].head()
