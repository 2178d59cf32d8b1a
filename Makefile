# make run    set up everything, run the main job on simulated data, show what came out
# make test   set up everything, lint, run the tests
# make help   all targets
PYTHON ?= python3
SPACE := $() $()
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
# The days the model of `make run` is trained on; DATE empty: yesterday in the dataset's zone.
DAYS ?= 14
DATE ?=
# A somewhat shorter training, so that the job takes 90 s on two cores; empty: the model's defaults.
TRAINING ?= {"epochs": 6}
# Python compiles what is imported first: here, and not while the first job is waited for.
SLOW_IMPORTS := torch._dynamo, pandas, mlflow.pyfunc, mlflow.store.tracking.sqlalchemy_store, \
  mlflow.store.model_registry.sqlalchemy_store, matplotlib.backends.backend_svg, sqlframe.duckdb, \
  luigi_traffic.run, luigi_traffic.training.trainer
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Without bytecode each command compiles torch and MLflow anew, which is half of its time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run stack stack-down test test-stack lint docs unit e2e bench clean constraints

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(VENV)/.ready  ## a virtual environment with everything in it

$(VENV)/.ready: setup.cfg constraints.txt Makefile $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {v.major}.{v.minor}: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[all,dev,server]' $(PLUGINS:%=-e %)
	$(BIN)/python -W ignore -c 'import $(SLOW_IMPORTS)'
	@touch $@

run: setup  ## the main job, end to end, on simulated traffic
	luigi --module luigi_traffic.run FullPipeline --dataset its_sim --model stid \
	  --window-days $(DAYS) $(if $(DATE),--date $(DATE)) --training '$(or $(TRAINING),{})' \
	  --local-scheduler
	@luigi-traffic status --dataset its_sim

stack: setup  ## start MinIO, Kafka, PostgreSQL, MLflow, Spark and luigid on this machine
	@python docker/native up

stack-down: setup  ## stop them; their data stays
	@python docker/native down

test: setup  ## lint, unit tests, end-to-end tests
	@$(MAKE) --no-print-directory --jobs 2 lint $(CLASSES)
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory e2e

# On servers of their own: the tests kill them, and delete every registered model. Two at once, of
# which one works on homes of the stack (tests/stack/conftest.py); a killed server disturbs all.
OUTAGES = tests/stack/homes/test_outages.py
test-stack: setup  ## the tests against real servers, which are started and stopped
	env $(foreach v,LAKE__ENDPOINT EVENTS__SERVERS WAREHOUSE__HOST TRACKING__URI SPARK__REMOTE,-u LUIGI_TRAFFIC__$(v)) \
	  -u LUIGI_TRAFFIC_LUIGID LUIGI_TRAFFIC_STACK=$(CURDIR)/.luigi_traffic/test-stack \
	  python docker/native run sh -c \
	  'pytest -n 2 tests/stack --ignore $(OUTAGES) && pytest $(OUTAGES)'

lint: setup style types  ## ruff, mypy, the layers of the design, the documentation site

# Apart, since mypy uses one core, for longer than all the others: `make --jobs 2 lint`.
.PHONY: style types
style: docs
	ruff check .
	ruff format --check .
	lint-imports

types: setup
	MYPYPATH=$(subst $(SPACE),:,$(PLUGINS)) mypy -p luigi_traffic $(PLUGINS:plugins/%=-p luigi_traffic_%)
	MYPYPATH=tests:docker/native mypy docker/native/*.py tests/*.py

# A warning (a link that leads nowhere, a page in no menu) is an error. The theme's notice about
# its own successor is none.
docs: setup  ## the documentation site: site/index.html
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

# Most of Spark's JVMs live for seconds here: they compile less, start on fewer threads, and map the
# classes that all of them load from a file, instead of reading and checking them again.
CLASSES = $(CURDIR)/.luigi_traffic/spark.jsa
SHORT = -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
unit e2e test-stack: export SPARK_SUBMIT_OPTS = $(SHORT) "-XX:SharedArchiveFile=$(CLASSES)" -Xlog:disable -Xlog:all=error:stderr
unit e2e test-stack: $(CLASSES)
# Several processes share the cores, and a thread of OpenMP that waits for another one spins.
unit e2e test-stack: export OMP_NUM_THREADS = 1

$(CLASSES): $(VENV)/.ready tests/class_archive.py
	@java -version >/dev/null 2>&1 || { echo 'The tests need Java 17 or newer (Spark runs on it): no `java` on the PATH.'; exit 1; }
	@mkdir -p $(@D)
	@rm -f $@
	SPARK_SUBMIT_OPTS='$(SHORT) "-XX:ArchiveClassesAtExit=$@" -Xlog:disable' \
	  LUIGI_TRAFFIC_HOME=$(CURDIR)/.luigi_traffic/spark.tmp python tests/class_archive.py
	@rm -rf $(CURDIR)/.luigi_traffic/spark.tmp

# Three on two cores: a third of their time they wait for other processes. The longest files first,
# so that the other processes get through the rest meanwhile.
AT_ONCE = pytest -n 3 --dist loadfile --no-loadscope-reorder
LONG_UNIT = plugins tests/unit/targets tests/unit/testing
# That a suite reports its speed is tested once, and not for each dataset. The datasets of the suites'
# own tests need no session in every zone, and what does not depend on the format is tested in one.
ONCE = (not test_speed_is_reported or TestDemoCity) \
  and not (test_wall_time_in_every_session_zone and (TestDemoCity or TestHarbour)) \
  and not (TestFormatOf2020 and (any_partitioning or any_order_of_rows or empty_day or one_row_day))
unit: setup  ## the unit tests
	$(AT_ONCE) -k '$(ONCE)' $(LONG_UNIT) \
	  $(filter-out $(LONG_UNIT) tests/unit/__pycache__ tests/unit/conftest.py,$(wildcard tests/unit/*))

LONG_E2E = $(patsubst %,tests/e2e/test_%.py,crashes new doc_pages live page real_data drift)
e2e: setup  ## a user's commands, crashes, bad input
	$(AT_ONCE) $(LONG_E2E) $(filter-out $(LONG_E2E),$(wildcard tests/e2e/test_*.py))

bench: setup  ## benchmarks/, one after the other
	for file in benchmarks/*.py; do python $$file || exit 1; done

constraints: setup  ## resolve constraints.txt anew
	uv pip compile --quiet --upgrade --no-header --no-annotate --no-emit-index-url --extra all --extra dev --extra server \
	  --no-emit-package luigi-traffic -o constraints.txt setup.cfg constraints.in

clean:  ## stop what runs, remove environment and local state
	-[ -x $(BIN)/luigi-traffic ] && luigi-traffic down
	-for stack in .luigi_traffic/stack .luigi_traffic/test-stack; do \
	  [ ! -d $$stack ] || LUIGI_TRAFFIC_STACK=$$stack python docker/native down --delete; done
	rm -rf $(VENV) site .luigi_traffic .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
