# Everything bootstraps itself: the first target that runs makes .venv from the hashed lock.
# State lives in the clone (.venv, .build, .lab) and in the lab's image cache, see `make lab-status`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Quoted wherever it is used: the folder may have a blank in its name
ROOT := $(CURDIR)
BIN := $(ROOT)/.venv/bin
TREE := $(ROOT)/.build/collections/ansible_collections/scs/observability
INVENTORY ?= $(ROOT)/inventories/lab
ARGS ?=

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(ROOT)/.build/collections
export ANSIBLE_CONFIG := $(ROOT)/ansible.cfg
# What Ansible writes for itself stays in the clone
export ANSIBLE_HOME := $(ROOT)/.build/ansible

PLAYBOOK = ansible-playbook --inventory "$(INVENTORY)" $(ARGS)

##@ Use it

demo: lab tree ## Lab, observer, one cluster on board: metrics out of Thanos
	@$(PLAYBOOK) scs.observability.demo

observer onboard offboard verify reconcile: tree ## Run that playbook, on the lab unless INVENTORY=… says otherwise (ARGS='--check --diff')
	@$(PLAYBOOK) scs.observability.$@

##@ Lab

lab: venv ## Bring the lab up: KinD clusters, S3 server, registry (built once, then cached); IAAS=1 with kolla hosts
	@python -m lab up

lab-down: venv ## Remove exactly what the lab made; the image cache stays
	@python -m lab down

lab-status: venv ## What of the lab exists and runs
	@python -m lab status

lab-env: venv ## Shell exports: eval "$$(make lab-env)"
	@python -m lab env

##@ Test

lint: tree ## ruff, mypy, yamllint, ansible-lint, changelog, documentation, ansible-test sanity
	@dev/lint

sanity: tree ## Only ansible-test sanity, without containers
	@dev/sanity $(ARGS)

test-unit: venv ## Pure logic: under a minute, no root, no network
	@python dev/run_tests.py unit

test-integration: tree ## Against real API server, S3 server, Thanos and Prometheus, without the lab
	@python dev/run_tests.py integration

molecule: tree ## The roles on the lab: check, converge, idempotence, verify, remove
	@python dev/run_tests.py molecule

test: tree ## All of them, then the coverage of module_utils
	@python dev/run_tests.py lint unit integration coverage molecule

benchmark: tree ## Unchanged components and observer beside peers, onboarding, footprint, profiles, fleets: on the running lab after make demo
	@# All of them, whatever bound one of them finds broken.
	@on_the_lab() { eval "$$(python -m lab env)"; python "benchmarks/$$1"; }; broken=0; \
	python benchmarks/unchanged.py || broken=1; \
	(on_the_lab onboarding.py) || broken=1; \
	(on_the_lab collection.py) || broken=1; \
	(on_the_lab observer.py) || broken=1; \
	PYTHONPATH="$(ROOT):$(ROOT)/.build/collections" python benchmarks/gateway.py || broken=1; \
	python benchmarks/clusters.py || broken=1; \
	python benchmarks/fleet.py || broken=1; \
	exit $$broken

soak: tree ## Faults with long outages (ARGS='--scale 60'), noted in docs/soak.md
	@python -m lab images
	@python dev/soak.py $(ARGS)

##@ Develop

venv: ## The Python environment (.venv) from the lock
	@dev/bootstrap

tree: venv ## The collection tree (.build/collections) from the checkout
	@python dev/collection_tree.py >/dev/null

reference: venv ## The pages about roles, playbooks, modules, filters and lookups (docs/) from what describes them
	@python dev/reference.py

COMPILE = env -u PIP_FIND_LINKS -u UV_FIND_LINKS uv pip compile --quiet --upgrade --universal --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

lock: venv ## Resolve requirements/*.in anew into the hashed locks
	@$(COMPILE) --python-version 3.11 requirements/dev.in --output-file requirements/dev.txt
	@$(COMPILE) --python-version 3.11 requirements/ansible-core-2.18.in --output-file requirements/ansible-core-2.18.txt
	@$(COMPILE) --python-version 3.12 requirements/ansible-core-newest.in --output-file requirements/ansible-core-newest.txt
	@$(COMPILE) --python-version 3.11 requirements/kolla-2024.2.in --output-file requirements/kolla-2024.2.txt
	@$(COMPILE) --python-version 3.11 requirements/kolla-2025.1.in --output-file requirements/kolla-2025.1.txt
	@$(COMPILE) --python-version 3.11 requirements/openstack.in --output-file requirements/openstack.txt
	@$(COMPILE) --python-version 3.11 requirements/osism.in --output-file requirements/osism.txt

format: venv ## Format the Python code
	@ruff check --fix --quiet . ; ruff format .

build: tree ## The Galaxy artifact
	@ansible-galaxy collection build --force --output-path .build "$(TREE)"

clean: ## Remove .build and caches; .venv, the lab and its cache stay
	@rm -rf .build .ansible .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.lab/*' -prune -exec rm -rf {} +

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z].*:.*## / {printf "  %-36s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo observer onboard offboard verify reconcile lab lab-down lab-status lab-env lint sanity test-unit test-integration molecule benchmark soak \
	test venv tree reference lock format build clean help
