"""A process that reads what it is told to, so that a crash or a hang is seen from outside.

Lines of JSON on standard input, `{"reader": ..., "path": ...}`; one line of JSON for each comes
back: `read` (with the number of cells), `refused` (with the sentence), or `crashed`.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ctcflow.errors import CtcflowError, reason
from ctcflow.files import bundle, io
from ctcflow.files.tables import SHIPPED
from ctcflow.formats.detect import locate
from ctcflow.formats.read import read_counts
from ctcflow.formats.size import size_of
from ctcflow.settings.config import load_config, load_samples
from ctcflow.settings.review import load_verdicts

ROOT = Path(__file__).parents[2]
MEMORY = 4 * 2**30
GENES = io.read_table(ROOT / "resources" / SHIPPED["genes"])


def counts(path: Path) -> int:
    size_of(locate(path, format=None))
    return int(read_counts(path, format=None, genes=GENES).adata.n_obs)


def config(path: Path) -> int:
    try:
        raw = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise CtcflowError(reason(error)) from error  # Snakemake reads it, and says so itself
    load_config(raw)
    return 0


def sheet(path: Path) -> int:
    found = load_samples(path, load_config({}))
    for sample in found:
        results = Path("/run/results")
        assert (results / f"{sample.sample}.h5ad").resolve().parent == results, sample.sample
    return len(found)


def verdicts(path: Path) -> int:
    return len(load_verdicts(path, ["P1_d0", "H1"]))


def gene_sets(path: Path) -> int:
    table = io.read_gene_sets(path)
    assert isinstance(table, pd.DataFrame)
    return len(table)


def result(path: Path) -> int:
    return int(io.read_h5ad(path).n_obs)


def reference(path: Path) -> int:
    bundle.read_manifest(path)
    return len(bundle.read(path).manifest)


READERS = {
    reader.__name__: reader for reader in (counts, config, sheet, verdicts, gene_sets, result)
} | {"reference": reference}


def answer(reader: str, path: str) -> dict[str, Any]:
    try:
        return {"verdict": "read", "cells": READERS[reader](Path(path))}
    except CtcflowError as error:
        return {"verdict": "refused", "text": str(error)}
    except BaseException:
        return {"verdict": "crashed", "text": traceback.format_exc()}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
