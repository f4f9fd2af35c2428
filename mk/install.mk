# install, uninstall: headers to include/gm, libraries, gm.pc and gm-config.cmake.

pcdir := $(LIBDIR)/pkgconfig
cmakedir := $(LIBDIR)/cmake/gm
headers := $(wildcard include/gm/*.h)
fill = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
  -e 's|@VERSION@|$(version)|' -e 's|@LIBS_PRIVATE@|$(strip $(library_libs))|'

.PHONY: install uninstall
install: library
	@install -d $(DESTDIR)$(INCLUDEDIR)/gm $(DESTDIR)$(pcdir) $(DESTDIR)$(cmakedir)
	@install -m 644 $(headers) $(DESTDIR)$(INCLUDEDIR)/gm
	@install -m 755 $(shared) $(DESTDIR)$(LIBDIR)
	@ln -sf $(notdir $(shared)) $(DESTDIR)$(LIBDIR)/$(soname)
	@ln -sf $(soname) $(DESTDIR)$(LIBDIR)/libgm.so
	@install -m 644 $(static) $(DESTDIR)$(LIBDIR)
	@$(fill) pkgconfig/gm.pc.in > $(DESTDIR)$(pcdir)/gm.pc
	@$(fill) pkgconfig/gm-config.cmake.in > $(DESTDIR)$(cmakedir)/gm-config.cmake
	@$(fill) pkgconfig/gm-config-version.cmake.in > $(DESTDIR)$(cmakedir)/gm-config-version.cmake
	@echo "libgm $(version) is in $(DESTDIR)$(PREFIX)"

uninstall:
	@rm -f $(headers:include/%=$(DESTDIR)$(INCLUDEDIR)/%)
	@rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libgm.so $(soname) $(notdir $(shared)) libgm.a)
	@rm -f $(DESTDIR)$(pcdir)/gm.pc $(DESTDIR)$(cmakedir)/gm-config.cmake $(DESTDIR)$(cmakedir)/gm-config-version.cmake
	@rmdir $(DESTDIR)$(INCLUDEDIR)/gm $(DESTDIR)$(cmakedir) 2>/dev/null || true
