# SPDX-License-Identifier: GPL-3.0-or-later
# waf (wscript) and the scripts called here do everything; this file gives them
# the customary names.

JOBS ?= $(shell nproc)

all: build

# What is missing on this Debian system; nothing happens when all is there.
deps:
	@buildtools/deps build run

build: deps
	@buildtools/build default -j$(JOBS)

# Other flavours: sanitizers, and the other compiler. They go to build/FLAVOUR.
asan tsan clang fuzz: deps
	@buildtools/deps test
	@buildtools/build $@ -j$(JOBS)

# An istmd to try things with; see README.md.
run: build
	@buildtools/run $(ARGS)

# One part only: make check ARGS='vhd dcom', of what is built by make.
check: build
	@buildtools/deps test
	@tests/guest/boot --prepare
	@tests/run $(ARGS)

# Everything, as CI does it.
test:
	@buildtools/deps build run test
	@JOBS=$(JOBS) tests/all $(ARGS)

bench: build
	@buildtools/deps test bench
	@tests/bench/run $(ARGS)

# A daemon with 10,000 disks; see docs/performance.md.
bench-scale: build
	@tests/bench/scale $(ARGS)

format:
	git ls-files -z -co --exclude-standard -- '*.c' '*.h' | \
		xargs -0 clang-format -i

install: build
	@buildtools/waf install --destdir="$(DESTDIR)"

clean:
	rm -rf build .lock-waf-* compile_commands.json

.PHONY: all deps build asan tsan clang fuzz run check test bench bench-scale \
	format install clean
