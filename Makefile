# Failsoft: every target installs what it needs, in .tools (uv) and .venv (everything else).
PYTHON ?= python3
TOOLS  := .tools
UV     := $(TOOLS)/bin/uv
RUN    := $(UV) run --no-sync
ARGS   ?=
# Tests and demo start hundreds of processes, each of which would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE
# This many keep two cores busy; each has servers of its own.
WORKERS ?= 5
# Of make chaos; without a seed it takes a new one, and prints it.
MINUTES ?= 10
SEED    ?=
LEDGER  ?= postgresql
# Of make demo: the engine that is killed and its fallback, as in kafka,dramatiq. Of make chaos: all.
ENGINES ?=
# Of make bench: one engine, in place of RQ and Dramatiq.
ENGINE ?=
# Of make console-scale.
ROWS   ?= 100000
# What the tests start beside what is in wheels, the browser among it.
SERVERS := rabbitmq pgbouncer prometheus chromium
ENGINE_MODULES := $(patsubst engines/%/pyproject.toml,engines.%,$(wildcard engines/*/pyproject.toml))
CONTRIB_MODULES := $(patsubst packages/contrib_%/pyproject.toml,contrib.%,$(wildcard packages/contrib_*/pyproject.toml))
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := 1
# Hundreds of processes import the same: where none may keep what it compiled, all of them compile.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo evidence test test-long test-dependencies test-cluster chaos sabotage bench-concurrent bench-ledger-engine bench-light bench-outages bench-steps bench-growth bench-handover bench-upgrade model-spin check format bench clean check-deploy image-long test-prometheus dashboards console-scale vendor test-browser release-check reference docs bench-metrics bench-traces test-django

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "expected Python 3.11 or newer, got $$($(PYTHON) --version); run make PYTHON=python3.12 ..."; exit 78; }
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

