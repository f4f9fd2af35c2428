# libgm: GNU make 4 or later. `make help` lists the goals.
#
# Nothing is evaluated through pkg-config before it is needed, and a goal next to `deps` runs in a make of its own
# after `deps` is done: so `make deps demo` works on a machine that had none of the packages.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

BLAS ?= openblas
ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := $(if $(findstring clang,$(CC)),clang++,g++)
endif
AR ?= ar
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
SANITIZE ?=

ifneq ($(filter-out openblas blis,$(BLAS)),)
$(error BLAS is "$(BLAS)"; openblas and blis are known)
endif

ifneq ($(filter deps,$(MAKECMDGOALS)),)

rest := $(filter-out deps,$(MAKECMDGOALS))
.PHONY: deps rest-after-deps $(rest)
deps:
	@CC="$(CC)" CXX="$(CXX)" scripts/deps $(BLAS)
rest-after-deps: deps
	@$(MAKE) --no-print-directory $(rest)
$(rest): rest-after-deps
	@:

else

ifeq ($(SANITIZE),)
BUILD ?= build
else ifneq ($(findstring address,$(SANITIZE)),)
BUILD ?= build/asan
else ifneq ($(findstring thread,$(SANITIZE)),)
BUILD ?= build/tsan
else
BUILD ?= build/sanitize
endif

include mk/flags.mk
include mk/library.mk
include mk/programs.mk
include mk/examples.mk
include mk/check.mk
include mk/install.mk

.PHONY: all help demo bench data clean
all: library examples

help:
	@cat mk/help.txt

# The pictures land in build/demo; the program names them.
demo: $(BUILD)/examples/vae
	@$(BUILD)/examples/vae --preset demo --out $(BUILD)/demo
	@echo "Pictures:"; ls -1 $(BUILD)/demo/*.png | sed 's/^/  /'

bench: $(BUILD)/bench/bench
	@$(BUILD)/bench/bench $(BENCH_OPTIONS)

data:
	@scripts/data

# Only what a build made: BUILD may be somebody's directory.
clean:
	@rm -rf $(addprefix $(BUILD)/,obj double lib examples bench tests demo needs flags flags.double asan tsan)
	@rmdir $(BUILD) 2>/dev/null || true

endif
