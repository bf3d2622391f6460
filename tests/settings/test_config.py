"""Configuration and sample sheet: accepted values, and messages for refused ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from ctcflow.errors import CtcflowError
from ctcflow.formats.known import FORMATS
from ctcflow.settings.config import (
    Config,
    load_config,
    load_samples,
    own_tables,
    sample_row,
    step_params,
)
from ctcflow.settings.mistakes import submodels
from ctcflow.settings.params import StepsParams
from ctcflow.settings.review import Verdict, load_verdicts
from ctcflow.settings.sample import COLUMNS, SAMPLE_STEPS, Sample
from ctcflow.untrusted import why_refused

REPOSITORY = Path(__file__).parents[2]


def invalid_values(model: type[BaseModel]) -> list[tuple[tuple[str, ...], Any]]:
    """One value beyond each bound of each field below a model, with the keys that lead to it."""
    cases: list[tuple[tuple[str, ...], Any]] = []
    for name, field in model.model_fields.items():
        for below in submodels(field.annotation):
            cases += [((name, *keys), value) for keys, value in invalid_values(below)]
        listed = get_origin(field.annotation) is tuple
        element = get_args(field.annotation)[0] if listed else None
        chosen = get_origin(element) is Literal
        if chosen:
            cases.append(((name,), ["no such choice"]))
        inner = get_args(element)[1:] if listed and not chosen else ()
        cases += [((name,), value) for value in beyond(field.metadata, empty=[] if listed else "")]
        cases += [((name,), [value]) for part in inner for value in beyond([part, *part.metadata])]
        if get_origin(field.annotation) is Literal and name != "method":
            cases.append(((name,), "no such choice"))
    return cases


def beyond(metadata: list[Any], empty: object = "") -> list[Any]:
    """The nearest round value that each constraint must refuse."""
    refused = {
        "ge": lambda bound: bound - 1,
        "gt": lambda bound: bound,
        "le": lambda bound: bound + 1,
        "lt": lambda bound: bound,
        "min_length": lambda bound: empty,
        "max_length": lambda bound: "x" * (bound + 1),
    }
    return [
        make(getattr(constraint, name))
        for constraint in metadata
        for name, make in refused.items()
        if getattr(constraint, name, None) is not None
    ]


INVALID = invalid_values(Config)


def nested(keys: tuple[str, ...], value: object) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(CtcflowError) as caught:
        load_config(raw)
    return str(caught.value)


def test_bounds_are_derived_for_most_parameters() -> None:
    assert len(INVALID) >= 30


@pytest.mark.parametrize(
    ("keys", "value"), INVALID, ids=[f"{'.'.join(k)}={v!r:.12}" for k, v in INVALID]
)
def test_a_value_beyond_its_bound_is_refused(keys: tuple[str, ...], value: object) -> None:
    raw = nested(keys, value)
    if keys[:2] == ("integrate", "method"):
        raw["integrate"]["method"]["method"] = "harmony"
    message = refusal(raw)
    assert message.startswith(".".join(keys))
    assert "must be" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qc: {min_gene: 5}", "unknown key qc.min_gene: did you mean qc.min_genes?"),
        ("qc: {min_genes: -1}", "qc.min_genes is -1: must be >= 0"),
        ("cluster: {resolution: 3}", "cluster: resolution is 3: must be auto or one of "
         "resolutions (0.25, 0.5, 0.75, 1)"),
        ("min_genes: 5", "unknown key min_genes: did you mean qc.min_genes?"),
        ("clusters: {seed: 1}", "unknown key clusters: did you mean cluster?"),
        ("qc: {zzzz: 1}", "unknown key qc.zzzz: remove it (known here: ambient, "
         "ambient_umis, damage_mads, doublet_rate, empty_fdr, lower_mads, max_min_genes, "
         "max_min_umis, max_mt_limit, min_genes, min_mt_limit, min_umis, mt_mads, seed, "
         "upper_mads)"),
        ("qc: {min_genes: yes}", "qc.min_genes is 'true': must be a whole number"),
        ("qc: {min_genes: 1.5}", "qc.min_genes is 1.5: must be a whole number"),
        ("qc: {mt_mads: many}", "qc.mt_mads is 'many': must be a number, with a decimal point"),
        ("qc: {mt_mads: .inf}", "qc.mt_mads is inf: must be a finite number"),
        ("reduce: {include_panel: 7}", "reduce.include_panel is 7: must be true or false"),
        ("ingest: {counts: rsem}", "ingest.counts is 'rsem': must be one of integer, expected"),
        ("integrate: {method: harmony}", "integrate.method is 'harmony': must be a section of "
         "keys (`key: value`)"),
        ("integrate: {method: {method: scvi}}", "integrate.method is {'method': 'scvi'}: must be "
         "one of harmony, linear, none"),
        ("integrate: {method: {theta: 2}}", "integrate.method is {'theta': 2}: must name its "
         "method"),
        ("integrate: {method: {method: harmony, thta: 2}}", "unknown key integrate.method.thta: "
         "did you mean integrate.method.theta?"),
        ("integrate: {method: {method: none, theta: 2}}", "unknown key integrate.method.theta: "
         "remove it (known here: method)"),
        ("qc: 5", "qc is 5: must be a section of keys (`key: value`)"),
        ("cluster: {resolutions: 1}", "cluster.resolutions is 1: must be a list"),
        ("cluster: {resolutions: [1, 0]}", "cluster.resolutions.1 is 0: must be > 0"),
        ("qc: {min_mt_limit: 60}", "qc: min_mt_limit is 60 and max_mt_limit is 50: the first must "
         "not be above the second"),
        ("samples: 3", "samples is 3: must be text"),
        ("{export: full, reference: r.zip}", "export is full and reference is set: a mapped run "
         "has no joint file of counts, leave one of the two out"),
        ("report: {title: ''}", "report.title is '': must be text of at least 1 character(s)"),
        ("{1: 2}", "unknown key 1: keys are text"),
        ("[a]", "the configuration is ['a']: must be keys (`key: value`)"),
        ("qc: {min_gene: 1, min_umis: -1}", "qc.min_umis is -1: must be >= 0; unknown key "
         "qc.min_gene: did you mean qc.min_genes?"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_configuration_is_one_line(text: str, message: str) -> None:
    assert refusal(yaml.safe_load(text)) == message


def test_equal_values_give_equal_parameters() -> None:
    whole = load_config({"qc": {"min_genes": 20, "mt_mads": 5}})
    other = load_config({"qc": {"mt_mads": 5.0, "min_genes": 20.0, "min_umis": 100}})
    text = load_config(yaml.safe_load("qc: {min_genes: '20', mt_mads: 5e0}"))
    assert step_params(whole, "qc") == step_params(other, "qc") == step_params(text, "qc")
    assert load_config(yaml.safe_load("call: {max_p: 1e-3}")) == Config()


def test_empty_sections_are_sections_of_defaults() -> None:
    assert load_config({"qc": None, "panels": None}) == Config() == load_config({})


def test_step_params_are_read_back_by_the_model() -> None:
    config = load_config({"integrate": {"method": {"method": "none"}}})
    for step in StepsParams.model_fields:
        section = getattr(config, step)
        assert type(section).model_validate_json(step_params(config, step)) == section
    assert step_params(config, "normalize") == '{"target_umis":10000.0}'


def test_own_tables_must_exist(tmp_path: Path) -> None:
    config = load_config({"panels": "mine.tsv"})
    with pytest.raises(CtcflowError, match=r"^panels is 'mine.tsv': no such file in .*: correct"):
        own_tables(config, tmp_path)
    (tmp_path / "mine.tsv").touch()
    assert own_tables(config, tmp_path) == {"panels": tmp_path / "mine.tsv"}
    assert own_tables(Config(), tmp_path) == {}


# ---- the sheet


def write_sheet(folder: Path, text: str | bytes) -> Path:
    """A sheet in a folder that has the counts a, b and c."""
    for name in "abc":
        (folder / name).touch()
    sheet = folder / "samples.tsv"
    sheet.write_bytes(text if isinstance(text, bytes) else text.encode())
    return sheet


def sheet_refusal(folder: Path, text: str | bytes, config: Config | None = None) -> str:
    sheet = write_sheet(folder, text)
    with pytest.raises(CtcflowError) as caught:
        load_samples(sheet, config or Config())
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"sample sheet {sheet}: ").replace(str(folder), "FOLDER")


def test_only_two_columns_are_needed(tmp_path: Path) -> None:
    (sample,) = load_samples(write_sheet(tmp_path, "sample\tpath\nA\ta\n"), Config())
    assert sample == Sample(sample="A", path=tmp_path / "a")
    assert (sample.patient, sample.draw, sample.role, sample.day) == ("A", "A", "patient", None)


def test_every_column_is_read(tmp_path: Path) -> None:
    cells = {
        "sample": "A.1-x_", "path": "a", "raw_path": str(tmp_path / "b"), "format": "per_cell",
        "matrix": "counts_RNA",
        "patient": "P 1", "day": "14", "role": "healthy", "condition": "on", "batch": "r1",
        "chemistry": "10x_3p_v3", "cancer_type": "breast", "draw": "D", "enrichment": "none",
        "volume_ml": "7.5", "fraction_loaded": "1", "recovery": "0.7", "expected_cells": "8000",
        "n_ctc": "0", "n_wbc": "2", "hours_to_processing": "0", "guessed": "day",
            "stage": "IV", "note": "",
        "qc.min_genes": "20.0", "score.panel": "", "ingest.counts": "expected",
    }  # fmt: skip
    assert set(COLUMNS) <= set(cells)
    text = "\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n"
    (sample,) = load_samples(write_sheet(tmp_path, text), Config())
    dumped = sample.model_dump(mode="json")
    for column in set(COLUMNS) - {"path"}:
        assert str(dumped[column]).removesuffix(".0") == cells[column], column
    assert sample.path == tmp_path / "a"
    assert sample.extra == {"stage": "IV"}
    assert sample.overrides == {"qc": {"min_genes": 20}, "ingest": {"counts": "expected"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample\tpath\nA\tx\n", "line 2: path is 'x': there is no FOLDER/x: correct the path "
         "(relative to the sheet's folder, or absolute)"),
        ("sample\tpath\tday\nA\ta\t2024-03-01\n", "line 2: day is '2024-03-01': dates are refused, "
         "since they identify people: give the days since the patient's first draw"),
        ("sample\tpath\nA\ta\nA\tb\n", "line 3: sample A is also on line 2: rename one"),
        ("sample\tpath\nA\ta\nB\t./a\n", "line 3: path is the same file as on line 2: correct or "
         "remove one"),
        ("Sample\tpath\nA\ta\n", "line 1: unknown column Sample: did you mean sample?"),
        ("sample\tpath\tvolumeml\nA\ta\t1\n", "line 1: unknown column volumeml: did you mean "
         "volume_ml?"),
        ("sample\tpath\tpatient_id\nA\ta\t1\n", "line 1: unknown column patient_id: did you mean "
         "patient?"),
        ("sample\tfile\nA\ta\n", "line 1: column path is missing (found: sample, file): add it"),
        ("sample\tpath\tpath\nA\ta\ta\n", "line 1: column path is there twice: remove one"),
        ("sample\tpath\t\nA\ta\t\n", "line 1: column 3 has no name: name it or remove it"),
        ("sample;path\nA;a\n", "line 1: columns are separated by semicolons: use tabs or commas"),
        ("sample\tpath\tkeep\nA\ta\t1\n", "line 1: column keep: ctcflow writes a column of this "
         "name: rename it"),
        ("sample\tpath\ta/b\nA\ta\t1\n", "line 1: column a/b: an h5ad file cannot hold a column of "
         "this name: rename it"),
        ("", "is empty: the first line must name the columns, at least sample and path"),
        ("# only this\n", "is empty: the first line must name the columns, at least sample and "
         "path"),
        ("sample\tpath\n\n", "has no samples: add a line below the header"),
        ("sample\tpath\nA\n", "line 2: has 1 fields and the header has 2: separate them by tabs, "
         "as the header does"),
        ("sample\tpath\nA\ta\n\nB\tb\n", "line 3: is empty: remove it"),
        ('sample,path\n"A,a\n', 'line 2: has an unpaired quote ("): pair it or remove it'),
        ('sample,"path\nA,a\n', 'line 1: has an unpaired quote ("): pair it or remove it'),
        ("sample\tpath\trole\nA\ta\tdonor\n", "line 2: role is 'donor': must be one of patient, "
         "healthy, blank"),
        ("sample\tpath\tformat\nA\ta\t10x\n", "line 2: format is '10x': must be one of "
         + ", ".join(FORMATS)),
        ("sample\tpath\n../A\ta\n", "line 2: sample is '../A': must be letters, digits, _ . - "
         "(first a letter or digit; no ..)"),
        ("sample\tpath\nA..b\ta\n", "line 2: sample is 'A..b': must be letters, digits, _ . - "
         "(first a letter or digit; no ..)"),
        ("sample\tpath\n\ta\n", "line 2: sample is missing: add it"),
        ("sample\tpath\nA\t\n", "line 2: path is missing: add it"),
        ("sample\tpath\tpatient\nA\ta\tNA\n", "line 2: patient is 'NA': leave the cell empty where "
         "it is not known"),
        ("sample\tpath\tday\nA\ta\tn/a\n", "line 2: day is 'n/a': leave the cell empty where it is "
         "not known"),
        ("sample\tpath\tday\nA\ta\t1.5\n", "line 2: day is '1.5': must be a whole number"),
        ("sample\tpath\tday\nA\ta\t45352\n", "line 2: day is '45352': must be <= 36500"),
        ("sample\tpath\tvolume_ml\nA\ta\t7,5\n", "line 2: volume_ml is '7,5': must be a number, "
         "with a decimal point"),
        ("sample\tpath\tfraction_loaded\nA\ta\t80\n", "line 2: fraction_loaded is '80': must be "
         "<= 1"),
        ("sample\tpath\tvolume_ml\nA\ta\tinf\n", "line 2: volume_ml is 'inf': must be a finite "
         "number"),
        ("sample\tpath\tqc.min_gene\nA\ta\t\n", "line 1: unknown column qc.min_gene: did you mean "
         "qc.min_genes?"),
        ("sample\tpath\tqcc.min_genes\nA\ta\t\n", "line 1: column qcc.min_genes looks like "
         "step.parameter but no step is named qcc: did you mean qc.min_genes?"),
        ("sample\tpath\ttumour.stage\nA\ta\tx\n", "line 1: column tumour.stage looks like "
         "step.parameter but no step is named tumour: rename it without the dot"),
        ("sample\tpath\tcall.fdr\nA\ta\t\n", "line 1: column call.fdr: call sees all samples at "
         "once: set it in config.yaml"),
        ("sample\tpath\tqc.min_genes\nA\ta\t-1\n", "line 2: qc.min_genes is -1: must be >= 0"),
        ("sample\tpath\tqc.min_genes\nA\ta\t[1\n", "line 2: qc.min_genes is '[1': must be a value "
         "as in YAML"),
        ("sample\tpath\tqc.min_genes\nA\ta\t!!python/name:os.system\n", "line 2: qc.min_genes is "
         "'!!python/name:os.system': must be a value as in YAML"),
        ("sample\tpath\tqc.min_mt_limit\nA\ta\t60\n", "line 2: qc: min_mt_limit is 60 and "
         "max_mt_limit is 50: the first must not be above the second"),
        ("sample\tpath\tdraw\tpatient\tvolume_ml\nA\ta\tD\tP\t7.5\nB\tb\tD\tP\t\n",
         "line 3: draw D: volume_ml is empty here and 7.5 on line 2: lanes of one draw must agree"),
        ("sample\tpath\tdraw\nA\ta\tD\nB\tb\tD\n", "line 3: draw D: patient is 'B' here and 'A' on "
         "line 2: lanes of one draw must agree"),
        ("sample\tpath\tday\trole\nA\tx\tsoon\tme\nA\n", "line 2: path is 'x': there is no "
         "FOLDER/x: correct the path (relative to the sheet's folder, or absolute); line 2: day is "
         "'soon': must be a whole number; line 2: role is 'me': must be one of patient, healthy, "
         "blank; line 3: has 1 fields and the header has 4: separate them by tabs, as the header "
         "does"),
        (b"\xff\xfes\0a\0", "is not UTF-8 text: save it as tab-separated text in UTF-8"),
        (b"sample\tpath\nA\0\ta\n", "is not a text file: save it as tab-separated text in UTF-8"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_sheet_is_one_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert sheet_refusal(tmp_path, text) == message


def test_five_problems_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    rows = "".join(f"S{i}\tmissing{i}\n" for i in range(7))
    message = sheet_refusal(tmp_path, "sample\tpath\n" + rows)
    assert message.count("there is no") == 5
    assert message.endswith("; and 2 more")


@pytest.mark.parametrize(
    "date", ["2024-03-01", "01.03.2024", "3/1/24", "1-Mar-24", "1 Mar 2024", "March 1, 2024",
             "20240301", "2024-03", "2024-03-01T10:00"],
)  # fmt: skip
def test_dates_are_refused_as_dates(tmp_path: Path, date: str) -> None:
    message = sheet_refusal(tmp_path, f"sample\tpath\tday\nA\ta\t{date}\n")
    assert message.startswith(f"line 2: day is '{date}': dates are refused")


@pytest.mark.parametrize("day", ["-3", "2 weeks", "1.5", "day 0"])
def test_other_days_are_refused_as_numbers(tmp_path: Path, day: str) -> None:
    message = sheet_refusal(tmp_path, f"sample\tpath\tday\nA\ta\t{day}\n")
    assert message.startswith(f"line 2: day is '{day}': must be ")


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    message = sheet_refusal(tmp_path, "sample\tpath\nA\ta\nB\tlink\n")
    assert message == "line 3: path is the same file as on line 2: correct or remove one"


def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CtcflowError, match="does not exist: create it, or set `samples`"):
        load_samples(tmp_path / "none.tsv", Config())
    with pytest.raises(CtcflowError, match="cannot be read"):
        load_samples(tmp_path, Config())


def test_an_override_changes_its_row_and_its_step_only(tmp_path: Path) -> None:
    config = load_config({"qc": {"min_umis": 7}})
    text = "sample\tpath\tqc.min_genes\nA\ta\t5\nB\tb\t\n"
    first, second = load_samples(write_sheet(tmp_path, text), config)
    assert json.loads(step_params(config, "qc", first))["min_genes"] == 5
    assert json.loads(step_params(config, "qc", first))["min_umis"] == 7
    assert step_params(config, "qc", second) == step_params(config, "qc")
    for step in set(SAMPLE_STEPS) - {"qc"}:
        assert step_params(config, step, first) == step_params(config, step)


def test_an_override_is_checked_against_the_run(tmp_path: Path) -> None:
    config = load_config({"qc": {"min_mt_limit": 40.0}})
    text = "sample\tpath\tqc.max_mt_limit\nA\ta\t30\n"
    assert sheet_refusal(tmp_path, text, config).startswith("line 2: qc: min_mt_limit is 40")
    assert load_samples(write_sheet(tmp_path, text), Config())


def test_hostile_overrides_are_refused_quickly(tmp_path: Path) -> None:
    bomb = "[&a [1,1,1,1,1,1,1,1,1], " + ", ".join(
        f"&{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]" for i in range(12)
    ) + "]"  # fmt: skip
    for value in (bomb, bomb[:400], "[" * 5000, "[" * 499, "2024-13-45"):
        message = sheet_refusal(tmp_path, f"sample\tpath\tqc.min_genes\nA\ta\t{value}\n")
        assert message.startswith("line 2: qc.min_genes is ")
        assert len(message) < 400


def test_the_row_in_the_files_holds_no_path_and_no_override(tmp_path: Path) -> None:
    text = "sample\tpath\traw_path\tqc.min_genes\tnote\nA\ta\tb\t5\tx\n"
    (sample,) = load_samples(write_sheet(tmp_path, text), Config())
    row = sample_row(sample)
    assert str(tmp_path) not in row
    assert set(json.loads(row)) == set(COLUMNS) - {"path", "raw_path", "guessed"} | {"extra"}
    plain = load_samples(write_sheet(tmp_path, "sample,note,path,other\nA,x,a,\n"), Config())
    assert sample_row(plain[0]) == row


def test_the_order_of_columns_and_keys_does_not_matter(tmp_path: Path) -> None:
    texts = ("sample,path,z,y\nA,a,1,2\n", "y,z,path,sample\n2,1,a,A\n")
    first, second = (load_samples(write_sheet(tmp_path, text), Config())[0] for text in texts)
    assert sample_row(first) == sample_row(second)
    for step in StepsParams.model_fields:
        keys = list(json.loads(step_params(Config(), step)))
        assert keys == sorted(keys)


NAMES = st.lists(
    st.from_regex(r"[A-Za-z0-9](\.?[A-Za-z0-9_-]){0,12}", fullmatch=True).filter(
        lambda name: name.lower() not in {"na", "nan", "null"}
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='",#'),
    max_size=8,
).filter(lambda text: not why_refused(text))
DIALECTS = [
    (sep, bom, end) for sep in "\t," for bom in ("", "\ufeff") for end in ("\n", "\r\n", "\r")
]


@settings(max_examples=40, deadline=None)
@given(names=NAMES, days=st.lists(st.integers(0, 36500), min_size=3, max_size=3), data=st.data())
def test_every_dialect_gives_the_same_rows(
    names: list[str], days: list[int], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sheet")
    notes = data.draw(st.lists(TEXTS, min_size=3, max_size=3))
    rows = [["sample", "path", "day", "note"]]
    rows += [[n, p, str(d), t] for n, p, d, t in zip(names, "abc", days, notes, strict=False)]
    expected = [
        Sample(sample=n, path=folder / p, day=int(d), extra={"note": t} if t else {})
        for n, p, d, t in rows[1:]
    ]
    separator, mark, end = data.draw(st.sampled_from(DIALECTS))
    wrap = data.draw(st.sampled_from(["{}", '"{}"', " {} ", ' "{}" ']))
    lines = [separator.join(wrap.format(cell) for cell in row) for row in rows]
    lines.insert(data.draw(st.integers(0, len(lines))), "# a comment, with\ttabs")
    tail = data.draw(st.sampled_from(["", end, end + end, end + separator * 3 + end]))
    sheet = write_sheet(folder, mark + end.join(lines) + tail)
    assert list(load_samples(sheet, Config())) == expected


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=80))
def test_no_sheet_ends_in_another_error(
    body: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sheet")
    for text in (body, b"sample,path,qc.min_genes,day\nA,a," + body):
        try:
            load_samples(write_sheet(folder, text), Config())
        except CtcflowError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("module", ["ctcflow.settings.config", "ctcflow.workflow.schema"])
def test_the_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(REPOSITORY / "src")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "pydantic" in loaded
    assert not {"numpy", "pandas", "scipy", "anndata", "h5py"} & set(loaded)


def test_the_shipped_configuration_changes_nothing() -> None:
    raw = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert load_config(raw) == Config()


# ---- a reviewer's verdicts

VERDICTS = "sample\tbarcode\tverdict\treviewer\treason\n"


def verdicts(folder: Path, *lines: str, header: str = VERDICTS) -> tuple[Verdict, ...]:
    path = folder / "verdicts.tsv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return load_verdicts(path, ["P1_d0", "P2_d0"])


def test_verdicts_are_read_in_their_order(tmp_path: Path) -> None:
    found = verdicts(
        tmp_path,
        "P1_d0\tAC-1\tveto\tAB\tdebris",
        "# a comment",
        'P2_d0\tGT-1\t Confirm \t"Dr. C"\ttypical',
        "P1_d0\tAC-1\tveto\tAB\tdebris, as I said",
        "P1_d0\tAC-1\tconfirm\tCD\tclear",
    )
    assert found == (
        Verdict("P1_d0", "AC-1", "veto", "AB", "debris"),
        Verdict("P2_d0", "GT-1", "confirm", "Dr. C", "typical"),
        Verdict("P1_d0", "AC-1", "confirm", "CD", "clear"),
    )
    assert verdicts(tmp_path) == ()


def test_a_copy_of_the_calls_will_do(tmp_path: Path) -> None:
    header = "sample,barcode,class,p,verdict,reviewer,reason\n"
    lines = ("P1_d0,AC-1,CTC,1e-9,veto,AB,debris", "P1_d0,GT-1,CTC,1e-8,,,panel seen")
    (found,) = verdicts(tmp_path, *lines, header=header)
    assert found == Verdict("P1_d0", "AC-1", "veto", "AB", "debris")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("P1d0\tA\tveto\tAB\tx", "line 2: sample 'P1d0' is not in this run: did you mean P1_d0?"),
        ("other\tA\tveto\tAB\tx", "sample 'other' is not in this run: name one of the sample"),
        ("P1_d0\tA\tconfirmed\tAB\tx", "verdict is 'confirmed': did you mean confirm?"),
        ("P1_d0\tA\tyes\tAB\tx", "verdict is 'yes': write confirm or veto"),
        ("P1_d0\tA\t\tAB\tx", "verdict is empty: write confirm or veto"),
        ("P1_d0\tA\tveto\t\tx", "line 2: reviewer is empty: say who"),
        ("P1_d0\tA\tveto\tAB\t", "line 2: reason is empty: say why"),
        ("P1_d0\t\tveto\tAB\tx", "line 2: barcode is empty: give the barcode"),
        ("P1_d0\tA\tveto\tAB", "line 2: has 4 fields and the header has 5"),
        (
            "P1_d0\tA\tveto\tAB\tx\nP1_d0\tA\tconfirm\tAB\ty",
            "line 3: AB says confirm of A of P1_d0 and veto on line 2: remove one",
        ),
    ],
)
def test_a_mistake_in_the_verdicts_is_named_with_its_line(
    tmp_path: Path, line: str, sentence: str
) -> None:
    with pytest.raises(CtcflowError, match="^verdicts .*verdicts.tsv: ") as caught:
        verdicts(tmp_path, line)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("sample\tbarcode\tverdict\treviewer\n", "column reason is missing (found: sample, "),
        ("sample\tbarcodes\tverdict\treviewer\treason\n", "barcode is missing"),
        ("sample\tbarcodes\tverdict\treviewer\treason\n", "rename barcodes"),
        ("", "is empty: the first line must name the columns, at least sample, barcode, verdict"),
    ],
)
def test_missing_columns_of_the_verdicts(tmp_path: Path, header: str, sentence: str) -> None:
    with pytest.raises(CtcflowError) as caught:
        verdicts(tmp_path, header=header)
    assert sentence in str(caught.value)


def test_verdicts_that_are_not_there_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(CtcflowError, match="gone.tsv: does not exist: create it, or set `verdi"):
        load_verdicts(tmp_path / "gone.tsv", [])
    with pytest.raises(CtcflowError, match="cannot be read"):
        load_verdicts(tmp_path, [])
