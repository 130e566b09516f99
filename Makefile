# SPDX-License-Identifier: Apache-2.0
# Every stage by name; each is SwiftPM or one script.
.PHONY: build release setup test lint format hot-path end-to-end conformance fuzz demo bench cost zero-copy lab-up lab-down clean

build:        ; swift build
release:      ; swift build -c release
setup:        ; scripts/setup
test:         ; scripts/test
lint:         ; scripts/lint
format:       ; swift format --in-place --parallel --recursive Package.swift Plugins Sources Tests
hot-path:     ; scripts/check-hot-path
conformance:  ; scripts/conformance && scripts/conformance --hostile && scripts/conformance --determinism
fuzz:         ; scripts/fuzz 60
end-to-end:   ; python3 Tests/EndToEnd/run
demo:         ; scripts/demo
bench:        ; scripts/bench
cost:         ; scripts/check-cost
zero-copy:    ; scripts/test-zero-copy
lab-up:       ; scripts/lab up
lab-down:     ; scripts/lab down
clean:        ; rm -rf .build
