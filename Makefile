# Two commands do everything from nothing: `make demo` and `make test`.
.PHONY: demo test setup check format bench torture lock clean

PY := .venv/bin/python

demo: setup
	.venv/bin/jifang demo $(ARGS)

test:
	@scripts/setup test
	$(PY) -m pytest $(ARGS)
	cd console && npm test --silent

setup:
	@scripts/setup

check:
	@scripts/setup test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	cd console && npm run --silent check

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# Kills everything in turn and counts: make torture ARGS="--store sqlite --minutes 5 --seed 7"
torture:
	@scripts/setup test
	$(PY) -m tests.torture $(ARGS)

bench: setup
	$(PY) -m benchmarks $(ARGS)

lock:
	.venv/bin/pip-compile -q --no-emit-index-url --no-emit-find-links --strip-extras --generate-hashes --extra dev --allow-unsafe pyproject.toml -o requirements.lock

clean:
	rm -rf .venv console/node_modules console/dist .jifang
