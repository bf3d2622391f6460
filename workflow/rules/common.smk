"""Configuration, samples and the values that rules share. No rules, nothing with an `if`."""

from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from ctcflow.run.lock import only_looks, stop_unless_alone
from ctcflow.run.plan import tell_progress
from ctcflow.run.provenance import write_or_say
from ctcflow.workflow.scheduling import without_limit_on_starts
from ctcflow.workflow.for_rules import Workflow

stop_unless_alone(Path.cwd(), arguments=sys.argv[1:], is_main=workflow.is_main_process)
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
ELSEWHERE = workflow.storage_settings.default_storage_provider
PLACES = {"run": Path.cwd(), "results": RESULTS, "results_elsewhere": ELSEWHERE}
KEEPS = workflow.is_main_process and not only_looks(sys.argv[1:])
RUN = Workflow(config, storage=storage, conda=CONDA, keeps=KEEPS, **PLACES)


wildcard_constraints:
    sample=RUN.sample_pattern,


onstart:
    without_limit_on_starts(workflow.scheduler)
    tell_progress(RUN)


onsuccess:
    write_or_say(RUN, Path.cwd())
