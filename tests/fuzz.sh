#!/usr/bin/env bash
# Fuzzes every parser that reads what a stranger may have written, each for VALETKEY_FUZZ_SECONDS (60) seconds.
#
#   tests/fuzz.sh             all targets
#   tests/fuzz.sh token       one of them
#   tests/fuzz.sh token FILE  run one input again
#
# libFuzzer with coverage from the stable toolchain and no sanitizer: the code has no unsafe, a crash is a panic.
# What was found stays in the corpus of the cache folder and is tried again by the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly seconds="${VALETKEY_FUZZ_SECONDS:-60}"
readonly targets=(sealed_record token settings)
readonly cache="${VALETKEY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/valetkey-tests}/fuzz"
readonly build="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
# The slowest input allowed, the largest input, and the memory of one run: bounds, not wishes.
readonly limits=(-timeout=10 -max_len=65536 -rss_limit_mb=2048)

case "$seconds" in '' | *[!0-9]*)
    printf 'fuzz: VALETKEY_FUZZ_SECONDS is not a number: %s\n' "$seconds" >&2
    exit 2
    ;;
esac

host="$(rustc -vV | sed -n 's/^host: //p')"

# --target keeps the coverage flags away from build scripts and macros; RUSTC_BOOTSTRAP lets a stable compiler take them.
build_targets() {
    local coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
    coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions=on -Coverflow-checks=on --cfg fuzzing"
    cp Cargo.lock tests/fuzz/Cargo.lock # the versions of the daemon; cargo adds libFuzzer's own
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="$coverage" CARGO_TARGET_DIR="$build" \
        cargo build --release --quiet --manifest-path tests/fuzz/Cargo.toml --target "$host"
}

binary() { printf '%s/%s/release/%s' "$build" "$host" "$1"; }

fuzz() {
    local target="$1" folder="$cache/$1"
    mkdir -p "$folder/corpus" "$folder/crashes"
    printf 'fuzz: %s for %s s\n' "$target" "$seconds"
    if ! "$(binary "$target")" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 \
        -artifact_prefix="$folder/crashes/" "$folder/corpus" "tests/fuzz/seeds/$target" >"$folder/log" 2>&1; then
        tail -n 40 "$folder/log"
        printf 'fuzz: %s FAILED; the input is in %s\n' "$target" "$folder/crashes" >&2
        return 1
    fi
    grep -E 'number_of_executed_units|new_units_added' "$folder/log"
}

build_targets
if [ "$#" -ge 2 ]; then
    exec "$(binary "$1")" "${limits[@]}" "${@:2}"
fi
[ "$#" -gt 0 ] || set -- "${targets[@]}"
for target in "$@"; do
    fuzz "$target"
done
