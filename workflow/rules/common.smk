"""Configuration, samples and the values that rules share. No rules, nothing with an `if`."""

from ctcflow.workflow import Workflow

RUN = Workflow(config, root=ROOT, run=Path.cwd(), results=RESULTS)


wildcard_constraints:
    sample=RUN.sample_pattern,
