# Holdfast. `make help` lists the targets.
.DEFAULT_GOAL := all
MODE   ?= release
BUILD  ?= build/$(MODE)
PREFIX ?= /usr/local

CFLAGS.debug    := -O1 -g3
CFLAGS.release  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS.sanitize := -O1 -g3 -DSANITIZE -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS.coverage := -O0 -g3 --coverage
CFLAGS.fuzz     := -O1 -g -DSANITIZE -fsanitize=fuzzer-no-link,address,undefined \
                   -fno-sanitize-recover=all
MODE.CFLAGS     := $(CFLAGS.$(MODE))

PKGS.holdfast := libcurl libzstd libcrypto json-c libprotobuf-c libisal sqlite3 libcrypt libcyaml libarchive \
                 libmicrohttpd
# Generated code is the same in every MODE, so it lies beside them.
GENDIR   := build/gen/proto
CPPFLAGS += -D_GNU_SOURCE -Isrc -I$(GENDIR)
CFLAGS   += -std=gnu2x -fPIE -pthread $(MODE.CFLAGS)
LDFLAGS  += -pie -pthread $(MODE.CFLAGS)
LDLIBS    = $(shell pkg-config --libs $(PKGS.holdfast))
WARN     := @scripts/warnings
# gcc cannot see that err_set() never returns RC_OK: docs/decisions/0001.
ifeq (,$(findstring clang,$(CC)))
WARN     += -Wno-maybe-uninitialized
endif

# What each folder's library needs to link; src/LAYERS says what it may include.
uses.util     :=
uses.crypto   := util
uses.codec    := util
uses.sql      := util
uses.yaml     := util
uses.filter   := crypto codec util
uses.http     := util
uses.boltdb   := filter crypto codec util
uses.wal      := crypto codec util
uses.storage  := http filter crypto codec util
uses.bundle   := storage $(uses.storage)
uses.catalog  := storage sql $(uses.storage)
uses.wire     := http filter crypto codec util
uses.mvcc     := boltdb filter crypto codec util
uses.host     := storage yaml $(uses.storage)
uses.machine  := mvcc wal boltdb filter crypto codec util
uses.grpcd    := crypto codec util
uses.snapshot := mvcc wire storage wal boltdb http filter crypto codec util
uses.datadir  := snapshot machine $(uses.snapshot)
uses.restore  := snapshot $(uses.snapshot)
uses.defrag   := snapshot $(uses.snapshot)
uses.salvage  := defrag datadir $(uses.datadir)
uses.member   := snapshot $(uses.snapshot)
uses.care     := member sql $(uses.member)
uses.membership := host yaml care member sql $(uses.member)
uses.recover  := restore host yaml care datadir machine $(uses.care)
uses.lab      := member $(uses.member)
uses.repo     := bundle care catalog $(uses.care)
uses.drill    := lab restore member $(uses.member)
uses.runbook  := membership recover $(uses.recover)
uses.agent    := catalog $(uses.recover)
uses.cli      := runbook agent drill repo bundle catalog lab membership recover salvage care member sql restore defrag host yaml datadir $(uses.datadir)

uses.raftstore := grpcd restore datadir machine $(uses.restore)

# What only the programs beside the tool link, and what their unit tests need besides.
libs.grpcd    := -lnghttp2 -luv -lssl
libs.raftstore := -lraft -lcrypt
also.grpcd    := wire http filter
libs_of        = $(foreach f,$(1) $(uses.$(1)),$(libs.$(f)))

