"""The report: its content, that it is self-contained, and that it copes with any input."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from ctcflow.files.io import read_h5ad, write_h5ad
from ctcflow.render.page.explorer import library
from ctcflow.settings.params import ReportParams, StepsParams
from ctcflow.steps.report import FILES, report

CLASSES = ("CTC", "CTC aggregate", "non-blood other", "uncertain", "blood")
TYPES = ("CD4 T", "CD8 T", "NK", "B", "CD14 monocyte", "neutrophil", "epithelial")
VOID = {"meta", "img", "br", "input"}


def cohort(
    names: list[str],
    *,
    cells: int = 30,
    calls: int = 2,
    healthy: bool = True,
    umap: bool = True,
) -> tuple[ad.AnnData, ad.AnnData]:
    """Make what `cluster` and `call` leave; the first sample is healthy where asked for."""
    rng = np.random.default_rng(1)
    n = len(names) * cells
    sample = np.repeat(np.array(names, dtype=object), cells)
    within = np.tile(np.arange(cells), len(names))
    control = (sample == names[0]) if healthy and names else np.zeros(n, dtype=bool)
    kind = np.full(n, "blood", dtype=object)
    if calls:
        kind[(within < calls) & ~control] = "CTC"
        kind[(within == calls) & ~control] = "CTC aggregate"
        kind[(within == calls + 1) & ~control] = "uncertain"
        kind[(within == calls + 2) & ~control] = "non-blood other"
    called = np.isin(kind, CLASSES[:2])
    types = rng.integers(0, 6, n)
    types[called] = 6
    centres = np.array([[0, 0], [2, 1], [4, 0], [-4, 4], [-5, -4], [-7, -6], [8, 8]])
    p = np.where(called, 10.0 ** -rng.uniform(5, 25, n), rng.uniform(0, 1, n))
    panel = np.where(called, 10.0 ** -rng.uniform(3, 14, n), rng.uniform(0.01, 1, n))
    obs = pd.DataFrame(
        {
            "sample": pd.Categorical(sample),
            "barcode": [f"ACGT{i:012d}-1" for i in range(n)],
            "class": pd.Categorical(kind, categories=list(CLASSES)),
            "p": p,
            "q": np.minimum(p * 20, 1),
            "lineage": pd.Categorical([TYPES[t] for t in types]),
            "partner": np.where(kind == "CTC aggregate", "platelet", "").astype(object),
            "phenotype": np.where(called, "epithelial", "").astype(object),
            "p_panel": panel,
            "p_identity": np.where(called, 10.0 ** -rng.uniform(2, 9, n), rng.uniform(0.01, 1, n)),
            "evidence": -np.log10(p),
            "n_panel_genes": np.where(called, 7, 0),
            "panel_genes": np.where(called, "EPCAM,KRT8,KRT18,KRT19", "").astype(object),
            "other_type": np.full(n, "", dtype=object),
            "reason": np.where(called, "7 panel genes, little blood", "blood").astype(object),
        },
        index=[f"c{i}" for i in range(n)],
    )
    call = ad.AnnData(obs=obs)
    call.obsm["signatures"] = pd.DataFrame(
        {"emt_mesenchymal": rng.uniform(size=n), "proliferation": rng.uniform(size=n)},
        index=obs.index,
    )
    judged = called & (within < calls)
    obs["p_copy_number"] = call.obs["p_copy_number"] = np.where(judged, 1e-4, np.nan)
    call.obsm["copy_number"] = pd.DataFrame(
        np.where(judged[:, None], rng.normal(0, 0.4, (n, 4)), np.nan).astype(np.float32),
        index=obs.index,
        columns=["1p", "1q", "2p", "10q"],
    )
    call.uns["call"] = json.dumps(facts(names, kind, sample, healthy=healthy, cells=cells))
    call.uns["ctcflow"] = json.dumps({"sample": None, "steps": steps("score", "call", n=n)})
    adata = ad.AnnData(
        obs=obs[["sample", "barcode", "class", "lineage"]].assign(
            cell_type=pd.Categorical([TYPES[t] for t in types]),
            cluster=pd.Categorical([str(t) for t in types]),
            batch=pd.Categorical([f"batch {names.index(s) % 3}" for s in sample]),
            total_counts=np.round(10.0 ** rng.normal(3.5, 0.3, n)),
            n_genes_by_counts=np.round(10.0 ** rng.normal(3.0, 0.2, n)),
            pct_counts_mt=rng.gamma(4.0, 1.2, n),
        )
    )
    spread = centres[types] + rng.normal(0, 0.8, (n, 2))
    if umap:
        adata.obsm["X_umap"] = spread.astype(np.float32)
    adata.uns.update({key: json.dumps(value) for key, value in cohort_facts().items()})
    adata.uns["ctcflow"] = json.dumps(
        {"sample": None, "steps": steps("reduce", "integrate", "cluster", n=n)}
    )
    return adata, call


def facts(
    names: list[str], kind: np.ndarray, sample: np.ndarray, *, healthy: bool, cells: int
) -> dict[str, Any]:
    """What `call` leaves in `uns`; per sample one draw, two draws per patient."""
    samples, draws = [], []
    for i, name in enumerate(names):
        mine = kind[sample == name]
        n = {c: int((mine == c).sum()) for c in CLASSES}
        count = n["CTC"] + n["CTC aggregate"]
        role = "healthy" if healthy and i == 0 else "patient"
        low, high = (0.0, 3.69) if count == 0 else (count * 0.4, count * 1.9)
        person = f"P{(i + 1) // 2}" if role == "patient" else "H1"
        draw = f"{person}-d{i % 2}"
        samples.append(
            {
                "sample": name,
                "patient": person,
                "draw": draw,
                "day": 21 * (i % 2),
                "role": role,
                "batch": f"batch {i % 3}",
                "cells": cells,
                "n_CTC": n["CTC"],
                "n_aggregate": n["CTC aggregate"],
                "n_other": n["non-blood other"],
                "n_uncertain": n["uncertain"],
                "rate_low": low,
                "rate_high": high,
                "median_umis": 3162.0,
                "flags": ["fewer than 50 leukocytes"] if i == 1 else [],
            }
        )
        volume = 7.5 if i % 2 else None
        draws.append(
            {
                "draw": draw,
                "patient": person,
                "day": 21 * (i % 2),
                "role": role,
                "samples": name,
                "cells": cells,
                "count": count,
                "count_low": low,
                "count_high": high,
                "volume_ml": volume,
                "per_ml": count / 7.5 if volume else None,
                "per_ml_low": low / 7.5 if volume else None,
                "per_ml_high": high / 7.5 if volume else None,
                "note": "" if volume else "per mL not given: the sheet has no volume_ml",
            }
        )
    return {
        "samples": samples,
        "draws": draws,
        "healthy": {"cells": cells, "called": 0, "rate_low": 0.0, "rate_high": 0.1157}
        if healthy
        else {"cells": 0, "called": 0, "rate_low": None, "rate_high": None},
        "ledger": [
            {"sample": name, "stage": stage, "reason": reason, "cells": 3 + i}
            for i, name in enumerate(names)
            for stage, reason in (("qc", "few counts"), ("qc", "mitochondrial"), ("call", "kept"))
        ],
        "set_aside": [
            {
                "sample": name,
                "barcode": "TTTTGGGGCCCCAAAA-1",
                "reason": "few counts",
                "evidence": "EPCAM, KRT19 (5 counts)",
            }
            for name in names[:3]
        ],
        "calibration": {
            "n_null": 26123,
            "tail": [{"sample": name, "n_null": 200, "factor": 0.97} for name in names],
            "observed": [
                [0.1, 0.103, 0.09, 0.11],
                [0.01, 0.011, 0.008, 0.014],
                [0.001, 0.0009, 0.0002, 0.002],
                [0.0001, 0.0, 0.0, 0.00014],
            ],
        },
        "aggregates": [
            {
                "sample": name,
                "partner": partner,
                "observed": 3,
                "expected": 0.61,
                "ratio": 4.9,
                "low": low,
                "high": high,
                "verdict": verdict,
            }
            for name in names[1:2]
            for partner, low, high, verdict in (
                ("platelet", 1.4, 17.2, "more than random doublets give"),
                ("neutrophil", 0.7, None, "cannot be told from random doublets"),
            )
        ],
        "qc": [quality_of(name, i) for i, name in enumerate(names)],
        "not_run": [
            {"sample": name, "what": what, "reason": reason}
            for name in names[1:2]
            for what, reason in (
                ("doublet score", "fewer than 100 cells"),
                ("copy number", "12 reference cells, needs 50"),
            )
        ],
    }


def quality_of(name: str, place: int) -> dict[str, Any]:
    """One record of `qc`; samples 1 and 2 come with unfiltered droplets, sample 3 has no UMIs."""
    lineages = ("T and NK", "myeloid", "neutrophil")
    limits = [
        {
            "lineage": lineage,
            "cells": 40 + place,
            "adaptive": lineage != "neutrophil",
            "min_umis": None if place == 3 else 150.0,
            "min_genes": 100.0,
            "max_pct_mt": 15.0,
            "damaged_umis": None if place == 3 else 777.0,
            "damaged_pct_mt": 9.0,
            "high_umis": None,
            "high_genes": 5000.0,
        }
        for lineage in lineages
    ]
    distributions = [
        {"lineage": lineage, "metric": metric, "values": [low, 2 * low, 4 * low]}
        for lineage in lineages
        for metric, low in (
            ("total_counts", 500.0),
            ("n_genes_by_counts", 300.0),
            ("pct_counts_mt", 2.0),
        )
    ]
    ambient = {"share": 0.031, "low": 0.022, "high": 0.0444, "genes": 43, "reason": ""}
    ambient |= {"measured_on": "droplets", "corrected": place == 2}
    if place == 1:
        ambient |= dict.fromkeys(("share", "low", "high", "measured_on"))
        ambient |= {"reason": "3 genes, fewer than 5"}
    curve = [[1, 9000], [100, 2000], [1000, 90], [9000, 1]]
    droplets = {"barcodes": 9000, "lower": 100, "retain": 2500, "knee": 2000, "inflection": 400}
    droplets |= {"tested": 321, "outside": 2, "curve": curve, "cells_curve": curve[:2]}
    return {
        "sample": name,
        "umis": place != 3,
        "limits": limits,
        "distributions": distributions,
        "ambient": ambient,
        "droplets": droplets if place in (1, 2) else None,
        "doublet_rate": 0.04,
    }


def cohort_facts() -> dict[str, Any]:
    """What `reduce`, `integrate` and `cluster` leave in `uns`."""
    genes = {
        str(c): [{"gene": gene, "auc": 0.9} for gene in ("LYZ", "S100A8", "EPCAM")]
        for c in range(7)
    }
    return {
        "reduce": {"n_genes": 2000},
        "integrate": {
            "method": "harmony",
            "batch": "batch",
            "reason": "",
            "mixing": {
                "before": {"iLISI": 0.212, "batch_entropy": 0.412, "acceptance": 0.101},
                "after": {"iLISI": 0.731, "batch_entropy": 0.873, "acceptance": 0.914},
            },
            "iLISI_of_random": 0.82,
            "conservation": {
                "before": {"cLISI": 0.981, "graph_connectivity": 0.973},
                "after": {"cLISI": 0.992, "graph_connectivity": 0.964},
            },
            "separability": {"before": 0.99, "after": 0.97, "cells": 31, "neighbors": 15},
            "batches": {
                "run1": {"cells": 90, "leukocytes": 80, "reason": ""},
                "run2": {"cells": 9, "leukocytes": 0, "reason": "no leukocytes"},
            },
            "confounding": [{"column": "role", "words": "batch and role cannot be told apart"}],
        },
        "cluster": {
            "resolutions": [
                {"resolution": 0.5, "n_clusters": 5, "stability": None},
                {"resolution": 1.0, "n_clusters": 7, "stability": 0.93},
            ],
            "cell_types": [
                {"cluster": str(c), "cells": 9, "cell_type": t, "second": "pDC", "margin": 0.217}
                for c, t in enumerate(TYPES)
            ],
        },
        "markers": genes,
    }


def steps(*names: str, n: int) -> dict[str, Any]:
    """What `run` records per step; one parameter of `call` differs from its default."""
    usual = StepsParams().model_dump(mode="json")
    found = {
        name: {
            "version": "0.1.0",
            "params": dict(usual[name]),
            "cells_in": n,
            "cells_out": n,
            "inputs": {"adata": "sha256:" + name * 4},
        }
        for name in names
    }
    if "call" in found:
        found["call"]["params"]["fdr"] = 0.0123
    return found


def page_of(adata: ad.AnnData, call: ad.AnnData, title: str = "Demo cohort") -> str:
    return report(adata, call, params=ReportParams(title=title))["report.html"].decode()


class Reader(HTMLParser):
    """Collects what a page asks for, and fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def words_of(page: str) -> str:
    return " ".join("".join(read(page).words).split())


def cells_of(page: str) -> str:
    """Words with a space between the cells of a table."""
    return " ".join(" ".join(read(page).words).split())


def own_bytes(files: dict[str, bytes]) -> int:
    """Size of the page without BokehJS."""
    return len(files["report.html"]) - sum(len(text.encode()) for text in library())


@pytest.fixture(scope="module")
def demo() -> dict[str, bytes]:
    return report(*cohort(["healthy", "one", "two", "three"]), params=ReportParams(title="Demo"))


def test_the_declared_files_and_no_others_are_made(demo: dict[str, bytes]) -> None:
    assert tuple(demo) == FILES
    for name, content in demo.items():
        start = {"png": b"\x89PNG", "svg": b"<?xml", "tml": b"<!DOCTYPE html>", "tsv": b"# id: "}[
            name[-3:]
        ]
        assert content.startswith(start), name
    assert own_bytes(demo) < 3_000_000


def test_the_page_asks_for_nothing_outside_itself(demo: dict[str, bytes]) -> None:
    page = demo["report.html"].decode()
    wanted = [
        value
        for _, attributes in read(page).tags
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert wanted
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in wanted if value)
    # BokehJS has addresses in its text; that none is asked for is seen in tests/browser
    for text in library():
        assert page.count(text) == 1
        page = page.replace(text, "")
    assert "@import" not in page and not re.search(r"url\((?!data:)", page)
    assert not re.search(r"https?://|fetch\(|XMLHttpRequest", page)


