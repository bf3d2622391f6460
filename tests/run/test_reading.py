"""What `check` says of the counts before a run, which is what `ingest` will say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcflow.errors import CtcflowError
from ctcflow.run import plan, reading

RNG = np.random.default_rng(0)


@pytest.fixture
def symbols(tables: dict[str, pd.DataFrame]) -> list[str]:
    """EPCAM and 299 other symbols."""
    plain = tables["genes"]["symbol"].drop_duplicates()
    return ["EPCAM", *plain[plain.str.fullmatch(r"[A-Z]{4}\d")][:299]]


@pytest.fixture
def run(tmp_path: Path, symbols: list[str]) -> Path:
    """Three tables of 20 cells; in the second, one row is no gene."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.yaml").write_text("samples: config/samples.tsv\n")
    lines = [f"{name}\t{name}.csv" for name in "abc"]
    (config / "samples.tsv").write_text("\n".join(["sample\tpath", *lines]) + "\n")
    for name in "abc":
        depth = RNG.uniform(0.5, 2.0, 20)
        counts = RNG.poisson(depth * RNG.gamma(0.5, 2.0, (300, 1))) + 0
        index = [*symbols[:-1], "__no_feature"] if name == "b" else symbols
        frame = pd.DataFrame(counts, index=index, columns=[f"C{k}-1" for k in range(20)])
        frame.to_csv(config / f"{name}.csv")
    return tmp_path


def test_each_small_file_has_a_sentence(run: Path) -> None:
    said = reading.what_is_read(plan.opened(run))
    assert [sentence[:10] for sentence in said] == ["a (table):", "b (table):", "c (table):"]
    assert "20 cells x 300 genes, of which 300 are known" in said[0]
    assert "20 cells x 299 genes, of which 299 are known" in said[1]
    assert "1 features are not genes and are kept apart" in said[1]
    assert " panel genes" in said[0]


def test_others_are_counted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_SAMPLES", 2)
    said = reading.what_is_read(plan.opened(run))
    assert len(said) == 3
    assert said[2] == "1 more or larger files are read by `ingest`"
    monkeypatch.setattr(reading, "_MOST_BYTES", 10)
    assert reading.what_is_read(plan.opened(run)) == []


def test_the_panel_is_that_of_the_sheet(run: Path) -> None:
    sheet = run / "config" / "samples.tsv"
    sheet.write_text("sample\tpath\tcancer_type\na\ta.csv\tmelanoma\nb\tb.csv\t\n")
    of_melanoma, of_all = reading.what_is_read(plan.opened(run))
    n_of = [
        int(said.split(" panel genes")[0].rsplit(" of ", 1)[1]) for said in (of_melanoma, of_all)
    ]
    assert 0 < n_of[0] < n_of[1]


def test_what_ingest_will_refuse_is_refused_with_its_sample(run: Path) -> None:
    path = run / "config" / "b.csv"
    frame = pd.read_csv(path, index_col=0)
    (frame / 7).to_csv(path)
    with pytest.raises(CtcflowError, match="^sample `b`: X holds values that are not whole"):
        reading.what_is_read(plan.opened(run))
    (run / "config" / "config.yaml").write_text(
        "samples: config/samples.tsv\ningest:\n  counts: expected\n"
    )
    assert len(reading.what_is_read(plan.opened(run))) == 3
