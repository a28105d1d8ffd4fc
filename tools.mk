# The tools, each pinned, installed from Go modules into .bin/ on demand. They are not pooled in go.mod: their own
# requirements conflict. A stamp file for each version makes a changed version install anew.
BIN := $(CURDIR)/.bin

BUF_VERSION           := v1.75.0
PROTOC_GEN_GO_VERSION := v1.36.12
GOLANGCI_LINT_VERSION := v2.15.0

BUF           := $(BIN)/.buf-$(BUF_VERSION)
PROTOC_GEN_GO := $(BIN)/.protoc-gen-go-$(PROTOC_GEN_GO_VERSION)
GOLANGCI_LINT := $(BIN)/.golangci-lint-$(GOLANGCI_LINT_VERSION)

# install-tool installs the module of $(1) and leaves the stamp that is the target.
define install-tool
	@echo "installing $(1)"
	@mkdir -p $(BIN)
	@GOBIN=$(BIN) GOFLAGS= go install $(1)
	@touch $@
endef

$(BUF):
	$(call install-tool,github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION))

$(PROTOC_GEN_GO):
	$(call install-tool,google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION))

$(GOLANGCI_LINT):
	$(call install-tool,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))
