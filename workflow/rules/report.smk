"""Needs cluster (gather in a run with a frozen reference) and call. Makes results/report/: the page and its figures."""


rule report:
    """The page that people read."""
    input:
        **RUN.inputs("report"),
    output:
        page=report(
            "<results>/report/report.html",
            caption="../report/page.rst",
            category="The answer",
            labels={"what": "the whole report"},
        ),
        umap=report(
            "<results>/report/figures/umap.png",
            caption="../report/umap.rst",
            category="Cohort",
            labels={"what": "map"},
        ),
        umap_svg="<results>/report/figures/umap.svg",
        qc=report(
            "<results>/report/figures/qc.png",
            caption="../report/qc.rst",
            category="Quality",
            labels={"what": "distributions and limits"},
        ),
        calls=report(
            "<results>/report/figures/calls.png",
            caption="../report/calls.rst",
            category="The answer",
            labels={"what": "calls and evidence"},
        ),
        mixing=report(
            "<results>/report/figures/mixing.png",
            caption="../report/mixing.rst",
            category="Cohort",
            labels={"what": "batch mixing"},
        ),
        calibration=report(
            "<results>/report/figures/calibration.png",
            caption="../report/calibration.rst",
            category="Evidence",
            labels={"what": "calibration"},
        ),
        droplets=report(
            "<results>/report/figures/droplets.png",
            caption="../report/droplets.rst",
            category="Quality",
            labels={"what": "barcode ranks"},
        ),
        copy_number=report(
            "<results>/report/figures/copy_number.png",
            caption="../report/copy_number.rst",
            category="Evidence",
            labels={"what": "copy number"},
        ),
        mqc_samples="<results>/report/multiqc/ctcflow_samples_mqc.tsv",
        mqc_ledger="<results>/report/multiqc/ctcflow_ledger_mqc.tsv",
        mqc_limits="<results>/report/multiqc/ctcflow_limits_mqc.tsv",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("report"),
        runtime=RUN.minutes("report"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("report"),
        code=RUN.code("report"),
        given=RUN.given("report"),
        folder=subpath(output.page, parent=True),
    shell:
        "{params.ctcflow} report --in {params.given:q}"
        " --out folder={params.folder:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
