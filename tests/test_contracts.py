"""Contract tests: one parametrised test per promise of a step's row in `STEPS`."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow import cli, keys, pipeline
from ctcflow.contracts import STEPS
from ctcflow.errors import CtcflowError
from ctcflow.files import io
from ctcflow.files.sample_files import load_sample
from ctcflow.inputs import (
    Counts,
    Droplets,
    Finished,
    Given,
    Input,
    Layers,
    OnDisk,
    Reference,
    Samples,
    Table,
    Verdicts,
)
from ctcflow.keys import Slot
from ctcflow.settings.params import StepsParams
from ctcflow.settings.sample_params import Params

SAMPLES = ("P1_d0", "H1")
STEP_NAMES = tuple(STEPS)
SAMPLE_STEPS = tuple(name for name, step in STEPS.items() if step.scope == "sample")
CONTAINERS = ("obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns")
ROW = {"role": "patient", "cancer_type": "breast", "volume_ml": 7.5, "extra": {"ward": "x"}}
FEW = {"reduce": {"n_genes": 300, "n_components": 10}, "cluster": {"n_neighbors": 10}}


def _path(folder: Path, step: str, sample: str) -> Path:
    whole = STEPS[step].scope == "cohort"
    return folder / step / ("cohort.h5ad" if whole else f"{sample}.h5ad")


def _read_of(step: str, *kinds: type[Input]) -> list[str]:
    """Steps whose files a step reads, of inputs of some kinds or of all."""
    kinds = kinds or (Layers, Samples, Finished, OnDisk)
    return [name for kind in STEPS[step].reads if isinstance(kind, kinds) for name in kind.names]


def _exports(step: str) -> list[str]:
    return list(STEPS[step].exports())


def _arguments(step: str, folder: Path, data: Path, sample: str) -> list[str]:
    """What the rule of a step says."""
    row = STEPS[step]
    given = [f"data={data / sample / 'counts.h5ad'}"] if row.reads_a(Counts) else []
    given += [f"{done}={_path(folder, done, sample)}" for done in _read_of(step)]
    given += [f"reference={folder / 'freeze' / 'reference.zip'}"] if step == "project" else []
    out = [f"folder={folder / step}"] if row.gives_files else []
    out = out or [f"adata={_path(folder, step, sample)}"]
    out += [f"{name}={folder / step / name}.tsv" for name in _exports(step)]
    argv = [step, "--out", *out, "--params", json.dumps(FEW.get(step, {}))]
    argv += ["--in", *given] if given else []
    if row.scope == "cohort":
        argv += ["--samples", *SAMPLES]
    if step == "ingest":
        meta = {"sample": sample, "patient": sample, "draw": sample, **ROW}
        argv += ["--row", json.dumps(meta)]
    return argv


def _run_chain(folder: Path, data: Path, samples: tuple[str, ...] = SAMPLES) -> Path:
    for step, row in STEPS.items():
        names = samples if row.scope == "sample" else ("{sample}",)
        # without the cohort there is no reference either
        if samples != SAMPLES and (row.scope == "cohort" or row.reads_a(Reference)):
            continue
        for name in names:
            assert cli.main(_arguments(step, folder, data, name)) == 0, step
    return folder


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """The command sets numbers of threads for its own process, which here is the test's."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Path:
    return _run_chain(tmp_path_factory.mktemp("first"), run_folder / "data")


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Path:
    return _run_chain(tmp_path_factory.mktemp("second"), run_folder / "data")


def _files(folder: Path, step: str) -> dict[str, bytes]:
    found = sorted(file for file in (folder / step).rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def _slots(adata: anndata.AnnData) -> set[Slot]:
    found = {
        Slot(container, str(key))
        for container in CONTAINERS
        for key in getattr(adata, container)
        if key is not None  # anndata lists X among its layers
    }
    return found | ({keys.COUNTS} if adata.X is not None else set())


def test_there_is_a_row_for_each_section_of_the_parameters() -> None:
    assert list(STEPS) == list(StepsParams.model_fields)


@pytest.mark.parametrize("name", STEP_NAMES)
def test_a_step_is_a_function_of_its_name(name: str) -> None:
    module = importlib.import_module(f"ctcflow.steps.{name}")
    function = getattr(module, name)
    assert function.__module__ == f"ctcflow.steps.{name}"
    assert function.__name__ == name
    signature = inspect.signature(function)
    assert all(
        p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty
        for key, p in signature.parameters.items()
        if key != "params"
    )
    params = signature.parameters["params"]
    assert params.kind is params.KEYWORD_ONLY
    assert params.default is params.empty
    model = pipeline.params_of(name)
    assert issubclass(model, Params)
    assert typing.get_type_hints(function, _hints(module))["params"] is model
    for described in (module, function, model):
        assert (described.__doc__ or "").strip()
    objects = [key for key in signature.parameters if key != "params"]
    reads = STEPS[name].reads
    assert len(objects) == len(reads)
    for argument, kind in zip(objects, reads, strict=True):
        if isinstance(kind, Table | Droplets | Verdicts):
            assert (argument,) == kind.names


def _hints(module: Any) -> dict[str, Any]:
    """Names that the module imports for its annotations only."""
    return {**vars(module), "AnnData": anndata.AnnData}


def test_an_input_that_a_step_does_not_have_is_refused(chain: Path) -> None:
    with pytest.raises(CtcflowError, match="there is no input `genes`"):
        _run_one("normalize", chain, genes=chain)


@pytest.mark.parametrize("name", STEP_NAMES)
def test_requirements_are_written_by_an_earlier_step(name: str) -> None:
    row = STEPS[name]
    earlier = STEP_NAMES[: STEP_NAMES.index(name)]
    assert set(_read_of(name)) <= set(earlier)
    assert all(STEPS[done].scope == "sample" for done in _read_of(name, Layers, Samples))
    assert all(STEPS[done].scope == "cohort" for done in _read_of(name, Finished, OnDisk))
    written = {slot for done in _read_of(name) for slot in STEPS[done].slots}
    assert set(row.requires) <= written


@pytest.mark.parametrize("name", [name for name in STEP_NAMES if not STEPS[name].gives_files])
def test_a_step_writes_exactly_the_slots_of_its_row(name: str, chain: Path) -> None:
    row = STEPS[name]
    for sample in SAMPLES:
        adata = io.read_h5ad(_path(chain, name, sample))
        found = _slots(adata) - {keys.CTCFLOW}
        assert set(row.slots) <= found
        if not row.whole:
            assert found <= set(row.slots) | set(row.optional)
        record = json.loads(adata.uns["ctcflow"])
        assert set(record) == {"sample", "steps"}
        assert record["steps"][name]["params"] == pipeline.params_of(name).model_validate(
            FEW.get(name, {})
        ).model_dump(mode="json")
        assert record["steps"][name]["cells_out"] == adata.n_obs
        assert len(record["steps"][name]["inputs"]) == len(set(record["steps"][name]["inputs"]))


@pytest.mark.parametrize("name", STEP_NAMES)
def test_the_same_input_gives_the_same_bytes(name: str, chain: Path, again: Path) -> None:
    first, second = _files(chain, name), _files(again, name)
    assert first.keys() == second.keys()
    assert first
    assert [file for file in first if first[file] != second[file]] == []
    assert {f"{name}/{table}.tsv" for table in _exports(name)} <= set(first)


def test_counts_are_written_once_and_never_again(chain: Path, run_folder: Path) -> None:
    for sample in SAMPLES:
        counts = anndata.read_h5ad(_path(chain, "ingest", sample))
        raw = anndata.read_h5ad(run_folder / "data" / sample / "counts.h5ad")
        assert counts.X.dtype.kind == "i"
        assert counts.X.sum() == raw.X.sum()
        assert (np.diff(counts.X.indptr) == np.diff(sparse.csr_matrix(raw.X).indptr)).all()
        for step in SAMPLE_STEPS[1:]:
            later = anndata.read_h5ad(_path(chain, step, sample))
            assert later.X is None
            assert keys.CORRECTED.key not in later.layers  # only where it is asked for


class _Seen:
    """Wrap a step, and remember what it was given and what became of its counts."""

    def __init__(self, function: Callable[..., anndata.AnnData]) -> None:
        self.function, self.same = function, False

    def __call__(self, adata: anndata.AnnData, *tables: Any, params: Params) -> anndata.AnnData:
        before = [getattr(adata.X, part).tobytes() for part in ("data", "indices", "indptr")]
        result = self.function(adata, *tables, params=params)
        after = [getattr(result.X, part).tobytes() for part in ("data", "indices", "indptr")]
        self.same = before == after
        return result


@pytest.mark.parametrize("name", SAMPLE_STEPS[1:])
def test_a_step_leaves_the_counts_that_it_is_given(
    name: str, chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"ctcflow.steps.{name}")
    seen = _Seen(getattr(module, name))
    monkeypatch.setattr(module, name, seen)
    ingested = _path(chain, "ingest", "P1_d0")
    before = ingested.read_bytes()
    _run_one(name, chain)
    assert seen.same
    assert ingested.read_bytes() == before


def _run_one(name: str, folder: Path, **changed: Path) -> anndata.AnnData:
    paths = {layer: str(_path(folder, layer, "P1_d0")) for layer in _read_of(name)}
    paths |= {key: str(path) for key, path in changed.items()}
    if STEPS[name].reads_a(Reference):
        paths["reference"] = str(folder / "freeze" / "reference.zip")
    meta = {"sample": "P1_d0", **ROW}
    inputs = Given(paths, (), meta if name == "ingest" else {})
    result = pipeline.run(name, inputs, pipeline.params_of(name)()).adata
    assert result is not None
    return result


def _permuted(source: Path, target: Path) -> Path:
    adata = anndata.read_h5ad(source)
    order = np.random.default_rng(3).permutation(adata.n_obs)
    from ctcflow.files.io import write_h5ad

    write_h5ad(target, adata[order].copy(), delivered=False)
    return target


def _equal(first: Any, second: Any) -> None:
    if isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second, rtol=1e-9, atol=1e-12, check_categorical=False)
    elif sparse.issparse(first):
        assert (sparse.csr_matrix(first) != sparse.csr_matrix(second)).nnz == 0
    else:
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in STEP_NAMES if STEPS[name].permutes])
def test_permuting_the_cells_permutes_the_result(
    name: str, chain: Path, run_folder: Path, tmp_path: Path
) -> None:
    sources = {layer: _path(chain, layer, "P1_d0") for layer in _read_of(name)}
    if name == "ingest":
        sources = {"data": run_folder / "data" / "P1_d0" / "counts.h5ad"}
    straight = _run_one(name, chain, **sources)
    moved = {key: _permuted(path, tmp_path / f"{key}.h5ad") for key, path in sources.items()}
    permuted = _run_one(name, chain, **moved)
    assert permuted.obs_names.tolist() != straight.obs_names.tolist()
    back = permuted[straight.obs_names].copy()
    assert back.var_names.tolist() == straight.var_names.tolist()
    _equal(straight.obs, back.obs)
    _equal(straight.var, back.var)
    for container in ("obsm", "varm"):
        assert list(getattr(straight, container)) == list(getattr(back, container))
        for key, value in getattr(straight, container).items():
            _equal(value, getattr(back, container)[key])
    if straight.X is not None:
        _equal(straight.X, back.X)


