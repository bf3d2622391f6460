"""The one way to run a step: read, check, run, check, record."""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ctcflow import __version__, digests, io, keys, sample_files
from ctcflow.contracts import STEPS, Step
from ctcflow.errors import CtcflowError
from ctcflow.keys import Slot
from ctcflow.params import StepsParams
from ctcflow.sample_params import Params
from ctcflow.sheet_columns import add_row
from ctcflow.tables import GENE_SETS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from anndata import AnnData

log = logging.getLogger(__name__)


_MOST_MISSING = 0.1  # genes of the sample that its unfiltered droplets may lack (fraction)


class Inputs(NamedTuple):
    """What the command line hands over."""

    paths: Mapping[str, str]
    """Name of the input and its path; of a cohort, with `{sample}` in it."""
    samples: tuple[str, ...]
    """Names of the cohort's samples, in the order of the sheet; empty for a sample step."""
    row: Mapping[str, Any]
    """Row of the sample sheet (`ingest` only)."""


class Output(NamedTuple):
    """What a step gives back, ready to be written."""

    adata: AnnData | None
    tables: dict[str, pd.DataFrame]
    files: dict[str, bytes]


def params_of(name: str) -> type[Params]:
    """Parameter model of a step."""
    model: type[Params] = type(getattr(StepsParams(), name))
    return model


def run(name: str, inputs: Inputs, params: Params) -> Output:
    """Read what a step needs, run it, check what it wrote, and record how it came about.

    Raises
    ------
    CtcflowError
        An input is missing, unusable, or not what the step before it wrote.
    """
    step = STEPS[name]
    start = time.perf_counter()
    function = getattr(importlib.import_module(f"ctcflow.steps.{name}"), name)
    read = _digests(inputs)
    objects, record = _read(name, step, inputs)
    log.info("%s: read in %.2f s", name, time.perf_counter() - start)
    missing = [str(slot) for slot in step.requires if not _has(objects[0], slot)]
    if missing:
        raise CtcflowError(f"step `{name}` needs {', '.join(missing)}: run the steps before it")
    cells_in = _n_cells(objects[0])
    start = time.perf_counter()
    result = function(*objects, params=params)
    log.info("%s: done in %.2f s", name, time.perf_counter() - start)
    if isinstance(result, dict):
        return Output(None, {}, result)
    _check(name, step, result)
    if name == "ingest":
        add_row(result, inputs.row)
    record["steps"][name] = {
        "version": __version__,
        "params": params.model_dump(mode="json"),
        "inputs": read,
        "cells_in": cells_in,
        "cells_out": int(result.n_obs),
    }
    before = "" if cells_in is None else f"{cells_in} cells in, "
    log.info("%s: %s%d cells out", name, before, result.n_obs)
    return Output(_own(step, result, record), _exports(step, result), {})