def test_every_anchor_of_the_contents_exists(demo: dict[str, bytes]) -> None:
    tags = read(demo["report.html"].decode()).tags
    anchors = [a["href"] for name, a in tags if name == "a"]
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {anchor[1:] for anchor in anchors if anchor} <= set(ids)


def test_the_page_is_accessible_by_its_markup(demo: dict[str, bytes]) -> None:
    tags = read(demo["report.html"].decode()).tags
    names = [name for name, _ in tags]
    assert ("html", {"lang": "en"}) in tags
    assert names.count("h1") == 1 and names[: names.index("body")].count("title") == 1
    assert names.count("table") == names.count("caption") > 5
    assert all(a.get("scope") in ("col", "row") for name, a in tags if name == "th")
    assert all(a.get("alt") for name, a in tags if name == "img")
    assert names.count("img") == names.count("figcaption") == 7


def test_the_first_screen_has_the_answer_with_its_intervals(demo: dict[str, bytes]) -> None:
    words = words_of(demo["report.html"].decode())
    first = words[: words.index("The calls")]
    assert "9 CTCs were called in all 3 draws of 2 patients." in first
    assert "No cell was called among 30 cells of 1 control draw" in first
    assert "3 CTC (95 % interval 1.2 to 5.7)" in first
    assert "0 CTC (95 % upper limit 3.7 in this library)" in first
    assert "0.4 (0.16 to 0.76)" in first
    assert "not given: the sheet has no volume_ml" in first
    assert "(95 % interval 0 to 116 per 1,000 cells)" in first
    assert "fewer than 50 leukocytes" in first
    assert "No healthy control" not in first


