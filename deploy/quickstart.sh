#!/usr/bin/env bash
# The main story on real software: a vault, an S3 and STS server that enforce, and people with different roles.
#
#   deploy/quickstart.sh          walk through it, clean up, end with `quickstart: ok`
#   deploy/quickstart.sh --keep   the same, leave everything running and print the exports to paste
#
# Installs what it needs into the cache of the tests (Python packages: SeaweedFS as S3 and STS, boto3), builds valetkey
# unless VALETKEY_BIN names a binary, and listens on loopback only.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
keep=no
case "${1:-}" in
    '') ;;
    --keep) keep=yes ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 2
        ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/valetkey-quickstart.XXXXXX")
chmod 0700 "$work"
pids=()

clean_up() {
    local status=$?
    if [ "$keep" = yes ] && [ "$status" -eq 0 ]; then
        return
    fi
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    # SeaweedFS takes minutes to heed SIGTERM.
    sleep 0.3
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "$status" -ne 0 ]; then
        printf '\nquickstart: failed; the last lines of the daemon:\n' >&2
        tail -n 15 "$work/valetkey.log" >&2 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT

step() { printf '\n== %s\n' "$*"; }
show() {
    printf '$ %s\n' "$*"
    "$@"
}
# The command must be refused, with this exit code (3 denied, 1 refused for another reason, 4 not found).
refused() {
    local wanted=$1 status=0
    shift
    printf '$ %s\n' "$*"
    "$@" 2>&1 || status=$?
    if [ "$status" -ne "$wanted" ]; then
        printf 'quickstart: expected exit code %s, got %s\n' "$wanted" "$status" >&2
        exit 1
    fi
    printf '   (refused, as it should be)\n'
}
until_ready() {
    local what=$1 tries=300
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ]; then
            printf 'quickstart: %s did not start\n' "$what" >&2
            exit 1
        fi
        sleep 0.1
    done
}
free_ports() {
    "$python" - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}

step 'Install SeaweedFS and boto3, build valetkey'
cache=$("$root/tests/install.sh" python)
python="$cache/venv/bin/python"
if [ -z "${VALETKEY_BIN:-}" ]; then
    cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --bin valetkey
    VALETKEY_BIN="${CARGO_TARGET_DIR:-$root/target}/debug/valetkey"
fi
valetkey() { "$VALETKEY_BIN" "$@"; }

step 'Start S3 and STS on loopback'
read -r master mastergrpc volume volumegrpc filer filergrpc s3 s3grpc vault < <(free_ports 9)
mkdir -p "$work/s3"
cp "$here/quickstart/s3.json" "$here/quickstart/iam.json" "$work/"
WEED_MASTER_VOLUME_GROWTH_COPY_1=1 "$cache/venv/bin/weed" -logtostderr server \
    -dir="$work/s3" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 -volume.max=100 -master.volumeSizeLimitMB=64 \
    -master.port="$master" -master.port.grpc="$mastergrpc" -volume.port="$volume" -volume.port.grpc="$volumegrpc" \
    -filer.port="$filer" -filer.port.grpc="$filergrpc" -s3.port="$s3" -s3.port.grpc="$s3grpc" \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam.readOnly=false \
    -filer.localSocket="$work/filer.sock" -s3.localSocket="$work/s3.sock" \
    -s3.config="$work/s3.json" -s3.iam.config="$work/iam.json" >"$work/weed.log" 2>&1 &