def _read(name: str, step: Step, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
    """Objects in the order of the function's arguments, and the record to go on with."""
    tables = {table: _read_table(table, inputs) for table in step.tables}
    if name == "ingest":
        adata = _read_counts(inputs, tables["genes"])
        return [adata, *tables.values()], {"sample": dict(inputs.row), "steps": {}}
    if step.apart:
        return [io.read_h5ad(_path(inputs, done), x_on_disk=True) for done in step.finished], {}
    layers = {layer: _path(inputs, layer) for layer in step.layers}
    if step.scope == "sample":
        adata = sample_files.load_sample(
            layers, kept=step.kept, lognorm=step.lognorm, corrected=step.corrected
        )
        beside = [_read_unfiltered(inputs, adata)] if step.unfiltered else []
        beside += [_bundle().read(_path(inputs, "reference"))] if step.reference else []
        return [adata, *beside, *tables.values()], io.json_slot(adata, keys.CTCFLOW.key)
    objects: list[Any] = []
    record: dict[str, Any] = {"sample": None, "steps": {}}
    if step.finished:
        adata = sample_files.load_sample(
            {done: _path(inputs, done) for done in step.finished},
            kept=False,
            lognorm=False,
            corrected=False,
        )
        record["steps"] = io.json_slot(adata, keys.CTCFLOW.key)["steps"]
        objects.append(adata)
    if layers:
        patterns = {layer: str(path) for layer, path in layers.items()}
        cohort = sample_files.Cohort(inputs.samples, patterns, step.lognorm, step.corrected)
        record["steps"] = _of_all(cohort) | record["steps"]
        objects.append(cohort)
    if step.verdicts:
        objects.append(_read_verdicts(inputs))
    if step.controls:
        objects.append(_read_controls(inputs))
    return [*objects, *tables.values()], record


def _of_all(cohort: sample_files.Cohort) -> dict[str, Any]:
    """Records of the sample steps: parameters of the first sample, and where others differ."""
    common: dict[str, Any] = {}
    for name, record in zip(cohort.samples, cohort.records(), strict=True):
        for step, own in record["steps"].items():
            known = common.setdefault(
                step, {"version": own["version"], "params": own["params"], "overrides": {}}
            )
            changed = {k: v for k, v in own["params"].items() if v != known["params"].get(k)}
            if changed:
                known["overrides"][name] = changed
    return common


def _read_counts(inputs: Inputs, genes: pd.DataFrame) -> AnnData:
    from ctcflow.formats.read import read_counts

    wanted = inputs.row.get("format")
    counts = read_counts(_path(inputs, "data"), format=wanted, genes=genes)
    return counts.adata


def _read_unfiltered(inputs: Inputs, adata: AnnData) -> AnnData | None:
    """All droplets over the sample's genes, named as `ingest` names them; None where not given."""
    if "unfiltered" not in inputs.paths:
        return None
    from ctcflow.formats.read import read_counts

    genes = _read_table("genes", inputs)
    found = read_counts(_path(inputs, "unfiltered"), format=None, genes=genes).adata
    # by name, as `run` does: an edit of `ingest` re-runs it and so this step, but no other
    ingest = importlib.import_module("ctcflow.steps.ingest").ingest
    record = io.json_slot(adata, keys.CTCFLOW.key)["steps"]["ingest"]["params"]
    droplets = ingest(found, genes, params=params_of("ingest").model_validate(record))
    places = droplets.var_names.get_indexer(adata.var_names)
    missing = int((places < 0).sum())
    if missing > _MOST_MISSING * adata.n_vars:
        raise CtcflowError(
            f"`{inputs.paths['unfiltered']}` lacks {missing} of the {adata.n_vars} genes of the"
            " sample: give the unfiltered matrix of the same library as raw_path"
        )
    return _with_genes(droplets, places, adata)


def _read_verdicts(inputs: Inputs) -> pd.DataFrame | None:
    """A reviewer's verdicts on cells of the cohort; None where not given."""
    if "verdicts" not in inputs.paths:
        return None
    import pandas as pd

    # by name: an edit of it re-runs `call` and no other step (`workflow` knows)
    review = importlib.import_module("ctcflow.review")
    found = review.load_verdicts(Path(inputs.paths["verdicts"]), inputs.samples)
    return pd.DataFrame(found, columns=list(review.Verdict._fields), dtype=object)


def _bundle() -> Any:
    """By name: an edit of it re-runs the steps that see a reference (`workflow` knows)."""
    return importlib.import_module("ctcflow.bundle")


def _read_controls(inputs: Inputs) -> dict[str, Any] | None:
    """What the frozen reference knows of controls; None where the run has none."""
    if "reference" not in inputs.paths:
        return None
    manifest = _bundle().read_manifest(Path(inputs.paths["reference"]))
    return dict(manifest["controls"])


def _with_genes(droplets: AnnData, places: npt.NDArray[np.intp], adata: AnnData) -> AnnData:
    import anndata
    from scipy import sparse

    # a column of zeros after the last one stands in for genes that the droplets lack
    empty = sparse.csr_matrix((droplets.n_obs, 1), dtype=droplets.X.dtype)
    padded = sparse.hstack([droplets.X, empty]).tocsr()
    columns = [place if place >= 0 else droplets.n_vars for place in places]
    same = columns == list(range(droplets.n_vars))
    return anndata.AnnData(
        X=droplets.X if same else padded[:, columns], obs=droplets.obs[[]], var=adata.var[[]]
    )


def _read_table(name: str, inputs: Inputs) -> pd.DataFrame:
    path = _path(inputs, name)
    return io.read_gene_sets(path) if name in GENE_SETS else io.read_table(path)


def _path(inputs: Inputs, name: str) -> Path:
    if name not in inputs.paths:
        raise CtcflowError(
            f"no input `{name}` was given (given: {', '.join(inputs.paths) or 'none'}):"
            f" add --in {name}=PATH"
        )
    return Path(inputs.paths[name])


def _digests(inputs: Inputs) -> dict[str, str]:
    """Digest of each input; of a cohort's files, of the digests of all samples.

    Before anything is read: what is not as its step left it is never taken for a result.
    """
    from ctcflow.formats.detect import input_files

    found = {}
    for name, path in inputs.paths.items():
        if name in ("data", "unfiltered"):
            wanted = inputs.row.get("format") if name == "data" else None
            files = input_files(Path(path), format=wanted)
        elif inputs.samples and "{sample}" in path:
            files = [Path(path.replace("{sample}", sample)) for sample in inputs.samples]
        else:
            files = [Path(path)]
        found[name] = digests.checked(*files)
    return found


def _has(adata: Any, slot: Slot) -> bool:
    if isinstance(adata, sample_files.Cohort):
        return True
    if slot.container == "X":
        return adata.X is not None
    return slot.key in getattr(adata, slot.container)


def _n_cells(first: Any) -> int | None:
    return None if isinstance(first, sample_files.Cohort) else int(first.n_obs)


def _check(name: str, step: Step, result: AnnData) -> None:
    missing = [str(slot) for slot in step.writes if not _has(result, slot)]
    if missing:
        raise RuntimeError(f"step `{name}` did not write {', '.join(missing)}")


def _own(step: Step, result: AnnData, record: dict[str, Any]) -> AnnData:
    """Leave only the slots that the step owns, and the record."""
    import anndata

    if step.whole:
        own = result
    else:
        own = anndata.AnnData(obs=result.obs[[]].copy(), var=result.var[[]].copy())
        for slot in (*step.writes, *step.optional):
            if _has(result, slot):
                getattr(own, slot.container)[slot.key] = getattr(result, slot.container)[slot.key]
    own.uns[keys.CTCFLOW.key] = json.dumps(record, sort_keys=True)
    return own


def _exports(step: Step, result: AnnData) -> dict[str, pd.DataFrame]:
    if not step.exports:
        return {}
    tables = importlib.import_module("ctcflow.render.tables")
    return {name: getattr(tables, function)(result) for name, function in step.exports.items()}
