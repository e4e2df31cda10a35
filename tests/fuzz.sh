#!/usr/bin/env bash
# Fuzzes every parser that reads what a stranger may have written, as many at a time as there are processors. Those of
# tokens, settings and the store get VALETKEY_FUZZ_SECONDS (60) seconds each, the others a third of that.
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
# The long ones first, so that none runs alone at the end.
readonly long=(sealed_record token settings)
readonly short=(challenge cloud_answers google_credentials kubeconfig session_policy ssh_agent ssh_keys token_answer)
readonly cache="${VALETKEY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/valetkey-tests}/fuzz"
readonly build="${CARGO_TARGET_DIR:-$PWD/target}"
# The slowest input allowed, the largest input, and the memory of one run: bounds, not wishes.
readonly limits=(-timeout=10 -max_len=65536 -rss_limit_mb=2048)

case "$seconds" in '' | *[!0-9]*)
    printf 'fuzz: VALETKEY_FUZZ_SECONDS is not a number: %s\n' "$seconds" >&2
    exit 2
    ;;
esac

# In the folder and by the profile of the daemon's tests: what was built for them is not built again, and valetkey alone
# is compiled with coverage. The lock file is the daemon's; cargo adds libFuzzer's own crates.
build_targets() {
    mkdir -p "$build"
    awk '/^\[/ { kept = /^\[profile\.dev/ } kept' Cargo.toml >"$build/fuzz-profile.toml"
    cp Cargo.lock tests/fuzz/Cargo.lock
    RUSTC_WRAPPER="$PWD/tests/fuzz/rustc.sh" CARGO_INCREMENTAL=0 CARGO_TARGET_DIR="$build" \
        cargo build --quiet --manifest-path tests/fuzz/Cargo.toml --config "$build/fuzz-profile.toml"
}

binary() { printf '%s/debug/fuzz_%s' "$build" "$1"; }

time_of() { case " ${long[*]} " in *" $1 "*) printf '%s' "$seconds" ;; *) printf '%s' "$(((seconds + 2) / 3))" ;; esac; }

fuzz() {
    local target="$1" folder="$cache/$1" limit
    limit="$(time_of "$target")"
    mkdir -p "$folder/corpus" "$folder/crashes"
    if ! "$(binary "$target")" "${limits[@]}" -max_total_time="$limit" -print_final_stats=1 \
        -artifact_prefix="$folder/crashes/" "$folder/corpus" "tests/fuzz/seeds/$target" >"$folder/log" 2>&1; then
        tail -n 40 "$folder/log"
        printf 'fuzz: %s FAILED; the input is in %s\n' "$target" "$folder/crashes" >&2
        return 1
    fi
    printf 'fuzz: %s for %s s: %s inputs\n' "$target" "$limit" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/log")"
}

build_targets
if [ "$#" -ge 2 ]; then
    exec "$(binary "$1")" "${limits[@]}" "${@:2}"
fi
[ "$#" -gt 0 ] || set -- "${long[@]}" "${short[@]}"
failed=0
for target in "$@"; do
    while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
        wait -n || failed=1
    done
    fuzz "$target" &
done
while [ -n "$(jobs -p)" ]; do
    wait -n || failed=1
done
exit "$failed"
