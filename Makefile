# Names for the chores of `cargo xtask`, which does the work. Nothing else has to be typed on a fresh machine.

CARGO := $(shell command -v cargo || echo "$$HOME/.cargo/bin/cargo")
XTASK := $(CARGO) xtask

.DEFAULT_GOAL := help
.PHONY: help run test bench ui prepare openapi stores stop reset

help:           ## List these
	@sed -n 's/^\([a-z]*\): *## /  make \1\t/p' Makefile | expand -t 18

run:            ## Set up, build, load a demo territory, serve http://localhost:8080
	@$(XTASK) run

test:           ## Set up, then every check and test (what CI runs)
	@$(XTASK) ci

bench:          ## Every figure that the documents quote
	@$(XTASK) bench

ui:             ## Build the browser program
	@$(XTASK) ui

prepare:        ## Regenerate .sqlx after a change of SQL
	@$(XTASK) prepare

openapi:        ## Regenerate openapi.json and the typed client after a change of routes
	@$(XTASK) openapi

stores:         ## Start the private PostgreSQL and Redis
	@$(XTASK) stores up

stop:           ## Stop them
	@$(XTASK) stores down

reset:          ## Empty them
	@$(XTASK) stores reset
