# Flags, the quiet output, and the record of flags that makes a change of CC, BLAS or CFLAGS rebuild everything.

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '%-5s %s\n'
endif

# The version is written once, in the header.
version_part = $(shell sed -n 's/^.define GM_VERSION_$(1) \([0-9]*\).*/\1/p' include/gm/context.h)
version_major := $(call version_part,MAJOR)
version := $(version_major).$(call version_part,MINOR).$(call version_part,PATCH)

# Each asks the system at its first use and remembers the answer.
flags_of = $(shell CC="$(CC)" PKG_CONFIG="$(PKG_CONFIG)" scripts/flags $(1))
blas_cflags = $(eval blas_cflags := $(call flags_of,cflags $(BLAS)))$(blas_cflags)
blas_libs = $(eval blas_libs := $(call flags_of,libs $(BLAS)))$(blas_libs)
file_cflags = $(eval file_cflags := $(call flags_of,cflags zlib))$(file_cflags)
file_libs = $(eval file_libs := $(call flags_of,libs zlib))$(file_libs)
cairo_cflags = $(eval cairo_cflags := $(call flags_of,cflags cairo))$(cairo_cflags)
cairo_libs = $(eval cairo_libs := $(call flags_of,libs cairo))$(cairo_libs)
check_cflags = $(eval check_cflags := $(call flags_of,cflags check))$(check_cflags)
check_libs = $(eval check_libs := $(call flags_of,libs check))$(check_libs)

# Never -ffast-math: it breaks checks for NaN and can switch the host's denormal mode. _FORTIFY_SOURCE, which some
# systems turn on by themselves, would put calls that end the process into a library that never does. The last entry of
# a row of the op table may be left out.
machine := $(shell $(CC) -dumpmachine 2>/dev/null)
warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-missing-field-initializers -Werror
CFLAGS ?=
CXXFLAGS ?=
LDFLAGS ?=
optimise := -O2
optimise_kernels := -O3
sanitize :=
# Tables for unwinding are for exceptions, which C has none of; debuggers read .debug_frame instead. 25 KB.
unwind := -fno-asynchronous-unwind-tables -fno-unwind-tables
ifneq ($(SANITIZE),)
sanitize := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
optimise := -O1
optimise_kernels := -O2
unwind :=
endif
# What makes a fault of memory harder to use: a guard behind arrays on the stack, and marks for processors that watch
# where calls and returns go. No frame is so large that a thread with a stack of 64 KB could not call in.
harden := -fstack-protector-strong
harden_link := -Wl,-z,relro,-z,now,-z,noexecstack
ifneq ($(filter x86_64%,$(machine)),)
harden += -fcf-protection=full
harden_link += -Wl,-z,shstk
else ifneq ($(filter aarch64%,$(machine)),)
harden += -mbranch-protection=standard
endif
frames := -Wframe-larger-than=32768 -Wvla
ifneq ($(SANITIZE),)
frames :=
endif
cflags_base = -std=c11 -g -fPIC -fno-math-errno -fno-trapping-math -fvisibility=hidden -ffunction-sections \
  -fdata-sections -U_FORTIFY_SOURCE -pthread $(harden) $(unwind) $(sanitize) -MMD -MP

# x86-64 gets the kernels three times; elsewhere plain C is all there is.
ifneq ($(filter x86_64%,$(machine)),)
isas := baseline v3 v4
arch_cflags :=
else
isas := baseline
arch_cflags := -DGM_NO_X86
endif
isa_cflags.v3 := -march=x86-64-v3
isa_cflags.v4 := -march=x86-64-v4 -mprefer-vector-width=512
# Three tables must fit a small library. Measured with gcc 12: peeling short remainders less costs no time and saves a
# third of the bytes; a processor without AVX2 gets compact code, because hardly anybody waits for it.
isa_optimise.v3 := $(optimise_kernels)
isa_optimise.v4 := $(optimise_kernels)
isa_optimise.baseline := $(optimise_kernels)
ifeq ($(SANITIZE),)
ifneq ($(filter v4,$(isas)),)
isa_optimise.baseline := -O2
ifeq ($(findstring clang,$(CC)),)
isa_optimise.v3 += --param max-completely-peel-times=2 --param vect-epilogues-nomask=0
isa_optimise.v4 += --param max-completely-peel-times=4
else
isa_optimise.baseline := -Os
isa_optimise.v3 := -O2
isa_optimise.v4 := -O2
endif
endif
endif

record = $(harden_link) $(CC) $(CXX) $(BLAS) $(machine) $(cflags_base) $(optimise) $(isa_optimise.v3) $(isa_optimise.v4) $(CFLAGS) $(CXXFLAGS) $(LDFLAGS) $(blas_libs)
look_for = CC="$(CC)" CXX="$(CXX)" scripts/deps --missing $(1) $(BLAS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(record)' | cmp -s - $@ || { $(call look_for,library) && printf '%s\n' '$(record)' > $@; }
# What else the examples and the tests need: looked for once, and again after a change of flags.
$(BUILD)/needs/%: $(BUILD)/flags
	@mkdir -p $(@D)
	@$(call look_for,$*) && touch $@
.PHONY: FORCE
FORCE:
