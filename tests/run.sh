#!/usr/bin/env bash
# Installs what the tests need (once, outside the tree) and runs them all. Fails on the first thing that fails.
#
#   tests/run.sh              everything
#   tests/run.sh -- FILTER    only the Rust tests that match, as `cargo nextest run FILTER` or `cargo test FILTER` would
#
# VALETKEY_TEST_CACHE   where the servers and clients are installed (default: valetkey-tests in the user's cache folder)
# VALETKEY_FUZZ_SECONDS how long each parser is fuzzed (default 60)
#
# The servers of the bench need no ending here: a watchdog ends them when the test run's process is gone, however it went.
set -euo pipefail
cd "$(dirname "$0")/.."

section() { printf '\n== %s ==\n' "$*"; }

# Google's client reads these by itself, and has to reach a relay within the test's own process.
spared="${NO_PROXY:-${no_proxy:-}}"
export NO_PROXY="127.0.0.1${spared:+,$spared}"
unset GCE_METADATA_HOST

run_rust_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        # No colour: the output is read in logs.
        cargo nextest run --locked --color never --no-fail-fast "$@"
    else
        cargo test --locked --color never --lib --bins --tests --no-fail-fast "$@"
    fi
}

section 'install what the tests need'
cache="$(tests/install.sh all)"
printf 'ready in %s\n' "$cache"
export VALETKEY_TEST_CACHE="$cache"

if [ "${1:-}" = -- ]; then
    section 'tests that match'
    run_rust_tests "${@:2}"
    exit
fi

section 'proto lint'
"$cache/npm/node_modules/.bin/buf" lint proto

section 'tests'
run_rust_tests

section 'documentation tests'
cargo test --locked --color never --doc

section 'fuzz'
tests/fuzz.sh

section 'all passed'
