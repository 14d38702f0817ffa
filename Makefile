# Ringside: `make help` lists the targets. Everything is built under build/MODE/.
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
MODE ?= release
O := build/$(MODE)
PREFIX ?= /usr/local

CC := gcc
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-unused-parameter -Wno-missing-field-initializers
CPPFLAGS := -I. -D_GNU_SOURCE -MMD -MP
CFLAGS := -std=gnu11 -g -fno-strict-aliasing -fno-common $(WARN)
LDLIBS := -llua5.4 -lncursesw -ltinfo -lZydis -lZycore -lm
LUA_INC := -I/usr/include/lua5.4

# Modes. The tail-calling dispatcher needs sibling-call optimisation, which -O0, coverage and the sanitizers take away.
ifeq ($(MODE),release)
CFLAGS += -O2
else ifeq ($(MODE),debug)
CFLAGS += -O1 -DRINGSIDE_NO_TAIL -DRINGSIDE_DEBUG
else ifeq ($(MODE),asan)
CFLAGS += -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DRINGSIDE_NO_TAIL -DRINGSIDE_DEBUG
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(MODE),werror)
CFLAGS += -O2 -Werror
else ifeq ($(MODE),clang)
CC := clang
CFLAGS += -O2 -Werror -Wno-unused-command-line-argument
else ifeq ($(MODE),fuzz)
CC := clang
CFLAGS += -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -DRINGSIDE_NO_TAIL -DRINGSIDE_DEBUG
LDFLAGS += -fsanitize=address,undefined
else
$(error MODE=$(MODE): known modes are release debug asan werror clang fuzz)
endif
ifneq ($(CCACHE),)
CC := $(CCACHE) $(CC)
endif

