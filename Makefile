CARGO  ?= cargo
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help run setup test check bench clean

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Envoy, Portcullis and an upstream here, with requests to try (PORT=8080, ARGS=--check)
	@$(PYTHON) scripts/run.py $(if $(PORT),--port $(PORT)) $(ARGS)

setup: ## Get the Envoy and the signing SDKs that the tests use
	@scripts/setup-envoy.sh
	@scripts/setup-signers.sh

# Nextest builds and runs in one command line, but leaves the documentation's examples to cargo.
test: export PORTCULLIS_ENVOY = $(CURDIR)/.venv/envoy
test: setup ## All tests, also against a real Envoy
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    $(CARGO) nextest run && $(CARGO) test --doc; \
	else \
	    echo "cargo-nextest is not installed: falling back to cargo test, which is slower"; \
	    $(CARGO) test; \
	fi

check: ## Formatting, lints and documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

# What is measured is what ships, so everything is linked as a release is: a quarter of an hour at first
# on two cores, six minutes after a change. Then the decisions in one process, the routes and the policies
# take two minutes, and the comparison with servers that decide nothing four. What else the machine does
# shows in the times, less in the ratios: leave it alone meanwhile.
bench: ## The benchmarks, and what a check costs next to a server that decides nothing
	$(CARGO) bench --bench decision --bench routing --bench signatures
	$(PYTHON) scripts/bench.py

clean: ## Remove everything that was built, fetched or made by a run
	$(CARGO) clean
	rm -rf .run .venv tests/signers/node_modules