def test_corrected_counts_reach_the_map_and_not_the_evidence(chain: Path, tmp_path: Path) -> None:
    asked = tmp_path / "qc.h5ad"
    argv = _arguments("qc", chain, chain, "P1_d0")
    argv[argv.index("--out") + 1] = f"adata={asked}"
    argv[argv.index("--params") + 1] = '{"ambient": "correct"}'
    assert cli.main(argv) == 0
    corrected = anndata.read_h5ad(asked)
    keep = corrected.obs["keep"].to_numpy()
    less = corrected.layers[keys.CORRECTED.key][keep].sum(axis=1).A1
    counts = anndata.read_h5ad(_path(chain, "ingest", "P1_d0")).X[keep].sum(axis=1).A1
    assert (less < counts).mean() > 0.9
    changed = _run_one("normalize", chain, qc=asked)
    np.testing.assert_allclose(changed.obs["size_factor"], less / 10_000, rtol=1e-6)
    plain, again = _run_one("score", chain), _run_one("score", chain, qc=asked)
    _equal(plain.obs, again.obs)
    io.write_h5ad(tmp_path / "normalize.h5ad", changed, delivered=False)
    layers = {"ingest": _path(chain, "ingest", "P1_d0"), "qc": asked}
    layers["normalize"] = tmp_path / "normalize.h5ad"
    patterns = {name: str(path) for name, path in layers.items()}
    (seen,) = STEPS["reduce"].reads[0].read(Given(patterns, ("P1_d0",), {}), None)
    total = np.expm1(seen.X).sum(axis=1).A1
    np.testing.assert_allclose(total, 10_000, rtol=1e-3)


def test_a_healthy_sample_more_moves_no_score(
    chain: Path, run_folder: Path, tmp_path: Path
) -> None:
    """The patient alone, from an empty folder: the same files as beside the healthy donor."""
    alone = _run_chain(tmp_path, run_folder / "data", ("P1_d0",))
    for step in SAMPLE_STEPS:
        if STEPS[step].reads_a(Reference):
            continue
        name = f"{step}/P1_d0.h5ad"
        assert _files(alone, step)[name] == _files(chain, step)[name]


