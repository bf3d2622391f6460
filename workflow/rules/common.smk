"""Configuration, samples and the values that rules share. No rules, nothing with an `if`."""

from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from ctcflow.run.provenance import write_or_say
from ctcflow.run.lock import stop_unless_alone
from ctcflow.workflow.scheduling import without_limit_on_starts
from ctcflow.workflow.for_rules import Workflow

stop_unless_alone(Path.cwd(), arguments=sys.argv[1:], is_main=workflow.is_main_process)
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
RUN = Workflow(config, run=Path.cwd(), results=RESULTS, storage=storage, local=local, conda=CONDA)


wildcard_constraints:
    sample=RUN.sample_pattern,


onstart:
    without_limit_on_starts(workflow.scheduler)


onsuccess:
    write_or_say(RUN, Path.cwd())
