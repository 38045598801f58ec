# The two commands of the README: `cargo run` and `make test`.
.DEFAULT_GOAL := help
# Debian keeps nginx where the PATH of most users does not lead.
export PATH := $(PATH):/usr/sbin
# Where the tests write down what they could not test.
SKIPPED := $(or $(CARGO_TARGET_DIR),target)/tmp/skipped.txt
.PHONY: help run test check bench bench-quick programs npm

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: ## serve on http://localhost:3000
	cargo run

test: programs npm ## run every test, those in a browser and behind nginx too
	@rm -f $(SKIPPED)
	cargo test -- --include-ignored
	@if [ -s $(SKIPPED) ]; then echo "not tested here:"; cat $(SKIPPED); fi

bench: ## measure every point beside its peers and write benches/numbers.md and .svg
	cargo bench --bench ticks
	cargo bench --bench streams -- all

bench-quick: ## measure one point, in half a minute after the build
	cargo bench --bench streams -- quick

check: ## format, lints and documentation, with warnings as errors
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

programs: # install what is missing of Chromium, its driver and nginx
	@missing=; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v chromedriver >/dev/null || missing="$$missing chromium-driver"; \
	command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	[ -z "$$missing" ] || \
	{ [ "$$(id -u)" = 0 ] && apt-get update && apt-get install -y $$missing; } || \
	{ echo "make test needs more programs: apt-get install$$missing" >&2; exit 1; }

npm: # install the programs from npm that the tests run
	@if command -v npm >/dev/null; then npm ci --prefix tests/npm; \
	else echo "the tests that need Node are skipped: npm is missing" >&2; fi
