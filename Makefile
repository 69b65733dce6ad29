# Names for the chores of `cargo xtask`, which does the work. Nothing else has to be typed on a fresh machine.

CARGO := $(shell command -v cargo || echo "$$HOME/.cargo/bin/cargo")
XTASK := $(CARGO) xtask

.DEFAULT_GOAL := help
.PHONY: help linker run test bench storm ui prepare openapi stores stop reset

help:           ## List these
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' Makefile | expand -t 18

run: linker     ## Set up, build, load a demo territory, serve http://localhost:8080
	@$(XTASK) run

test: linker    ## Set up, then every check and test (what CI runs)
	@$(XTASK) ci

bench: linker   ## Every figure that the documents quote
	@$(XTASK) bench

storm: linker   ## The 9:00 storm on three nodes: three minutes, a report with plots (FULL=1: the long form)
	@$(XTASK) storm

ui: linker      ## Build the browser program
	@$(XTASK) ui

prepare: linker ## Regenerate .sqlx after a change of SQL
	@$(XTASK) prepare

openapi: linker ## Regenerate openapi.json and the typed client after a change of routes
	@$(XTASK) openapi

stores: linker  ## Start the private PostgreSQL and Redis
	@$(XTASK) stores up

stop: linker    ## Stop them
	@$(XTASK) stores down

reset: linker   ## Empty them
	@$(XTASK) stores reset

# xtask installs everything else, but is itself linked by the system's compiler.
linker:
	@command -v cc >/dev/null || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "▸ install build-essential" && export DEBIAN_FRONTEND=noninteractive && \
	        apt-get -qq update && apt-get -qq -y install --no-install-recommends build-essential >/dev/null; \
	    else \
	        echo "please install a C compiler and linker (Debian: sudo apt-get install build-essential)"; exit 1; \
	    fi; }
