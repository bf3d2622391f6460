"""Needs cluster, reduce, and counts one sample at a time. Runs where `export: full` asks for it."""


rule export:
    """All raw counts of the cohort in one file, assembled on disk."""
    input:
        **RUN.inputs("export"),
    output:
        adata="<results>/cluster/cohort_counts.h5ad",
    log:
        "<logs>/export.log",
    benchmark:
        "<benchmarks>/export.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("export"),
        runtime=RUN.minutes("export"),
    params:
        ctcflow=RUN.command,
        code=RUN.code("export"),
        given=RUN.given("export"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} export --in {params.given:q} --samples {params.samples:q}"
        " --out adata={output.adata:q} &> {log:q}"
