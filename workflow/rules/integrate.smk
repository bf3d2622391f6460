"""Needs reduce and the classes of call. Makes results/integrate/integrate.h5ad."""


rule integrate:
    """Remove differences between batches, fitted on leukocytes."""
    input:
        reduce="<results>/reduce/reduce.h5ad",
        call="<results>/call/call.h5ad",
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
    shell:
        "{params.ctcflow} integrate --in reduce={input.reduce:q} call={input.call:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
