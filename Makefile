# The commands of this project. A plain virtual environment and pip; nothing else is needed to serve.
PYTHON ?= python3
VENV ?= .venv
PROTO_VENV ?= .venv-proto
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
GENERATED := build/stubs
# Name another build here where the default one does not suit, e.g. one for another CUDA.
TORCH ?= torch==2.13.0
FUZZ_SECONDS ?= 90

.PHONY: help setup run demo test check proto diagram lint types layers buf stubs readme test-js bench-cost bench-engine bench-service bench-lipsync bench-gateway bench-webrtc bench-live bench-avatars bench-imtalker bench-load fuzz train wheel clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(VENV)/.base ## Install what serving needs
run: $(VENV)/.base ## Serve on port 50051
	$(BIN)/avatar-service serve

demo: $(VENV)/.base ## Make the sample photograph speak: demo/demo.mp4 and demo/contact-sheet.png
	$(BIN)/avatar-service demo

# Two at a time, but for what talks to browsers and clocks, which has the machine for itself.
test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not alone'
	$(BIN)/python -m pytest -m alone

test-js: clients/js/node_modules/.installed ## Run the tests of clients/js and check its types and the page's
	cd clients/js && npm test --silent
	cd clients/js && npx --offline tsc -p tsconfig.page.json
	rm -rf build/types && cd clients/js && npx --offline tsc -p tsconfig.json --outDir ../../build/types
	diff -r build/types clients/js/types

check: lint types layers buf stubs readme ## Everything that is checked without running the product

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

buf: node_modules/.installed
	npx --offline buf lint
	npx --offline buf format --diff --exit-code

stubs: $(PROTO_VENV)/.tools
	rm -rf $(GENERATED) && mkdir -p $(GENERATED)
	proto/generate.sh $(CURDIR)/$(GENERATED) $(CURDIR)/$(PROTO_VENV)/bin/python
	diff -r -x __pycache__ $(GENERATED)/avatar clients/python/avatar

readme: $(VENV)/.dev
	$(BIN)/python tests/readme.py check

proto: $(PROTO_VENV)/.tools ## Generate the stubs in clients/python anew
	proto/generate.sh $(CURDIR)/clients/python $(CURDIR)/$(PROTO_VENV)/bin/python

diagram: $(VENV)/.dev ## Draw docs/state-machines.md anew from the tables
	$(BIN)/python docs/state_machines.py

bench-cost: $(VENV)/.dev ## Measure where the CPU time of a frame goes, stage by stage through the service; about a minute
	$(BIN)/python benchmarks/frame_cost.py

bench-engine: $(VENV)/.dev ## Measure the portrait engine: milliseconds a frame by stage, as JSON
	$(BIN)/python benchmarks/engine.py

bench-service: $(VENV)/.dev ## Measure the whole service: sessions, lateness, CPU a frame, the front; about 10 minutes
	$(BIN)/python benchmarks/service.py

bench-lipsync: $(VENV)/.dev ## Measure lip-sync on encoded video (needs espeak-ng and flite): agreement, lag, closures, silence, drift
	$(BIN)/python -m benchmarks.lipsync

train: $(VENV)/.train ## Make the speech-to-motion model anew: corpus, net, model card; needs espeak-ng and flite
	$(BIN)/python -m training

bench-gateway: $(VENV)/.dev node_modules/.installed ## Measure the gateway in a browser: latency, playback, sync; needs chromium, about 10 minutes
	$(BIN)/python benchmarks/gateway.py

bench-imtalker: $(VENV)/.dev $(VENV)/.imtalker ## Measure the imtalker engine with seeded full-size weights: parity, CPU, stream, GPU; about 6 minutes
	$(BIN)/python -m benchmarks.imtalker

bench-live: $(VENV)/.dev ## Measure LIVE: latency, interrupts, pace and memory over ten minutes of conversation; over WebRTC, too, where chromium is
	$(BIN)/python benchmarks/live.py

bench-avatars: $(VENV)/.dev ## Measure avatars kept by name: creation, first frame, switch; about a minute
	$(BIN)/python benchmarks/avatars.py

bench-webrtc: $(VENV)/.dev ## Measure a conversation over WebRTC in a browser: latency, playback, sync; needs chromium, about 2 minutes
	$(BIN)/python benchmarks/webrtc.py

bench-load: $(VENV)/.dev ## Measure capacity, overload, leaks, faults, restarts and bad inputs; LOAD='--parts ...' for some; about 2.5 hours
	cd benchmarks && $(abspath $(BIN))/python -m load $(LOAD)

fuzz: $(VENV)/.fuzz ## Fuzz all that reads what strangers send, for FUZZ_SECONDS in all
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)

wheel: $(VENV)/.dev ## Build both wheels into dist/
	$(BIN)/python -m build --wheel --outdir dist clients/python
	$(BIN)/python -m build --wheel --outdir dist .

clean: ## Remove what was built and installed here
	rm -rf $(VENV) $(PROTO_VENV) node_modules clients/js/node_modules build dist demo

$(VENV)/.base: pyproject.toml setup.py clients/python/pyproject.toml avatar_service/assets/__init__.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	$(PIP) install -e clients/python -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) install -e clients/python -e '.[dev]'
	touch $@

$(VENV)/.train: $(VENV)/.base
	$(PIP) install $(TORCH)
	$(PIP) install -e '.[train]'
	touch $@

$(VENV)/.imtalker: $(VENV)/.base
	$(PIP) install $(TORCH)
	$(PIP) install -e clients/python -e '.[imtalker]'

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) install -e '.[fuzz]'
	touch $@

$(PROTO_VENV)/.tools: Makefile
	test -x $(PROTO_VENV)/bin/python || $(PYTHON) -m venv $(PROTO_VENV)
	$(PROTO_VENV)/bin/python -m pip --disable-pip-version-check --quiet install grpcio-tools==1.76.0 mypy-protobuf==5.1.0 'setuptools<81'
	touch $@

# Without a lock file: npm refuses one that lacks the other platforms' builds of the one pinned tool.
node_modules/.installed: package.json
	npm install --silent --no-package-lock --no-audit --no-fund
	touch $@

clients/js/node_modules/.installed: clients/js/package.json
	cd clients/js && npm install --silent --no-package-lock --no-audit --no-fund
	touch $@
