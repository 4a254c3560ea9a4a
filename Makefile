# Thin: each target is a line or two, the work is in scripts/.
# Arguments are handed on: make demo DEMO_ARGS='--duration 60s', make test TEST_ARGS='-p plamatio-stream'

SHELL := bash
CARGO ?= cargo
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench services services-stop services-status services-clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: ## build and start the whole system in one process (DEMO_ARGS='--duration 60s')
	@scripts/install.sh build
	@scripts/install.sh demo
	$(CARGO) build --locked -p plamatio
	"$$(scripts/target-dir.sh)/debug/plamatio" demo $(DEMO_ARGS)

test: ## all tests, with the services they need (TEST_ARGS='-p plamatio-api')
	@scripts/install.sh build
	@scripts/test.sh $(TEST_ARGS)

lint: ## formatting, clippy and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --workspace --no-deps --document-private-items

bench: ## end-to-end throughput from a file and from Apache Kafka, optimised build (BENCH_ARGS='--help')
	@scripts/install.sh build
	@scripts/bench.sh $(BENCH_ARGS)

services: ## install and start private PostgreSQL, Redis and Apache Kafka, print their URLs
	@scripts/services.sh start

services-stop: ## stop them, keep their data
	@scripts/services.sh stop

services-status: ## which of them run, and where
	@scripts/services.sh status

services-clean: ## stop them and delete their data
	@scripts/services.sh clean
