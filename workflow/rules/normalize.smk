"""Needs ingest and qc. Makes results/normalize/{sample}.h5ad: size factors and moments."""


rule normalize:
    """Size factors and moments per gene."""
    input:
        ingest="<results>/ingest/{sample}.h5ad",
        qc="<results>/qc/{sample}.h5ad",
    output:
        adata="<results>/normalize/{sample}.h5ad",
    log:
        "<logs>/normalize/{sample}.log",
    benchmark:
        "<benchmarks>/normalize/{sample}.tsv"
    group:
        "sample"
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("normalize"),
        runtime=RUN.minutes("normalize"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("normalize"),
        code=RUN.code("normalize"),
    shell:
        "{params.ctcflow} normalize --in ingest={input.ingest:q} qc={input.qc:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