def test_the_numbers_of_the_input_are_on_the_page(demo: dict[str, bytes]) -> None:
    words = words_of(demo["report.html"].decode())
    for expected in (
        "26,123 null cells",
        "0.0123",
        "sha256:callcallcallcall",
        "TTTTGGGGCCCCAAAA-1",
        "doublet score",
        "fewer than 100 cells",
        "EPCAM, KRT8, KRT18, KRT19",
        "0.93",
        "0.22",
        "1 differs from the default",
        "qc: mitochondrial",
    ):
        assert expected.casefold() in words.casefold(), expected


def test_the_quality_of_samples_is_shown_with_its_limits_and_ambient_rna(
    demo: dict[str, bytes],
) -> None:
    words = cells_of(demo["report.html"].decode())
    quality = words[words.index("Quality of the samples") : words.index("Set aside, with tumour")]
    for expected in (
        "An arrow points to what is set aside",
        "those between are tested against the ambient RNA",
        "limits on counts mean nothing and are not set: three.",
        "one myeloid 41 own droplets 150 100 15 under 777 with over 9 % 5,000 genes",
        "three neutrophil 43 parameters – 100 15 – 5,000 genes",
        "healthy 3.1 % 2.2 to 4.4 % unfiltered droplets 43 no",
        "one not measured: 3 genes, fewer than 5 – – 43 no",
        "two 3.1 % 2.2 to 4.4 % unfiltered droplets 43 yes",
    ):
        assert expected in quality, expected


