# What there is to do here; CI (.ci/run) calls the same targets. `make help` lists them.

# One target directory for every checkout, so that a second clone does not compile the dependencies again.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/weir/target
export WEIR_CACHE ?= $(HOME)/.cache/weir
CARGO ?= cargo
KILLS ?= 200
SEEDS ?= 100
SOAK_SECONDS ?= 1800
BENCH_FLAGS ?=
# The folder of a benchmark's report; without it, a new one in the cache.
export REPORT ?=
# Always the whole workspace: with `-p` Cargo may choose other features for the dependencies, and compile them once more.
PACKAGES := --workspace --locked
DENY_VERSION := 0.20.2
DENY := $(WEIR_CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
INFERNO_VERSION := 0.12.8
INFERNO := $(WEIR_CACHE)/inferno/bin/inferno-flamegraph
SKIPPED := $(WEIR_CACHE)/skipped

.DEFAULT_GOAL := help
.PHONY: help deps deps-test build generate demo test e2e smoke chart images soak bench bench-growth bench-latency bench-stages bench-peers bench-build instructions memcheck lint deny docs

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18

deps: ## install what the build needs, or name it in one line
	@.ci/deps build

deps-test: ## the same for what the tests want (Java, Maven, Go, Python)
	@.ci/deps test

build: deps ## build everything (dev profile)
	$(CARGO) build $(PACKAGES)

# Through another file: a build that fails leaves the old one.
generate: deps ## write what is made from others: the StreamPipeline definition, the chart's copy of it, the chart's README (tests fail while it is stale)
	$(CARGO) build $(PACKAGES) --bin crdgen
	$(CARGO_TARGET_DIR)/debug/crdgen >crds/generated/streampipelines.weir.dev.yaml.new
	mv crds/generated/streampipelines.weir.dev.yaml.new crds/generated/streampipelines.weir.dev.yaml
	charts/generate

# Only the program that it runs: the operator and its Kubernetes client are no newcomer's concern.
demo: deps ## a whole pipeline at work: embedded Kafka, rides, five-minute windows, a Delta table
	$(CARGO) build $(PACKAGES) --bin weir
	$(CARGO_TARGET_DIR)/debug/weir demo

# Weir's own program is built first: the tests start it as users do.
test: build deps-test ## every test that needs no cluster; starts a real Kafka and a real S3 server by itself
	@rm -f "$(SKIPPED)"
	$(CARGO) test $(PACKAGES) --no-run
	@sync # gigabytes of fresh test programs: a broker whose flush waits behind them is taken for dead
	@export WEIR_SKIPPED="$(SKIPPED)"; set -x; \
	$(CARGO) test $(PACKAGES) --no-fail-fast; status=$$?; \
	tests/broker-tests $(CARGO) test $(PACKAGES) --quiet broker_tests:: -- --ignored || status=1; \
	set +x; .ci/skipped "$(SKIPPED)"; exit $$status

e2e: build ## the tests on a whole cluster (kind, or the one of KUBECONFIG); FILTER=deploy for some; KEEP=1 leaves it up
	@.ci/deps e2e
	e2e/run $(FILTER)

smoke: build ## a few of them on a cluster of one node, for CI; skipped where there can be none
	.ci/smoke

chart: deps-test ## the Helm chart: lint, templates, alerts, and an install on a real API server
	tests/services/apiserver with charts/test

images: build ## the images' content, from the built programs, without a Docker daemon
	images/test "$(CARGO_TARGET_DIR)/debug/weir-operator"

soak: build deps-test ## everything that goes wrong at once, for half an hour (SOAK_SECONDS=1800), then many random kills and generated pipelines, 40 MB of state over 1 MB/s, and a window of 2.4 GB of keys (KILLS=200 SEEDS=100)
	WEIR_SOAK_SECONDS=$(SOAK_SECONDS) WEIR_KILLS=$(KILLS) WEIR_SEEDS=$(SEEDS) WEIR_SLOW_MB=40 WEIR_SLOW_BYTES_PER_SECOND=1000000 WEIR_WINDOW_MB=2400 \
	  $(CARGO) test $(PACKAGES) --test system -- --nocapture --test-threads=1 soak random_kills generated_pipelines slow_store large_windows

# Release builds; each writes a report (REPORT=DIR), and BENCH_FLAGS="--scale 0.1 --runs 1" makes them quick. bench/README.md says more.
bench: bench-build ## what Weir costs: the rides job beside a bare consume, start, restart, much state; a report with the targets
	bench/run base $(BENCH_FLAGS)

bench-growth: bench-build ## cost per record as partitions, keys, windows, record size and columns grow; commits as versions do
	bench/run growth $(BENCH_FLAGS)

bench-stages: bench-build $(INFERNO) ## where the time goes, by stage and as flame graphs; wants perf
	bench/run stages $(BENCH_FLAGS)

bench-latency: bench-build ## from a record's timestamp in Kafka to its row committed, by rate and interval
	bench/run latency $(BENCH_FLAGS)

bench-build: deps deps-test
	$(CARGO) build $(PACKAGES) --release

bench-peers: deps deps-test ## the same job on Spark and Flink from their public packages, results compared (RECORDS=10000000 RUNS=1 REPORT=dir)
	$(CARGO) build $(PACKAGES) --release --bin weir
	bench/peers/run

instructions: deps deps-test ## instructions per record of each stage, under callgrind, against the committed ones (bench/instructions --update writes them)
	bench/instructions

memcheck: deps deps-test ## the code at librdkafka's boundary under valgrind's memcheck
	tests/memcheck

lint: deps ## format and clippy; warnings are errors
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy $(PACKAGES) --features weir-e2e/cluster --all-targets -- -D warnings

docs: deps ## the API docs; broken links are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PACKAGES) --no-deps

# Advisories need their database from the network: `make deny DENY_CHECKS=advisories`, which the GitHub workflow does.
DENY_CHECKS ?= bans licenses sources
deny: deps $(DENY) ## dependencies: licences, bans, sources
	$(DENY) --locked --all-features check $(DENY_CHECKS)

# Not optimised: 100 CPU-seconds to build, and it runs for one.
$(DENY):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" $(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --debug \
	  --root "$(WEIR_CACHE)/cargo-deny-$(DENY_VERSION)"

$(INFERNO):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" $(CARGO) install inferno --version $(INFERNO_VERSION) --locked --debug \
	  --root "$(WEIR_CACHE)/inferno"
