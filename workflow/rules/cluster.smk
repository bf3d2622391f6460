"""Needs reduce, call, integrate, and counts one sample at a time. Makes cohort.h5ad."""


rule cluster:
    """Neighbours, communities, map, cell types and markers."""
    input:
        reduce="<results>/reduce/reduce.h5ad",
        call="<results>/call/call.h5ad",
        integrate="<results>/integrate/integrate.h5ad",
        ingest=expand("<results>/ingest/{sample}.h5ad", sample=RUN.samples),
        qc=expand("<results>/qc/{sample}.h5ad", sample=RUN.samples),
        normalize=expand("<results>/normalize/{sample}.h5ad", sample=RUN.samples),
        tables=RUN.table_files("cluster"),
    output:
        adata="<results>/cluster/cohort.h5ad",
        markers=report(
            "<results>/cluster/markers.tsv",
            caption="../report/markers.rst",
            category="Cohort",
            labels={"what": "markers"},
        ),
        conditions="<results>/cluster/conditions.tsv",
    log:
        "<logs>/cluster.log",
    benchmark:
        "<benchmarks>/cluster.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    threads: workflow.cores
    resources:
        mem_mb=RUN.memory("cluster"),
        runtime=RUN.minutes("cluster"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("cluster"),
        code=RUN.code("cluster"),
        tables=RUN.tables("cluster"),
        layers=RUN.layers("ingest", "qc", "normalize"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} cluster --in reduce={input.reduce:q} call={input.call:q}"
        " integrate={input.integrate:q} {params.tables:q} {params.layers:q}"
        " --samples {params.samples:q}"
        " --out adata={output.adata:q} markers={output.markers:q}"
        " conditions={output.conditions:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
