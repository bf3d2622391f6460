"""Needs ingest, qc, normalize, score and a frozen reference. Makes results/project/{sample}.h5ad."""


rule project:
    """Map one sample onto a frozen reference."""
    input:
        ingest="<results>/ingest/{sample}.h5ad",
        qc="<results>/qc/{sample}.h5ad",
        normalize="<results>/normalize/{sample}.h5ad",
        score="<results>/score/{sample}.h5ad",
        reference=RUN.reference_file,
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
        reference=RUN.reference,
    shell:
        "{params.ctcflow} project --in ingest={input.ingest:q} qc={input.qc:q}"
        " normalize={input.normalize:q} score={input.score:q} {params.reference:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
