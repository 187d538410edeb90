# The project's tasks; CI (.ci/run) calls the same targets. `make help` lists them.

# One target directory for every checkout, so that a second clone does not compile the dependencies again.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/weir/target
export WEIR_CACHE ?= $(HOME)/.cache/weir
CARGO ?= cargo
KILLS ?= 200
SEEDS ?= 100
SOAK_SECONDS ?= 1800
BENCH_FLAGS ?=
# What `make bench-peers` runs.
JOBS ?= rides nexmark
# The folder of a benchmark's report; if empty, a new one in the cache.
export REPORT ?=
# Always the whole workspace: with `-p` Cargo may choose other features for the dependencies, and compile them again.
PACKAGES := --workspace --locked
DENY_VERSION := 0.20.2
DENY := $(WEIR_CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := $(WEIR_CACHE)/cargo-cyclonedx-$(CYCLONEDX_VERSION)/bin/cargo-cyclonedx
INFERNO_VERSION := 0.12.8
INFERNO := $(WEIR_CACHE)/inferno/bin/inferno-flamegraph
SKIPPED := $(WEIR_CACHE)/skipped
SNAPSHOTS := $(WEIR_CACHE)/snapshots

.DEFAULT_GOAL := help
.PHONY: help deps deps-test build generate demo test e2e smoke chart images \
  soak fuzz spark-parity bench bench-growth bench-latency bench-stages bench-peers bench-build instructions memcheck \
  lint deny docs sbom

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18

deps: ## install what the build needs, or print what is missing in one line
	@.ci/deps build

deps-test: ## the same for what the tests need (Java, Maven, Go, Python)
	@.ci/deps test

build: deps ## build everything (dev profile)
	$(CARGO) build $(PACKAGES)

# Written through another file, so that a failing build keeps the old one.
generate: deps ## write generated files: the StreamPipeline definition, the chart's copy of it, the chart's README (tests fail while they are stale)
	$(CARGO) build $(PACKAGES) --bin crdgen
	$(CARGO_TARGET_DIR)/debug/crdgen >crds/generated/streampipelines.weir.dev.yaml.new
	mv crds/generated/streampipelines.weir.dev.yaml.new crds/generated/streampipelines.weir.dev.yaml
	charts/generate

# Builds only the program that it runs: a newcomer does not need the operator and its Kubernetes client.
demo: deps ## run a whole pipeline: embedded Kafka, rides, five-minute windows, a Delta table
	$(CARGO) build $(PACKAGES) --bin weir
	$(CARGO_TARGET_DIR)/debug/weir demo

# Weir's program is built first, since the tests start it as users do. A snapshot that differs or is missing fails its
# test and is not written. `.ci/snapshots` then finds snapshots that no test has read.
test: build deps-test ## run every test that needs no cluster, with a real Kafka and a real S3 server
	@mkdir -p "$(WEIR_CACHE)"; rm -f "$(SKIPPED)"; : >"$(SNAPSHOTS)"
	$(CARGO) test $(PACKAGES) --no-run
	@sync # writes gigabytes of new test programs; a broker whose flush waited behind them would be taken for dead
	@export WEIR_SKIPPED="$(SKIPPED)" INSTA_UPDATE=no INSTA_SNAPSHOT_REFERENCES_FILE="$(SNAPSHOTS)"; set -x; \
	$(CARGO) test $(PACKAGES) --no-fail-fast; status=$$?; \
	.ci/snapshots "$(SNAPSHOTS)" || status=1; \
	tests/broker-tests $(CARGO) test $(PACKAGES) --quiet kafka::tests::broker:: -- --ignored || status=1; \
	set +x; .ci/skipped "$(SKIPPED)"; exit $$status

e2e: build ## run the tests on a cluster (kind, or the one of KUBECONFIG); FILTER=deploy runs some; KEEP=1 leaves it up
	@.ci/deps e2e
	e2e/run $(FILTER)

smoke: build ## run a few of the cluster tests on one node, for CI; skipped where no cluster can be started
	.ci/smoke

chart: deps-test ## test the Helm chart: lint, templates, alerts, and an install on a real API server
	tests/services/apiserver with charts/test

images: build ## test the images' content, from the built programs, without a Docker daemon
	images/test "$(CARGO_TARGET_DIR)/debug/weir-operator"

soak: build deps-test ## run with all faults at once, for half an hour (SOAK_SECONDS=1800), then many random kills and generated pipelines, 40 MB of state over 1 MB/s, and a window of 2.4 GB of keys (KILLS=200 SEEDS=100)
	WEIR_SOAK_SECONDS=$(SOAK_SECONDS) WEIR_KILLS=$(KILLS) WEIR_SEEDS=$(SEEDS) WEIR_SLOW_MB=40 \
	  WEIR_SLOW_BYTES_PER_SECOND=1000000 WEIR_WINDOW_MB=2400 \
	  $(CARGO) test $(PACKAGES) --test system -- --nocapture --test-threads=1 \
	  soak random_kills generated_pipelines slow_store large_windows

# Without a target it says which there are. SECONDS is a variable of bash too, so the script gets it as an argument.
fuzz: deps ## try random input on what reads bytes of others, and go on where the last run ended (TARGET=json SECONDS=1800)
	fuzz/run "$(TARGET)" "$(or $(SECONDS),60)"

# Not a part of CI, which compares what Weir gives with the committed results of Spark.
spark-parity: deps-test ## run Spark over the expressions of plan/tests/spark, and compare with its committed results (UPDATE=--update writes them)
	plan/tests/spark/run $(UPDATE)

# Benchmarks use release builds. Each writes a report (REPORT=DIR), and BENCH_FLAGS="--scale 0.1 --runs 1" makes them
# quick. bench/README.md says more.
bench: bench-build ## measure what Weir costs: the rides job beside a bare consume, start, restart, much state; a report with the targets
	bench/run base $(BENCH_FLAGS)

bench-growth: bench-build ## measure the cost per record as partitions, keys, windows, record size and columns grow, and of commits as versions grow
	bench/run growth $(BENCH_FLAGS)

bench-stages: bench-build $(INFERNO) ## measure where the time goes, by stage and as flame graphs; needs perf
	bench/run stages $(BENCH_FLAGS)

bench-latency: bench-build ## measure the time from a record's timestamp in Kafka to the commit of its row, by rate and interval
	bench/run latency $(BENCH_FLAGS)

bench-build: deps deps-test
	$(CARGO) build $(PACKAGES) --release

bench-peers: deps deps-test ## run the same jobs on Spark and Flink from their public packages: rides, with results compared, and the queries of Nexmark (JOBS=nexmark RECORDS=10000000 RUNS=3 QUERIES="q0 q5" REPORT=dir)
	$(CARGO) build $(PACKAGES) --release --bin weir
	$(if $(filter rides,$(JOBS)),bench/peers/run)
	$(if $(filter nexmark,$(JOBS)),bench/peers/nexmark)

instructions: deps deps-test ## count the instructions per record of each stage, and compare with the committed ones (bench/instructions --update writes them)
	bench/instructions

memcheck: deps deps-test ## run the code at librdkafka's boundary under valgrind's memcheck
	tests/memcheck

lint: deps ## check the format, run clippy, and check where tests stand and how long lines are; warnings are errors
	$(CARGO) fmt --all -- --check
	.ci/style
	$(CARGO) clippy $(PACKAGES) --features weir-e2e/cluster --all-targets -- -D warnings

docs: deps ## build the API docs; broken links are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PACKAGES) --no-deps

# The check of advisories needs their database from the network, or a clone of it: `make deny DENY_CHECKS=advisories`,
# which the GitHub workflow runs, or `make deny DENY_CHECKS=advisories ADVISORY_DB=/path/to/advisory-db`.
DENY_CHECKS ?= bans licenses sources
ADVISORY_DB ?=
FROM_CLONE := GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$(ADVISORY_DB).insteadOf" \
  GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db
deny: deps $(DENY) ## check the dependencies: licences, bans, sources
	$(if $(ADVISORY_DB),$(FROM_CLONE)) $(DENY) --locked --all-features check $(DENY_CHECKS)

# Built without optimisation: the build takes 100 CPU-seconds, and the program runs for one second.
$(DENY):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" $(CARGO) install cargo-deny --version $(DENY_VERSION) --locked --debug \
	  --root "$(WEIR_CACHE)/cargo-deny-$(DENY_VERSION)"

# cargo-cyclonedx writes each bill beside the Cargo.toml of its package.
SBOM ?= $(CARGO_TARGET_DIR)/sbom
sbom: deps $(CYCLONEDX) ## write the bills of materials of both programs, in CycloneDX (SBOM=dir)
	@mkdir -p "$(SBOM)"
	for program in cli operator; do \
	  $(CYCLONEDX) cyclonedx --manifest-path "$$program/Cargo.toml" --format json --spec-version 1.5 \
	    --target x86_64-unknown-linux-gnu --override-filename bom || exit 1; \
	  name=$$(sed -n 's/^name = "\(weir[a-z-]*\)"/\1/p' "$$program/Cargo.toml" | head -n 1); \
	  mv "$$program/bom.json" "$(SBOM)/$$name.cdx.json" || exit 1; \
	  find . -name bom.json -not -path './target/*' -delete; \
	done; ls -l "$(SBOM)"

$(CYCLONEDX):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" $(CARGO) install cargo-cyclonedx --version $(CYCLONEDX_VERSION) --locked --debug \
	  --root "$(WEIR_CACHE)/cargo-cyclonedx-$(CYCLONEDX_VERSION)"

$(INFERNO):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools" $(CARGO) install inferno --version $(INFERNO_VERSION) --locked --debug \
	  --root "$(WEIR_CACHE)/inferno"
