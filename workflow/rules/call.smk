"""Needs qc and score of all samples, and the reviewer's verdicts and a frozen reference, where config names them. Makes results/call/: calls, counts, ledger."""


rule call:
    """Decide what each cell is, with an error rate; count per draw."""
    input:
        **RUN.inputs("call"),
    output:
        adata="<results>/call/call.h5ad",
        cells="<results>/call/cells.tsv.gz",
        ctc=report(
            "<results>/call/ctc.tsv",
            caption="../report/ctc.rst",
            category="The answer",
            labels={"what": "called cells"},
        ),
        samples=report(
            "<results>/call/samples.tsv",
            caption="../report/samples.rst",
            category="The answer",
            labels={"what": "counts per sample"},
        ),
        draws=report(
            "<results>/call/draws.tsv",
            caption="../report/draws.rst",
            category="The answer",
            labels={"what": "counts per draw"},
        ),
        ledger=report(
            "<results>/call/ledger.tsv",
            caption="../report/ledger.rst",
            category="Quality",
            labels={"what": "ledger"},
        ),
        set_aside="<results>/call/set_aside_with_tumour_evidence.tsv",
        limits="<results>/call/limits.tsv",
        ingest=report(
            "<results>/ingest.tsv",
            caption="../report/ingest.rst",
            category="Quality",
            labels={"what": "what was read"},
        ),
        aggregates="<results>/call/aggregates.tsv",
        origin="<results>/call/origin.tsv",
    log:
        "<logs>/call.log",
    benchmark:
        "<benchmarks>/call.tsv"
    localrule: RUN.is_small
    conda:
        "../envs/ctcflow.yaml"
    resources:
        mem_mb=RUN.memory("call"),
        runtime=RUN.minutes("call"),
    params:
        ctcflow=RUN.command,
        json=RUN.params("call"),
        code=RUN.code("call"),
        given=RUN.given("call"),
        samples=RUN.samples,
    shell:
        "{params.ctcflow} call --in {params.given:q} --samples {params.samples:q}"
        " --out adata={output.adata:q} cells={output.cells:q} ctc={output.ctc:q}"
        " samples={output.samples:q} draws={output.draws:q} ledger={output.ledger:q}"
        " set_aside={output.set_aside:q} limits={output.limits:q}"
        " ingest={output.ingest:q} aggregates={output.aggregates:q} origin={output.origin:q}"
        " --params {params.json:q} --threads {threads} &> {log:q}"
