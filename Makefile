# Everything that people and machines run. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The editable install links file by file, so it is made again when the list of files changes.
FILES := $(shell find api checkpoints nodes engine inspector simulator -name '*.py' -o -name '*.sql' -o -name 'py.typed' | LC_ALL=C sort)
STAMP := .installed
CODE := api checkpoints nodes engine inspector simulator tests examples benchmarks

.PHONY: help install demo test check format docs readme bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(BIN)/python ## install Perdure and its development tools into .venv
	@if [ "$$(cat $(STAMP) 2>/dev/null)" != "$$(echo '$(FILES)' | cat - pyproject.toml | cksum)" ]; then \
	  echo "installing into $(VENV) ..."; \
	  rm -rf build && $(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]' -C editable_mode=strict \
	  && echo '$(FILES)' | cat - pyproject.toml | cksum > $(STAMP); fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Perdure needs Python 3.11 or newer; say make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

demo: install ## the main job: run a pipeline, kill it, look, resume, count the submissions
	@$(BIN)/python -m examples.demo

test: install ## all tests but the soak
	$(BIN)/python -m pytest -m "not soak" -n 4 --dist loadfile

check: install ## format, lint, types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright --warnings
	$(BIN)/mypy
	$(BIN)/pyrefly check examples tests/api tests/examples tests/testing

format: install ## format, and fix what lint can fix
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

docs: install ## write docs/cli.md from the command line's own help
	$(BIN)/python -m perdure.inspector.reference > docs/cli.md

readme: install ## write the README's console output from a demo on the simulator
	@env -u OPENAI_API_KEY $(BIN)/python -m examples.demo --write README.md

bench: install ## the work W1 to W6, the figures beside the goals
	$(BIN)/python -m benchmarks

soak: install ## long randomised crash runs
	$(BIN)/python -m pytest -m soak

clean: ## remove what was made here
	rm -rf build dist .venv $(STAMP) *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
