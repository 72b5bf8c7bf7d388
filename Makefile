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
CARGO_MUTANTS_VERSION := 27.1.0

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: prerequisites ## Seal and open a file through a broker, watch it refuse, verify a real document (KEEP=1: keep the broker up)
	@demo/run $(if $(KEEP),--keep)

.PHONY: test
test: lint prerequisites-of-tests sdk-for-rust peers ## Lint, then every test: unit, property, real clients, an emulated enclave, a browser, other verifiers, the README and the demo
	cargo test --workspace --locked --all-features

.PHONY: lint
lint: prerequisites ## Format, clippy and documentation, warnings being errors
	cargo fmt --all --check
	cargo fmt --manifest-path differential/Cargo.toml --check
	cargo fmt --manifest-path tests/clients/rust/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked --all-features -- -D warnings
	cargo clippy --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked --all-features

.PHONY: bench
bench: prerequisites ## Measure verification, GenerateDataKey, lookups and the enclave's side, as ratios within the same run, and a replay
	cargo bench --locked --bench broker --bench load --bench lookup --bench enclave --bench replay

.PHONY: e2e
e2e: prerequisites-of-e2e ## Run broker and enclave in emulated guests over real vsock and /dev/nsm (part of `make test`)
	cargo test --locked --test e2e -- --nocapture

.PHONY: e2e-nitro
e2e-nitro: prerequisites-of-e2e ## Boot an image in QEMU's nitro-enclave machine, which measures it (builds that QEMU first: ten minutes)
	@scripts/build-nitro-qemu
	cargo test --locked --test e2e -- --ignored --nocapture

.PHONY: crowd
crowd: prerequisites ## Hold 200 enclaves' connections through the forwarder for SECONDS=60 while the broker restarts twice
	NITRO_KEY_BROKER_CROWD_SECONDS=$(or $(SECONDS),60) cargo test --locked --test forward crowd -- --nocapture

.PHONY: differential
differential: peers ## Compare with published verifiers of documents and signatures, evaluators of policies, two decoders, OpenSSL and AWS's signer (part of `make test`)
	cargo test --locked --test differential --test sigv4_peers --test evaluators

.PHONY: bench-peers
bench-peers: peers ## Measure the verifier beside published ones, in one run
	cargo bench --locked --bench peers

# Other people's verifiers and signers, which tests and measurements ask: a workspace of its own, with a lock file of its own.
.PHONY: peers
peers:
	@scripts/install-prerequisites build peers
	cd differential && CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/differential cargo build --release --locked

# The AWS SDK for Rust, which the tests with real clients run: a workspace of its own, too.
.PHONY: sdk-for-rust
sdk-for-rust:
	@scripts/install-prerequisites build
	cd tests/clients/rust && CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/clients-rust cargo build --locked

.PHONY: mutants
mutants: $(TOOLS)/bin/cargo-mutants | prerequisites ## Break a module in every way and see that a test fails (MODULE=cose, SHARD=0/4, …; hours for all)
	@scripts/mutants $(MODULE)

$(TOOLS)/bin/cargo-mutants: | prerequisites
	cargo install cargo-mutants --locked --version $(CARGO_MUTANTS_VERSION) --root $(TOOLS)

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

.PHONY: prerequisites-of-e2e
prerequisites-of-e2e:
	@scripts/install-prerequisites build clients e2e

.PHONY: prerequisites-of-tests
prerequisites-of-tests:
	@scripts/install-prerequisites build clients e2e browser postgres observe
