"""Needs call, and project of all samples. Makes results/gather/cohort.h5ad and results/project/cells.tsv.gz."""


rule gather:
    """Lay the mapped samples below each other."""
    input:
        **RUN.inputs("gather"),
    output:
        adata="<results>/gather/cohort.h5ad",
        cells="<results>/project/cells.tsv.gz",
    log:
        "<logs>/gather.log",
    benchmark:
        "<benchmarks>/gather.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("gather"),
        runtime=RUN.minutes("gather"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("gather"),
        code=RUN.code("gather"),
        given=RUN.given("gather"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} gather --in {params.given:q} --samples {params.samples:q}"
        " --out adata={output.adata:q} cells={output.cells:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
