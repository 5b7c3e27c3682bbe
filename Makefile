# Needs make, Node.js 20 or later and npm on Debian 12; everything else is brought in. `make` alone tells what there is.
.DEFAULT_GOAL := help
.PHONY: help up down purge test check build images clients deps deps-test e2e unit bench clean

help:
	@node scripts/make.mjs help

up down purge test check build images clients deps deps-test e2e unit bench clean:
	@node scripts/make.mjs $@
