"""Needs the counts of one sample in any format. Makes results/ingest/{sample}.h5ad."""


rule ingest:
    """Read one library into one validated count matrix."""
    input:
        data=RUN.files,
        genes=RUN.table("genes"),
    output:
        adata="<results>/ingest/{sample}.h5ad",
    log:
        "<logs>/ingest/{sample}.log",
    benchmark:
        "<benchmarks>/ingest/{sample}.tsv"
    group:
        "sample"
    conda:
        "../../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("ingest"),
        runtime=RUN.minutes("ingest"),
    params:
        json=RUN.params("ingest"),
        code=RUN.code("ingest"),
        path=RUN.path,
        row=RUN.row,
    shell:
        "python -m ctcflow ingest --in data={params.path:q} genes={input.genes:q}"
        " --out adata={output.adata:q} --row {params.row:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
