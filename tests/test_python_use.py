"""`import ctcflow as cf`: what it costs, what it says, and the page of it, as it is written."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import ctcflow as cf
from ctcflow import cli
from ctcflow.errors import CtcflowError
from ctcflow.settings.sample_params import QCParams, ScoreParams

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()


def test_the_import_is_cheap_and_brings_what_is_asked_for() -> None:
    code = (
        "import ctcflow, sys; print(len(sys.modules)); ctcflow.pp; print('pandas' in sys.modules)"
    )
    bare = "import sys; print(len(sys.modules))"
    ran = [
        subprocess.run(
            [sys.executable, "-X", "importtime", "-c", text],
            capture_output=True,
            text=True,
            check=True,
        )
        for text in (code, bare)
    ]
    modules, after = ran[0].stdout.split()
    # nothing but the package itself and what `importlib` and `types` bring
    assert int(modules) - int(ran[1].stdout) < 20
    assert after == "True"
    (took,) = re.findall(r"\| +(\d+) \| ctcflow$", ran[0].stderr, re.MULTILINE)
    assert int(took) < 50_000  # microseconds
    assert set(dir(cf)) >= {"pp", "tl", "pl"}
    with pytest.raises(AttributeError, match="it has pp, tl and pl"):
        _ = cf.pq


def test_parameters_are_those_of_the_models() -> None:
    for function, model in ((cf.pp.qc, QCParams), (cf.tl.score, ScoreParams)):
        signature = inspect.signature(function).parameters
        for name, field in model.model_fields.items():
            assert signature[name].kind is inspect.Parameter.KEYWORD_ONLY
            assert signature[name].default == field.default
            assert " ".join((field.description or "").split()) in (function.__doc__ or "")


@pytest.fixture(scope="module")
def scored(run_folder: Path) -> anndata.AnnData:
    raw = anndata.read_h5ad(run_folder / "data" / "P1_d0" / "counts.h5ad")
    about = {"chemistry": "10x_3p_v3", "volume_ml": 7.5, "fraction_loaded": 0.5}
    ingested = cf.pp.ingest(raw, sample="P1", about=about)
    return cf.tl.score(cf.pp.qc(ingested), panel="breast")


def test_a_raw_object_can_go_to_qc_and_figures_are_drawn(
    scored: anndata.AnnData, run_folder: Path, tmp_path: Path
) -> None:
    raw = anndata.read_h5ad(run_folder / "data" / "P1_d0" / "counts.h5ad")
    assert cf.pp.qc(raw).obs["total_counts"].equals(cf.pp.qc(cf.pp.ingest(raw)).obs["total_counts"])
    called = cf.tl.call(scored)
    assert (called.obs["class"] == "CTC").sum() > 10
    for name in ("evidence", "draws", "copy_number"):
        figure = getattr(cf.pl, name)(called)
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 2000
        with pytest.raises(CtcflowError, match="holds no calls"):
            getattr(cf.pl, name)(scored)


def test_mistakes_are_one_line(scored: anndata.AnnData) -> None:
    bare = anndata.AnnData(np.ones((2, 1)), var=pd.DataFrame(index=["CD3D"]))
    for call, words in (
        (lambda: cf.pp.qc(scored, min_umi=3), "did you mean min_umis"),
        (lambda: cf.pp.qc(scored, tables={"x": pd.DataFrame()}), "`qc` does not read"),
        (lambda: cf.pp.qc(scored, unfiltered=bare), "unfiltered has other genes"),
        (lambda: cf.pp.ingest(scored, about={"rol": "x"}), "did you mean role"),
        (lambda: cf.tl.score(bare), "needs obs/keep: call cf.pp.qc first"),
        (lambda: cf.tl.score(scored, panel="x"), "choose one of these"),
        (lambda: cf.tl.call(bare), "call cf.tl.score first"),
        (lambda: cf.tl.call([scored, scored]), "two samples are named `P1`"),
        (lambda: cf.tl.call([]), "there is no sample"),
        (lambda: cf.tl.project(scored, "x.zip"), "call cf.pp.normalize and cf.tl.score first"),
    ):
        with pytest.raises(CtcflowError, match=words) as said:
            call()
        assert "\n" not in str(said.value)


@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
def test_the_page_runs_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^ctcflow (simulate .*)$", PAGE, re.MULTILINE)
    folder, _, params = line.removeprefix("simulate ").partition(" --params ")
    assert cli.main(["simulate", folder, "--params", params.strip("'")]) == 0
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert (tmp_path / "pca.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda a: cf.pp.ingest("file.h5ad"), "cf.pp.ingest was given str: give an AnnData"),
        (lambda a: cf.tl.call(None), "was given NoneType: give an AnnData"),
        (lambda a: cf.tl.call([None]), "was given NoneType: give an AnnData"),
        (lambda a: cf.pp.qc(a.obs), "cf.pp.qc was given DataFrame: give an AnnData"),
        (
            lambda a: cf.tl.score(a, tables={"panels": "mine.tsv"}),
            "tables has str as `panels`: give a pandas.DataFrame",
        ),
        (
            lambda a: cf.tl.score(a, tables={"panels": pd.DataFrame({"set": [], "gene": []})}),
            "table `panels` has no column direction",
        ),
        (
            lambda a: cf.tl.score(
                a,
                tables={
                    "panels": pd.DataFrame({"set": ["x"], "gene": ["KRT8"], "direction": ["up"]})
                },
            ),
            "table `panels` has direction 'up': use 1 or -1",
        ),
    ],
)
def test_what_is_no_sample_and_no_table_is_said_in_one_line(scored, use, said) -> None:
    with pytest.raises(CtcflowError) as caught:
        use(scored)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_counts_that_were_changed_after_ingest_are_refused(scored) -> None:
    changed = scored.copy()
    changed.X = np.log1p(changed.X.astype(np.float32))
    for use in (cf.pp.normalize, cf.tl.score):
        with pytest.raises(CtcflowError, match="which holds float32 values now"):
            use(changed)


def test_counts_are_taken_from_their_layer_and_samples_from_a_dictionary(scored) -> None:
    raw = anndata.AnnData(scored.X.copy(), obs=scored.obs[[]].copy(), var=scored.var[[]].copy())
    logged = raw.copy()
    logged.layers["counts"] = raw.X
    logged.X = np.log1p(raw.X.astype(np.float32))
    both = [cf.pp.ingest(adata, sample="a").X for adata in (raw, logged)]
    assert (both[0] != both[1]).nnz == 0
    listed, named = cf.tl.call([scored]), cf.tl.call({"any name": scored})
    pd.testing.assert_frame_equal(listed.obs, named.obs)
