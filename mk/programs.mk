# The benchmark: a program of a host, linked to the shared library. (Examples: mk/examples.mk.)

bench_objects := $(patsubst bench/%.c,$(BUILD)/obj/bench/%.o,$(wildcard bench/*.c))

$(BUILD)/obj/bench/%.o: bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(cflags_program) $(optimise) $(CFLAGS) -c -o $@ $<

$(BUILD)/bench/bench: $(bench_objects) $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(sanitize) $(LDFLAGS) -o $@ $(bench_objects) $(link_program) -lm -pthread

.SECONDARY:
-include $(bench_objects:.o=.d)
