"""ctcflow itself on the same samples, through the command line of the checkout.

All samples are patients, so that none is used as a control. `CTC` and `CTC aggregate` are calls.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pandas as pd
from benchmarks.peers.environments import CannotRun, last_line
from benchmarks.peers.judging import as_anndata, read
from benchmarks.samples import REPOSITORY

from ctcflow import __version__

TITLE = "ctcflow"
VERSION = "version.txt"
CALLS = ("CTC", "CTC aggregate")
KINDS = ("healthy", "mixture", "tissue")
"""Samples that ctcflow is asked about; the others ask about copy number only."""
_WANTED = "results/call/cells.tsv.gz"


def write_run(inputs: Path, folder: Path) -> list[str]:
    """Write the samples with a question for ctcflow as a run folder; gives their names."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "config").mkdir(exist_ok=True)
    names = [path.name for kind in KINDS for path in inputs.glob(f"{kind}_*")]
    for name in sorted(names):
        adata = as_anndata(read(inputs / name))
        adata.obs, adata.var = adata.obs[[]], adata.var[[]]
        adata.write_h5ad(folder / "data" / f"{name}.h5ad")
    sheet = pd.DataFrame({"sample": sorted(names)})
    sheet["path"] = "../data/" + sheet["sample"] + ".h5ad"
    sheet.assign(role="patient", patient=sheet["sample"]).to_csv(
        folder / "config" / "samples.tsv", sep="\t", index=False
    )
    (folder / "config" / "config.yaml").write_text("samples: config/samples.tsv\n")
    return sorted(names)


def revision() -> str:
    """Version of the checkout with its commit, and `changed` where files differ from that."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty= changed"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return f"{TITLE} {__version__} {done.stdout.strip()}".strip()


def run(inputs: Path, output: Path) -> None:
    """Run the workflow up to the calls and write them as the other tools do."""
    folder = output / "run"
    names = write_run(inputs, folder)
    (output / VERSION).write_text(revision())
    command = ["snakemake", "-s", "Snakefile", "--directory", str(folder.resolve())]
    start = time.perf_counter()
    done = subprocess.run(
        [str(REPOSITORY / ".venv" / "bin" / command[0]), *command[1:], "--cores", "1", _WANTED],
        cwd=REPOSITORY,
        env=os.environ | {"PATH": f"{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        (output / "log.txt").write_text(done.stdout + done.stderr)
        raise CannotRun(last_line(done.stderr))
    seconds = time.perf_counter() - start
    all_cells = pd.read_csv(folder / _WANTED, sep="\t", dtype={"barcode": str})
    all_cells["called"] = all_cells["class"].isin(CALLS).astype(int)
    for name in names:
        cells = read(inputs / name).barcodes
        called = all_cells[all_cells["sample"] == name].set_index("barcode")["called"]
        # cells that quality control sets aside are not called
        rows = called.reindex(cells, fill_value=0).rename_axis("barcode").reset_index()
        rows.rename(columns={"called": "CTC"}).to_csv(output / f"{name}.tsv", sep="\t", index=False)
    (output / "seconds.tsv").write_text(f"all\t{seconds:.2f}\n")
