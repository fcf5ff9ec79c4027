# Everything a person or CI does with this repository. `make` alone lists it.
#
# Only Rust and a C compiler are needed. OpenSSL is a build dependency of josekit (none of its code
# is called): where the system has no headers for it, it is built from source. The image takes xz, too.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

FEATURES := $(shell pkg-config --exists openssl 2>/dev/null || echo --features vendored-openssl)
CARGO ?= cargo
# What tests/setup could not install. Tests add a line for each that they skipped.
SKIPPED := target/skipped-tests.txt

.PHONY: help
help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

.PHONY: demo
demo: ## see it work: callers good and bad, and what each gets (ARGS=--stay leaves it running)
	@$(CARGO) run --locked --quiet $(FEATURES) -- demo $(ARGS)

.PHONY: test
test: ## install the real peers (tests/setup) and run every test
	@mkdir -p target && rm -f $(SKIPPED)
	tests/setup $(if $(CI),--require-all)
	@status=0; \
	$(CARGO) test --locked $(FEATURES) || status=$$?; \
	if [ -s $(SKIPPED) ]; then \
		printf '\n!!! %s TESTS WERE SKIPPED:\n' "$$(sort -u $(SKIPPED) | wc -l)"; \
		sort -u $(SKIPPED) | sed 's/^/!!! /'; \
	else \
		printf '\nNothing was skipped.\n'; \
	fi; \
	exit $$status

.PHONY: test-build
test-build: ## compile the tests and run none
	$(CARGO) test --locked $(FEATURES) --no-run

.PHONY: test-one
test-one: ## run the tests whose name holds T: make test-one T=demo
	@test -n "$(T)" || { echo "make test-one T=part-of-a-name" >&2; exit 64; }
	$(CARGO) test --locked $(FEATURES) -- $(T)

