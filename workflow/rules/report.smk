"""Needs cluster (gather in a run with a frozen reference) and call. Makes results/report/: the page and its figures."""


rule report:
    """The page that people read."""
    input:
        cluster=RUN.cohort,
        call="<results>/call/call.h5ad",
    output:
        page="<results>/report/report.html",
        umap="<results>/report/figures/umap.png",
        umap_svg="<results>/report/figures/umap.svg",
        qc="<results>/report/figures/qc.png",
        calls="<results>/report/figures/calls.png",
        mixing="<results>/report/figures/mixing.png",
        calibration="<results>/report/figures/calibration.png",
        droplets="<results>/report/figures/droplets.png",
        copy_number="<results>/report/figures/copy_number.png",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    localrule: RUN.is_small
    conda:
        "../../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("report"),
        runtime=RUN.minutes("report"),
    params:
        json=RUN.params("report"),
        code=RUN.code("report"),
        folder=subpath(output.page, parent=True),
    shell:
        "python -m ctcflow report --in cluster={input.cluster:q} call={input.call:q}"
        " --out folder={params.folder:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