FOLDERS := isa vmx-model sim lua visualizer
SRC := $(foreach d,$(FOLDERS),$(filter-out %_test.c %_fuzz.c,$(wildcard $(d)/*.c)))
EXEC := $(filter-out isa/exec_table.c,$(filter isa/exec_%.c,$(SRC)))
LIBSRC := $(filter-out sim/main.c $(EXEC),$(SRC))
TESTSRC := $(foreach d,$(FOLDERS),$(wildcard $(d)/*_test.c))
FUZZSRC := $(foreach d,$(FOLDERS),$(wildcard $(d)/*_fuzz.c))
OBJ := $(LIBSRC:%.c=$(O)/%.o) $(EXEC:%.c=$(O)/%.loop.o)
ifeq ($(findstring RINGSIDE_NO_TAIL,$(CFLAGS)),)
OBJ += $(EXEC:%.c=$(O)/%.tail.o)
endif
TESTS := $(TESTSRC:%.c=$(O)/%)
FUZZERS := $(FUZZSRC:%.c=$(O)/%)
BENCHES := $(patsubst scenarios/%.c,build/guests/%.bin,$(wildcard scenarios/bench/*.c))
GUESTS := $(patsubst scenarios/%.asm,build/guests/%.bin,$(wildcard scenarios/*/*.asm)) \
          build/guests/kvm/kvmrun build/guests/perf/perfcount build/guests/hypervisor/hypervisor.bin build/guests/hypervisor/entries.bin \
          build/guests/binary-translation/kernel.bin build/guests/binary-translation/mix.bin build/guests/binary-translation/check.bin \
          build/guests/binary-translation/vmm.bin $(addprefix build/guests/paravirtual/,native.bin xen.bin vmm.bin) $(addprefix build/guests/vectors/,vectors.bin host) $(BENCHES)

.PHONY: validate all guests run test test-guests test-programs test-scenarios check check-equality check-format check-layers check-asan check-modes check-werror check-fuzz check-docs bench docs \
        install clean help setup format difftest

all: setup $(O)/ringside guests ## build the program and the guest programs of the lessons

run: all ## set up, build, then show it: the visualizer on a terminal, the lessons as text in a pipe
	@docs/tools/first-run.sh $(O)/ringside

test: setup ## set up, build, and run all tests; prints the counts
	@$(MAKE) --no-print-directory $(O)/ringside guests
	@$(MAKE) --no-print-directory $(TESTS)
	@docs/tools/run-tests.sh $(O) $(TESTS)

check: ## format, layers, warnings as errors (gcc and clang), sanitizers, dispatcher modes, a short fuzz
	@$(MAKE) --no-print-directory setup-dev check-format check-layers check-docs check-werror check-asan check-modes check-fuzz

check-format: ## clang-format finds nothing to change
	@clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h') && echo "check-format: ok"

check-layers: ## includes point down only (docs/architecture.md)
	@docs/tools/check-layers.sh

check-werror: ## no warnings from gcc or clang
	@$(MAKE) --no-print-directory MODE=werror build/werror/ringside
	@$(MAKE) --no-print-directory MODE=clang build/clang/ringside
	@echo "check-werror: ok"

check-asan: ## all tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory MODE=asan test

check-modes: $(O)/ringside guests ## the lessons under every dispatcher and with and without the inline TLB give the same bytes
	@docs/tools/check-modes.sh $(O)/ringside

FUZZ_SECONDS ?= 20
check-fuzz: ## each fuzz target for FUZZ_SECONDS (default 20)
	@$(MAKE) --no-print-directory MODE=fuzz fuzzers
	@docs/tools/run-fuzz.sh build/fuzz $(FUZZ_SECONDS)

fuzzers: $(FUZZERS)

test-guests: $(O)/ringside ## boot real systems of Debian's packages to their markers: GUEST=linux|linux-smp|linux-isa|linux-perf|linux-later|linux-generic|seabios|grub|debian|memtest|hypervisor|kvm|kvm-nested|xen, default all but memtest
	@docs/tools/test-guests.sh $(O)/ringside $(GUEST)

CASES ?= 10000000
difftest: $(filter $(O)/isa/hostdiff%_test,$(TESTS)) ## compare CASES (default 10000000) random instructions with this host's processor
	@for t in $^; do DIFF_CASES=$(CASES) $$t || exit 1; done

PROGRAMS ?= 10000
check-equality: $(O)/sim/equality_test ## PROGRAMS (default 10000) random programs compute the same in all fidelities, under both dispatchers
	@EQUALITY_PROGRAMS=$$((($(PROGRAMS) + 2) / 3)) $<

bench: all ## speed: MIPS and nanoseconds per VM exit, beside Debian's Bochs and QEMU where installed
	@docs/tools/bench.sh $(O)/ringside

validate: all ## measure published figures with guest programs; writes docs/gen/validation.md with plots
	@mkdir -p docs/gen && $(O)/ringside validate --report docs/gen/validation.md

docs: all ## regenerate docs/gen, the man page and the editor annotations from the tables
	@docs/tools/gen-docs.sh $(O)/ringside

check-docs: docs ## docs/gen is what the tables say now
	@git diff --exit-code --stat docs/gen && [ -z "$$(git status --porcelain docs/gen)" ] && echo "check-docs: ok"

format: ## let clang-format rewrite the sources
	@clang-format -i $$(git ls-files '*.c' '*.h')

install: all ## install to PREFIX (default /usr/local)
	@docs/tools/install.sh $(O) $(DESTDIR)$(PREFIX)

clean: ## remove build/
	rm -rf build

setup: build/.setup
build/.setup: docs/tools/setup.sh
	@docs/tools/setup.sh && mkdir -p build && touch $@
setup-dev: build/.setup-dev
build/.setup-dev: docs/tools/setup.sh
	@docs/tools/setup.sh --dev && mkdir -p build && touch $@

guests: $(GUESTS) $(BENCHES)
# The VMCS field encodings for guests, from the simulator's own table.
build/guests/include/vmcs.inc: vmx-model/vmcs_fields.def
	@mkdir -p $(@D)
	@sed -nE 's/^V\(([A-Z0-9_]+), *(0x[0-9a-fA-F]+).*/%define VMCS_\1 \2/p' $< >$@
build/guests/%.bin: scenarios/%.asm build/guests/include/vmcs.inc $(wildcard scenarios/*/*.inc)
	@mkdir -p $(@D)
	nasm -f bin -I scenarios/include/ -I build/guests/include/ -I $(<D)/ -l $(@:.bin=.lst) --before "[map symbols $(@:.bin=.map)]" -o $@ $<

# Programs for the Linux kernel that runs as a guest.
build/guests/kvm/kvmrun: scenarios/kvm/kvmrun.c
build/guests/perf/perfcount: scenarios/perf/perfcount.c
build/guests/kvm/kvmrun build/guests/perf/perfcount:
	@mkdir -p $(@D)
	gcc -std=gnu11 -O2 -Wall -Wextra -Wshadow -Werror -static -o $@ $<

# Freestanding C, as flat Multiboot images that every emulator takes. What guests share is in scenarios/include.
build/guests/include/vmcs.h: vmx-model/vmcs_fields.def
	@mkdir -p $(@D)
	@sed -nE 's/^V\(([A-Z0-9_]+), *(0x[0-9a-fA-F]+).*/#define VMCS_\1 \2/p' $< >$@
SHARED := $(wildcard scenarios/include/*.h scenarios/include/*.s scenarios/include/*.ld) build/guests/include/vmcs.h
BARE := -ffreestanding -fno-pic -no-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector -fcf-protection=none -fno-tree-loop-distribute-patterns -nostdlib -static \
        -I scenarios/include -I build/guests/include -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096
FREESTANDING := -O2 -Wall -Wextra -Werror -Wno-unused-parameter $(BARE)
FREESTANDING32 := -m32 -march=i686 -fno-asynchronous-unwind-tables $(filter-out -mno-red-zone,$(FREESTANDING))
IMAGE := -Wl,-T,scenarios/include/image.ld
WINDOW := -Wl,-T,scenarios/include/window.ld
CONSTANT := -Wl,-T,scenarios/hypervisor/link.ld
define flat
	@mkdir -p $(@D)
	gcc $(1) -o $(@:.bin=.elf) $(filter %.c %.S,$^)
	objcopy -O binary $(@:.bin=.elf) $@
endef
build/guests/bench/%.bin: scenarios/bench/%.c scenarios/bench/start.S $(wildcard scenarios/bench/*.h) $(SHARED)
	$(call flat,-O2 $(BARE) $(IMAGE))

# One object for a guest and for a program of the host: loops as AVX2, FMA and F16C instructions.
build/guests/vectors/vectors.o: scenarios/vectors/vectors.c scenarios/vectors/vectors.h $(SHARED)
	@mkdir -p $(@D)
	gcc -O3 -Wall -Wextra -Werror -fno-math-errno $(filter-out -mgeneral-regs-only -no-pie -nostdlib -static -Wl%,$(BARE)) -mavx2 -mfma -mf16c -c -o $@ $<
build/guests/vectors/vectors.bin: scenarios/bench/start.S scenarios/vectors/guest.c build/guests/vectors/vectors.o
	gcc $(FREESTANDING) $(IMAGE) -o $(@:.bin=.elf) $^
	objcopy -O binary $(@:.bin=.elf) $@
build/guests/vectors/host: scenarios/vectors/host.c build/guests/vectors/vectors.o
	gcc -O2 -Wall -Wextra -Werror -no-pie -o $@ $^

# The hypervisor, and the kernel that it runs: built like a benchmark, so that it runs on the bare machine, too.
build/guests/hypervisor/kernel.bin build/guests/hypervisor/entries.bin: build/guests/hypervisor/%.bin: scenarios/hypervisor/%.c scenarios/bench/start.S \
                                        scenarios/bench/vmx.h $(SHARED)
	$(call flat,$(FREESTANDING) -I scenarios/bench $(IMAGE))
build/guests/hypervisor/hypervisor.bin: $(addprefix scenarios/hypervisor/,boot.S hv.c nested.c shadow.c spare.c hv.h link.ld) $(SHARED) build/guests/hypervisor/kernel.bin
	$(call flat,$(FREESTANDING) $(CONSTANT))

# A kernel of 32 bits, and a VMM for it that translates it, or uses VT-x.
BT := scenarios/binary-translation
$(addprefix build/guests/binary-translation/,kernel.bin mix.bin check.bin): build/guests/binary-translation/%.bin: $(BT)/%.c $(BT)/start.S $(SHARED)
	$(call flat,$(FREESTANDING32) $(IMAGE))
build/guests/binary-translation/vmm.bin: $(addprefix $(BT)/,boot.S vmm.c shadow.c decode.c vtx.c bt.c vmm.h) $(SHARED)
	$(call flat,$(FREESTANDING32) $(WINDOW))

# A kernel built twice, for the bare machine and for a hypervisor that it knows of.
PV := scenarios/paravirtual
build/guests/paravirtual/native.bin build/guests/paravirtual/xen.bin: build/guests/paravirtual/%.bin: $(addprefix $(PV)/,start.S kernel.c ops.h) $(SHARED)
	$(call flat,$(FREESTANDING32) $(if $(filter xen,$*),-DXEN) $(IMAGE))
build/guests/paravirtual/vmm.bin: $(addprefix $(PV)/,boot.S vmm.c memory.c vmm.h ops.h) $(SHARED)
	$(call flat,$(FREESTANDING32) $(WINDOW))

$(O)/ringside: $(O)/sim/main.o $(O)/libringside.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(O)/libringside.a: $(OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(if $(filter lua/%,$<),$(LUA_INC)) -c -o $@ $<
$(O)/%.loop.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -DISA_TAIL=0 -c -o $@ $<
$(O)/%.tail.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -DISA_TAIL=1 -foptimize-sibling-calls -fomit-frame-pointer -fno-stack-protector -c -o $@ $<
$(O)/%_test: $(O)/%_test.o $(O)/libringside.a
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka -ljson-c $(LDLIBS)
$(O)/%_fuzz: $(O)/%_fuzz.o $(O)/libringside.a
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

-include $(OBJ:.o=.d) $(O)/sim/main.d $(TESTSRC:%.c=$(O)/%.d) $(FUZZSRC:%.c=$(O)/%.d)
.SECONDARY:
