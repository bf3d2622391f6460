# Two commands: `make demo` and `make test`. Everything is set up in .venv from requirements.lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PYTHONPATH :=
BIN := .venv/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
CORES := $(shell nproc 2>/dev/null || echo 2)
DEMO := demo

.PHONY: help venv demo test lint docs unit workflow tools test-attacks test-faults test-fuzz test-image test-install test-page test-s3 test-slurm bench-qc bench-embedding bench-mutation bench-calling bench-cluster bench-resources bench-integration bench-peers bench-projection bench-reproducibility bench-speed lock sbom audit schema clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

venv: .venv/ready ## set up .venv from requirements.lock

.venv/ready: requirements.lock pyproject.toml .python-version
	@.ci/venv
	@touch $@

demo: .venv/ready ## simulate a small cohort, run the workflow on it, compare the calls with the truth
	@if [ ! -f $(DEMO)/config/config.yaml ]; then \
	    echo "simulating two patients and two healthy donors in $(DEMO)/"; \
	    $(BIN)/ctcflow simulate $(DEMO) --params '{"empty_droplets": 2000}' \
	    --threads $(CORES); fi
	@$(BIN)/ctcflow run $(DEMO) --cores $(CORES)

test: lint docs unit workflow ## all checks; stops at the first failure

lint: .venv/ready ## style, types, layers; the page's JavaScript and CSS where npm brings biome
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/snakefmt --check -l 100 Snakefile workflow
	$(BIN)/mypy src benchmarks
	$(BIN)/lint-imports
	@.ci/lint-page

docs: .venv/ready ## the documentation as a site, in .docs/site; a broken link fails
	@.ci/plugins .docs/mkdocs requirements-docs.lock
	@PYTHONPATH=.docs/mkdocs NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "docs: $(CURDIR)/.docs/site/index.html"

unit: .venv/ready ## tests on all cores, warnings as errors; whole runs, the longest, come first
	$(RUN) pytest -n $(CORES) --maxprocesses 4 --dist loadfile -W error::UserWarning \
	    tests/workflow tests

workflow: .venv/ready ## lint, a dry run, the demo end to end, and again, which does nothing
	@$(RUN) .ci/demo-twice

test-faults: .venv/ready ## a run killed at 40 random moments, and every other fault on this machine: half an hour
	CTCFLOW_KILLS=40 $(RUN) pytest -W error::UserWarning -s tests/workflow/test_faults.py

test-fuzz: .venv/ready ## 10,000 damaged files per reader: half an hour or more
	CTCFLOW_FUZZ=10000 $(RUN) pytest -n $(CORES) --maxprocesses 8 -W error::UserWarning tests/fuzz

test-attacks: .venv/ready ## hostile files, names, values and settings: withstood of tried, by area
	$(RUN) pytest -q -n $(CORES) --maxprocesses 4 -W error::UserWarning tests/attacks

test-slurm: .venv/ready ## the workflow and its faults through a real Slurm that is set up here: needs root on Debian
	$(RUN) .ci/through-slurm pytest -W error::UserWarning -rA tests/workflow/test_slurm.py

test-page: .venv/ready ## reports in Chromium, which is set up here where root on Debian may; .browser/screenshots
	CTCFLOW_SCREENSHOTS=$${CTCFLOW_SCREENSHOTS:-$(CURDIR)/.browser/screenshots} \
	    $(RUN) .ci/with-browser pytest -W error::UserWarning -rA tests/browser

tools: .venv/ready ## MultiQC and CELLxGENE's validator in .tools, for the tests that ask what they say of results
	.ci/plugins .tools/multiqc requirements-multiqc.lock
	.ci/plugins .tools/cellxgene requirements-cellxgene.lock

test-install: .venv/ready ## the wheel with all that it needs in fresh environments of Python 3.12 and 3.13: a package index
	.ci/installed

test-image: .venv/ready ## the image of envs/Dockerfile, and the demo in it: root on Debian, a package index, ten minutes
	.ci/image

test-s3: .venv/ready ## input and results on S3, against a server of its own on this machine
	.ci/plugins .s3 requirements-s3.lock requirements-s3-server.lock
	CTCFLOW_S3_PLUGIN=$(CURDIR)/.s3 $(RUN) pytest -W error::UserWarning -rA tests/workflow/test_storage.py

bench-qc: .venv/ready ## what is claimed of quality control, on real cells: half an hour, needs ../shared/data
	$(RUN) python -m benchmarks.qc benchmarks/qc/results

bench-calling: .venv/ready ## what is claimed of calls, on real and simulated cells: some hours, needs ../shared/data
	$(RUN) python -m benchmarks.calling benchmarks/calling/results

bench-resources: .venv/ready ## memory and time of every step against the size of its input: rewrites workflow/demand.tsv
	$(RUN) python -m benchmarks.resources benchmarks/resources/results

bench-cluster: .venv/ready ## what a cluster costs beside one machine, and the memory of 200 samples: two hours, root on Debian
	$(RUN) .ci/through-slurm python -m benchmarks.cluster benchmarks/cluster/results

bench-integration: .venv/ready ## what is claimed of integration, on real cells: needs ../shared/data
	$(RUN) python -m benchmarks.integration benchmarks/integration/results

bench-peers: .venv/ready ## open tools on the same blood and mixtures: some hours on one core, needs ../shared/data and a package registry
	$(RUN) python -m benchmarks.peers benchmarks/peers/results

bench-embedding: .venv/ready ## the map beside umap-learn and igraph, on real cells: ten minutes, needs ../shared/data
	$(RUN) python -m benchmarks.embedding benchmarks/embedding/results

bench-mutation: .venv/ready ## 300 small faults of the package, and which no test sees: an hour or more on two cores
	$(RUN) python -m benchmarks.mutation benchmarks/mutation/results/mutants.tsv --processes $(CORES)

bench-projection: .venv/ready ## what is claimed of mapping onto a reference: needs ../shared/data
	$(RUN) python -m benchmarks.projection benchmarks/projection/results

bench-reproducibility: .venv/ready ## the demo with one and two threads and through Slurm, byte by byte: rewrites docs/reproducibility.md
	$(RUN) .ci/through-slurm python -m benchmarks.reproducibility \
	    benchmarks/reproducibility/results docs/reproducibility.md

bench-speed: .venv/ready ## a run beside scanpy scripts, and up to a million cells: some hours
	for cells in 50000 100000; do \
	    $(RUN) python -m benchmarks.speed benchmarks/speed/results --cells $$cells; done
	for size in "10000 1" "200000 20" "1000000 100" "100000 20" "100000 200"; do \
	    set -- $$size; $(RUN) python -m benchmarks.speed benchmarks/speed/results \
	    --cells $$1 --samples $$2 --side ctcflow; done
	$(RUN) python -m benchmarks.speed.starts benchmarks/speed/results --cells 20000 --samples 40
	for side in tutorial expert; do $(RUN) python -m benchmarks.speed benchmarks/speed/results \
	    --cells 1000000 --samples 100 --side $$side; done
	$(RUN) python -m benchmarks.speed.page benchmarks/speed/results docs

lock: ## rewrite requirements.lock, -browser.lock and -docs.lock (needs a package index)
	.ci/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	    --no-emit-index-url --no-header --group pyproject.toml:dev \
	    --upgrade -o requirements.lock pyproject.toml
	.ci/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate --group pyproject.toml:browser \
	    --upgrade -o requirements-browser.lock
	.ci/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate --group pyproject.toml:docs \
	    --upgrade -o requirements-docs.lock
	for tool in multiqc cellxgene sbom audit; do .ci/uv pip compile --quiet --universal --python-version 3.12 \
	    --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --group pyproject.toml:$$tool --upgrade -o requirements-$$tool.lock; done

sbom: .venv/ready ## a list of all libraries of requirements.lock with their hashes (CycloneDX), in sbom.json
	@.ci/plugins .sbom requirements-sbom.lock
	@PYTHONPATH=.sbom $(BIN)/python -m cyclonedx_py requirements --pyproject pyproject.toml \
	    --output-reproducible --of JSON -o sbom.json requirements.lock
	@echo "sbom: $(CURDIR)/sbom.json"

audit: .venv/ready ## known weaknesses of the libraries of requirements.lock (asks the Python Packaging Advisory Database)
	@.ci/plugins .audit requirements-audit.lock
	@PYTHONPATH=.audit $(BIN)/python -m pip_audit --disable-pip --require-hashes -r requirements.lock

schema: .venv/ready ## rewrite the files generated from the parameters
	$(RUN) python -m ctcflow schema

clean: ## remove the demo and the environment
	rm -rf $(DEMO) .venv .uv