def test_aggregates_are_set_against_chance(demo: dict[str, bytes]) -> None:
    page = demo["report.html"].decode()
    words = cells_of(page)
    section = words[words.rindex("Aggregates against chance") : words.index("The cells of the co")]
    assert "One droplet cannot tell an aggregate from a random doublet; a count can" in section
    assert "3 0.61 4.9 1.4 to 17 more than random doublets give" in section
    held = "3 0.61 4.9 0.7 and more (holds 1) cannot be told from random doublets"
    assert held in section
    links = [a.get("href") for name, a in read(page).tags if name == "a"]
    assert links.index("#aggregates") == links.index("#calibration") + 1


def test_without_unfiltered_droplets_the_page_does_not_speak_of_them() -> None:
    adata, call = cohort(["healthy", "one"])
    found = json.loads(call.uns["call"])
    for record in found["qc"]:
        record["droplets"] = None
    found["aggregates"] = []
    call.uns["call"] = json.dumps(found)
    files = report(adata, call, params=ReportParams())
    page = files["report.html"].decode()
    assert files["figures/droplets.png"].startswith(b"\x89PNG")
    assert [name for name, _ in read(page).tags].count("img") == 6
    assert "All barcodes by their counts" not in words_of(page)
    assert "No sample was compared with chance." in words_of(page)


def test_p_values_are_shown_with_two_significant_digits_and_sort_by_their_value() -> None:
    adata, call = cohort(["healthy", "one"])
    called = call.obs["class"].isin(["CTC", "CTC aggregate"])
    call.obs.loc[called, "p"] = 1.23456e-7
    page = page_of(adata, call)
    assert page.count('data-value="1.235e-07">1.2e-07<') == 3


def test_a_run_without_a_call_says_that_this_is_a_result() -> None:
    words = words_of(page_of(*cohort(["one", "two"], calls=0)))
    assert "No CTC was called in 1 draw of 1 patient. That is a result" in words
    assert "0 CTC (95 % upper limit 3.7 in this library)" in words
    assert "No cell was called, and none is uncertain." in words


def test_a_run_without_a_healthy_control_says_so() -> None:
    words = words_of(page_of(*cohort(["one", "two"], healthy=False)))
    assert "No healthy control in this run." in words


