"""Needs ingest. Makes results/qc/{sample}.h5ad: metrics, flags, ledger; no counts."""


rule qc:
    """Measure cells and flag those to set aside."""
    input:
        ingest="<results>/ingest/{sample}.h5ad",
        panels=RUN.table("panels"),
        leak=RUN.table("leak"),
        technical=RUN.table("technical"),
    output:
        adata="<results>/qc/{sample}.h5ad",
    log:
        "<logs>/qc/{sample}.log",
    benchmark:
        "<benchmarks>/qc/{sample}.tsv"
    conda:
        "../../envs/ctcflow.yaml"
    params:
        json=RUN.params("qc"),
        code=RUN.code("qc"),
    shell:
        "python -m ctcflow qc --in ingest={input.ingest:q} panels={input.panels:q} leak={input.leak:q} technical={input.technical:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
