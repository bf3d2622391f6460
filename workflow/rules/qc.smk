"""Needs ingest, and the unfiltered droplets where the sheet names them. Makes results/qc/{sample}.h5ad: metrics, flags, ledger; no counts."""


rule qc:
    """Measure cells and flag those to set aside."""
    input:
        ingest="<results>/ingest/{sample}.h5ad",
        unfiltered=RUN.unfiltered_files,
        genes=RUN.table("genes"),
        panels=RUN.table("panels"),
        leak=RUN.table("leak"),
        technical=RUN.table("technical"),
        normal_profiles=RUN.table("normal_profiles"),
        normal_types=RUN.table("normal_types"),
        identity_null=RUN.table("identity_null"),
    output:
        adata="<results>/qc/{sample}.h5ad",
    log:
        "<logs>/qc/{sample}.log",
    benchmark:
        "<benchmarks>/qc/{sample}.tsv"
    group:
        "sample"
    conda:
        "../../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("qc"),
        runtime=RUN.minutes("qc"),
    params:
        json=RUN.params("qc"),
        code=RUN.code("qc"),
        unfiltered=RUN.unfiltered,
    shell:
        "python -m ctcflow qc --in ingest={input.ingest:q} {params.unfiltered:q}"
        " genes={input.genes:q} panels={input.panels:q} leak={input.leak:q}"
        " technical={input.technical:q} normal_profiles={input.normal_profiles:q}"
        " normal_types={input.normal_types:q} identity_null={input.identity_null:q}"
        " --out adata={output.adata:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