def test_the_same_input_gives_the_same_bytes(demo: dict[str, bytes]) -> None:
    again = report(*cohort(["healthy", "one", "two", "three"]), params=ReportParams(title="Demo"))
    assert again == demo


def test_the_settings_of_the_machine_do_not_reach_the_figures(demo: dict[str, bytes]) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 20.0, "axes.grid": True, "svg.hashsalt": None}):
        again = report(
            *cohort(["healthy", "one", "two", "three"]), params=ReportParams(title="Demo")
        )
        assert mpl.rcParams["font.size"] == 20.0
    assert again == demo


HOSTILE = "<script>alert('x')</script>&\"><img src=http://evil.example/x onerror=alert(1)>"


def test_hostile_text_is_shown_and_never_run() -> None:
    adata, call = cohort(["healthy", HOSTILE], cells=12)
    call.obs["reason"] = HOSTILE
    call.obs["barcode"] = HOSTILE
    call.obs["panel_genes"] = HOSTILE
    call.obs["verdict"] = HOSTILE
    call.obs["reviewer"] = HOSTILE
    call.obsm["signatures"].columns = [HOSTILE, *call.obsm["signatures"].columns[1:]]
    found = json.loads(call.uns["call"])
    for record in found["samples"]:
        record["flags"] = [HOSTILE]
    for record in found["draws"]:
        record |= {"patient": HOSTILE, "draw": HOSTILE, "note": HOSTILE, "per_ml": None}
    for key in ("ledger", "set_aside", "not_run"):
        found[key] = [dict.fromkeys(found[key][0], HOSTILE) | {"cells": 1}]
    found["calibration"]["tail"] = [{"sample": HOSTILE, "factor": 0.9}]
    decoys = {"sample": HOSTILE, "decoys": 9, "cells": 9, "level": 0.01, "share": 0.1}
    found["calibration"]["decoys"] = [decoys]
    call.uns["call"] = json.dumps(found)
    given = {name: {HOSTILE: HOSTILE} for name in ("params", "inputs")}
    recorded = {"steps": {HOSTILE: {"version": HOSTILE, **given}}}
    call.uns["ctcflow"] = json.dumps(recorded)
    adata.uns["markers"] = json.dumps({"0": [HOSTILE], HOSTILE: [HOSTILE]})
    left = {HOSTILE: {"reason": HOSTILE}}
    worded = {"confounding": [{"words": HOSTILE}], "batches": left}
    adata.uns["integrate"] = json.dumps({"method": HOSTILE, "mixing_reason": HOSTILE, **worded})
    adata.obs["cell_type"] = HOSTILE
    page = page_of(adata, call, title=HOSTILE)
    tags = read(page).tags
    scripts = [attributes.get("type", "") for name, attributes in tags if name == "script"]
    assert sorted(scripts) == [""] * (1 + len(library())) + ["application/json"] * 2
    assert not any("onerror" in attributes for _, attributes in tags)
    assert [a["src"] for name, a in tags if name == "img" and "evil" in (a["src"] or "")] == []
    assert HOSTILE in "".join(read(page).words)


@pytest.mark.parametrize(
    ("names", "cells", "umap"),
    [
        ([], 0, False),
        (["nothing"], 0, False),
        (["tiny"], 10, False),
        (["tiny"], 1, True),
        ([f"sample_{i:03d}" for i in range(200)], 6, True),
        (["x" * 300, "x" * 299 + "y"], 12, True),
        (["_under", "$a_{b", "样本", "line\nbreak"], 12, True),
    ],
    ids=["no-samples", "no-cells", "no-umap", "one-cell", "many", "long-names", "odd-names"],
)
def test_any_cohort_gives_a_whole_page(names: list[str], cells: int, umap: bool) -> None:
    adata, call = cohort(names, cells=cells, calls=1, umap=umap)
    files = report(adata, call, params=ReportParams())
    assert tuple(files) == FILES
    words = words_of(files["report.html"].decode())
    assert own_bytes(files) < 3_000_000
    for name in names:
        assert " ".join(name.split()) in words


