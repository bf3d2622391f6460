"""Mistakes of users, through the command lines that meet them: one clear line each."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse


def refused(ran, *parts: str) -> str:
    """Check that a run ended in one clear line for the user, and give that line."""
    assert ran.code != 0
    assert "Traceback" not in ran.text, ran.text
    lines = set(ran.errors)
    assert len(lines) == 1, ran.text
    (line,) = lines
    assert [part for part in parts if part not in line] == [], line
    return line


def refused_before_the_first_job(ran, run: Path, *parts: str) -> None:
    refused(ran, *parts)
    assert not (run / "results").exists()
    assert not (run / "logs").exists()


@pytest.fixture
def run(tmp_path, sheet, new_run) -> Path:
    """A run directory in which nothing has run and nothing is wrong."""
    return new_run(tmp_path / "run", sheet)


def test_a_missing_file(run, sheet, new_run, snakemake):
    new_run(run, sheet.assign(path=["../data/gone.h5", *sheet["path"][1:]]))
    refused_before_the_first_job(
        snakemake(run), run, "line 2", "../data/gone.h5", "there is no", "correct the path"
    )


def test_an_empty_folder(run, sheet, new_run, snakemake, tmp_path):
    (tmp_path / "empty").mkdir()
    new_run(run, sheet.assign(path=[str(tmp_path / "empty"), *sheet["path"][1:]]))
    refused_before_the_first_job(
        snakemake(run), run, "sample `P1_d0`", str(tmp_path / "empty"), "empty folder", "copy"
    )


def test_an_empty_file(run, sheet, new_run, snakemake, tmp_path):
    (tmp_path / "counts.h5ad").touch()
    new_run(run, sheet.assign(path=[str(tmp_path / "counts.h5ad"), *sheet["path"][1:]]))
    refused_before_the_first_job(snakemake(run), run, "sample `P1_d0`", "0 bytes", "copy it again")


def test_two_equal_samples(run, sheet, new_run, snakemake, tmp_path):
    copy = shutil.copytree(sheet["path"][0], tmp_path / "copy")
    row = sheet.iloc[[0]].assign(path=str(copy))
    new_run(run, pd.concat([sheet, row]))
    refused_before_the_first_job(
        snakemake(run), run, "line 5: sample P1_d0 is also on line 2: rename one"
    )


def test_one_file_as_two_samples(run, sheet, new_run, snakemake):
    new_run(run, pd.concat([sheet, sheet.iloc[[0]].assign(sample="other", draw="other")]))
    refused_before_the_first_job(snakemake(run), run, "line 5", "same file as on line 2")


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("qc: {min_gnes: 3}\n", ("unknown key qc.min_gnes", "did you mean qc.min_genes?")),
        ("call: {fdr: 1.5}\n", ("call.fdr", "1.5", "must be < 1")),
        ("panels: gone.tsv\n", ("panels", "gone.tsv", "correct the path")),
    ],
)
def test_a_mistake_in_the_configuration(run, sheet, new_run, snakemake, config, parts):
    new_run(run, sheet, config)
    refused_before_the_first_job(snakemake(run), run, *parts)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("P1_d1\tA\tveto\tAB\tdebris", ("line 2", "'P1_d1'", "did you mean P1_d0?")),
        ("P1_d0\tA\tvetoed\tAB\tdebris", ("line 2", "'vetoed'", "did you mean veto?")),
        (None, ("verdicts.tsv", "does not exist", "create it, or set `verdicts`")),
    ],
)
def test_a_mistake_in_the_verdicts(run, sheet, new_run, snakemake, line, parts):
    new_run(run, sheet, "verdicts: config/verdicts.tsv\n")
    if line is not None:
        header = "sample\tbarcode\tverdict\treviewer\treason\n"
        (run / "config" / "verdicts.tsv").write_text(header + line + "\n")
    refused_before_the_first_job(snakemake(run), run, *parts)


def test_a_sheet_that_is_not_there(run, snakemake):
    (run / "config" / "samples.tsv").unlink()
    refused_before_the_first_job(snakemake(run), run, "samples.tsv", "does not exist", "create it")


@pytest.fixture
def broken(run, sheet, cohort, new_run, tmp_path) -> Path:
    """A run whose second sample, a 10x h5 file, is cut off in the middle."""
    data = Path(sheet["path"][1]).read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    return new_run(run, sheet.assign(path=[sheet["path"][0], str(tmp_path / "cut.h5"), ""]).head(2))


def test_a_truncated_h5_is_named_and_nothing_of_the_others_is_lost(
    broken, sheet, new_run, snakemake
):
    ran = snakemake(broken, "results/ingest/P1_d0.h5ad", "results/ingest/P2_d0.h5ad", "-k")
    refused(ran, "sample `P2_d0`", "cut.h5", "truncated", "copy it again")
    assert (broken / "results" / "ingest" / "P1_d0.h5ad").is_file()
    assert not (broken / "results" / "ingest" / "P2_d0.h5ad").exists()
    new_run(broken, sheet.head(2))
    mended = snakemake(broken, "-n")
    assert mended.jobs["ingest"] == 1
    assert mended.jobs["qc"] == 2


def _ingest(ctcflow, path: Path, *options: str):
    out = path.parent / "out.h5ad"
    row = json.dumps({"sample": "S1"})
    ran = ctcflow(
        path.parent,
        "ingest",
        "--in",
        f"data={path}",
        "--out",
        f"adata={out}",
        "--row",
        row,
        *options,
    )
    assert out.exists() == (ran.code == 0)
    assert not [found for found in path.parent.iterdir() if found.name.endswith(".part")]
    return ran


@pytest.fixture
def counts(finished) -> anndata.AnnData:
    """Counts of the healthy donor."""
    return anndata.read_h5ad(finished / "results" / "ingest" / "H1.h5ad")


def _bare(x, names, cells) -> anndata.AnnData:
    obs = pd.DataFrame(index=np.asarray(cells, dtype=object))
    return anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=np.asarray(names, dtype=object)))


def test_a_truncated_h5ad(ctcflow, counts, tmp_path):
    path = tmp_path / "counts.h5ad"
    counts.write_h5ad(path)
    path.write_bytes(path.read_bytes()[:-1000])
    ran = _ingest(ctcflow, path)
    assert ran.code == 2
    refused(ran, "sample `S1`", str(path), "copy it again")


def test_a_truncated_gzip(ctcflow, sheet, tmp_path):
    folder = Path(shutil.copytree(sheet["path"][0], tmp_path / "mtx"))
    matrix = folder / "matrix.mtx.gz"
    matrix.write_bytes(matrix.read_bytes()[:-500])
    ran = _ingest(ctcflow, folder)
    assert ran.code == 2
    refused(ran, "sample `S1`", "matrix.mtx.gz", "copy")


def test_a_matrix_with_another_number_of_barcodes(ctcflow, sheet, tmp_path):
    folder = Path(shutil.copytree(sheet["path"][0], tmp_path / "mtx"))
    barcodes = folder / "barcodes.tsv.gz"
    lines = gzip.decompress(barcodes.read_bytes()).splitlines()
    barcodes.write_bytes(gzip.compress(b"\n".join(lines[:-1])))
    ran = _ingest(ctcflow, folder)
    assert ran.code == 2
    refused(ran, "sample `S1`", "120 columns", "119", "copy the three files again")


def test_log_normalised_values(ctcflow, counts, tmp_path):
    x = counts.X.astype(np.float32)
    x = x.multiply(1e4 / np.maximum(x.sum(axis=1), 1).reshape(-1, 1)).tocsr().log1p()
    path = tmp_path / "log.h5ad"
    _bare(sparse.csr_matrix(x), counts.var_names, counts.obs_names).write_h5ad(path)
    ran = _ingest(ctcflow, path)
    assert ran.code == 2
    refused(ran, "sample `S1`", "looks log-normalised, give raw counts")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (-1.0, ("1 negative values", "give raw counts")),
        (np.nan, ("NaN", "give raw counts")),
        (0.5, ("not whole numbers", "ingest.counts to expected")),
    ],
)
def test_values_that_are_not_counts(ctcflow, counts, tmp_path, value, parts):
    x = counts.X.astype(np.float32)
    x.data[7] = value
    path = tmp_path / "bad.h5ad"
    _bare(x, counts.var_names, counts.obs_names).write_h5ad(path)
    ran = _ingest(ctcflow, path)
    assert ran.code == 2
    refused(ran, "sample `S1`", *parts)


def test_ensembl_ids_where_symbols_are_expected_work(ctcflow, counts, tmp_path):
    ids = counts.var["gene_id"].astype(str).to_numpy(object)
    versioned = np.array([f"{name}.7" for name in ids], dtype=object)
    path = tmp_path / "ids.h5ad"
    _bare(counts.X, versioned, counts.obs_names).write_h5ad(path)
    ran = _ingest(ctcflow, path)
    assert ran.code == 0, ran.text
    read = anndata.read_h5ad(tmp_path / "out.h5ad")
    both = [name for name in counts.var_names if name in read.var_names]
    assert len(both) == counts.n_vars
    assert (read[:, both].X != counts[:, both].X).nnz == 0


def test_names_that_are_no_genes(ctcflow, counts, tmp_path):
    path = tmp_path / "names.h5ad"
    names = [f"feature{k}" for k in range(counts.n_vars)]
    _bare(counts.X, names, counts.obs_names).write_h5ad(path)
    ran = _ingest(ctcflow, path)
    assert ran.code == 2
    refused(ran, "sample `S1`", "known human genes", "symbol or Ensembl id")


def test_a_panel_without_a_gene_in_the_data_runs_and_says_so(ctcflow, finished, tmp_path):
    panel = tmp_path / "panel.tsv"
    panel.write_text("set\tgene\tdirection\npan_epithelial\tNOTAGENE1\t1\n")
    base = finished / "results"
    for step, layers in (("qc", ("ingest",)), ("score", ("ingest", "qc"))):
        where = {"ingest": base, "qc": tmp_path}
        inputs = [f"{layer}={where[layer]}/{layer}/P1_d0.h5ad" for layer in layers]
        out = f"adata={tmp_path}/{step}/P1_d0.h5ad"
        ran = ctcflow(
            tmp_path, step, "--in", f"panels={panel}", *inputs, "--out", out,
        )  # fmt: skip
        assert ran.code == 0, ran.text
    layers = [f"{step}={tmp_path}/{step}/{{sample}}.h5ad" for step in ("qc", "score")]
    tables = [f"ctc={tmp_path}/ctc.tsv", f"adata={tmp_path}/call.h5ad"]
    ran = ctcflow(
        tmp_path, "call", "--in", *layers, "--samples", "P1_d0", "--out", *tables,
    )  # fmt: skip
    assert ran.code == 0, ran.text
    found = pd.read_csv(tmp_path / "ctc.tsv", sep="\t", keep_default_na=False)
    # without a panel a call rests on all other genes
    called = found[found["class"].isin({"CTC", "CTC aggregate"})]
    assert called["reason"].str.contains("epithelial by all of its genes").all()
    assert (found["n_panel_genes"] == 0).all()
    with h5py.File(tmp_path / "call.h5ad") as file:
        said = json.loads(file["uns/call"].asstr()[()])["not_run"]
    assert {
        "sample": "P1_d0",
        "what": "tumour panel",
        "reason": "no panel gene is in the data",
    } in said


def test_a_threshold_on_the_command_line_out_of_bounds(ctcflow, finished, tmp_path):
    layer = f"ingest={finished}/results/ingest/P1_d0.h5ad"
    ran = ctcflow(tmp_path, "qc", "--in", layer, "--params", '{"max_mt_limit": 200}')
    assert ran.code == 2
    refused(ran, "qc.max_mt_limit", "200", "100")


def test_a_damaged_result_is_named_with_what_to_do(ctcflow, finished, tmp_path):
    damaged = tmp_path / "P1_d0.h5ad"
    damaged.write_bytes((finished / "results" / "ingest" / "P1_d0.h5ad").read_bytes()[:5000])
    ran = ctcflow(tmp_path, "qc", "--in", f"ingest={damaged}", "--out", f"adata={tmp_path}/q.h5ad")
    assert ran.code == 2
    refused(ran, str(damaged), "cannot be read", "delete it")
    assert not (tmp_path / "q.h5ad").exists()
