"""A door to the workflow for `snakemake` in this folder; what it does is in `workflow/Snakefile`."""


include: "workflow/Snakefile"


# rules of a file that is included are no default target
rule default:
    """Calls, cohort and report."""
    default_target: True
    input:
        rules.all.input,
