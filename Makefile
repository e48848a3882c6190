# The two commands of the README: `make demo` and `make test`. Both set everything up in .venv first.
PYTHON ?= python3
BIN := .venv/bin
# On Linux, pip's default torch is a CUDA build of several gigabytes. For the CPU build give the index that
# pytorch.org's install page shows for "CPU":  make demo TORCH_INDEX=https://…
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test fetch format lint types tests walk clean

demo: .venv/ready
	$(BIN)/llark demo

test: .venv/ready-dev fetch format lint types tests walk

fetch: .venv/ready
	$(BIN)/llark fetch

format: .venv/ready-dev
	$(BIN)/ruff format --check .

lint: .venv/ready-dev
	$(BIN)/ruff check .

types: .venv/ready-dev
	$(BIN)/mypy

tests: .venv/ready-dev
	$(BIN)/pytest -n 2

# The whole line on 24 clips, from rendering to the report; no Debian package is needed. It is killed after a
# minute, wherever it is then, and the same command goes on.
walk: .venv/ready-dev fetch
	rm -rf build/walk
	timeout --signal KILL 60 $(BIN)/llark build recipes/mini.yaml --out build/walk --limit 24 || test $$? = 137
	$(BIN)/llark build recipes/mini.yaml --out build/walk --limit 24
	$(BIN)/llark ask src/llark/weights/demo/feelings.ogg "What is the tempo?" --json > build/walk/answer.json

.venv/torch: constraints.txt
	@echo "Setting up .venv: this takes a minute or two the first time."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	touch $@

.venv/ready: .venv/torch pyproject.toml
	$(PIP) --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(PIP) --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv build