pids+=($!)
endpoint="http://127.0.0.1:$s3"
admin() {
    AWS_ACCESS_KEY_ID=AKIAADMIN00000000001 AWS_SECRET_ACCESS_KEY='admin/secret+admin/secret+admin/secret+1' \
        "$python" "$root/tests/clients/aws.py" --endpoint "$endpoint" "$@"
}
until_ready 'SeaweedFS' admin whoami
admin seed '{"datasets": ["train/a.csv", "test/b.csv"], "models": ["m.bin"]}' >/dev/null
# Two keys of the account's user: the first is registered, the second replaces it later.
new_key() { # COMMAND: prints the source credential as the JSON that `--secrets -` takes
    admin "$1" broker-quickstart | "$python" -c '
import json, sys
key = json.load(sys.stdin)["value"]
print(json.dumps({"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}))'
}
key_id() { # FILE
    "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["aws_access_key_id"])' "$1"
}
new_key new-user >"$work/key1.json"
first_key=$(key_id "$work/key1.json")
printf 'S3 and STS at %s, buckets datasets and models\n' "$endpoint"

step 'Make the vault and start the daemon'
cat >"$work/config.toml" <<TOML
[server]
listen = "127.0.0.1:$vault"

[outbound]
allowed_endpoints = ["$endpoint"]
TOML
show valetkey init --data-dir "$work/data" --token-out "$work/owner.token"
"$VALETKEY_BIN" serve --config "$work/config.toml" --data-dir "$work/data" >"$work/valetkey.log" 2>&1 &
daemon=$!
pids+=("$daemon")
export VALETKEY_ADDR="https://127.0.0.1:$vault" VALETKEY_CA_CERT="$work/data/ca.pem"
as() { # WHO COMMAND...
    local who=$1
    shift
    printf '%s$ valetkey %s\n' "$who" "$*"
    VALETKEY_TOKEN_FILE="$work/$who.token" valetkey "$@"
}
quiet() {
    local who=$1
    shift
    VALETKEY_TOKEN_FILE="$work/$who.token" valetkey "$@"
}
until_ready 'valetkey' quiet owner whoami

step 'The owner lets in a platform engineer (alice) and a data scientist (bob)'
for who in alice bob; do
    as owner user create "$who"
    as owner token create --for "$who" --out "$work/$who.token"
done
as owner binding create --principal alice --role platform-engineer
as owner binding create --principal bob --role data-scientist --access-max read --ttl-max 1h

step 'alice registers a connector: the secret comes from stdin, and is verified against STS and S3'
printf 'alice$ valetkey connector register prod-s3 ... --secrets - < key1.json\n'
quiet alice connector register prod-s3 --type aws --method iam-role \
    --set region=us-east-1 --set role_arn=arn:aws:iam::000000000000:role/ml-data --set endpoint_url="$endpoint" \
    --resource-type s3-bucket --allow-resource 's3://datasets' --allow-resource 's3://datasets/**' \
    --description 'training data' --secrets - <"$work/key1.json"
rm "$work/key1.json"

step 'bob links an artifact store to it'
as bob component register artifacts --type artifact-store --flavor s3 --needs-resource-type s3-bucket
as bob component connect artifacts --connector prod-s3 --resource s3://datasets/train --access-max read

step 'What bob cannot do: write a connector, read the secret back, widen'
refused 3 as bob connector register mine --type aws --method secret-key --set region=us-east-1 \
    --secrets - <<<'{"aws_access_key_id": "AKIA0", "aws_secret_access_key": "x"}'
quiet bob connector describe prod-s3 -o json >"$work/seen.json"
if grep -qE 'AKIA|secret_access_key": *"[^"]' "$work/seen.json"; then
    printf 'quickstart: a describe showed a secret\n' >&2
    exit 1
fi
printf 'bob$ valetkey connector describe prod-s3     (no secret, no role, no account in it)\n'
refused 3 as bob mint --connector prod-s3 --resource s3://models
refused 1 as bob mint --component artifacts --resource s3://datasets/test
refused 3 as bob mint --component artifacts --access write

step 'bob mints: one hour, one prefix of one bucket'
as bob access can
as bob mint --component artifacts --ttl 1h
quiet bob mint --component artifacts --ttl 1h --format aws-credential-process >"$work/minted.json"

step 'An unmodified boto3 program uses it'
boto() {
    printf 'boto3 %s\n' "$*"
    "$python" "$root/tests/clients/aws.py" --endpoint "$endpoint" --credentials "$work/minted.json" "$@"
}
boto list-objects datasets train/
boto get-object datasets train/a.csv
refused 3 boto get-object datasets test/b.csv
refused 3 boto get-object models m.bin
refused 3 boto put-object datasets train/new.csv

step 'The key is rotated; the old one is deleted at the cloud'
new_key new-key >"$work/key2.json"
printf 'alice$ valetkey connector rotate-secret prod-s3 --secrets - < key2.json\n'
quiet alice connector rotate-secret prod-s3 --secrets - <"$work/key2.json"
rm "$work/key2.json"
admin delete-key broker-quickstart "$first_key" >/dev/null
printf 'the first key, %s, is deleted at the cloud\n' "$first_key"
as bob mint --component artifacts
quiet bob mint --component artifacts --format aws-credential-process >"$work/minted.json"
boto get-object datasets train/a.csv

step 'The audit trail, and its proof'
as owner audit list --limit 12
show valetkey audit verify --data-dir "$work/data"

if [ "$keep" = yes ]; then
    step 'Left running; paste this to go on'
    printf 'export VALETKEY_ADDR=%s VALETKEY_CA_CERT=%s\n' "$VALETKEY_ADDR" "$VALETKEY_CA_CERT"
    printf 'export VALETKEY_TOKEN_FILE=%s   # or alice.token, owner.token\n' "$work/bob.token"
    printf 'alias valetkey=%s\n' "$VALETKEY_BIN"
    # SeaweedFS takes minutes to heed SIGTERM, and its data goes anyway.
    printf '# to end it: kill %s; kill -9 %s; rm -rf %s\n' "$daemon" "${pids[0]}" "$work"
else
    kill -TERM "$daemon"
    wait "$daemon"
    pids=("${pids[0]}")
fi
printf '\nquickstart: ok\n'