.venv/.installed: $(UV) uv.lock pyproject.toml packages/*/pyproject.toml engines/*/pyproject.toml apps/*/pyproject.toml
	@$(UV) sync --quiet --locked --all-packages --all-extras --python $(PYTHON)
	@touch $@

setup: .venv/.installed  ## Install everything into .venv

demo: setup  ## Run the main job on embedded servers: one engine is killed, the next carries on (ENGINES= ARGS=--json)
	@$(RUN) failsoft demo $(if $(ENGINES),--engines $(ENGINES)) $(ARGS)

test: setup  ## Run all tests: real Valkey, RabbitMQ, PostgreSQL and SQLite, and a browser
	@tests/servers/install $(SERVERS)
	@$(RUN) pytest -n $(WORKERS) --dist worksteal --max-worker-restart 0 $(ARGS)

test-long: setup  ## Run the long ones: 2,000 seeds, every engine on every ledger, every crash point
	@tests/servers/install $(SERVERS)
	@$(RUN) python -m tests.simulation --seeds 2000 $(ARGS)
	@_FAILSOFT_TEST_PROFILE=long _FAILSOFT_STATEFUL_SUMMARY=$(CURDIR)/docs/evidence/stateful $(RUN) pytest -n 2 --dist worksteal -m 'long or not long' tests/stateful
	@_FAILSOFT_TUTORIAL_SUMMARY=$(CURDIR)/docs/evidence $(RUN) pytest -n 2 --dist worksteal -m long \
		--ignore tests/stateful --ignore tests/cluster --ignore tests/browser \
		--ignore tests/docs/test_site_accessibility.py
	@$(MAKE) test-browser ARGS=
	@if $(RUN) python -m tests.servers.network; then $(MAKE) test-cluster; \
		else echo "test-long: left out make test-cluster, for want of what stands above"; fi

test-dependencies: setup  ## Run tests with the oldest and the newest dependencies (PYTHONS="3.11 3.13" ARGS=)
	@tests/servers/install rabbitmq
	@WORKERS=$(WORKERS) tests/dependencies/run $(ARGS)

test-cluster: setup  ## Fail clusters over under load, each node on a host: PostgreSQL, RabbitMQ, Valkey (root)
	@$(RUN) python -m tests.servers.network
	@tests/servers/install cluster rabbitmq
	@_FAILSOFT_CLUSTER_SUMMARY=$(CURDIR)/docs/evidence/cluster $(RUN) pytest -m long tests/cluster $(ARGS)

test-prometheus: setup  ## Scrape a real failover with a real Prometheus: every panel of every board has data
	@tests/servers/install prometheus
	@$(RUN) pytest -m long tests/metrics $(ARGS)

test-browser: setup  ## Use the console as people do, in Chromium: every screen, keys, no JavaScript; look for barriers in the docs' site
	@tests/servers/install chromium npm
	@$(RUN) pytest -m "long or not long" tests/browser tests/docs/test_site_accessibility.py $(ARGS)

reference: setup  ## Write docs/reference from the code: settings, commands, errors, metrics, tables …
	@$(RUN) python -m tests.docs.reference

docs: setup  ## Build the documentation as a site, in site/; a link that leads nowhere is an error
	@$(RUN) python -m tests.docs.site
	@$(UV) run --quiet --locked --isolated --only-group docs --python $(PYTHON) \
		zensical build --strict --clean
	@cp -R build/docs/. site  # each page's Markdown beside it

release-check: setup  ## Build, check and install what would be published; roll over from the build before (RELEASE_PYTHONS="3.11 3.13")
	@$(RUN) pytest -m long tests/release $(ARGS)

# Not setup: with another PYTHON that would make .venv anew.
test-django: $(UV)  ## Run the tests of Django's with its newest release, its own tests of tasks among them (PYTHON=python3.12)
	@$(UV) run --quiet --locked --isolated --all-packages --all-extras --python $(PYTHON) \
		pytest -m "long or not long" $(or $(ARGS),tests/contrib/django)

vendor: setup  ## Take the console's files of others from their npm packages, by their digests
	@$(RUN) python -m tests.console.vendor

chaos: setup  ## Break everything for a while and check every promise (MINUTES= SEED= LEDGER= ENGINES= ARGS=)
	@tests/servers/install $(SERVERS)
	@$(RUN) python -m tests.chaos --minutes $(MINUTES) --seed "$(SEED)" --ledger $(LEDGER) \
		$(if $(ENGINES),--engines $(ENGINES)) $(ARGS)

sabotage: setup  ## Break one rule of the code after the other: a layer must turn red each time
	@$(RUN) python -m tests.sabotage --evidence docs/evidence $(ARGS)

model-spin: setup  ## Check the hand-off protocol with Spin, too, and that it misses each rule
	@{ command -v spin && command -v cc; } >/dev/null || tests/model/spin/install-spin
	@$(RUN) python -m tests.model.spin

check: setup  ## Formatting, lint, import contracts, citations, types and whether all that is public has one
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) lint-imports
	@$(RUN) python -m tests.docs.citations
	@$(RUN) python -m tests.docs.names
	@$(RUN) python -m tests.docs.reference --check
	@# What mypy joins types to depends on the order of its sets, and so on the seed of the hashes.
	@PYTHONHASHSEED=0 $(RUN) mypy $(foreach p,job_engine testing testkit adoption queue ledger dispatcher api engine_api telemetry console worker $(ENGINE_MODULES) $(CONTRIB_MODULES),-p failsoft.$(p))
	@MYPYPATH=examples/shop/src:examples/pipeline/src $(RUN) mypy -p shop -p pipeline
	@$(RUN) pyright
	@$(RUN) python -m tests.typing.verify
	@$(RUN) pytest -q -m long tests/typing

.tools/deploy: $(UV) uv.lock
	@UV_PROJECT_ENVIRONMENT=$@ $(UV) sync --quiet --locked --only-group deploy --python $(PYTHON)
	@tests/deploy/helm $(TOOLS) $(PYTHON)
	@touch $@

check-deploy: .tools/deploy  ## Check deploy/: image, compose, chart, units, scripts, each by its tool
	@.tools/deploy/bin/python -m tests.deploy

image-long:  ## Build the image of workers, and run a job inside of it (root, Debian; BASE=)
	@tests/deploy/image

dashboards: setup  ## Write the boards for Grafana: deploy/grafana/*.json
	@$(RUN) python deploy/grafana/boards.py

evidence: setup  ## Write docs/evidence/README.md from the figures of the last runs
	@$(RUN) python -m tests.evidence

format: setup  ## Format the code and fix what ruff can
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

bench: setup  ## Every target, beside raw RQ, raw Dramatiq and the durable peers (ARGS="--quick --only lanes"); ENGINE=kafka beside its library
	@tests/servers/install rabbitmq
	@PYTHONPATH=. $(RUN) python \
		$(if $(ENGINE),bench/lanes/engine.py --engine $(ENGINE),-m bench) $(ARGS)

bench-concurrent: setup  ## Threads, coroutines and processes that dispatch at the same time (ARGS="--ledger postgresql")
	@PYTHONPATH=. $(RUN) python bench/dispatching/callers.py $(ARGS)

bench-ledger-engine: setup  ## The ledger as an engine: pickup, idle workers, jobs a second (ARGS="--ledger postgresql")
	@PYTHONPATH=. $(RUN) python bench/lanes/ledger_engine.py $(ARGS)

bench-handover: setup  ## What becomes of the jobs at a Redis that is killed (ARGS="--jobs 100000 --ledger postgresql")
	@PYTHONPATH=. $(RUN) python bench/lanes/handover.py $(ARGS)

bench-light: setup  ## What commands, imports, idle workers and supervisors cost: processor time, wake-ups, memory
	@tests/servers/install rabbitmq
	@PYTHONPATH=. $(RUN) python bench/costs/light.py $(ARGS)

bench-outages: setup  ## How long a dispatch takes while a broker is down, silent or blocked
	@PYTHONPATH=. $(RUN) python bench/dispatching/outages.py $(ARGS)

bench-steps: setup  ## Steps a second of jobs of ten steps, beside DBOS on the same database
	@PYTHONPATH=. $(UV) run --quiet --locked --isolated --all-packages --all-extras --group bench \
		--python $(PYTHON) python bench/steps/beside_dbos.py $(ARGS)

bench-metrics: setup  ## What the metrics add to a dispatch and to steps (ARGS="--rounds 40")
	@PYTHONPATH=. $(RUN) python bench/costs/metrics.py $(ARGS)

bench-traces: setup  ## What traces add to a dispatch and to steps, on and off (ARGS="--rounds 20")
	@PYTHONPATH=. $(RUN) python bench/costs/traces.py $(ARGS)

bench-growth: setup  ## What a ledger of 1,000,000 finished jobs costs (ARGS="--rows 100000 --ledger sqlite")
	@PYTHONPATH=. $(RUN) python bench/ledger/growth.py $(ARGS)

console-scale: setup  ## What a console reads of a ledger of so many jobs (ROWS= ARGS="--ledger sqlite")
	@PYTHONPATH=. $(RUN) python bench/console/pages.py --rows $(ROWS) $(ARGS)

bench-upgrade: setup  ## Upgrade a ledger of 2,000,000 jobs under load (ARGS="--ledger sqlite")
	@PYTHONPATH=. $(RUN) python bench/ledger/upgrade.py $(ARGS)

clean:  ## Remove what the targets installed and built
	rm -rf $(TOOLS) .venv dist .mypy_cache .ruff_cache .pytest_cache .failsoft
