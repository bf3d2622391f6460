"""Files appear only when they are complete; an unreadable file is reported in one line."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ctcflow import keys
from ctcflow.errors import CtcflowError
from ctcflow.files import io, sample_files
from ctcflow.records.run import RunRecord


def _counts(n: int = 30, genes: int = 12) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(1.5, (n, genes)).astype(np.int32)),
        obs=pd.DataFrame(index=pd.Index([f"c{i}" for i in range(n)], dtype=object)),
        var=pd.DataFrame(index=pd.Index([f"G{i}" for i in range(genes)], dtype=object)),
    )
    adata.uns["ctcflow"] = json.dumps({"sample": {"sample": "s"}, "steps": {"ingest": {"v": 1}}})
    return adata


def _layer(base: anndata.AnnData, step: str, **obs: np.ndarray) -> anndata.AnnData:
    layer = anndata.AnnData(obs=pd.DataFrame(obs, index=base.obs_names), var=base.var[[]])
    layer.uns["ctcflow"] = json.dumps({"sample": None, "steps": {step: {"v": 2}}})
    layer.uns[step] = f"said by {step}"
    return layer


# ---- whole files


def test_a_failure_leaves_nothing_and_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.tsv"
    for before in (None, b"old"):
        if before:
            path.write_bytes(before)
        with pytest.raises(ZeroDivisionError), io.whole_file(path) as part:
            part.write_bytes(b"half")
            raise ZeroDivisionError
        left = {file.name: file.read_bytes() for file in path.parent.iterdir()}
        assert left == ({path.name: before} if before else {})


def test_the_new_file_replaces_the_old_and_has_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a" / "result"
    io.write_bytes(path, b"old")
    with path.open("rb") as reader:
        io.write_bytes(path, b"new")
        assert reader.read() == b"old"  # who was reading goes on with the whole old file
    assert [file.name for file in path.parent.iterdir()] == ["result"]
    assert path.read_bytes() == b"new"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_killed_process_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    path, started = tmp_path / "result", tmp_path / "started"
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from ctcflow.files.io import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half')\n"
        "    Path(sys.argv[2]).touch()\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path), str(started)])
    try:
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert started.exists()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not path.exists()
    io.write_bytes(path, b"whole")  # what the dead one left is in nobody's way
    assert path.read_bytes() == b"whole"


# ---- h5ad


@pytest.mark.parametrize("delivered", [True, False])
def test_h5ad_comes_back_as_written_and_twice_the_same(tmp_path: Path, delivered: bool) -> None:
    adata = _counts()
    adata.obs["flag"] = pd.Categorical(["a", "b", ""] * 10)
    adata.obs["text"] = np.array(["x"] * 30, dtype=object)
    for name in ("one", "two"):
        io.write_h5ad(tmp_path / name, adata.copy(), delivered=delivered)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    back = io.read_h5ad(tmp_path / "one")
    assert (back.X != adata.X).nnz == 0
    assert back.X.dtype == np.int32
    assert back.obs["flag"].tolist() == adata.obs["flag"].tolist()
    assert back.obs["text"].tolist() == ["x"] * 30
    assert io.record(back, keys.CTCFLOW, RunRecord)["sample"] == {"sample": "s"}
    assert io.read_record(tmp_path / "one") == io.record(back, keys.CTCFLOW, RunRecord)


def test_damaged_h5ad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.h5ad"
    io.write_h5ad(whole, _counts(), delivered=False)
    content = whole.read_bytes()
    damaged = {
        "truncated": content[: len(content) // 2],
        "stub": content[:100],
        "empty": b"",
        "garbage": b"not an h5ad\n" * 50,
    }
    for name, data in damaged.items():
        path = tmp_path / f"{name}.h5ad"
        path.write_bytes(data)
        for read in (io.read_h5ad, io.read_record):
            with pytest.raises(CtcflowError) as error:
                read(path)
            message = str(error.value)
            assert message.startswith(f"`{path}` cannot be read (")
            assert message.endswith("delete it, the next run rebuilds it")
            assert "\n" not in message


def test_a_flipped_byte_of_a_delivered_file_is_caught_or_harmless(tmp_path: Path) -> None:
    """Gzip's checksum stands between a damaged matrix and a wrong number."""
    adata = _counts(400, 60)
    path = tmp_path / "whole.h5ad"
    io.write_h5ad(path, adata, delivered=True)
    content, at = path.read_bytes(), []
    import h5py

    with h5py.File(path) as file:
        dataset = file["X/data"]
        assert dataset.compression == "gzip"
        for k in range(dataset.id.get_num_chunks()):
            chunk = dataset.id.get_chunk_info(k)
            at.append(chunk.byte_offset + chunk.size // 2)
    damaged = bytearray(content)
    for position in at:
        damaged[position] ^= 0x55
    path.write_bytes(damaged)
    with pytest.raises(CtcflowError, match="cannot be read"):
        io.read_h5ad(path)


def test_a_missing_h5ad_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "gone.h5ad"
    with pytest.raises(CtcflowError) as error:
        io.read_h5ad(path)
    assert str(error.value) == f"`{path}` is missing: run the step that writes it"


# ---- layers


def _written(tmp_path: Path) -> tuple[anndata.AnnData, dict[str, Path], np.ndarray]:
    base = _counts()
    keep = np.arange(30) % 4 != 1
    factors = np.asarray(base.X.sum(axis=1)).ravel() / 7.0
    files = {name: tmp_path / f"{name}.h5ad" for name in ("ingest", "qc", "normalize")}
    io.write_h5ad(files["ingest"], base, delivered=False)
    io.write_h5ad(files["qc"], _layer(base, "qc", keep=keep), delivered=False)
    kept = base[keep].copy()
    layer = _layer(kept, "normalize", size_factor=factors[keep])
    io.write_h5ad(files["normalize"], layer, delivered=False)
    return base, files, keep


def test_layers_lie_over_the_counts_of_the_kept_cells(tmp_path: Path) -> None:
    base, files, keep = _written(tmp_path)
    found = sample_files.load_sample(files, kept=True, lognorm=False, corrected=False)
    assert found.obs_names.tolist() == base.obs_names[keep].tolist()
    assert (base.X[keep] != found.X).nnz == 0
    assert found.obs["keep"].all()
    assert found.uns["qc"] == "said by qc"
    assert set(io.record(found, keys.CTCFLOW, RunRecord)["steps"]) == {"ingest", "qc", "normalize"}
    assert io.record(found, keys.CTCFLOW, RunRecord)["sample"] == {"sample": "s"}
    every = sample_files.load_sample(
        {k: files[k] for k in ("ingest", "qc")}, kept=False, lognorm=False, corrected=False
    )
    assert every.n_obs == 30


def test_log_normalised_values_are_scanpys(tmp_path: Path) -> None:
    import scanpy as sc

    base, files, keep = _written(tmp_path)
    found = sample_files.load_sample(files, kept=True, lognorm=True, corrected=False)
    expected = base[keep].copy()
    expected.X = expected.X.astype(np.float32)
    sc.pp.normalize_total(expected, target_sum=7.0)
    sc.pp.log1p(expected)
    np.testing.assert_allclose(found.X.toarray(), expected.X.toarray(), rtol=1e-6)
    assert found.X.dtype == np.float32


def test_corrected_counts_are_seen_by_those_who_ask(tmp_path: Path) -> None:
    base, files, keep = _written(tmp_path)
    less = base.X.copy()
    less.data = np.maximum(less.data - 1, 0)
    layer = _layer(base, "qc", keep=keep)
    layer.layers["corrected"] = less
    io.write_h5ad(files["qc"], layer, delivered=False)
    two = {name: files[name] for name in ("ingest", "qc")}
    raw = sample_files.load_sample(two, kept=True, lognorm=False, corrected=False)
    assert (base.X[keep] != raw.X).nnz == 0
    assert (less[keep] != raw.layers["corrected"]).nnz == 0
    corrected = sample_files.load_sample(two, kept=True, lognorm=False, corrected=True)
    assert (less[keep] != corrected.X).nnz == 0
    assert "corrected" not in corrected.layers
    log = sample_files.load_sample(files, kept=True, lognorm=True, corrected=True)
    paths = {name: str(path) for name, path in files.items()}
    (part,) = sample_files.Cohort(("s",), paths, lognorm=True, corrected=True).values()
    assert (part.X != log.X).nnz == 0
    factors = log.obs["size_factor"].to_numpy()[:, None]
    np.testing.assert_allclose(log.X.toarray(), np.log1p(less[keep].toarray() / factors), rtol=1e-6)


def _with_each_container(base: anndata.AnnData, step: str) -> anndata.AnnData:
    """A file of a later step with one value in every container of an AnnData."""
    rng = np.random.default_rng(5)
    n, genes = base.shape
    layer = _layer(base, step, doubt=rng.normal(size=n))
    layer.var["weight"] = rng.normal(size=genes)
    layer.layers["other"] = sparse.csr_matrix(rng.poisson(1.0, (n, genes)).astype(np.int32))
    layer.obsm["protein"] = pd.DataFrame(
        rng.poisson(50, (n, 2)).astype(np.int32), index=base.obs_names, columns=["CD3", "HLA-A|B"]
    )
    layer.obsm["hashtag"] = pd.DataFrame(
        rng.poisson(9, (n, 1)).astype(np.int64), index=base.obs_names, columns=["HTO_A"]
    )
    layer.obsm["X_map"] = rng.normal(size=(n, 2)).astype(np.float32)
    layer.obsm["other_features"] = sparse.csr_matrix(rng.poisson(1.0, (n, 4)))
    layer.varm["loadings"] = rng.normal(size=(genes, 3))
    layer.obsp["ties"] = sparse.csr_matrix(rng.poisson(0.3, (n, n)).astype(np.float64))
    layer.varp["pairs"] = rng.normal(size=(genes, genes))
    return layer


def _plain(value: object) -> object:
    return value.toarray() if sparse.issparse(value) else value


def _assert_same_table(mine: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Names, types and values; names may be kept in another type of text."""
    pd.testing.assert_frame_equal(mine, theirs, check_index_type=False, check_column_type=False)


def _assert_lies_over(found: anndata.AnnData, layer: anndata.AnnData) -> None:
    """All that a layer holds, of the cells of `found` in their order."""
    expected = layer[found.obs_names].copy()
    for container in ("obs", "var", "obsm", "varm", "obsp", "varp", "layers"):
        mine, theirs = getattr(found, container), getattr(expected, container)
        for key in (key for key in theirs if key is not None):
            if isinstance(theirs[key], pd.DataFrame):
                _assert_same_table(mine[key], theirs[key])
            else:
                np.testing.assert_array_equal(_plain(mine[key]), _plain(theirs[key]))
    assert {"protein", "hashtag", "X_map", "other_features"} == set(expected.obsm)


@pytest.mark.parametrize("kept", [False, True])
def test_every_container_of_a_file_lies_over_the_counts(tmp_path: Path, kept: bool) -> None:
    base, files, keep = _written(tmp_path)
    layer = _with_each_container(base, "qc")
    layer.obs["keep"] = keep
    io.write_h5ad(files["qc"], layer, delivered=False)
    two = {name: files[name] for name in ("ingest", "qc")}
    found = sample_files.load_sample(two, kept=kept, lognorm=False, corrected=False)
    assert found.obs_names.tolist() == base.obs_names[keep if kept else slice(None)].tolist()
    _assert_lies_over(found, layer)
    assert (found.X != base[found.obs_names].X).nnz == 0


def test_the_base_keeps_its_containers_and_lends_them_to_the_cells_of_a_later_file(
    tmp_path: Path,
) -> None:
    base, files, keep = _written(tmp_path)
    whole = _with_each_container(base, "ingest")
    whole.X = base.X
    whole.uns["ctcflow"] = base.uns["ctcflow"]
    io.write_h5ad(files["ingest"], whole, delivered=False)
    found = sample_files.load_sample(files, kept=True, lognorm=False, corrected=False)
    assert found.n_obs == keep.sum()
    _assert_lies_over(found, whole)
    # the same cells in another order, as of a file that was permuted by hand: each gets its own
    moved = base[np.random.default_rng(1).permutation(30)].copy()
    io.write_h5ad(files["qc"], _layer(moved, "qc", keep=keep), delivered=False)
    two = {name: files[name] for name in ("ingest", "qc")}
    found = sample_files.load_sample(two, kept=False, lognorm=False, corrected=False)
    assert found.obs_names.tolist() == moved.obs_names.tolist()
    _assert_lies_over(found, whole)
    # and a file of other cells is none of this sample
    other = _layer(base, "qc", keep=keep)
    other.obs_names = [f"x{i}" for i in range(30)]
    io.write_h5ad(files["qc"], other, delivered=False)
    with pytest.raises(CtcflowError, match="qc.h5ad` has cells that the other files .*`x0`"):
        sample_files.load_sample(two, kept=False, lognorm=False, corrected=False)


def test_what_is_described_of_a_cohort_has_the_tables_too(tmp_path: Path) -> None:
    base, files, keep = _written(tmp_path)
    whole = _with_each_container(base, "ingest")
    whole.X = base.X
    whole.uns["ctcflow"] = base.uns["ctcflow"]
    io.write_h5ad(files["ingest"], whole, delivered=False)
    paths = {name: str(path) for name, path in files.items()}
    (found,) = sample_files.Cohort(("s",), paths).described()
    assert found.X is None and found.n_obs == keep.sum()
    _assert_same_table(found.obsm["protein"], whole[keep].copy().obsm["protein"])
    assert (found.obsp["ties"] != whole[keep].copy().obsp["ties"]).nnz == 0
    (values,) = sample_files.Cohort(("s",), paths).values()
    assert list(values.obsm) == []


def test_no_kept_cell_is_an_empty_sample(tmp_path: Path) -> None:
    base, files, _ = _written(tmp_path)
    io.write_h5ad(files["qc"], _layer(base, "qc", keep=np.zeros(30, bool)), delivered=False)
    found = sample_files.load_sample(
        {k: files[k] for k in ("ingest", "qc")}, kept=True, lognorm=False, corrected=False
    )
    assert found.shape == (0, 12)


def test_a_cohort_gives_each_sample_in_order_and_more_than_once(tmp_path: Path) -> None:
    for name, n in (("b", 3), ("a", 5)):
        io.write_h5ad(tmp_path / f"{name}.h5ad", _counts(n), delivered=False)
    cohort = sample_files.Cohort(("b", "a"), {"ingest": str(tmp_path / "{sample}.h5ad")})
    assert len(cohort) == 2
    assert [adata.n_obs for adata in cohort] == [adata.n_obs for adata in cohort] == [3, 5]


def test_parts_of_a_cohort_are_the_same_as_in_the_whole(tmp_path: Path) -> None:
    _, files, _ = _written(tmp_path)
    patterns = {step: str(path).replace("ingest", "{sample}") for step, path in files.items()}
    cohort = sample_files.Cohort(("ingest",), patterns, lognorm=True)
    (whole,), (described,) = cohort, cohort.described()
    assert described.X is None
    assert described.shape == whole.shape
    pd.testing.assert_frame_equal(described.obs, whole.obs)
    pd.testing.assert_frame_equal(described.var, whole.var)
    assert dict(described.uns) == dict(whole.uns)
    (values,) = cohort.values()
    np.testing.assert_array_equal(values.X.toarray(), whole.X.toarray())
    pd.testing.assert_frame_equal(values.obs, whole.obs)
    assert values.var_names.equals(whole.var_names)
    assert values.uns["ctcflow"] == whole.uns["ctcflow"]
    files["qc"].write_bytes(files["qc"].read_bytes()[:500])
    for part in (cohort.described(), cohort.values()):
        with pytest.raises(CtcflowError, match=r"qc.h5ad. cannot be read"):
            list(part)


# ---- tables, gene sets, digests


def test_tables_are_written_the_same_twice_and_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": ["x", "NA", ""], "b": [0.1, 2.0, np.nan], "n": [1, 2, 3]})
    for name in ("t.tsv", "t.tsv.gz"):
        io.write_table(tmp_path / name, table)
        first = (tmp_path / name).read_bytes()
        io.write_table(tmp_path / name, table)
        assert (tmp_path / name).read_bytes() == first
        back = io.read_table(tmp_path / name)
        assert back["a"].fillna("").tolist() == ["x", "NA", ""]
        assert back["b"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("name", ["gone.tsv", "cut.tsv.gz", "fake.tsv.gz"])
def test_unreadable_tables_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("cut"):
        io.write_table(path, pd.DataFrame({"a": np.arange(5000)}))
        path.write_bytes(path.read_bytes()[:200])
    if name.startswith("fake"):
        path.write_bytes(b"a\tb\n1\t2\n")
    with pytest.raises(CtcflowError) as error:
        io.read_table(path)
    assert str(error.value).startswith(f"`{path}` cannot be read as a table (")
    assert "\n" not in str(error.value)


def test_gene_sets_are_the_same_from_tsv_and_gmt(tmp_path: Path) -> None:
    tsv, gmt = tmp_path / "sets.tsv", tmp_path / "sets.gmt"
    tsv.write_text("set\tgene\tdirection\nA\tEPCAM\t1\nA\tKRT8\t1\nB\tVIM\t1\n")
    gmt.write_bytes(b"\xef\xbb\xbfA\thttp://x\tEPCAM\tKRT8\r\n\r\nB\t\tVIM\t\r\n")
    pd.testing.assert_frame_equal(io.read_gene_sets(tsv), io.read_gene_sets(gmt), check_dtype=False)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "s.tsv",
            "set\tsymbol\nA\tEPCAM\n",
            "has no column gene, direction (found set, symbol):"
            " a table of gene sets needs set, gene, direction",
        ),
        ("s.tsv", '"set\tgene\nA\tEPCAM\n"\n', "has no column set, gene, direction"
         " (found set\\tgene A\\tEPCAM ): a table of gene sets needs set, gene, direction"),
        ("s.tsv", "set\tgene\tdirection\n", "names no gene: add at least one line"),
        ("s.tsv", "set\tgene\tdirection\nA\tX\t1\nA\tY\tup\n", "has direction 'up': use 1 or -1"),
        ("s.tsv", f"set\tgene\tdirection\nA\tX\t{'9' * 400}\n",
         f"has direction '{'9' * 40}': use 1 or -1"),
        (
            "s.tsv",
            "set\tgene\tdirection\nA\tX\t1\nA\t\t1\n",
            "row 2 has no set or no gene: fill it in or remove it",
        ),
        ("s.gmt", "\n", "names no gene: add at least one line"),
        ("s.gmt", "A\tdescription\n", "names no gene: add at least one line"),
        ("s.gmt", "A EPCAM KRT8\n", "line 1 is `A EPCAM KRT8`: a line of a GMT file is the name,"
         " a description and genes, separated by tabs"),
    ],
)  # fmt: skip
def test_gene_sets_that_are_wrong_are_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CtcflowError) as error:
        io.read_gene_sets(path)
    assert str(error.value) == f"`{path}` {message}"


def test_a_set_may_have_a_number_for_a_name(tmp_path: Path) -> None:
    path = tmp_path / "s.tsv"
    path.write_text("set\tgene\tdirection\n2024\tEPCAM\t+1\n2024\tPTPRC\t-1\n")
    table = io.read_gene_sets(path)
    assert table["set"].tolist() == ["2024", "2024"]
    assert table["direction"].tolist() == [1, -1]


def test_a_gmt_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.gmt"
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(CtcflowError, match="cannot be read as text"):
        io.read_gene_sets(path)


def _small() -> anndata.AnnData:
    small = anndata.AnnData(np.ones((2, 2), dtype=np.float32))
    small.uns[keys.CTCFLOW.key] = "{}"
    return small


@pytest.mark.parametrize("names", [("thesis.docx",), ("obs", "var", ".zgroup", "notes.txt"), ()])
def test_a_folder_of_a_user_is_not_replaced_by_zarr(tmp_path: Path, names: tuple[str, ...]) -> None:
    target = tmp_path / "home"
    if names:
        target.mkdir()
        for name in names:
            (target / name).write_text("the only copy")
    else:
        target.write_text("a file")
    with pytest.raises(CtcflowError, match="no earlier export"):
        io.write_zarr(target, _small())
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(("home", *names))


@pytest.mark.filterwarnings("ignore")  # of zarr and anndata
def test_an_earlier_export_in_zarr_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        io.write_zarr(tmp_path / "cohort.zarr", _small())
    assert [path.name for path in tmp_path.iterdir()] == ["cohort.zarr"]


@pytest.mark.filterwarnings("ignore")  # of zarr and anndata
def test_a_zarr_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    anndata.AnnData(np.ones((2, 2), dtype=np.float32)).write_zarr(tmp_path / "x.zarr")
    with pytest.raises(CtcflowError, match="no earlier export"):
        io.write_zarr(tmp_path / "x.zarr", _small())
