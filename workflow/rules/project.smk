"""Needs ingest, qc, normalize, score and a frozen reference. Makes results/project/{sample}.h5ad."""


rule project:
    """Map one sample onto a frozen reference."""
    input:
        **RUN.inputs("project"),
    output:
        adata="<results>/project/{sample}.h5ad",
    log:
        "<logs>/project/{sample}.log",
    benchmark:
        "<benchmarks>/project/{sample}.tsv"
    group:
        "sample"
    conda:
        "../envs/ctcflow.yaml"
    threads: 2
    resources:
        mem_mb=RUN.memory("project"),
        runtime=RUN.minutes("project"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("project"),
        code=RUN.code("project"),
        given=RUN.given("project"),
    shell:
        "{params.ctcflow} project --in {params.given:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
