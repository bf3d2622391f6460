"""Needs cluster and call; on request only: `snakemake freeze`. Makes results/freeze/reference.zip."""


rule freeze:
    """Freeze the run as a reference for new samples."""
    input:
        **RUN.inputs("freeze"),
    output:
        reference="<results>/freeze/reference.zip",
    log:
        "<logs>/freeze.log",
    benchmark:
        "<benchmarks>/freeze.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    threads: workflow.cores
    resources:
        mem_mb=RUN.memory("freeze"),
        runtime=RUN.minutes("freeze"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("freeze"),
        code=RUN.code("freeze"),
        given=RUN.given("freeze"),
        folder=subpath(output.reference, parent=True),
    shell:
        "{params.ctcflow} freeze --in {params.given:q}"
        " --out folder={params.folder:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
