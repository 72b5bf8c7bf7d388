# What a fresh machine needs: Rust, git and make. Everything else is installed on the way, by scripts/install-prerequisites;
# everything that is built or downloaded lies in target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where everything goes, also on a machine whose cargo is configured to build elsewhere.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Tools of this project alone, such as cargo-deny.
TOOLS := $(CARGO_TARGET_DIR)/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: prerequisites ## Seal and open a file through a broker, watch it refuse, verify a real document (KEEP=1: keep the broker up)
	@demo/run $(if $(KEEP),--keep)

.PHONY: test
test: lint prerequisites-of-clients ## Lint, then every test: unit, property, real clients, the README and the demo
	cargo test --workspace --locked

.PHONY: lint
lint: prerequisites ## Format, clippy and documentation, warnings being errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

.PHONY: bench
bench: prerequisites ## Measure verification and GenerateDataKey, as ratios to the cryptography in the same run
	cargo bench --locked --bench broker --bench load

.PHONY: deny
deny: $(TOOLS)/bin/cargo-deny ## Advisories, licences, bans and sources of all dependencies (fetches RustSec's database from GitHub)
	$< --locked check

$(TOOLS)/bin/cargo-deny: | prerequisites
	cargo install cargo-deny --locked --version $(CARGO_DENY_VERSION) --root $(TOOLS)

.PHONY: fuzz
fuzz: $(TOOLS)/bin/cargo-fuzz ## Fuzz each parser for SECONDS_PER_TARGET=60 seconds and count the executions (with a nightly toolchain)
	@scripts/install-prerequisites build fuzz
	@PATH="$(TOOLS)/bin:$$PATH" fuzz/run $(TARGETS)

$(TOOLS)/bin/cargo-fuzz: | prerequisites
	@echo 'fuzz: installing cargo-fuzz $(CARGO_FUZZ_VERSION) into $(TOOLS)'
	cargo install cargo-fuzz --locked --version $(CARGO_FUZZ_VERSION) --root $(TOOLS)

.PHONY: prerequisites
prerequisites:
	@scripts/install-prerequisites build

.PHONY: prerequisites-of-clients
prerequisites-of-clients:
	@scripts/install-prerequisites build clients
