# The README explains `make demo`, `make test` and `make slow`. Each sets everything up in .venv first.
PYTHON ?= python3
BIN := .venv/bin
# On Linux, pip's default torch is a CUDA build of several gigabytes. For the CPU build give the index that
# pytorch.org's install page shows for "CPU":  make demo TORCH_INDEX=https://…
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test slow fetch format lint types tests slow-tests small-build clean

demo: .venv/ready
	$(BIN)/llark demo

# Every check that is quick: minutes on two cores.
test: .venv/ready-dev fetch format lint types tests

# The checks that take long: the tests that `make test` leaves out, and a small build.
slow: .venv/ready-dev fetch slow-tests small-build

fetch: .venv/ready
	$(BIN)/llark fetch

format: .venv/ready-dev
	$(BIN)/ruff format --check .

lint: .venv/ready-dev
	$(BIN)/ruff check .

types: .venv/ready-dev
	$(BIN)/mypy

tests: .venv/ready-dev fetch
	$(BIN)/pytest -n 2 -m "not slow"

slow-tests: .venv/ready-dev fetch
	$(BIN)/pytest -n 2 -m slow

# The whole pipeline on 24 clips, from rendering to the report; no Debian package is needed. It is killed after a
# minute, wherever it is then, and the same command goes on.
small-build: .venv/ready-dev fetch
	rm -rf build/small
	timeout --signal KILL 60 $(BIN)/llark build recipes/mini.yaml --out build/small --limit 24 || test $$? = 137
	$(BIN)/llark build recipes/mini.yaml --out build/small --limit 24
	$(BIN)/llark ask src/llark/weights/demo/feelings.ogg "What is the tempo?" --json > build/small/answer.json

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
