"""Needs ingest and qc. Makes results/score/{sample}.h5ad: evidence of each cell."""


rule score:
    """Lineage, lines of evidence, copy number and signature scores of each cell."""
    input:
        **RUN.inputs("score"),
    output:
        adata="<results>/score/{sample}.h5ad",
    log:
        "<logs>/score/{sample}.log",
    benchmark:
        "<benchmarks>/score/{sample}.tsv"
    group:
        "sample"
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("score"),
        runtime=RUN.minutes("score"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("score"),
        code=RUN.code("score"),
        given=RUN.given("score"),
    shell:
        "{params.ctcflow} score --in {params.given:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
