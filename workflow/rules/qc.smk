"""Needs ingest, and the unfiltered droplets where the sheet names them. Makes results/qc/{sample}.h5ad: metrics, flags, ledger; no counts."""


rule qc:
    """Measure cells and flag those to set aside."""
    input:
        ingest="<results>/ingest/{sample}.h5ad",
        unfiltered=RUN.unfiltered_files,
        tables=RUN.table_files("qc"),
    output:
        adata="<results>/qc/{sample}.h5ad",
    log:
        "<logs>/qc/{sample}.log",
    benchmark:
        "<benchmarks>/qc/{sample}.tsv"
    group:
        "sample"
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("qc"),
        runtime=RUN.minutes("qc"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("qc"),
        code=RUN.code("qc"),
        tables=RUN.tables("qc"),
        unfiltered=RUN.unfiltered,
    shell:
        "{params.ctcflow} qc --in ingest={input.ingest:q} {params.unfiltered:q}"
        " {params.tables:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
