"""Find, characterise and count circulating tumour cells in single-cell data of blood."""

import sys
from pathlib import Path
from shlex import quote

from snakemake.utils import min_version

min_version("9.14.8")

ROOT = Path(workflow.basedir)
if ROOT.name == "workflow":
    ROOT = ROOT.parent
sys.path.insert(0, str(ROOT / "src"))
# the code that is digested in `step_code` is the code that runs, whatever is installed
shell.prefix(
    f"set -euo pipefail; export PYTHONPATH={quote(str(ROOT / 'src'))}"
    f" CTCFLOW_JOB_OF={quote(str(Path.cwd()))}; "
)


configfile: "config/config.yaml"


RESULTS = "results"


pathvars:
    results=RESULTS,
    logs="logs",
    benchmarks="benchmarks",


include: "workflow/rules/common.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/qc.smk"
include: "workflow/rules/normalize.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/call.smk"
include: "workflow/rules/reduce.smk"
include: "workflow/rules/integrate.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/freeze.smk"
include: "workflow/rules/project.smk"
include: "workflow/rules/gather.smk"


rule all:
    """Calls, cohort and report."""
    default_target: True
    input:
        RUN.targets,