def test_proteins_beside_the_genes_move_nothing(
    chain: Path, run_folder: Path, tmp_path: Path
) -> None:
    """The same counts with antibodies in obsm: two tables more in `ingest`, nothing else."""
    raw = anndata.read_h5ad(run_folder / "data" / "P1_d0" / "counts.h5ad")
    values = np.random.default_rng(2).poisson(20, (raw.n_obs, 3)).astype(np.float32)
    names = ["CD45", "EpCAM (CD326)", "HTO_A"]
    raw.obsm["ADT"] = pd.DataFrame(values, index=raw.obs_names, columns=names)
    io.write_h5ad(tmp_path / "data" / "P1_d0" / "counts.h5ad", raw, delivered=False)
    steps = ("ingest", "qc", "normalize", "score")
    for step in steps:
        assert cli.main(_arguments(step, tmp_path, tmp_path / "data", "P1_d0")) == 0
    files = {step: _path(tmp_path, step, "P1_d0") for step in steps}
    plain, found = (io.read_h5ad(_path(f, "ingest", "P1_d0")) for f in (chain, tmp_path))
    row = STEPS["ingest"]
    more = {keys.PROTEIN, keys.PROTEIN_FEATURES, keys.HASHTAG, keys.HASHTAG_FEATURES}
    assert _slots(found) - _slots(plain) == more
    assert more <= set(row.optional)
    assert _bytes(found.X) == _bytes(plain.X)
    for step in steps[1:]:
        assert _slots(io.read_h5ad(files[step])) == _slots(
            io.read_h5ad(_path(chain, step, "P1_d0"))
        )
        _same_slots(step, io.read_h5ad(files[step]), io.read_h5ad(_path(chain, step, "P1_d0")))
    laid = load_sample(files, kept=True, lognorm=False, corrected=False)
    at = raw.obs_names.get_indexer(laid.obs_names)
    both = pd.concat([laid.obsm[keys.PROTEIN.key], laid.obsm[keys.HASHTAG.key]], axis=1)
    assert both.columns.tolist() == names
    np.testing.assert_array_equal(both, values[at])


def test_the_chain_of_commands_ends_in_a_page(chain: Path) -> None:
    assert "<html" in (chain / "report" / "report.html").read_text()
    cells = pd.read_csv(chain / "call" / "cells.tsv", sep="\t", keep_default_na=False)
    cohort = anndata.read_h5ad(_path(chain, "cluster", ""))
    assert len(cells) == cohort.n_obs
    assert (cells["class"].to_numpy() == cohort.obs["class"].astype(str).to_numpy()).all()


def _bytes(value: Any) -> Any:
    """What two results have to share, whatever text and categories are held in."""
    if isinstance(value, pd.DataFrame):
        return {name: _bytes(value[name]) for name in value}
    if sparse.issparse(value):
        return [getattr(value, part).tobytes() for part in ("data", "indices", "indptr")]
    if isinstance(value, pd.Series | np.ndarray):
        array = np.asarray(value)
        return array.astype(str).tolist() if array.dtype == object else array.tobytes()
    return value


def _same_slots(step: str, found: anndata.AnnData, wanted: anndata.AnnData) -> None:
    assert found.obs_names.tolist() == wanted.obs_names.tolist()
    for slot in STEPS[step].slots:
        mine, theirs = (getattr(a, slot.container)[slot.key] for a in (found, wanted))
        if slot in (keys.QC, keys.CALL):
            # what was read of the file, which is another one
            mine, theirs = (json.loads(record) | {"ingest": None} for record in (mine, theirs))
        assert _bytes(mine) == _bytes(theirs), slot


def test_python_use_gives_the_bytes_of_the_workflow(chain: Path, run_folder: Path) -> None:
    import ctcflow as cf

    scored = []
    for sample in SAMPLES:
        raw = anndata.read_h5ad(run_folder / "data" / sample / "counts.h5ad")
        before = raw.X.copy()
        about = {"patient": sample, "draw": sample, **ROW}
        ingested = cf.pp.ingest(raw, sample=sample, about=about)
        measured = cf.pp.qc(ingested)
        adata = cf.tl.score(cf.pp.normalize(measured))
        assert (before != raw.X).nnz == 0 and "keep" not in ingested.obs
        _same_slots("qc", measured, io.read_h5ad(_path(chain, "qc", sample)))
        for step in ("normalize", "score"):
            _same_slots(step, adata, io.read_h5ad(_path(chain, step, sample)))
        counts = anndata.read_h5ad(_path(chain, "ingest", sample))
        assert _bytes(adata.X) == _bytes(counts[adata.obs_names].X)
        assert adata.obs["ward"].eq("x").all()
        scored.append(adata)
    _same_slots("call", cf.tl.call(scored), io.read_h5ad(_path(chain, "call", "")))
    mapped = cf.tl.project(scored[0], chain / "freeze" / "reference.zip")
    _same_slots("project", mapped, io.read_h5ad(_path(chain, "project", "P1_d0")))
