# Examples and the benchmark: programs of a host, linked to the shared library.

example_sources := $(wildcard examples/*.c)
example_common := $(wildcard examples/common/*.c)
example_hosts := $(wildcard examples/*.cpp)
examples := $(example_sources:examples/%.c=$(BUILD)/examples/%) $(example_hosts:examples/%.cpp=$(BUILD)/examples/%)
common_objects := $(example_common:examples/%.c=$(BUILD)/obj/examples/%.o)
bench_objects := $(patsubst bench/%.c,$(BUILD)/obj/bench/%.o,$(wildcard bench/*.c))

.PHONY: examples
examples: $(examples)

cflags_program = $(CC) -std=c11 -g -pthread $(sanitize) $(warnings) -MMD -MP -Iinclude -Iexamples $(cairo_cflags)
link_program = -L$(BUILD)/lib -lgm -Wl,-rpath,'$$ORIGIN/../lib' -Wl,-rpath-link,$(BUILD)/lib

$(BUILD)/obj/examples/%.o: examples/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(cflags_program) $(optimise) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/examples/%.o: examples/%.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CXX $<
	$(Q)$(CXX) -std=c++17 -g -pthread $(sanitize) -Wall -Wextra -Wpedantic -Werror -MMD -MP -Iinclude -Iexamples \
	  -Iexamples $(optimise) $(CXXFLAGS) -c -o $@ $<

$(BUILD)/obj/bench/%.o: bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(cflags_program) $(optimise) $(CFLAGS) -c -o $@ $<

$(example_sources:examples/%.c=$(BUILD)/examples/%): $(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(common_objects) $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(sanitize) $(LDFLAGS) -o $@ $< $(common_objects) $(link_program) $(cairo_libs) -lz -lm -pthread

$(example_hosts:examples/%.cpp=$(BUILD)/examples/%): $(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(common_objects) $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CXX) $(sanitize) $(LDFLAGS) -o $@ $< $(common_objects) $(link_program) $(cairo_libs) -lz -lm -pthread

$(BUILD)/bench/bench: $(bench_objects) $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(sanitize) $(LDFLAGS) -o $@ $(bench_objects) $(link_program) -lm -pthread

.SECONDARY:
-include $(common_objects:.o=.d) $(bench_objects:.o=.d) $(patsubst $(BUILD)/examples/%,$(BUILD)/obj/examples/%.d,$(examples))