.PHONY: rotations
rotations: ## rotate everything a hundred times in every way, under load, and print how soon it acts
	ROTATIONS=$(or $(N),100) $(CARGO) test --locked $(FEATURES) --test it rotation:: -- --test-threads 3
	@printf '\n| object | change | times | let in, ms: median / worst | shut out, ms: median / worst | good requests meanwhile |\n'
	@printf '|---|---|---|---|---|---|\n'
	@cat target/rotations/*.md

.PHONY: check
check: ## format, lints, documentation, dependencies and layering
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked $(FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked $(FEATURES)
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
		echo "cargo-deny is not installed: cargo install cargo-deny --locked" >&2; exit 1; }
	$(CARGO) deny --locked check bans licenses sources
	@if $(CARGO) deny --locked fetch db >/dev/null 2>&1; then \
		$(CARGO) deny --locked check advisories; \
	else \
		printf '\n!!! The advisory database cannot be reached from here: advisories were NOT checked.\n\n'; \
	fi
	$(CARGO) test --locked $(FEATURES) --test it floors::

.PHONY: build
build: ## build target/release/sidegate
	$(CARGO) build --release --locked $(FEATURES)

IMAGE ?= sidegate:dev
CA_BUNDLE ?=
# Minutes of work that should not hold up what a person does meanwhile.
NICE ?= nice

# Whether what it is made of has changed since; an image of another name is its maker's business.
IMAGE_IS_OLD = [ -n "$$(find src .cargo Cargo.toml Cargo.lock rust-toolchain.toml deploy/image deploy/sidegate.schema.json -type f -newer \
	target/image/sidegate.tar -print -quit 2>&1)" ]

.PHONY: image
image: ## make the container image: target/image/sidegate.tar, loaded into Docker if it runs (CA_BUNDLE=FILE)
	$(NICE) deploy/image/binary target/image/sidegate
	deploy/image/root target/image/sidegate target/image/root $(CA_BUNDLE)
	deploy/image/archive target/image/root target/image/sidegate.tar $(IMAGE)
	@if docker version >/dev/null 2>&1; then docker load --quiet --input target/image/sidegate.tar; fi

.PHONY: profile
profile: ## write anew what the compiler knows of the ways that requests take (a quarter of an hour)
	deploy/image/profile

.PHONY: reproduce
reproduce: ## build the image twice, in clones in two folders, and compare the bytes (ten minutes)
	deploy/image/reproduce

.PHONY: compose-demo
compose-demo: ## the demo in containers: an intruder beside the service tries every way around the gate
	@if ! docker image inspect $(IMAGE) >/dev/null 2>&1 || { [ $(IMAGE) = sidegate:dev ] && $(IMAGE_IS_OLD); }; then \
		$(MAKE) --no-print-directory image; \
	fi
	@SIDEGATE_IMAGE=$(IMAGE) compose/demo/run

.PHONY: k8s-validate
k8s-validate: ## render the Kubernetes manifests; judge them by schemas and rules (needs tests/setup)
	target/peers-venv/bin/python k8s/validate

# The bench measures what is shipped, so that is built first; SIDEGATE=PROGRAM takes another.
QUICK := h1-repeated-rs256,h1-fresh-es256,h2-fresh-es256,handshake,up,down,idle,latency,throughput,start,size
COMPARE := $(CARGO) bench --profile quick --locked $(FEATURES) --bench compare

.PHONY: bench
bench: $(if $(SIDEGATE),,image) ## side by side with Envoy and HAProxy (NAME=a ROWS=h1-fresh-es256,start ROUNDS=3 REQUESTS=20000)
	$(COMPARE)

.PHONY: bench-quick
bench-quick: $(if $(SIDEGATE),,image) ## a part of it, in less than three minutes
	NAME=$(or $(NAME),quick) ROUNDS=$(or $(ROUNDS),3) REQUESTS=$(or $(REQUESTS),4000) \
	ROWS=$(or $(ROWS),$(QUICK)) \
		$(COMPARE)

.PHONY: bench-report
bench-report: ## make the table and plots of several runs: make bench-report RUNS="bench/results/a.json ..."
	@test -n "$(RUNS)" || { echo "make bench-report RUNS='bench/results/a.json ...'" >&2; exit 64; }
	$(COMPARE) -- report $(CURDIR)/bench/results $(abspath $(RUNS))

.PHONY: instructions
instructions: ## count the instructions of requests, fail if they grew (UPDATE=1, TOP=30; after image)
	@$(CARGO) bench --quiet --profile dev --locked $(FEATURES) --bench instructions

.PHONY: instructions-planted
instructions-planted: ## prove that the instruction guard sees a planted mistake (two builds)
	nice bench/instructions/plant

.PHONY: promises
promises: ## count the instructions of requests without the log, the metrics, the limits... (half an hour)
	nice bench/instructions/promises

.PHONY: bench-decision
bench-decision: ## time the decision alone, without sockets, and count its allocations (B=part-of-a-name)
	$(CARGO) bench --profile quick --locked $(FEATURES) --bench decision -- $(B)

.PHONY: allocations
allocations: ## count the allocations of a decision, fail if they grew
	$(CARGO) bench --quiet --profile dev --locked $(FEATURES) --bench decision -- --test

.PHONY: growth
growth: ## count the instructions of requests as issuers, keys, peers, routes... grow (after image)
	$(CARGO) bench --quiet --profile dev --locked $(FEATURES) --bench growth

.PHONY: fleet
fleet: ## simulate 10,000 gates and one key server; write docs/explanation/fleet.md's tables and plots
	$(CARGO) bench --profile dev --locked $(FEATURES) --bench fleet

.PHONY: fuzz
fuzz: ## fuzz a parser: make fuzz F=token S=60 (needs cargo-fuzz and a nightly toolchain)
	$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz $(or $(F),token) -- -max_total_time=$(or $(S),60)

.PHONY: docs
docs: ## write the generated tables of docs and README.md, and deploy/sidegate.schema.json, anew
	WRITE_SCHEMA=1 $(CARGO) test --locked --quiet $(FEATURES) --test it the_committed_schema_is_the_generated_one
	$(CARGO) run --locked --quiet $(FEATURES) -- reference --into README.md docs/reference/*.md

.PHONY: certs
certs: ## write throw-away certificates, keys and a configuration into certs-dev/out
	@$(CARGO) run --locked --quiet $(FEATURES) -- dev certs --out certs-dev/out --force
