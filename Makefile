# SPDX-License-Identifier: GPL-3.0-or-later
# Everything is done by waf (wscript) and the scripts called here; this file
# only gives them the customary names.

JOBS ?= $(shell nproc)

all: build

deps:
	@buildtools/deps build run

build: deps
	@buildtools/build default -j$(JOBS)

asan tsan clang: deps
	@buildtools/deps test
	@buildtools/build $@ -j$(JOBS)

run: build
	@buildtools/run

test:
	@buildtools/deps build run test
	@tests/all

install: build
	@buildtools/waf install --destdir="$(DESTDIR)"

clean:
	rm -rf build .lock-waf-*

.PHONY: all deps build asan tsan clang run test install clean
