# Everything a contributor or a curious visitor runs. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help demo bench test soak test-conformance test-matrix fuzz fmt fmt-check lint doc deny ci tools

CARGO ?= cargo

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo ONCE=1 ends by itself, for scripts."

demo: ## Show pgferry at work: a throwaway database behind a throwaway bastion and Session Manager
	@scripts/demo.sh

bench: ## Measure pgferry beside a direct connection and its peers
	@scripts/bench.sh

test: tools ## Run all tests, as root or as an ordinary user
	$(CARGO) test --workspace

soak: ## Cut the data channels of ssm sessions a thousand times under load
	$(CARGO) test --workspace --test ssm_sessions -- --ignored

test-matrix: ## Run the tests that need PostgreSQL with its versions 14 to 18
	@scripts/test-matrix.sh

test-conformance: ## Run PostgreSQL's isolation and regression suites and libpq's pipeline tests through pgferry
	@scripts/test-conformance.sh

fuzz: ## Look for inputs that break a promise, FUZZ_SECONDS=60 for each target
	@scripts/fuzz.sh

fmt: ## Format the sources
	$(CARGO) fmt --all

fmt-check: ## Fail if the sources are not formatted
	$(CARGO) fmt --all --check

lint: ## Clippy, with every warning an error
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc: ## Build the documentation, with every warning an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

deny: ## Check licences, sources and banned crates, if cargo-deny is there
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --offline check bans licenses sources; \
	else \
		echo "Skipped: cargo-deny is not installed (cargo install --locked cargo-deny)"; \
	fi

ci: ## Everything the pipeline runs
	@.ci/run

tools: ## Install the programs tests and demo need, where they are missing
	@scripts/install-tools.sh
