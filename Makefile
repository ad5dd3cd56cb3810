# Holdfast. `make help` lists the targets.
.DEFAULT_GOAL := all
MODE   ?= release
BUILD  ?= build/$(MODE)
PREFIX ?= /usr/local

CFLAGS.debug    := -O1 -g3
CFLAGS.release  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS.sanitize := -O1 -g3 -DSANITIZE -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS.coverage := -O0 -g3 --coverage
MODE.CFLAGS     := $(CFLAGS.$(MODE))

PKGS.holdfast := libcurl libzstd libcrypto json-c libprotobuf-c libisal
CPPFLAGS += -D_GNU_SOURCE -Isrc -I$(BUILD)/gen/proto
CFLAGS   += -std=gnu2x -fPIE -pthread $(MODE.CFLAGS)
LDFLAGS  += -pie -pthread $(MODE.CFLAGS)
LDLIBS    = $(shell pkg-config --libs $(PKGS.holdfast))
WARN     := @scripts/warnings

# What each folder's library needs to link; src/LAYERS says what it may include.
uses.util     :=
uses.crypto   := util
uses.codec    := util
uses.filter   := crypto codec util
uses.http     := util
uses.boltdb   := filter crypto codec util
uses.wal      := codec util
uses.storage  := filter crypto codec util
uses.wire     := http filter crypto codec util
uses.mvcc     := boltdb filter crypto codec util
uses.snapshot := mvcc wire storage wal boltdb http filter crypto codec util
uses.restore  := snapshot $(uses.snapshot)
uses.cli      := restore $(uses.restore)

FOLDERS := $(patsubst uses.%,%,$(filter uses.%,$(.VARIABLES)))
PROTO   := $(wildcard src/codec/proto/*.proto)
GEN     := $(PROTO:src/codec/proto/%.proto=$(BUILD)/gen/proto/%.pb-c)
HDRS    := $(wildcard src/*/*.h)
UNITS   := $(patsubst tests/unit/%/,%,$(wildcard tests/unit/*/))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(BUILD)/holdfast            ## build everything (MODE=debug|release|sanitize|coverage)

help:                             ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# ---- objects, one library a folder -------------------------------------------------
objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/$(1)/*.c))
define folder
$$(BUILD)/lib$(1).a: $$(call objects,$(1)) $$(if $$(filter codec,$(1)),$$(GEN:=.o))
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder,$(f))))
archives = $(foreach f,$(1),$(BUILD)/lib$(f).a)

$(BUILD)/holdfast: $(BUILD)/src/main.o $(call archives,cli $(uses.cli))
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c $< -o $@

$(BUILD)/gen/proto/%.pb-c.c $(BUILD)/gen/proto/%.pb-c.h &: src/codec/proto/%.proto
	@mkdir -p $(@D)
	@protoc-c --proto_path=src/codec/proto --c_out=$(BUILD)/gen/proto $<

# Generated code is not ours to warn about.
$(BUILD)/gen/proto/%.o: $(BUILD)/gen/proto/%.c $(GEN:=.h)
	@$(CC) $(CPPFLAGS) $(CFLAGS) -w -c $< -o $@
$(BUILD)/src/%.o $(BUILD)/tests/%.o: | $(GEN:=.h)

# ---- tests ---------------------------------------------------------------------------
TESTLIB := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))
TESTCPP := -I. -DHOLDFAST_BIN='"$(abspath $(BUILD)/holdfast)"'
$(BUILD)/tests/%.o: CPPFLAGS += $(TESTCPP)

define unit
$$(BUILD)/tests/unit/$(1)/run: $$(patsubst %.c,$$(BUILD)/%.o,$$(wildcard tests/unit/$(1)/*.c)) $$(TESTLIB) $$(call archives,$(1) $$(uses.$(1)))
	@echo "  LD    $$@"
	@$$(CC) $$(LDFLAGS) $$^ $$(LDLIBS) -lcriterion -lnghttp2 -o $$@
unit-$(1): $$(BUILD)/tests/unit/$(1)/run
	$$(BUILD)/tests/unit/$(1)/run $$(CRITERION)
endef
$(foreach f,$(UNITS),$(eval $(call unit,$(f))))
unit: $(UNITS:%=unit-%)           ## unit tests in the current MODE

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all help unit $(UNITS:%=unit-%)
.SECONDARY:
