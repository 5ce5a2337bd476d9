# Names for the common commands. Meson and ninja do the work, scripts/setup names the packages.
#
# SPDX-License-Identifier: GPL-2.0-or-later

BUILD := build
BUILD_ASAN := build-asan
BUILD_TSAN := build-tsan
# Suites that run a second time under ThreadSanitizer.
TSAN_SUITES := unit,contract-short

.PHONY: help build demo test bench bench-guest lint format clean setup setup-tests setup-bench setup-guest

help:
	@echo 'make demo   install what is missing, build, drive a simulated device end to end'
	@echo 'make test   every test, under AddressSanitizer, UBSan and ThreadSanitizer'
	@echo 'make setup-guest  fetch QEMU and a Linux for the guest tests, which are skipped without'
	@echo 'make build  optimised build in $(BUILD)/'
	@echo 'make bench  figures of every path beside its floor; JSON, plots and goals in $(BUILD)/bench-results'
	@echo 'make bench-guest  figures of a guest on our NVMe beside QEMU'"'"'s own'
	@echo 'make lint   style, layers, budgets, static analysis'
	@echo 'make format rewrite the C sources in the house style'
	@echo 'make clean  remove the build directories'

setup:
	@scripts/setup

setup-tests:
	@scripts/setup --tests

setup-bench:
	@scripts/setup --bench

setup-guest:
	@scripts/setup-guest

# Meson reconfigures by itself when a meson.build changes; these rules only make the directories.
$(BUILD)/build.ninja: | setup
	meson setup $(BUILD) --buildtype=release -Dtests=false

$(BUILD_ASAN)/build.ninja: | setup-tests
	meson setup $(BUILD_ASAN) --buildtype=debugoptimized -Db_sanitize=address,undefined

$(BUILD_TSAN)/build.ninja: | setup-tests
	meson setup $(BUILD_TSAN) --buildtype=debugoptimized -Db_sanitize=thread

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

demo: build
	@$(BUILD)/tools/dextctl/dextctl demo

test: $(BUILD_ASAN)/build.ninja $(BUILD_TSAN)/build.ninja
	@ninja -C $(BUILD_ASAN) --quiet
	@ninja -C $(BUILD_TSAN) --quiet
	@scripts/run-tests $(BUILD_ASAN) $(BUILD_TSAN)@$(TSAN_SUITES)

bench: build setup-bench
	@scripts/bench --build $(BUILD) $(BENCH_ARGUMENTS)

bench-guest: build setup-guest
	@python3 tests/guest/bench.py $(BUILD)/tests/guest/programs \
		$(BUILD)/tools/dext-vfio-user/dext-vfio-user $(BUILD)/tools/dextd/dextd \
		$(BUILD)/tools/dextctl/dextctl $(BENCH_ARGUMENTS)

lint: $(BUILD_ASAN)/build.ninja
	@ninja -C $(BUILD_ASAN) --quiet
	@scripts/run-tests $(BUILD_ASAN)@lint

format: | setup-tests
	git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD) $(BUILD_ASAN) $(BUILD_TSAN) build-ci build-instructions
