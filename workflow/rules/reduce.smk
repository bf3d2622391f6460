"""Needs ingest, qc and normalize of all samples. Makes results/reduce/reduce.h5ad."""


rule reduce:
    """Variable genes and principal components, one sample in memory at a time."""
    input:
        ingest=expand("<results>/ingest/{sample}.h5ad", sample=RUN.samples),
        qc=expand("<results>/qc/{sample}.h5ad", sample=RUN.samples),
        normalize=expand("<results>/normalize/{sample}.h5ad", sample=RUN.samples),
        tables=RUN.table_files("reduce"),
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
        tables=RUN.tables("reduce"),
        layers=RUN.layers("ingest", "qc", "normalize"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} reduce --in {params.layers:q}"
        " {params.tables:q} --samples {params.samples:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
