"""Needs ingest, qc and normalize of all samples. Makes results/reduce/reduce.h5ad."""


rule reduce:
    """Variable genes and principal components, one sample in memory at a time."""
    input:
        **RUN.inputs("reduce"),
    output:
        adata="<results>/reduce/reduce.h5ad",
    log:
        "<logs>/reduce.log",
    benchmark:
        "<benchmarks>/reduce.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    threads: workflow.cores
    resources:
        mem_mb=RUN.memory("reduce"),
        runtime=RUN.minutes("reduce"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("reduce"),
        code=RUN.code("reduce"),
        given=RUN.given("reduce"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} reduce --in {params.given:q} --samples {params.samples:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
