# Examples: experiments with options, pictures and JSON (build/examples/NAME), and minimal programs that include nothing
# but <gm/gm.h> (build/examples/minimal/NAME).

experiment_sources := $(wildcard examples/experiments/*.c)
experiment_hosts := $(wildcard examples/experiments/*.cpp)
experiments := $(experiment_sources:examples/experiments/%.c=$(BUILD)/examples/%)
experiments_cxx := $(experiment_hosts:examples/experiments/%.cpp=$(BUILD)/examples/%)
minimal_c := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/minimal/*.c))
minimal_cxx := $(patsubst examples/%.cpp,$(BUILD)/examples/%,$(wildcard examples/minimal/*.cpp))
common_objects := $(patsubst examples/%.c,$(BUILD)/obj/examples/%.o,$(wildcard examples/common/*.c))
examples := $(experiments) $(experiments_cxx) $(minimal_c) $(minimal_cxx)

.PHONY: examples
examples: $(examples)

cflags_program = $(CC) -std=c11 -g -pthread $(sanitize) $(warnings) -MMD -MP -Iinclude -Iexamples $(cairo_cflags)
cxxflags_program = $(CXX) -std=c++17 -g -pthread $(sanitize) -Wall -Wextra -Wpedantic -Werror -MMD -MP -Iinclude -Iexamples
link_libgm = -L$(BUILD)/lib -lgm -Wl,-rpath-link,$(BUILD)/lib
link_program = $(link_libgm) -Wl,-rpath,'$$ORIGIN/../lib'
link_minimal = $(link_libgm) -Wl,-rpath,'$$ORIGIN/../../lib'

$(BUILD)/obj/examples/%.o: examples/%.c $(BUILD)/flags | $(BUILD)/needs/examples
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(cflags_program) $(optimise) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/examples/%.o: examples/%.cpp $(BUILD)/flags | $(BUILD)/needs/examples
	@mkdir -p $(@D)
	$(say) CXX $<
	$(Q)$(cxxflags_program) $(optimise) $(CXXFLAGS) -c -o $@ $<

# As a stranger compiles them: no folder but the installed headers'.
$(minimal_c:$(BUILD)/examples/%=$(BUILD)/obj/examples/%.o): cflags_program = $(CC) -std=c11 -g $(sanitize) $(warnings) -MMD -MP -Iinclude
$(minimal_cxx:$(BUILD)/examples/%=$(BUILD)/obj/examples/%.o): cxxflags_program = $(CXX) -std=c++17 -g $(sanitize) -Wall -Wextra -Wpedantic -Werror -MMD -MP -Iinclude

$(experiments): $(BUILD)/examples/%: $(BUILD)/obj/examples/experiments/%.o $(common_objects) $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(sanitize) $(LDFLAGS) -o $@ $< $(common_objects) $(link_program) $(cairo_libs) -lz -lm -pthread

$(experiments_cxx): $(BUILD)/examples/%: $(BUILD)/obj/examples/experiments/%.o $(common_objects) $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CXX) $(sanitize) $(LDFLAGS) -o $@ $< $(common_objects) $(link_program) $(cairo_libs) -lz -lm -pthread

$(minimal_c): $(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(sanitize) $(LDFLAGS) -o $@ $< $(link_minimal)

$(minimal_cxx): $(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(BUILD)/lib/libgm.so
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CXX) $(sanitize) $(LDFLAGS) -o $@ $< $(link_minimal)

.SECONDARY:
-include $(common_objects:.o=.d) $(wildcard $(BUILD)/obj/examples/*/*.d)
