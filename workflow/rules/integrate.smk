"""Needs reduce and the classes of call. Makes results/integrate/integrate.h5ad."""


rule integrate:
    """Remove differences between batches, fitted on leukocytes."""
    input:
        **RUN.inputs("integrate"),
    output:
        adata="<results>/integrate/integrate.h5ad",
    log:
        "<logs>/integrate.log",
    benchmark:
        "<benchmarks>/integrate.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    threads: workflow.cores
    resources:
        mem_mb=RUN.memory("integrate"),
        runtime=RUN.minutes("integrate"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("integrate"),
        code=RUN.code("integrate"),
        given=RUN.given("integrate"),
    shell:
        "{params.ctcflow} integrate --in {params.given:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
