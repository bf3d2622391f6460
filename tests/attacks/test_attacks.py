"""Every row of the table of attacks (`make test-attacks`); `conftest` prints them by area."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest
from tests.attacks import configuration, counts, identity, names
from tests.attacks.rows import Attack

ROWS = [
    *names.rows(),
    *configuration.rows(),
    *counts.rows(),
    *identity.rows(),
]


@pytest.mark.parametrize("attack", ROWS, ids=lambda attack: f"{attack.area}: {attack.what}"[:80])
def test_attack(attack: Attack, tmp_path, record_property) -> None:
    record_property("area", attack.area)
    with warnings.catch_warnings():
        # numpy and anndata warn of what the rows are about
        warnings.simplefilter("ignore")
        attack.act(tmp_path)


def test_no_row_stands_twice() -> None:
    several = Counter((attack.area, attack.what) for attack in ROWS)
    assert [row for row, n in several.items() if n > 1] == []


def test_there_are_500() -> None:
    assert len(ROWS) >= 500