def test_copy_number_of_the_judged_calls_is_shown_and_where_it_was_not_run(
    demo: dict[str, bytes],
) -> None:
    words = cells_of(demo["report.html"].decode())
    own = words[words.index("Copy number of called cells") :]
    own = own[: own.index("Do the p-values keep their promise?")]
    # of two CTCs, an aggregate and an uncertain cell in each of three samples
    assert "for 6 of 12 called or uncertain cells." in own
    assert "Samples where it was not run. Sample Reason one 12 reference cells, needs 50" in own
    quiet = words_of(page_of(*cohort(["one"], calls=0)))
    assert "The copy number of no called or uncertain cell was judged." in quiet


def test_a_map_of_missing_values_is_said_to_be_not_run() -> None:
    adata, call = cohort(["one"], cells=10)
    adata.obsm["X_umap"] = np.full((10, 2), np.nan, dtype=np.float32)
    adata.uns["cluster"] = json.dumps({"reason": "10 cells: no neighbours, one cluster"})
    words = words_of(page_of(adata, call))
    assert "10 cells: no neighbours, one cluster" in words


def test_missing_slots_and_nulls_give_a_page_that_says_what_is_missing() -> None:
    adata = ad.AnnData(obs=pd.DataFrame({"tube": "EDTA"}, index=["a", "b"]))
    call = ad.AnnData(obs=pd.DataFrame({"tube": "EDTA"}, index=["a", "b"]))
    bare = words_of(page_of(adata, call))
    assert "No draw of a patient was examined." in bare
    assert "No parameters were recorded." in bare
    nulls = dict.fromkeys(("samples", "draws", "ledger", "calibration", "qc", "not_run"))
    call.uns["call"] = json.dumps(nulls)
    assert words_of(page_of(adata, call)) == bare
    empty = {
        "samples": [{"sample": "a"}],
        "draws": [{"draw": "d"}],
        "calibration": {},
        "ledger": [{"sample": "a"}],
        "qc": [{"sample": "a"}],
    }
    call.uns["call"] = json.dumps(empty)
    assert "no cell to examine" in words_of(page_of(adata, call))


def test_a_sample_without_a_draw_record_counts_as_a_draw() -> None:
    adata, call = cohort(["one", "two"], healthy=False)
    found = json.loads(call.uns["call"])
    del found["draws"]
    call.uns["call"] = json.dumps(found)
    assert "3 CTC (95 % interval 1.2 to 5.7)" in words_of(page_of(adata, call))


# Of anndata 0.13 with pandas 3.1, whenever a file with text is read; nothing of ours.
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_the_page_survives_a_round_trip_through_h5ad(
    tmp_path: Path, demo: dict[str, bytes]
) -> None:
    read_back = []
    for name, adata in zip("ab", cohort(["healthy", "one", "two", "three"]), strict=True):
        write_h5ad(tmp_path / name, adata, delivered=True)
        read_back.append(read_h5ad(tmp_path / name))
    again = report(*read_back, params=ReportParams(title="Demo"))
    assert again == demo


def test_batches_are_said_in_words() -> None:
    adata, call = cohort(["healthy", "P1"], cells=12)
    page = page_of(adata, call)
    assert "<li>run2: no leukocytes</li>" in page and "<li>run1" not in page
    assert "<li>batch and role cannot be told apart</li>" in page
    apart = "15 nearest neighbours of each of 31 CTCs and aggregates, a share of 0.99"
    assert apart in words_of(page)
    adata.uns["integrate"] = json.dumps({"reason": "no", "batches": {"a": {"reason": "no"}}})
    assert "left as they are" not in page_of(adata, call)


def test_every_called_cell_has_its_place_on_the_map_the_first_of_the_cohort_too() -> None:
    adata, call = cohort(["P1"], healthy=False)
    assert str(call.obs["class"].iloc[0]) == "CTC"
    page = report(adata, call, params=ReportParams())["report.html"].decode()
    cards = page.count('class="card"')
    assert cards > 1
    assert page.count("Its place on the map") == cards
