"""Needs reduce, call, integrate, and counts one sample at a time. Makes cohort.h5ad."""


rule cluster:
    """Neighbours, communities, map, cell types and markers."""
    input:
        **RUN.inputs("cluster"),
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
        given=RUN.given("cluster"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} cluster --in {params.given:q} --samples {params.samples:q}"
        " --out adata={output.adata:q} markers={output.markers:q}"
        " conditions={output.conditions:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
