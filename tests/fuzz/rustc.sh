#!/usr/bin/env bash
# The compiler of the fuzz targets: valetkey itself gets libFuzzer's coverage, all else is as the daemon's tests have it.
# Called by cargo as RUSTC_WRAPPER, with the real compiler first.
set -euo pipefail

case " $* " in
    *' --crate-name valetkey '*)
        set -- "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares
        ;;
esac
exec "$@"