FOLDERS := $(patsubst uses.%,%,$(filter uses.%,$(.VARIABLES)))
PROTO   := $(wildcard src/codec/proto/*.proto)
GEN     := $(PROTO:src/codec/proto/%.proto=$(GENDIR)/%.pb-c)
GENOBJ  := $(GEN:$(GENDIR)/%=$(BUILD)/gen/proto/%.o)
HDRS    := $(wildcard src/*/*.h)
UNITS   := $(patsubst tests/unit/%/,%,$(wildcard tests/unit/*/))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

all: $(BUILD)/holdfast $(BUILD)/holdfast-lab ## build everything (MODE=debug|release|sanitize|coverage)

help:                             ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# ---- objects, one library a folder -------------------------------------------------
objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/$(1)/*.c))
define folder
$$(BUILD)/lib$(1).a: $$(call objects,$(1)) $$(if $$(filter codec,$(1)),$$(GENOBJ))
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder,$(f))))
archives = $(foreach f,$(1),$(BUILD)/lib$(f).a)

$(BUILD)/holdfast: $(BUILD)/src/main.o $(call archives,cli $(uses.cli))
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/holdfast-lab: $(BUILD)/src/lab_main.o $(call archives,raftstore $(uses.raftstore))
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) $^ $(call libs_of,raftstore) $(LDLIBS) -o $@

$(BUILD)/%.o: %.c | $(GEN:=.h)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c $< -o $@

$(GENDIR)/%.pb-c.c $(GENDIR)/%.pb-c.h &: src/codec/proto/%.proto
	@mkdir -p $(@D)
	@protoc-c --proto_path=src/codec/proto --c_out=$(GENDIR) $<

# Generated code is not ours to warn about.
$(BUILD)/gen/proto/%.o: $(GENDIR)/%.c $(GEN:=.h)
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS) -w -c $< -o $@

# ---- tests ---------------------------------------------------------------------------
TESTLIB := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))
TESTCPP := -I. -DHOLDFAST_BIN='"$(abspath $(BUILD)/holdfast)"' \
           -DHOLDFAST_LAB_BIN='"$(abspath $(BUILD)/holdfast-lab)"'
$(BUILD)/tests/%.o: CPPFLAGS += $(TESTCPP)

# Fixtures that one folder's tests borrow from another's.
unitlib.storage := $(wildcard tests/store/*.c)
unitlib.boltdb  := $(wildcard tests/forge/*.c)
unitlib.recover := tests/unit/datadir/den.c
unitlib.machine := $(addprefix tests/unit/mvcc/,fixture.c reference.c story.c)
unitlib.salvage := tests/unit/datadir/den.c

define unit
$$(BUILD)/tests/unit/$(1)/run: $$(patsubst %.c,$$(BUILD)/%.o,$$(wildcard tests/unit/$(1)/*.c) $$(unitlib.$(1))) $$(TESTLIB) $$(call archives,$(1) $$(also.$(1)) $$(uses.$(1)))
	@echo "  LD    $$@"
	@$$(CC) $$(LDFLAGS) $$^ $$(call libs_of,$(1)) $$(LDLIBS) -lcriterion -lnghttp2 -o $$@
unit-$(1): $$(BUILD)/tests/unit/$(1)/run
	$$(BUILD)/tests/unit/$(1)/run $$(CRITERION)
endef
$(foreach f,$(UNITS),$(eval $(call unit,$(f))))
unit: $(UNITS:%=unit-%)           ## unit tests in the current MODE

# Flow tests run the built program against real servers; they need scripts/peers.
FLOWS := $(patsubst tests/flow/test_%.c,%,$(wildcard tests/flow/test_*.c))
FLOWLIB := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(wildcard tests/flow/test_*.c),$(wildcard tests/flow/*.c)) \
  $(wildcard tests/forge/*.c tests/store/*.c) \
  tests/unit/machine/mfixture.c)
define flow
$$(BUILD)/tests/flow/$(1): $$(BUILD)/tests/flow/test_$(1).o $$(FLOWLIB) $$(TESTLIB) $$(call archives,cli $$(uses.cli))
	@echo "  LD    $$@"
	@$$(CC) $$(LDFLAGS) $$^ $$(LDLIBS) -lcriterion -lnghttp2 -o $$@
flow-$(1): $$(BUILD)/tests/flow/$(1) $$(BUILD)/holdfast $$(BUILD)/holdfast-lab
	$$(BUILD)/tests/flow/$(1) -j2 $$(CRITERION)
endef
$(foreach f,$(FLOWS),$(eval $(call flow,$(f))))
$(BUILD)/tests/flow/repo_memory: | $(BUILD)/tests/bench/invent
flow: $(FLOWS:%=flow-%)           ## whole commands against real etcd (scripts/peers first)
tests: $(UNITS:%=$(BUILD)/tests/unit/%/run) $(FLOWS:%=$(BUILD)/tests/flow/%) all

# Each fuzz target runs FUZZ_SECONDS from its corpus; a finding fails the run.
FUZZ_SECONDS ?= 60
define fuzzer
$$(BUILD)/fuzz/$(1): $$(BUILD)/tests/fuzz/fuzz_$(1).o $$(call archives,$$(filter $(1),$$(FOLDERS)) $$(filter-out snapshot $$(uses.snapshot),$$(uses.$(1))) snapshot $$(uses.snapshot))
	@mkdir -p $$(@D)
	@$$(CC) $$(LDFLAGS) -fsanitize=fuzzer $$^ $$(call libs_of,$(1)) $$(LDLIBS) -o $$@
fuzz-$(1): $$(BUILD)/fuzz/$(1)
	@mkdir -p $$(BUILD)/corpus/$(1)
	$$(BUILD)/fuzz/$(1) -max_total_time=$$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=10 \
	  -print_final_stats=0 -verbosity=0 $$(BUILD)/corpus/$(1) $$(wildcard tests/fuzz/corpus/$(1))
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzzer,$(f))))
run-fuzzers: $(FUZZERS:%=fuzz-%)
fuzz:                             ## run every fuzz target for FUZZ_SECONDS (default 60)
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang run-fuzzers

$(BUILD)/tests/bench/load: $(BUILD)/tests/bench/load.o $(call archives,wire $(uses.wire))
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(BUILD)/tests/bench/invent: $(BUILD)/tests/bench/invent.o $(call archives,storage mvcc boltdb $(uses.storage))
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# ---- what CI runs --------------------------------------------------------------------
test:                             ## everything CI runs; installs what is missing
	@scripts/setup test
	@scripts/peers $(if $(CI),--require)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory -j2 CC=clang BUILD=build/clang all
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory check-help
	@$(MAKE) --no-print-directory -j2 MODE=sanitize tests
	@$(MAKE) --no-print-directory -j2 -Otarget MODE=sanitize unit flow
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=3
	@echo "all tests passed"

test-long: test                   ## the same, then longer seeds and a minute of each fuzzer
	@HOLDFAST_LONG=1 $(MAKE) --no-print-directory MODE=sanitize unit flow
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=60

demo:                             ## save, lose the quorum, restore, compare: on the lab (ETCD=1: on a real etcd)
	@scripts/setup build
	@$(MAKE) --no-print-directory -j2 all
	@scripts/demo$(if $(ETCD),-etcd) $(BUILD)/holdfast

bench:                            ## ratios to etcdctl and etcdutl, side by side (SETS="small medium")
	@scripts/setup test
	@scripts/peers 3.5 3.6
	@$(MAKE) --no-print-directory MODE=release all build/release/tests/bench/load build/release/tests/bench/invent
	@scripts/bench build/release $(SETS)

# ---- what else is made from the option tables ------------------------------------------
man: $(BUILD)/holdfast            ## manual pages, into $(BUILD)/man
	@mkdir -p $(BUILD)/man
	@for page in $$($< manual --list); do $< manual $$page > $(BUILD)/man/$$page.scd && \
	  scdoc < $(BUILD)/man/$$page.scd > $(BUILD)/man/$$page.1 || exit 1; done
	@scdoc < docs/holdfast-lab.1.scd > $(BUILD)/man/holdfast-lab.1

check-help: $(BUILD)/holdfast     ## help, manual, completion and runbooks agree, streams are right
	@scripts/check-help $<
	@scripts/check-runbooks $<

runbooks: $(BUILD)/holdfast       ## write docs/runbooks as the tool prints them
	@scripts/check-runbooks $< --write

SHARE = $(DESTDIR)$(PREFIX)/share
install: man $(BUILD)/holdfast-lab ## program, manual, completion (PREFIX, DESTDIR)
	@install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/holdfast $(BUILD)/holdfast-lab
	@install -D -m 644 -t $(SHARE)/man/man1 $(BUILD)/man/*.1
	@mkdir -p $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions \
	  $(SHARE)/fish/vendor_completions.d
	@$(BUILD)/holdfast completion bash > $(SHARE)/bash-completion/completions/holdfast
	@$(BUILD)/holdfast completion zsh > $(SHARE)/zsh/site-functions/_holdfast
	@$(BUILD)/holdfast completion fish > $(SHARE)/fish/vendor_completions.d/holdfast.fish

deb:                              ## Debian packages into build/deb-VERSION, judged by lintian
	@scripts/setup deb
	@scripts/deb

# ---- house keeping -------------------------------------------------------------------
OURS = $(wildcard src/*.c src/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
format:                           ## clang-format all sources
	@clang-format -i $(OURS)

lint: $(GEN:=.h)                  ## layers, format, lone headers, banned calls, function size, clang-tidy
	@scripts/check-layers
	@clang-format --dry-run -Werror $(OURS)
	@for h in $(HDRS:src/%=%); do echo "#include \"$$h\"" | \
	  $(CC) $(CPPFLAGS) -std=gnu2x -fsyntax-only -xc - || exit 1; done
	@scripts/check-source
	@scripts/check-commands
	@scripts/check-fault-rows
	@printf '%s\n' $(wildcard src/*.c src/*/*.c) | xargs -P2 -n6 sh -c 'clang-tidy --quiet \
	  "$$@" -- $(CPPFLAGS) -std=gnu2x 2>/dev/null' tidy
	@echo "lint: clean"

coverage:                         ## line coverage a file, from the unit tests
	@$(MAKE) --no-print-directory MODE=coverage unit
	@scripts/coverage build/coverage

compdb: $(GEN:=.h)                ## write compile_commands.json
	@scripts/compdb "$(CC) $(CPPFLAGS) $(CFLAGS)" > compile_commands.json

clean:                            ## remove everything that was built
	@rm -rf build compile_commands.json

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all help unit $(UNITS:%=unit-%) tests flow $(FLOWS:%=flow-%) fuzz run-fuzzers \
  $(FUZZERS:%=fuzz-%) test test-long demo bench format lint coverage compdb clean \
  man check-help runbooks install deb
.SECONDARY:
