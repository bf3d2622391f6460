"""What runs and what re-runs according to a dry run, and the digest of a step's code."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from tests.workflow.conftest import other_counts

from ctcflow.contracts import STEPS
from ctcflow.workflow import step_code
from ctcflow.workflow.for_rules import Workflow

ROOT = Path(__file__).parents[2]
ASKED_FOR = {"freeze", "project", "gather"}
"""Steps that a run without a frozen reference does not make by itself."""
SAMPLE_STEPS = [n for n, step in STEPS.items() if step.scope == "sample" and n not in ASKED_FOR]
COHORT_STEPS = [n for n, step in STEPS.items() if step.scope == "cohort" and n not in ASKED_FOR]


def test_a_dry_run_of_a_new_cohort_lists_each_step_once_per_sample_or_once(
    tmp_path, sheet, new_run, snakemake
):
    run = new_run(tmp_path / "run", sheet)
    dry = snakemake(run, "-n")
    assert dry.code == 0, dry.text
    assert dry.jobs == dict.fromkeys(SAMPLE_STEPS, 3) | dict.fromkeys(COHORT_STEPS, 1)
    assert {path.name for path in run.iterdir()} <= {"config", ".snakemake"}


def test_a_second_run_does_nothing(own_copy, snakemake):
    again = snakemake(own_copy)
    assert again.code == 0
    assert "Nothing to be done" in again.text


def test_what_is_written_differently_and_means_the_same_runs_nothing(
    own_copy, sheet, new_run, snakemake
):
    defaults = (ROOT / "config" / "defaults.yaml").read_text()
    sections = [part for part in _sections(defaults) if not part.startswith("samples:")]
    assert len(sections) > len(STEPS) / 2
    config = "# a comment\n" + "".join(reversed(sections))
    columns = list(reversed(sheet.columns))
    new_run(own_copy, sheet[columns].assign(batch=sheet["batch"] + " "), config)
    text = (own_copy / "config" / "samples.tsv").read_text()
    (own_copy / "config" / "samples.tsv").write_text(f"# a comment\n{text}\t\t\n")
    dry = snakemake(own_copy, "-n")
    assert dry.code == 0, dry.text
    assert "Nothing to be done" in dry.text


def _sections(text: str) -> list[str]:
    """Parts of a YAML file, each from a key at the left margin to the next; no comments."""
    parts: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.startswith(("#", " ")):
            parts.append(line)
        elif parts and not line.lstrip().startswith("#"):
            parts[-1] += line
    return parts


@pytest.mark.parametrize(
    ("config", "jobs"),
    [
        ("cluster: {min_dist: 0.2}\n", {"cluster": 1, "report": 1}),
        ("report: {title: Another}\n", {"report": 1}),
        (
            "call: {fdr: 0.01}\n",
            dict.fromkeys(("call", "integrate", "cluster", "report"), 1),
        ),
        (
            "score: {min_leukocytes: 10}\n",
            {"score": 3} | dict.fromkeys(("call", "integrate", "cluster", "report"), 1),
        ),
    ],
)
def test_a_changed_parameter_runs_its_step_and_what_follows(
    own_copy, sheet, new_run, snakemake, config, jobs
):
    new_run(own_copy, sheet, config)
    assert snakemake(own_copy, "-n").jobs == jobs


def test_a_verdict_runs_call_and_what_follows(own_copy, sheet, new_run, snakemake):
    header = "sample\tbarcode\tverdict\treviewer\treason\n"
    verdicts = own_copy / "config" / "verdicts.tsv"
    verdicts.write_text(header)
    jobs = dict.fromkeys(("call", "integrate", "cluster", "report"), 1)
    new_run(own_copy, sheet, "verdicts: config/verdicts.tsv\n")
    assert snakemake(own_copy, "-n").jobs == jobs
    ctc = pd.read_csv(own_copy / "results" / "call" / "ctc.tsv", sep="\t", dtype=str)
    cell = ctc[ctc["class"] == "CTC"].iloc[0]
    verdicts.write_text(f"{header}{cell['sample']}\t{cell['barcode']}\tveto\tAB\tdebris\n")
    ran = snakemake(own_copy)
    assert ran.code == 0, ran.text
    assert ran.jobs == jobs
    ctc = pd.read_csv(own_copy / "results" / "call" / "ctc.tsv", sep="\t", dtype=str)
    (row,) = ctc[ctc["verdict"] == "veto"].to_dict("records")
    assert (row["barcode"], row["class_before_review"]) == (cell["barcode"], "CTC")
    assert row["class"] in {"blood", "non-blood other"}
    assert "vetoed by AB: debris" in (own_copy / "results/report/report.html").read_text()
    assert "Nothing to be done" in snakemake(own_copy, "-n").text
    verdicts.write_text(verdicts.read_text() + f"{cell['sample']}\tgone\tveto\tAB\tdebris\n")
    assert snakemake(own_copy, "-n").jobs == jobs


def test_an_override_of_a_row_runs_that_sample_only(own_copy, sheet, new_run, snakemake):
    override = ["0.5" if k == 1 else "" for k in range(len(sheet))]
    new_run(own_copy, sheet.assign(**{"qc.min_mt_limit": override}))
    jobs = snakemake(own_copy, "-n").jobs
    assert jobs == {"qc": 1, "normalize": 1, "score": 1} | dict.fromkeys(COHORT_STEPS, 1)


def test_a_new_row_runs_its_own_jobs_and_the_cohort(
    own_copy, cohort, sheet, new_run, snakemake, tmp_path
):
    path = other_counts(Path(sheet["path"][0]), tmp_path / "another")
    row = sheet.iloc[[0]].assign(sample="new", patient="new", path=str(path))
    new_run(own_copy, pd.concat([sheet, row]))
    dry = snakemake(own_copy, "-n")
    assert dry.jobs == dict.fromkeys((*SAMPLE_STEPS, *COHORT_STEPS), 1)
    wanted = [line for line in dry.text.splitlines() if "wildcards: sample=" in line]
    assert {line.split("sample=")[1] for line in wanted} == {"new"}


def test_a_removed_row_leaves_the_cohort_and_its_files_stay(
    own_copy, sheet, new_run, snakemake, differing
):
    gone = str(sheet["sample"][0])
    whole = {path: path.read_bytes() for path in own_copy.glob(f"results/*/{gone}.h5ad")}
    assert len(whole) == len(SAMPLE_STEPS)
    ran = snakemake(new_run(own_copy, sheet.iloc[1:]))
    assert ran.code == 0, ran.text
    assert ran.jobs == dict.fromkeys(COHORT_STEPS, 1)
    assert {path: path.read_bytes() for path in whole} == whole
    counted = pd.read_csv(own_copy / "results" / "call" / "samples.tsv", sep="\t", dtype=str)
    assert set(counted["sample"]) == set(sheet["sample"][1:])
    back = snakemake(new_run(own_copy, sheet))
    assert back.code == 0, back.text
    assert back.jobs == dict.fromkeys(COHORT_STEPS, 1)
    assert differing(own_copy) == []


@pytest.mark.parametrize(
    ("table", "file", "first"),
    [
        ("panels", "tumour_panels.tsv", "qc"),
        ("gene_programs", "gene_programs.tsv", "score"),
        ("cell_types", "cell_types.tsv", "score"),
    ],
)
def test_a_changed_table_runs_the_first_step_that_reads_it_and_what_follows(
    own_copy, sheet, new_run, snakemake, table, file, first
):
    own = own_copy / "config" / file
    own.write_text((ROOT / "resources" / "signatures" / file).read_text())
    new_run(own_copy, sheet, f"{table}: config/{file}\n")
    jobs = snakemake(own_copy, "-n").jobs
    samples = SAMPLE_STEPS[SAMPLE_STEPS.index(first) :]
    skipped = set() if first == "qc" else {"reduce"}
    assert jobs == dict.fromkeys(samples, 3) | dict.fromkeys(set(COHORT_STEPS) - skipped, 1)


OLD = 1_500_000_000
"""A time stamp long before all results (seconds since 1970), as `cp -p` and `tar` keep them."""


def test_a_table_of_the_user_with_an_older_time_stamp_is_noticed(
    own_copy, sheet, new_run, snakemake
):
    own = own_copy / "config" / "programs.tsv"
    own.write_text((ROOT / "resources" / "signatures" / "gene_programs.tsv").read_text())
    new_run(own_copy, sheet, "gene_programs: config/programs.tsv\n")
    target = f"results/score/{sheet['sample'][0]}.h5ad"
    ran = snakemake(own_copy, "--", target)
    assert ran.code == 0, ran.text
    assert snakemake(own_copy, "-n", "--", target).jobs == {}
    own.write_text("\n".join(own.read_text().splitlines()[:-1]) + "\n")
    os.utime(own, (OLD, OLD))
    assert snakemake(own_copy, "-n", "--", target).jobs == {"score": 1}


@pytest.mark.parametrize(
    "line", ["from . import keys", "from ..stats import x", "from ctcflow import stats"]
)
def test_an_import_that_cannot_be_followed_is_refused(line):
    (statement,) = ast.parse(line).body
    with pytest.raises(SyntaxError, match="line 1: "):
        list(step_code._imports(ROOT / "src" / "ctcflow", statement))


@pytest.mark.parametrize("column", ["path", "raw_path"])
def test_steps_of_a_cohort_are_submitted_unless_all_input_is_small(tmp_path, column):
    """Where they run is seen in `test_slurm`."""
    (tmp_path / "config").mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / "config" / name).write_text("gene,A\nTP53,1\n")
    sheet = "sample\tpath\traw_path\na\ta.csv\tb.csv\nc\tc.csv\t\n"
    (tmp_path / "config" / "samples.tsv").write_text(sheet)

    def is_small() -> bool:
        return Workflow({}, run=tmp_path, results="results").is_small

    assert is_small()
    with (tmp_path / "config" / {"path": "c.csv", "raw_path": "b.csv"}[column]).open("ab") as file:
        file.truncate(10_000_000)
    assert not is_small()


def test_200_samples(tmp_path, new_run, snakemake):
    (tmp_path / "data").mkdir()
    names = [f"s{k}" for k in range(200)]
    for name in names:
        (tmp_path / "data" / f"{name}.csv").write_text(f"gene,AAAC-1\nTP53,{name[1:]}\n")
    sheet = pd.DataFrame({"sample": names, "path": [f"../../data/{name}.csv" for name in names]})
    dry = snakemake(new_run(tmp_path / "run", sheet), "-n", "--quiet", "rules")
    assert dry.code == 0, dry.text
    assert dry.jobs == dict.fromkeys(SAMPLE_STEPS, 200) | dict.fromkeys(COHORT_STEPS, 1)
    print(f"snakemake -n on 200 samples: {dry.seconds:.1f} s")


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of the package that a test may edit and leaves as it was."""
    folder = tmp_path_factory.mktemp("package") / "src"
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "ctcflow"


@pytest.fixture(scope="module")
def before(package) -> dict[str, str]:
    """Digest of what each step runs, of the package as it is."""
    return _digests(package)


def _digests(package: Path) -> dict[str, str]:
    for remembered in (step_code._module, step_code._used, step_code.definitions):
        remembered.cache_clear()
    return {step: step_code.step_code(package, step, []) for step in (*STEPS, "export")}


def _changed(package: Path, before: dict[str, str], edited: Mapping[str, str]) -> set[str]:
    """Steps whose digest changes when modules have another text."""
    texts = {module: (package / module).read_text() for module in edited}
    for module, text in edited.items():
        assert text != texts[module]
        (package / module).write_text(text)
    after = _digests(package)
    for module, text in texts.items():
        (package / module).write_text(text)
    return {step for step in before if before[step] != after[step]}


def _edited(path: Path, names: Sequence[str] = ()) -> str:
    """Text of a module with a comment at the end of definitions: of those named, or of all."""
    text = path.read_text()
    lines = text.split("\n")
    edited = 0
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr):
            continue
        target = getattr(node, "target", None) or getattr(node, "targets", [None])[0]
        name = getattr(node, "name", None) or getattr(target, "id", "")
        if not names or name in names:
            lines[node.end_lineno - 1] += "  # edited"
            edited += 1
    assert edited >= len(names), names
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("stats/clusters/annotation.py", {"cluster", "project"}),
        ("stats/calls/p_values.py", {"qc", "score", "call"}),
        ("stats/quality/limits.py", {"qc"}),
        ("stats/copy_number/aneuploidy.py", {"score"}),
        ("stats/copy_number/gene_order.py", {"score"}),
        ("stats/identity/normal_tissue.py", {"score"}),
        ("render/figures/heat_map.py", {"report"}),
        ("settings/review.py", {"call"}),
        ("stats/identity/leukocytes.py", {"qc", "score"}),
        ("stats/clusters/search.py", {"qc", "score", "integrate", "cluster", "freeze", "project"}),
        ("steps/collect.py", {"cluster"}),
        ("files/export.py", {"export"}),
        ("commands/tools.py", {"export"}),
        ("cli.py", set()),
        ("stats/clusters/neighbors.py", {"qc", "score", "integrate", "cluster", "project"}),
        ("stats/embedding/confounding.py", {"integrate"}),
        ("stats/embedding/symphony.py", {"project"}),
        ("files/bundle.py", {"call", "freeze", "project"}),
        ("steps/normalize.py", {"normalize"}),
        ("render/page/table.py", {"report"}),
        ("render/page/environment.py", {"report"}),
        ("render/tables/of_run.py", {"call", "cluster", "report", "gather"}),
        ("formats/mtx.py", {"ingest", "qc"}),  # the unfiltered droplets
        ("pipeline.py", set(STEPS)),
        ("simulate/blood.py", set()),
        ("workflow/for_rules.py", set()),
        ("workflow/schema.py", set()),
    ],
)
def test_editing_a_module_changes_the_digest_of_the_steps_that_run_it(
    package, before, module, changed
):
    assert _changed(package, before, {module: _edited(package / module)}) == changed


@pytest.mark.parametrize(
    ("module", "name", "changed"),
    [
        ("keys.py", "LOADINGS", {"reduce", "cluster", "freeze"}),
        ("keys.py", "CONDITIONS", {"cluster", "report"}),
        ("keys.py", "VARIABLE_RANK", {"normalize", "reduce"}),
        ("settings/params.py", "ClusterParams", {"cluster"}),
        ("settings/params.py", "HarmonyParams", {"integrate"}),
        ("settings/sample_params.py", "QCParams", {"qc"}),
        ("settings/sample_params.py", "Params", set(STEPS)),
        ("inputs.py", "Verdicts", {"call"}),
        ("inputs.py", "Droplets", {"qc"}),
        ("contracts.py", "_tables_of_call", {"call"}),
        ("render/tables/of_run.py", "projected_table", {"gather"}),
        ("render/tables/of_run.py", "conditions_table", {"cluster"}),
        ("commands/steps.py", "_write", set(STEPS)),
        ("commands/steps.py", "_add_step", set()),
    ],
)
def test_editing_a_definition_changes_the_digest_of_the_steps_that_run_it(
    package, before, module, name, changed
):
    assert _changed(package, before, {module: _edited(package / module, [name])}) == changed


@pytest.mark.parametrize("step", ["qc", "cluster"])
def test_editing_the_row_of_a_step_changes_its_digest_only(package, before, step):
    text = (package / "contracts.py").read_text()
    row = f'    "{step}": Step('
    assert text.count(row) == 1
    edited = {"contracts.py": text.replace(row, f"{row}  # edited")}
    assert _changed(package, before, edited) == {step}


@pytest.mark.parametrize(
    ("module", "line", "edited", "changed"),
    [
        (
            "stats/panels/origin.py",
            "from scipy.special import logsumexp",
            "from scipy.special import softmax as logsumexp",
            {"call"},
        ),
        ("stats/droplets/sharing.py", "import numpy as np", "import numpy.ma as np", {"call"}),
        ("files/export.py", "import numpy as np", "import numpy.ma as np", {"export"}),
    ],
)
def test_an_import_that_stands_for_something_else_changes_the_digest(
    package, before, module, line, edited, changed
):
    text = (package / module).read_text()
    assert text.count(f"{line}\n") == 1
    assert _changed(package, before, {module: text.replace(line, edited)}) == changed


def test_a_comment_between_definitions_changes_no_digest(package, before):
    modules = [str(path.relative_to(package)) for path in package.rglob("*.py")]
    assert len(modules) > 150
    edited = {module: (package / module).read_text() + "\n# edited\n" for module in modules}
    assert _changed(package, before, edited) == set()


def test_an_edit_of_any_module_re_runs_at_most_the_steps_that_import_it(package, before):
    modules = sorted(str(path.relative_to(package)) for path in package.rglob("*.py"))
    runs = {step: {m for m, _ in step_code.definitions(package, step)} for step in before}
    for step, used in runs.items():
        assert used <= _imported_by(package, step), step
    for module in modules:
        print(f"{module}: {', '.join(s for s in runs if module in runs[s]) or 'none'}")
    print(f"of {len(modules)} modules each step runs { ({s: len(runs[s]) for s in runs}) }")
    assert max(len(used) for used in runs.values()) < len(modules) / 2


def _imported_by(package: Path, step: str) -> set[str]:
    """Modules that a step imports at any depth, by their import statements alone."""
    starts = ["commands/steps.py", "settings/params.py", f"steps/{step}.py"]
    starts = ["cli.py"] if step == "export" else starts
    found, waiting = set(), starts
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        for node in ast.walk(ast.parse((package / module).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ctcflow"):
                base = "/".join(node.module.split(".")[1:])
                names = [base, *(f"{base}/{alias.name}".lstrip("/") for alias in node.names)]
                waiting += [f"{n}.py" for n in names if (package / f"{n}.py").is_file()]
    return found


def test_touching_a_module_changes_no_digest(package, before):
    for path in package.rglob("*.py"):
        os.utime(path, (1, 1))
    assert _digests(package) == before


def test_every_function_that_a_step_runs_is_in_its_digest(finished, sheet, tmp_path):
    """Truth from outside: what the interpreter has called in each step of a run."""
    script = tmp_path / "called.py"
    script.write_text(_CALLED)
    arguments = [str(ROOT), str(finished), str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("called")]
    assert [step for _, step, *_ in found] == list(STEPS)
    assert all(int(n) > 20 for _, _, n, *_ in found)
    assert [(step, missing) for _, step, _, *missing in found if missing] == []


_CALLED = """
import sys, threading
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import SimpleNamespace

root, run, out = map(Path, sys.argv[1:])
sys.path.insert(0, str(root / "src"))
from ctcflow.contracts import STEPS, READS
from ctcflow.inputs import Finished, Layers, OnDisk, Reference, Samples
from ctcflow.workflow.step_code import _files_named, definitions, defined_at
from ctcflow.workflow.for_rules import Workflow

package = root / "src" / "ctcflow"
inside = str(package) + "/"
# these parse the command line, choose the step and write down digests; no result depends on them
FRONT = {
    "cli.py", "commands/folders.py", "commands/tools.py", "__init__.py",
    "__main__.py", "settings/mistakes.py", "files/shipped.py",
}
PARSED = ("add", "_add_step", "add_files", "_pair", "_run_step", "_check", "_first_repeated")
AFTER = {("commands/steps.py", name) for name in (*PARSED, "_json", "log_peak")}
workflow = Workflow({}, run=run, results=str(run / "results"))
names = workflow.samples
given = SimpleNamespace(sample=names[0])
called = set()


def importing(frame):
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(inside):
            return True
        frame = frame.f_back
    return False


def note(frame, event, argument):
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(inside) or code in called:
        return
    if code.co_flags & CO_OPTIMIZED and not importing(frame.f_back):
        called.add(code)


def inputs(step):
    row = STEPS[step]
    where = "{sample}" if row.scope == "cohort" else given.sample
    pairs = [f"data={workflow.counts_path(given, None)}"] if row.reads[0].begins else []
    for kind in row.reads:
        if isinstance(kind, Layers | Samples):
            folders = {"project": f"{out}/project"}
            pairs += [f"{name}={folders.get(name, f'{run}/results/{name}')}/{where}.h5ad"
                      for name in kind.steps]
        elif isinstance(kind, Finished | OnDisk):
            pairs += [f"{name}={workflow.result(name).replace('<results>', f'{run}/results')}"
                      for name in kind.names]
        elif type(kind) is Reference:
            pairs += [f"reference={out}/freeze/reference.zip"]
    return pairs


for step, row in STEPS.items():
    for name in [name for name in sys.modules if name.split(".")[0] == "ctcflow"]:
        del sys.modules[name]
    from ctcflow.cli import main
    called.clear()
    outputs = [f"folder={out}/{step}"] if row.gives_files else [f"adata={out}/{step}.h5ad"]
    tables = row.exports()
    outputs += [f"{name}={out}/{step}_{name}.tsv" for name in tables]
    words = workflow.row(given) if step == "ingest" else "{}"
    for name in names if step == "project" else names[:1]:
        given.sample = name
        outputs = [f"adata={out}/project/{name}.h5ad"] if step == "project" else outputs
        paths = inputs(step)
        threading.setprofile(note)
        sys.setprofile(note)
        code = main([step, "--in", *paths, "--out", *outputs, "--row", words,
                     "--samples", *(names if row.scope == "cohort" else [])])
        sys.setprofile(None)
        threading.setprofile(None)
        assert code == 0, step
    given.sample = names[0]
    known = definitions(package, step)
    known |= {(file, "") for each in known for file in _files_named(package, *each)}
    found = set()
    for code in called:
        module = str(Path(code.co_filename).relative_to(package))
        if not module.endswith(".py"):
            found.add((module, ""))  # a template, which jinja2 compiles
        elif module not in FRONT:
            found.add(defined_at(package, module, code.co_firstlineno))
    missing = sorted(":".join(each) for each in found - known - AFTER if each)
    print("called", step, len(found), *missing, flush=True)
"""
