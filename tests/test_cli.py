"""The command line: one line and exit code 2 for a mistake, a traceback for a bug."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anndata
import numpy as np
import pytest

from ctcflow import __version__, cli, pipeline
from ctcflow.files import digests


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """The command sets numbers of threads for its own process, which here is the test's."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def _ingest(run_folder: Path, out: Path, *more: str) -> int:
    data = run_folder / "data" / "H1" / "counts.h5ad"
    return cli.main(["ingest", "--in", f"data={data}", "--out", f"adata={out}", *more])


def _refused(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    assert cli.main(argv) == 2
    found = capsys.readouterr()
    assert found.out == ""
    (line,) = found.err.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in found.err
    return line.removeprefix("error: ")


def test_a_step_writes_its_file_and_nothing_else(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "H1.h5ad"
    row = json.dumps({"sample": "H1", "extra": {"ward": "7"}, "day": 3})
    assert _ingest(run_folder, out, "--row", row) == 0
    assert sorted(os.listdir(out.parent)) == [".digests", "H1.h5ad"]
    adata = anndata.read_h5ad(out)
    record = json.loads(adata.uns["ctcflow"])
    assert record["sample"] == json.loads(row)
    assert record["steps"]["ingest"]["version"] == __version__
    assert record["steps"]["ingest"]["cells_out"] == adata.n_obs
    assert set(record["steps"]["ingest"]["inputs"]) == {"data", "genes"}
    assert adata.obs["ward"].unique().tolist() == ["7"]
    assert (adata.obs["day"] == 3).all()


def test_an_unknown_output_is_named(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run_folder / "data" / "H1" / "counts.h5ad"
    out = tmp_path / "x"
    line = _refused(capsys, ["ingest", "--in", f"data={data}", "--out", f"page={out}"])
    assert line == "step `ingest` has no output `page` (it has adata)"
    assert not out.exists()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ('{"min_umi": 3}', "unknown key qc.min_umi: did you mean qc.min_umis?"),
        ('{"min_umis": -1}', "qc.min_umis is -1: must be >= 0"),
        ('{"min_umis": "many"}', "qc.min_umis is 'many': must be a whole number"),
        (
            '{"min_umi": 3, "max_mt_limit": 101}',
            "qc.max_mt_limit is 101: must be <= 100;"
            " unknown key qc.min_umi: did you mean qc.min_umis?",
        ),
    ],
)
def test_wrong_parameters_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], params: str, message: str
) -> None:
    argv = ["qc", "--in", f"ingest={tmp_path / 'x'}", "--out", f"adata={tmp_path / 'y'}"]
    assert _refused(capsys, [*argv, "--params", params]) == message


@pytest.mark.parametrize(
    ("option", "text"), [("--params", "{min_umis: 3}"), ("--row", "{sample: a}")]
)
def test_text_that_is_not_json_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str
) -> None:
    argv = ["qc", "--in", f"ingest={tmp_path / 'x'}", "--out", f"adata={tmp_path / 'y'}"]
    assert "JSON" in _refused(capsys, [*argv, option, text])


def test_a_row_that_is_no_object_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _refused(capsys, ["qc", "--row", "[1]"]) == "--row is list: give a JSON object"


def test_a_missing_input_says_which_option_gives_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"adata={tmp_path / 'y'}"
    line = _refused(capsys, ["qc", "--out", out])
    assert line.startswith("no input `ingest` was given (given: ")
    assert line.endswith("): add --in ingest=PATH")
    gone = tmp_path / "gone.h5ad"
    line = _refused(capsys, ["qc", "--in", f"ingest={gone}", "--out", out])
    assert line == f"`{gone}` is missing: run the step that writes it"


def test_a_mistake_in_the_data_names_the_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logged.h5ad"
    values = np.log1p(np.random.default_rng(0).poisson(2.0, (20, 300)) * 1.7).astype(np.float32)
    anndata.AnnData(values).write_h5ad(path)
    argv = ["ingest", "--in", f"data={path}", "--out", f"adata={tmp_path / 'y'}"]
    line = _refused(capsys, [*argv, "--row", '{"sample": "draw7"}'])
    assert line.startswith("sample `draw7`: ")
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize("argv", [[], ["no-such-step"], ["qc", "--in", "no-path"]])
def test_misused_options_leave_with_two(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(argv)
    assert left.value.code == 2
    assert "usage: ctcflow" in capsys.readouterr().err


def test_a_bug_is_not_swallowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(pipeline, "run", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main(["qc", "--in", f"ingest={tmp_path}", "--row", '{"sample": "a"}'])


def test_a_step_that_forgets_a_slot_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, run_folder: Path, tmp_path: Path
) -> None:
    import ctcflow.steps.qc

    assert _ingest(run_folder, tmp_path / "a.h5ad", "--row", '{"sample": "H1"}') == 0
    monkeypatch.setattr(ctcflow.steps.qc, "qc", lambda adata, *_, params: adata)
    argv = ["qc", "--in", f"ingest={tmp_path / 'a.h5ad'}", "--out", f"adata={tmp_path / 'b.h5ad'}"]
    with pytest.raises(RuntimeError, match="did not write obs/total_counts"):
        cli.main(argv)
    assert not (tmp_path / "b.h5ad").exists()


def test_commands_are_the_steps(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    for name, step in pipeline.STEPS.items():
        assert re.search(rf"^ +{name}\b", shown, re.MULTILINE), name
        assert step.does.split(" ")[0] in shown


@pytest.mark.parametrize("step", list(pipeline.STEPS))
def test_params_are_printed_with_bounds(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["params", step]) == 0
    printed = capsys.readouterr().out
    for name in pipeline.params_of(step).model_fields:
        assert f"{step}.{name}" in printed


def test_simulate_refuses_an_unknown_key_and_a_used_folder(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = _refused(capsys, ["simulate", str(tmp_path / "c"), "--params", '{"n_patient": 1}'])
    assert line == "unknown key n_patient: did you mean n_patients?"
    assert not (tmp_path / "c").exists()
    assert "a run lives here already" in _refused(capsys, ["simulate", str(run_folder)])


def test_help_and_version_load_no_scientific_library() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['ctcflow', sys.argv[1]]\n"
        "try:\n"
        "    runpy.run_module('ctcflow', run_name='__main__')\n"
        "except SystemExit as left:\n"
        "    assert not left.code, left.code\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'anndata', 'h5py', 'sklearn', 'matplotlib'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    for option, text in (("--help", "COMMAND"), ("--version", __version__)):
        found = subprocess.run(
            [sys.executable, "-c", code, option], capture_output=True, text=True, check=True
        )
        assert text in found.stdout
        assert found.stdout.splitlines()[-1] == "loaded: []"


def test_python_dash_m_gives_the_exit_code(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "ctcflow", "qc", "--params", '{"min_umi": 1}']
    found = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr == "error: unknown key qc.min_umi: did you mean qc.min_umis?\n"


def test_a_folder_is_written_file_by_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {"report.html": b"<p>", "figures/a.png": b"png"}
    monkeypatch.setattr(pipeline, "run", lambda *_: pipeline.Output(None, {}, files))
    assert cli.main(["report", "--out", f"folder={tmp_path / 'r'}"]) == 0
    found = {str(f.relative_to(tmp_path / "r")): f for f in (tmp_path / "r").rglob("[!.]*.*")}
    assert {name: path.read_bytes() for name, path in found.items()} == files
    assert digests.checked(*found.values()) == digests.digest(*found.values())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["qc", "--in", "ingest=a", "ingest=b"], "--in names `ingest` more than once"),
        (["qc", "--out", "adata=a", "--out", "adata=b"], "--out names `adata` more than once"),
        (["qc", "--in", "ingest=a", "--threads", "0"], "--threads is 0: give 1 or more"),
        (["call", "--in", "ingest=a"], "step `call` is one of the cohort: give --samples"),
        (["call", "--samples", "a", "b", "a"], "--samples names `a` more than once"),
        (
            ["call", "--samples", "a", "--out", "cell=x"],
            "has no output `cell` (it has adata, cells",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert message in _refused(capsys, argv)


def test_an_export_replaces_no_result_and_nothing_of_a_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = tmp_path / "results" / "cluster" / "cohort.h5ad"
    cohort.parent.mkdir(parents=True)
    anndata.AnnData(np.ones((1, 1), dtype=np.float32)).write_h5ad(cohort)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link.h5ad").symlink_to(cohort)
    for name, why in (
        ("results/cluster/cohort.h5ad", "a result of the run"),
        ("link.h5ad", "a result of the run"),
        ("notes.txt", "no file of an earlier export"),
    ):
        words = ["export", "--run", str(tmp_path), "--cellxgene", str(tmp_path / name)]
        assert cli.main(words) == 2
        assert why in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"
