# The two commands of the README: `cargo run` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-quick browser npm

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: ## serve on http://localhost:3000
	cargo run

test: browser npm ## run every test, those in a browser too
	cargo test -- --include-ignored

bench: ## measure every point beside its peers and write benches/numbers.md and .svg
	cargo bench --bench ticks
	cargo bench --bench streams -- all

bench-quick: ## measure one point, in about a minute
	cargo bench --bench streams -- quick

check: ## format, lints and documentation, with warnings as errors
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

browser: # install Chromium and its driver where they are missing
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && apt-get update && apt-get install -y chromium chromium-driver; } || \
	{ echo "make test needs a browser: apt-get install chromium chromium-driver" >&2; exit 1; }

npm: # install the programs from npm that the tests run
	@if command -v npm >/dev/null; then npm ci --prefix tests/npm; \
	else echo "the tests that need Node are skipped: npm is missing" >&2; fi
