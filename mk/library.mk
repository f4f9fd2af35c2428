# The shared and the static library; a second static one in double precision, for the gradient checks, never installed.

sources := $(wildcard lib/*/*.c lib/*/*/*.c)
per_isa := $(filter lib/kernels/isa/kernels_isa.c lib/kernels/isa/kernels_random.c,$(sources))
plain := $(filter-out $(per_isa),$(sources))

objects := $(plain:lib/%.c=$(BUILD)/obj/%.o) \
  $(foreach isa,$(isas),$(per_isa:lib/%.c=$(BUILD)/obj/%.$(isa).o))
double_objects := $(plain:lib/%.c=$(BUILD)/double/%.o) $(per_isa:lib/%.c=$(BUILD)/double/%.baseline.o)

soname := libgm.so.$(version_major)
shared := $(BUILD)/lib/libgm.so.$(version)
static := $(BUILD)/lib/libgm.a
double := $(BUILD)/double/libgm.a
library_libs = $(blas_libs) $(file_libs) -lm -pthread

.PHONY: library
library: $(BUILD)/lib/libgm.so $(static)

compile = $(CC) $(cflags_base) $(warnings) $(frames) $(arch_cflags) -DGM_BLAS_$(if $(filter blis,$(BLAS)),BLIS,OPENBLAS) -Iinclude -Ilib $(blas_cflags) $(file_cflags)
kernel_optimise = $(if $(findstring lib/kernels/,$<),$(optimise_kernels),$(optimise))
# Random numbers are the same on every instruction set only if nothing is fused there.
random_cflags = -ffp-contract=$(if $(findstring kernels_random.c,$<),off,fast)

$(BUILD)/obj/%.o: lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile) $(kernel_optimise) $(CFLAGS) -c -o $@ $<

define isa_rule
$$(BUILD)/obj/%.$(1).o: lib/%.c $$(BUILD)/flags
	@mkdir -p $$(@D)
	$$(say) CC "$$< ($(1))"
	$$(Q)$$(compile) $$(isa_optimise.$(1)) $$(CFLAGS) -DGM_ISA=$(1) $$(isa_cflags.$(1)) $$(random_cflags) -c -o $$@ $$<
endef
$(foreach isa,$(isas),$(eval $(call isa_rule,$(isa))))

# The prelude turns float into double; warnings about literals stop being meaningful there. Vectors become wider than the
# baseline's registers, of which clang 19 warns where they are arguments; they never leave their file.
compile_double = $(CC) $(cflags_base) -Wall -Wno-psabi -DGM_DOUBLE -DGM_NO_X86 -include tests/support/double.h -Iinclude -Ilib -Itests -Itests/support \
  $(blas_cflags) $(file_cflags)

$(BUILD)/double/%.o: lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC "$< (double)"
	$(Q)$(compile_double) $(optimise) $(CFLAGS) -c -o $@ $<

$(BUILD)/double/%.baseline.o: lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC "$< (double)"
	$(Q)$(compile_double) $(optimise) $(CFLAGS) -DGM_ISA=baseline $(random_cflags) -c -o $@ $<

# A sanitizer's own symbols come with the program, so the library cannot resolve them by itself.
$(shared): $(objects) lib/gm.map
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) -shared -Wl,-soname,$(soname) -Wl,--version-script=lib/gm.map -Wl,--gc-sections \
	  $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) -Wl,-O1 $(harden_link) $(sanitize) $(LDFLAGS) -o $@ $(objects) $(library_libs)
comma := ,

$(BUILD)/lib/$(soname): $(shared)
	@ln -sf $(notdir $<) $@

$(BUILD)/lib/libgm.so: $(BUILD)/lib/$(soname)
	@ln -sf $(notdir $<) $@

$(static): $(objects)
	@mkdir -p $(@D)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(objects)

$(double): $(double_objects)
	@mkdir -p $(@D)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(double_objects)

-include $(objects:.o=.d) $(double_objects:.o=.d)
