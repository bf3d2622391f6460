"""Interactive UMAP: which data are embedded, for how many cells, and their size."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcflow.render.page import explorer
from ctcflow.render.page.explorer import Parts

HOSTILE = "</script><script>alert(1)</script>"


def cells(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = np.array(["blood"] * n, dtype=object)
    classes[: n // 10 + 1] = "CTC"
    obs = pd.DataFrame(
        {
            "class": pd.Categorical(classes),
            "sample": pd.Categorical(rng.choice(["A", HOSTILE], n)),
            "cluster": pd.Categorical(rng.choice(["2", "10", "0"], n)),
            "barcode": [f"BC{k}-1" for k in range(n)],
            "n_panel_genes": rng.poisson(1, n),
        }
    )
    return obs, rng.normal(0, 3, (n, 2))


def embedded(found: Parts, name: str) -> Any:
    pattern = rf'<script type="application/json" id="{name}">(.*?)</script>'
    return json.loads(re.search(pattern, found.markup, re.DOTALL)[1])


def sources(item: Any) -> dict[str, dict[str, Any]]:
    """Columns of each named source, decoded from what Bokeh's JavaScript reads."""

    def decoded(value: Any) -> Any:
        if isinstance(value, dict) and value.get("type") == "ndarray":
            raw = gzip.decompress(base64.b64decode(value["array"]["data"]))
            return np.frombuffer(raw, dtype=value["dtype"])
        return value

    def walked(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("name") == "ColumnDataSource":
                yield value["attributes"]
            for part in value.values():
                yield from walked(part)
        elif isinstance(value, list):
            for part in value:
                yield from walked(part)

    return {
        one["name"]: {key: decoded(column) for key, column in one["data"]["entries"]}
        for one in walked(item)
    }


def test_every_cell_is_where_it_was_with_the_names_it_has() -> None:
    obs, places = cells(300)
    found = explorer.explorer(obs, places)
    about, data = embedded(found, "explorer-about"), sources(embedded(found, "explorer-item"))
    seen = 0
    for name in ("cells source", "uncertain source", "CTC aggregate source", "CTC source"):
        columns = data[name]
        rows = [int(barcode[2:-2]) for barcode in columns["barcode"]]
        seen += len(rows)
        np.testing.assert_allclose(columns["x"], places[rows, 0].astype(np.float32))
        for level in ("class", "sample", "cluster"):
            mine = [about[level]["names"][code] for code in columns[level]]
            assert mine == obs[level].astype(str).iloc[rows].tolist()
    assert seen == len(obs)
    assert set(data["CTC source"]["barcode"]) == set(obs.loc[obs["class"] == "CTC", "barcode"])
    assert about["cluster"]["names"] == ["0", "2", "10"]
    counts = dict(zip(about["class"]["names"], about["class"]["counts"], strict=True))
    assert counts == obs["class"].value_counts().to_dict()


def test_no_name_ends_the_script_and_the_bytes_are_the_same_again() -> None:
    obs, places = cells(50)
    found = explorer.explorer(obs, places)
    assert HOSTILE not in found.markup
    assert found == explorer.explorer(obs, places)
    assert all("</script" not in library for library in found.library)


def test_all_calls_and_a_draw_of_the_others_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "MOST_CELLS", 200)
    obs, places = cells(1000)
    places[3] = np.nan  # a call without a place
    found = explorer.explorer(obs, places)
    data = sources(embedded(found, "explorer-item"))
    assert len(data["CTC source"]["x"]) == 100
    assert len(data["cells source"]["x"]) == 100
    assert "200 of 999 cells, with all calls and uncertain cells among them" in found.markup


@pytest.mark.parametrize("places", [None, np.full((5, 2), np.nan)])
def test_no_map_is_no_script(places: np.ndarray | None) -> None:
    assert explorer.explorer(cells(5)[0], places) == ("", ())


def test_a_hundred_thousand_cells_are_less_than_ten_megabytes() -> None:
    obs, places = cells(100_000)
    obs["barcode"] = [f"ACGTACGTACGTACGT{k % 7}-{k}" for k in range(len(obs))]
    found = explorer.explorer(obs, places)
    assert len(found.markup) + sum(map(len, found.library)) < 8_000_000
