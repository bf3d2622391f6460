"""Needs ingest and qc. Makes results/score/{sample}.h5ad: evidence of each cell."""


rule score:
    """Lineage, lines of evidence, copy number and signature scores of each cell."""
    input:
        ingest="<results>/ingest/{sample}.h5ad",
        qc="<results>/qc/{sample}.h5ad",
        panels=RUN.table("panels"),
        programmes=RUN.table("programmes"),
        cell_types=RUN.table("cell_types"),
        rates=RUN.table("rates"),
        normal_profiles=RUN.table("normal_profiles"),
        normal_types=RUN.table("normal_types"),
        leak=RUN.table("leak"),
        identity_null=RUN.table("identity_null"),
        technical=RUN.table("technical"),
        genes=RUN.table("genes"),
        tissue_markers=RUN.table("tissue_markers"),
    output:
        adata="<results>/score/{sample}.h5ad",
    log:
        "<logs>/score/{sample}.log",
    benchmark:
        "<benchmarks>/score/{sample}.tsv"
    group:
        "sample"
    conda:
        "../../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("score"),
        runtime=RUN.minutes("score"),
    params:
        json=RUN.params("score"),
        code=RUN.code("score"),
    shell:
        "python -m ctcflow score --in ingest={input.ingest:q} qc={input.qc:q}"
        " panels={input.panels:q} programmes={input.programmes:q} cell_types={input.cell_types:q}"
        " rates={input.rates:q} normal_profiles={input.normal_profiles:q}"
        " normal_types={input.normal_types:q} leak={input.leak:q} identity_null={input.identity_null:q}"
        " technical={input.technical:q} genes={input.genes:q}"
        " tissue_markers={input.tissue_markers:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
