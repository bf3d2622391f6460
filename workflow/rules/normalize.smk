"""Needs ingest and qc. Makes results/normalize/{sample}.h5ad: size factors and moments."""


rule normalize:
    """Size factors and moments per gene."""
    input:
        **RUN.inputs("normalize"),
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
        given=RUN.given("normalize"),
    shell:
        "{params.ctcflow} normalize --in {params.given:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
