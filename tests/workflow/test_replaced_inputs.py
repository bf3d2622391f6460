"""Count files that were replaced, moved or copied: what a start notices, and what it repeats."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pandas as pd
import pytest
from tests.workflow.conftest import make_run, other_counts

from ctcflow.errors import CtcflowError
from ctcflow.files import digests
from ctcflow.workflow.count_files import KEPT, CountFiles, Of
from ctcflow.workflow.for_rules import Workflow

OLD = 1_500_000_000
"""A time stamp long before all results (seconds since 1970), as `cp -p` and `tar` keep them."""
FUTURE = 4_000_000_000


def older(folder: Path) -> None:
    """`rsync -a` of another lane: other content, and an old time."""
    _with_other_barcodes(folder)
    os.utime(folder / "barcodes.tsv.gz", (OLD, OLD))


def same_size_and_time(folder: Path) -> None:
    path = folder / "features.tsv.gz"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def renamed_swap(folder: Path) -> None:
    """A sample swap that is mended by renaming: no file gets another time."""
    other = other_counts(folder, folder.with_name("other"))
    folder.rename(folder.with_name("aside"))
    other.rename(folder)


def inside_the_folder(folder: Path) -> None:
    _with_other_barcodes(folder)


def another_link(folder: Path) -> None:
    """The folder becomes a link to another one."""
    other = other_counts(folder, folder.with_name("other"))
    shutil.rmtree(folder)
    folder.symlink_to(other)


def _with_other_barcodes(folder: Path) -> None:
    other = other_counts(folder, folder.with_name("other"))
    shutil.copy(other / "barcodes.tsv.gz", folder / "barcodes.tsv.gz")
    shutil.rmtree(other)


@pytest.fixture
def ingested(tmp_path, sheet, snakemake) -> Path:
    """A run of one sample, with its counts below the run folder, of which `ingest` is done."""
    run = tmp_path / "run"
    shutil.copytree(sheet["path"][0], run / "data" / "counts")
    row = sheet.iloc[[0]].assign(path="../data/counts", raw_path="")
    ran = snakemake(make_run(run, row), "--", _target(sheet))
    assert ran.code == 0, ran.text
    assert snakemake(run, "-n", "--", _target(sheet)).jobs == {}
    return run


def _target(sheet: pd.DataFrame) -> str:
    return f"results/ingest/{sheet['sample'][0]}.h5ad"


@pytest.mark.parametrize(
    "replace", [older, same_size_and_time, renamed_swap, inside_the_folder, another_link]
)
def test_replaced_counts_are_noticed_at_the_next_start(
    ingested, sheet, snakemake, ctcflow, replace: Callable[[Path], None]
):
    replace(ingested / "data" / "counts")
    dry = snakemake(ingested, "-n", "--", _target(sheet))
    assert dry.jobs == {"ingest": 1}
    if replace is same_size_and_time:
        return  # the changed byte makes it a damaged file
    said = ctcflow(ingested, "check", ".")
    assert f"sample `{sheet['sample'][0]}`: its counts are not the file its results" in said.text
    ran = ctcflow(ingested, "run", ".", "--cores", "2", "--", _target(sheet))
    assert ran.code == 0, ran.text
    assert f"sample `{sheet['sample'][0]}`: its counts are not the file its results" in ran.text
    assert snakemake(ingested, "-n", "--", _target(sheet)).jobs == {}
    barcodes = h5py.File(ingested / _target(sheet))["obs/_index"].asstr()[:]
    assert all(barcode.endswith("-2") for barcode in barcodes)


def test_what_was_put_back_is_not_read_again(ingested, sheet, snakemake):
    folder = ingested / "data" / "counts"
    shutil.copytree(folder, ingested / "kept")
    _with_other_barcodes(folder)
    assert snakemake(ingested, "-n", "--", _target(sheet)).jobs == {"ingest": 1}
    shutil.rmtree(folder)
    shutil.copytree(ingested / "kept", folder)
    assert snakemake(ingested, "-n", "--", _target(sheet)).jobs == {}


@pytest.mark.parametrize("time", [OLD, FUTURE])
def test_another_time_of_the_same_counts_repeats_nothing(ingested, sheet, snakemake, time):
    for path in (ingested / "data" / "counts").iterdir():
        os.utime(path, (time, time))
    assert snakemake(ingested, "-n", "--", _target(sheet)).jobs == {}


def test_counts_with_a_time_in_the_future_give_a_result_that_stays(tmp_path, sheet, snakemake):
    run = tmp_path / "run"
    shutil.copytree(sheet["path"][0], run / "data" / "counts")
    for path in (run / "data" / "counts").iterdir():
        os.utime(path, (FUTURE, FUTURE))
    make_run(run, sheet.iloc[[0]].assign(path="../data/counts", raw_path=""))
    ran = snakemake(run, "--", _target(sheet))
    assert ran.code == 0, ran.text
    assert (run / _target(sheet)).is_file()
    assert snakemake(run, "-n", "--", _target(sheet)).jobs == {}


def test_check_deep_reads_what_looks_unchanged(ingested, sheet, ctcflow):
    """As from a disk that changed a byte: nothing but the content tells."""
    _with_other_barcodes(ingested / "data" / "counts")
    kept = json.loads((ingested / KEPT).read_text())
    state = kept[f"ingest/{sheet['sample'][0]}"]["state"]
    for row in state:
        row[1:] = digests.state_of(ingested / "data" / "counts" / row[0])
    (ingested / KEPT).write_text(json.dumps(kept))
    words = "its counts are not the file its results came from"
    assert words not in ctcflow(ingested, "check", ".").text
    assert words in ctcflow(ingested, "check", ".", "--deep").text


def test_a_finished_run_that_was_moved_has_nothing_to_do(own_copy, snakemake, ctcflow, tmp_path):
    moved = shutil.move(own_copy, tmp_path / "elsewhere")
    assert "Nothing to be done" in snakemake(moved, "-n").text
    copied = shutil.copytree(moved, tmp_path / "copied")
    assert "Nothing to be done" in snakemake(copied, "-n").text


def test_a_run_that_was_moved_with_its_counts_has_nothing_to_do(
    ingested, sheet, snakemake, tmp_path
):
    moved = Path(shutil.copytree(ingested, tmp_path / "elsewhere"))
    shutil.rmtree(ingested)
    assert snakemake(moved, "-n", "--", _target(sheet)).jobs == {}


def test_counts_at_another_place_repeat_nothing(own_copy, sheet, new_run, snakemake, tmp_path):
    copy = Path(shutil.copytree(sheet["path"][0], tmp_path / "counts"))
    new_run(own_copy, sheet.assign(path=[str(copy), *sheet["path"][1:]]))
    assert "Nothing to be done" in snakemake(own_copy, "-n").text


def test_a_copy_of_a_sample_is_refused_at_every_door(ingested, sheet, snakemake, ctcflow):
    shutil.copytree(ingested / "data" / "counts", ingested / "data" / "copy")
    row = sheet.iloc[[0]].assign(path="../data/counts", raw_path="")
    other = row.assign(sample="other", patient="another", path="../data/copy")
    make_run(ingested, pd.concat([row, other]))
    for ran in (snakemake(ingested, "--", _target(sheet)), ctcflow(ingested, "check", ".")):
        assert ran.code != 0
        assert f"samples `{sheet['sample'][0]}` and `other` have the same counts" in ran.text


def test_a_start_reads_no_result_again(own_copy, ctcflow):
    """After the first start, which reads what Snakemake has given another time."""
    first = ctcflow(own_copy, "run", ".", "--cores", "2")
    assert first.code == 0, first.text
    for path in (own_copy / "results").rglob("*"):
        if path.is_file() and ".digests" not in path.parts:
            os.utime(path, ns=(0, path.stat().st_mtime_ns))  # so that `relatime` notes each reading
    quiet = [path for path in (own_copy / "results").rglob("*.h5ad") if path.parent.name != "call"]
    assert len(quiet) > 10
    again = ctcflow(own_copy, "run", ".", "--cores", "2")
    assert "Nothing to be done" in again.text
    unread = [path for path in quiet if path.stat().st_atime_ns == 0]
    if not _notes_reading(own_copy):
        pytest.skip("this file system does not note when a file is read")
    assert unread == quiet


def _notes_reading(folder: Path) -> bool:
    path = folder / "noted"
    path.write_text("x")
    os.utime(path, ns=(0, path.stat().st_mtime_ns))
    path.read_text()
    return path.stat().st_atime_ns != 0


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("gene,A\n")
    with pytest.raises(CtcflowError, match="changed while it was read"), digests.unchanged([path]):
        path.write_text("gene,A\nTP53,1\n")
    with digests.unchanged([path]):
        path.read_text()


def _of(folder: Path, content: str) -> Of:
    path = folder / "counts"
    path.write_text(content)
    return Of("ingest", "a", "data", (path,))


def _write_result(folder: Path, of: Of) -> None:
    """As `ingest` does."""
    target = folder / "results" / of.step / f"{of.sample}.h5ad"
    target.parent.mkdir(parents=True, exist_ok=True)
    record = {"steps": {of.step: {"inputs": {of.named: digests.digest(*of.files)}}}}
    with h5py.File(target, "w") as file:
        file["uns/ctcflow"] = json.dumps(record)


def test_a_word_changes_with_the_content_and_only_with_it(tmp_path):
    """Each start opens what the one before kept; a result is written where the word differs."""
    words = []
    recorded = None
    for content in ("first", "first", "second", "third", "second", "first", "first"):
        files = CountFiles(tmp_path, tmp_path / "results")
        of = _of(tmp_path, content)
        word = files.token(of)
        files.save()
        if word != recorded:
            _write_result(tmp_path, of)
            recorded = word
        words.append(word)
    assert [a == b for a, b in zip(words, words[1:], strict=False)] == [
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    assert words[2] == words[4]
    assert words[0] == words[5]


def test_a_file_that_was_replaced_while_a_step_read_it_gets_no_word_of_another(tmp_path):
    """The step was begun for the second content and has read the third; then the first is back."""
    of_first = digests.digest(*_of(tmp_path, "first").files)
    third = _of(tmp_path, "third")
    _write_result(tmp_path, third)
    path = tmp_path / KEPT
    path.parent.mkdir()
    entry = {"state": [], "token": "", "tokens": {of_first: "", "second": "second"}}
    path.write_text(json.dumps({"ingest/a": entry}))
    files = CountFiles(tmp_path, tmp_path / "results")
    recorded = files.token(third)
    files.save()
    assert CountFiles(tmp_path, tmp_path / "results").token(_of(tmp_path, "first")) != recorded


def test_without_kept_states_the_results_are_asked(tmp_path):
    of = _of(tmp_path, "first")
    _write_result(tmp_path, of)
    assert CountFiles(tmp_path, tmp_path / "results").token(of) == ""
    of = _of(tmp_path, "second")
    files = CountFiles(tmp_path, tmp_path / "results")
    assert files.token(of) == digests.digest(*of.files)
    assert files.replaced == [of]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ingest/a": 1}', "[" * 5000])
def test_damaged_states_are_taken_for_none(tmp_path, text):
    path = tmp_path / KEPT
    path.parent.mkdir()
    path.write_text(text)
    assert CountFiles(tmp_path, tmp_path / "results").token(_of(tmp_path, "x")) == ""


def test_empty_samples_may_be_alike(tmp_path):
    (tmp_path / "config").mkdir()
    for name in "ab":
        (tmp_path / "config" / f"{name}.csv").write_text("gene\nTP53\n")
    (tmp_path / "config" / "samples.tsv").write_text("sample\tpath\na\ta.csv\nb\tb.csv\n")
    Workflow({}, run=tmp_path, results="results").refuse_copies()
