# Tests. A program links the static library, so it can reach the internals too. Each run leaves a log and a verdict
# in build/tests; `check` reads them all at the end, so one failure does not hide another, and -j runs them abreast.

suites := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
# It replaces malloc, as sanitizers do.
ifneq ($(SANITIZE),)
suites := $(filter-out test_serve_quiet,$(suites))
endif
ooms := $(patsubst tests/oom/%.c,oom_%,$(wildcard tests/oom/*.c))
fuzzers := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
conformances := $(addprefix conformance_,families faults files memory layers optimizers)
conformance_parts := makers conformance hostile $(patsubst tests/conformance/%.c,%,$(wildcard tests/conformance/check_*.c))
gradchecks := $(patsubst tests/gradcheck/%.c,gradcheck_%,$(wildcard tests/gradcheck/*.c))
scripted := levels consistency conventions operations reliability
ifeq ($(SANITIZE),)
scripted += headers abi abi_kept hardened docs
endif

bin := $(BUILD)/tests
test_warnings := -Wall -Wextra -Wshadow -Werror
compile_test = $(CC) -std=c11 -D_POSIX_C_SOURCE=200809L -g -pthread $(sanitize) -MMD -MP -Iinclude -Ilib -Itests -Itests/support $(check_cflags) $(blas_cflags)
# Serial BLAS: the library's own workers are what is tested, and the bytes must not depend on BLAS's threads.
test_environment = OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1 OMP_NUM_THREADS=1 CK_FORK=no CC="$(CC)"

$(BUILD)/obj/tests/%.o: tests/%.c $(BUILD)/flags | $(BUILD)/needs/tests
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile_test) $(test_warnings) -O1 $(CFLAGS) -c -o $@ $<

$(BUILD)/double/tests/%.o: tests/%.c $(BUILD)/flags | $(BUILD)/needs/tests
	@mkdir -p $(@D)
	$(say) CC "$< (double)"
	$(Q)$(compile_double) $(check_cflags) $(optimise) $(CFLAGS) -c -o $@ $<

link_test = $(CC) $(sanitize) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(check_libs) $(library_libs)

$(addprefix $(bin)/,$(suites)): $(bin)/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/support/main.o $(static)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

$(addprefix $(bin)/,$(ooms)): $(bin)/oom_%: $(BUILD)/obj/tests/oom/%.o $(BUILD)/obj/tests/support/main.o $(static)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

conformance_objects := $(conformance_parts:%=$(BUILD)/obj/tests/conformance/%.o)
$(addprefix $(bin)/,$(conformances)): $(bin)/conformance_%: $(BUILD)/obj/tests/conformance/%.o $(conformance_objects) \
  $(BUILD)/obj/tests/support/main.o $(static)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

$(addprefix $(bin)/,$(gradchecks)): $(bin)/gradcheck_%: $(BUILD)/double/tests/gradcheck/%.o \
  $(BUILD)/double/tests/support/main.o $(double)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

# Its system calls that write go through the test. By hand: `make run-kills KILLS=100 KILLS_SEED=7`.
KILLS ?=
KILLS_SEED ?=
$(bin)/kills: link_test += $(addprefix -Wl$(comma)--wrap=,write fsync rename fchmod)
$(bin)/kills: $(BUILD)/obj/tests/kills/kills.o $(BUILD)/obj/tests/support/main.o $(static)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

# Files changed by their structure. By hand: `make SANITIZE=address,undefined run-mutations MUTATIONS_SECONDS=1800`.
MUTATIONS ?=
MUTATIONS_SECONDS ?=
MUTATIONS_SEED ?=
$(bin)/mutations: $(BUILD)/obj/tests/mutations/mutations.o $(BUILD)/obj/tests/support/main.o $(static)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

# `make fuzz` makes real fuzzers, with clang; here they meet a fixed number of mutated seeds.
$(addprefix $(bin)/,$(fuzzers)): $(bin)/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/driver.o $(static)
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(link_test)

# The whole library is compiled into each, so that the fuzzer sees its branches. Run one by hand:
# build/tests/libfuzzer/fuzz_x CORPUS tests/fuzz/seeds/x
fuzz_link = clang -fsanitize=fuzzer,address,undefined -g -O1 -std=c11 -DGM_NO_X86 -DGM_ISA=baseline -Iinclude -Ilib \
  -Itests -Itests/support $(blas_cflags) $(file_cflags)
.PHONY: fuzz
fuzz: $(fuzzers:%=$(bin)/libfuzzer/%)
$(bin)/libfuzzer/%: tests/fuzz/%.c $(sources)
	@mkdir -p $(@D)
	$(say) FUZZ $@
	$(Q)$(fuzz_link) -o $@ $< $(sources) $(library_libs)

# $(1): the name, $(2): the command
define run_rule
.PHONY: run-$(1)
run-$(1): $(3)
	@mkdir -p $$(bin)/log
	@if $$(test_environment) $(2) > $$(bin)/log/$(1).log 2>&1; then \
	  echo pass > $$(bin)/log/$(1).verdict; \
	else \
	  echo FAIL > $$(bin)/log/$(1).verdict; \
	fi; \
	printf '%s %-24s %s\n' "`cat $$(bin)/log/$(1).verdict`" $(1) "`grep -E 'Checks:|^[a-z]+: [0-9]' $$(bin)/log/$(1).log | tail -n 1`"; \
	if grep -q FAIL $$(bin)/log/$(1).verdict; then cat $$(bin)/log/$(1).log; fi
endef
$(foreach t,$(suites) $(ooms) $(conformances) $(gradchecks),$(eval $(call run_rule,$(t),$(bin)/$(t),$(bin)/$(t))))
$(foreach t,$(fuzzers),$(eval $(call run_rule,$(t),$(bin)/$(t) $(wildcard tests/fuzz/seeds/$(t:fuzz_%=%)/*),$(bin)/$(t))))
$(eval $(call run_rule,kills,KILLS="$(KILLS)" KILLS_SEED="$(KILLS_SEED)" $(bin)/kills,$(bin)/kills))
$(eval $(call run_rule,mutations,MUTATIONS="$(MUTATIONS)" MUTATIONS_SECONDS="$(MUTATIONS_SECONDS)" MUTATIONS_SEED="$(MUTATIONS_SEED)" $(bin)/mutations,$(bin)/mutations))
$(eval $(call run_rule,levels,tests/levels,))
$(eval $(call run_rule,consistency,tests/consistency,))
$(eval $(call run_rule,conventions,tests/conventions,))
$(eval $(call run_rule,reliability,tests/reliability,))
$(eval $(call run_rule,operations,tests/operations $(static),$(static)))
$(eval $(call run_rule,docs,tests/docs/check $(BUILD)/lib/libgm.so $(BUILD)/examples,$(BUILD)/lib/libgm.so $(experiments)))
$(eval $(call run_rule,headers,tests/headers/check $(bin)/headers,$(BUILD)/lib/libgm.so))
$(eval $(call run_rule,hardened,tests/abi/hardened $(shared) $(static),$(shared) $(static)))
$(eval $(call run_rule,abi,tests/abi/check $(shared) $(bin)/abi,$(shared)))
$(eval $(call run_rule,abi_kept,tests/abi/kept $(shared) $(bin)/abi_kept,$(shared)))

# What a check consists of; `make check-suites` leaves out the scripts.
.PHONY: check check-suites check-verdict abi-accept abi-size
checks := $(suites) $(ooms) $(conformances) $(gradchecks) $(fuzzers)
check: all $(addprefix run-,$(checks) $(scripted))
	@tests/verdict $(bin)/log $(checks) $(scripted)
check-suites: $(addprefix run-,$(checks))
	@tests/verdict $(bin)/log $(checks)

# The headers as they are become the frozen lists and lib/gm.map (before 0.1.0 anew, then only by addition).
abi-accept:
	@CC="$(CC)" tests/abi/accept

# Records the size of the stripped library with this compiler, a figure that is shown and not compared.
abi-size: $(shared)
	@mkdir -p $(bin)/abi
	@strip --strip-unneeded -o $(bin)/abi/stripped.so $(shared)
	@CC="$(CC)" tests/abi/size $(bin)/abi/stripped.so record

-include $(BUILD)/obj/tests/kills/kills.d $(BUILD)/obj/tests/mutations/mutations.d $(suites:%=$(BUILD)/obj/tests/unit/%.d) $(ooms:oom_%=$(BUILD)/obj/tests/oom/%.d) \
  $(conformance_objects:.o=.d) $(conformances:conformance_%=$(BUILD)/obj/tests/conformance/%.d) \
  $(gradchecks:gradcheck_%=$(BUILD)/double/tests/gradcheck/%.d) $(BUILD)/obj/tests/support/main.d $(BUILD)/double/tests/support/main.d
