"""Run one step: read its inputs, check them, run it, check the result, record how it was made."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ctcflow import __version__, keys
from ctcflow.contracts import STEPS, Step
from ctcflow.errors import CtcflowError
from ctcflow.files import digests, io, sample_files
from ctcflow.inputs import Given
from ctcflow.keys import Slot
from ctcflow.records.run import RunRecord, StepRecord
from ctcflow.settings.params import StepsParams
from ctcflow.settings.sample_params import Params
from ctcflow.settings.sheet_columns import add_row

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

log = logging.getLogger(__name__)


class Output(NamedTuple):
    """Result of a step, ready to be written."""

    adata: AnnData | None
    tables: dict[str, pd.DataFrame]
    files: dict[str, bytes]


def params_of(name: str) -> type[Params]:
    """Parameter model of a step."""
    model: type[Params] = type(getattr(StepsParams(), name))
    return model


def run(name: str, given: Given, params: Params) -> Output:
    """Read the inputs of a step, run it, check the result, and record how it was made.

    Raises
    ------
    CtcflowError
        An input is missing, unusable, or changed after the step before wrote it.
    """
    step = STEPS[name]
    start = time.perf_counter()
    function = step.function()
    files = {name: files for kind in step.reads for name, files in kind.files(given).items()}
    with digests.unchanged([path for paths in files.values() for path in paths]):
        # before anything is read: a file that changed after its step wrote it is an error
        read = {name: digests.checked(*paths) for name, paths in files.items()}
        objects = _read(step, given)
    record = _record(step, objects, given)
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
    if step.reads[0].begins:
        add_row(result, given.row)
    record["steps"][name] = {
        "version": __version__,
        "params": params.model_dump(mode="json"),
        "inputs": read,
        "cells_in": cells_in,
        "cells_out": int(result.n_obs),
    }
    before = "" if cells_in is None else f"{cells_in} cells in, "
    log.info("%s: %s%d cells out", name, before, result.n_obs)
    tables = {name: made_of(result) for name, made_of in step.exports().items()}
    return Output(_own(step, result, record), tables, {})


def _read(step: Step, given: Given) -> list[Any]:
    """Read the inputs, in the order of the function's arguments."""
    unknown = [name for name in given.paths if name not in step.inputs]
    if unknown:
        raise CtcflowError(
            f"there is no input `{unknown[0]}` (there are {', '.join(step.inputs)}): leave it out"
        )
    objects: list[Any] = []
    for kind in step.reads:
        objects.append(kind.read(given, objects[0] if objects else None))
    return objects


def _record(step: Step, objects: Sequence[Any], given: Given) -> RunRecord:
    """Provenance of the inputs: the row of the sample sheet, and the record of each step so far."""
    if step.reads[0].begins:
        return {"sample": dict(given.row), "steps": {}}
    steps: dict[str, StepRecord] = {}
    for input_object in objects:
        if isinstance(input_object, sample_files.Cohort):
            steps |= input_object.steps()
    if isinstance(objects[0], sample_files.Cohort):
        return {"sample": None, "steps": steps}
    before = io.record(objects[0], keys.CTCFLOW, RunRecord)
    return {"sample": before["sample"], "steps": steps | before["steps"]}


def _has(adata: Any, slot: Slot) -> bool:
    if isinstance(adata, sample_files.Cohort):
        return True
    if slot.container == "X":
        return adata.X is not None
    return slot.key in getattr(adata, slot.container)


def _n_cells(first: Any) -> int | None:
    return None if isinstance(first, sample_files.Cohort) else int(first.n_obs)


def _check(name: str, step: Step, result: AnnData) -> None:
    missing = [str(slot) for slot in step.slots if not _has(result, slot)]
    if missing:
        raise RuntimeError(f"step `{name}` did not write {', '.join(missing)}")


def _own(step: Step, result: AnnData, record: RunRecord) -> AnnData:
    """Keep only the slots that the step writes, and add the record."""
    import anndata

    if step.whole:
        written = result
    else:
        written = anndata.AnnData(obs=result.obs[[]].copy(), var=result.var[[]].copy())
        for slot in (*step.slots, *step.optional):
            if _has(result, slot):
                getattr(written, slot.container)[slot.key] = getattr(result, slot.container)[
                    slot.key
                ]
    io.write_record(written, keys.CTCFLOW, record)
    return written
