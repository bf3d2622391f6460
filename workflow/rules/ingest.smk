"""Needs the counts of one sample in any format. Makes results/ingest/{sample}.h5ad."""


rule ingest:
    """Read one library into one validated count matrix."""
    input:
        **RUN.inputs("ingest"),
    output:
        adata="<results>/ingest/{sample}.h5ad",
    log:
        "<logs>/ingest/{sample}.log",
    benchmark:
        "<benchmarks>/ingest/{sample}.tsv"
    group:
        "sample"
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("ingest"),
        runtime=RUN.minutes("ingest"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("ingest"),
        code=RUN.code("ingest"),
        given=RUN.given("ingest"),
        content=RUN.content("ingest"),
        row=RUN.row,
    shell:
        "{params.ctcflow} ingest --in {params.given:q}"
        " --out adata={output.adata:q} --row {params.row:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
