# install, uninstall: headers to include/gm, libraries, gm.pc, the CMake package, share/doc/gm. The script gets its paths
# through the environment: they may hold blanks, and relative ones are made absolute there.

DOCDIR ?= $(PREFIX)/share/doc/gm
DEBUG_SYMBOLS ?=
STRIP ?= strip
OBJCOPY ?= objcopy

.PHONY: install uninstall
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export INCLUDEDIR := $(INCLUDEDIR)
install uninstall: export LIBDIR := $(LIBDIR)
install uninstall: export DOCDIR := $(DOCDIR)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export VERSION := $(version)
install: library
	@BUILD="$(BUILD)" CC="$(CC)" STRIP="$(STRIP)" OBJCOPY="$(OBJCOPY)" SHARED_LIBS="$(strip $(library_libs))" \
	  ARCHIVE_LIBS="$(strip $(call flags_of,libs --static $(BLAS) zlib) -lm -pthread)" \
	  scripts/install install $(if $(filter-out 0,$(DEBUG_SYMBOLS)),debug)
uninstall:
	@scripts/install uninstall
