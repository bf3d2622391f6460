"""Needs ingest, and the unfiltered droplets where the sheet names them. Makes results/qc/{sample}.h5ad: metrics, flags, ledger; no counts."""


rule qc:
    """Measure cells and flag those to set aside."""
    input:
        **RUN.inputs("qc"),
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
        given=RUN.given("qc"),
        content=RUN.content("qc"),
    shell:
        "{params.ctcflow} qc --in {params.given:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
