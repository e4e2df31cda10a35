#!/usr/bin/env bash
# Runs the Kubernetes stories against a real API server: kube-apiserver 1.20.2 out of Debian's source package, with etcd.
#
#   tests/kubernetes_real.sh
#
# The build takes 4-7 minutes of two cores and some GiB, once: the binary stays in the cache folder. It is not part of
# tests/run.sh. Needs Debian 12, Rust, and root or sudo for the packages that the build needs.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly kubernetes=1.20.2
readonly go=/usr/lib/go-1.19/bin
# command:package
readonly build_commands=("$go/go:golang-1.19-go" rsync:rsync jq:jq make:make dpkg-source:dpkg-dev)

say() { printf '== %s\n' "$*" >&2; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -- "$@"; fi; }

# Where this machine gets Debian's own packages from, whatever form its lists have.
debian_mirror() {
    # shellcheck disable=SC2016 # apt fills these in, not the shell.
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $1" 'Component: main' \
        | head -n 1
}

# apt with one source list of our own, which the machine's lists do not have: sources.
apt_sources() {
    local release mirror
    release="$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")"
    mirror="$(debian_mirror "$release")"
    [ -n "$mirror" ] || { say "apt knows no mirror of Debian $release; run apt-get update"; return 1; }
    mkdir -p "$work/apt/lists/partial"
    printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$release" \
        >"$work/apt/sources.list"
    apt-get -q -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$work/apt/lists" "$@" >&2
}

install_build_packages() {
    local pair missing=()
    for pair in "${build_commands[@]}"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    [ "${#missing[@]}" -eq 0 ] && return
    say "installing ${missing[*]}"
    as_root apt-get -qq update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "${missing[@]}" >&2
}

build_apiserver() {
    install_build_packages
    say "building kube-apiserver $kubernetes"
    apt_sources update
    (cd "$work" && apt_sources source --download-only kubernetes && dpkg-source --no-check -x kubernetes_*.dsc source) >&2
    cat >"$work/version" <<END
KUBE_GIT_COMMIT='debian'
KUBE_GIT_TREE_STATE='clean'
KUBE_GIT_VERSION='v$kubernetes'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
END
    PATH="$go:$PATH" GOPROXY=off GOFLAGS=-mod=vendor KUBE_GIT_VERSION_FILE="$work/version" \
        make -C "$work/source" all WHAT=cmd/kube-apiserver >&2
    cp "$(find "$work/source/_output" -type f -name kube-apiserver | head -n 1)" "$apiserver"
    # Go's caches are in there too (the build puts them there itself), and some of them are read-only.
    chmod -R u+w "$work/source"
    rm -rf "$work/source"
}

# The binary alone: the package would start a service.
fetch_etcd() {
    say 'fetching etcd'
    (cd "$work" && apt-get -q download etcd-server && dpkg-deb -x etcd-server_*.deb etcd) >&2
    cp "$work/etcd/usr/bin/etcd" "$etcd"
}

free_ports() {
    python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in held))'
}

# until_true WHAT COMMAND...: waits up to a minute.
until_true() {
    local what="$1" tries
    shift
    for tries in $(seq 240); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.25
    done
    say "$what did not come up in $tries tries"
    tail -n 30 "$work"/*.log >&2
    exit 1
}

kubectl_admin() {
    kubectl --kubeconfig /dev/null --cache-dir "$work/kubectl" --server "$url" --certificate-authority "$work/ca.pem" \
        --token admin-token "$@"
}

start_servers() {
    local ports
    read -ra ports < <(free_ports)
    "$etcd" --data-dir "$work/data" --listen-client-urls "http://127.0.0.1:${ports[0]}" \
        --advertise-client-urls "http://127.0.0.1:${ports[0]}" --listen-peer-urls "http://127.0.0.1:${ports[1]}" \
        >"$work/etcd.log" 2>&1 &
    started+=($!)
    (cd tests/clients && "$python" -c 'import sys, kube_apiserver; kube_apiserver.certificates(sys.argv[1])' "$work")
    openssl genrsa -out "$work/accounts.key" 2048 2>/dev/null
    openssl rsa -in "$work/accounts.key" -pubout -out "$work/accounts.pub" 2>/dev/null
    (cd tests/clients && "$python" -c 'import kube_apiserver
for token, user in kube_apiserver.TOKENS.items():
    print(f"{token},{user},{user}" + (",system:masters" if user == "admin" else ""))') >"$work/tokens.csv"
    "$apiserver" --etcd-servers "http://127.0.0.1:${ports[0]}" --bind-address 127.0.0.1 --secure-port "${ports[2]}" \
        --cert-dir "$work/generated" --tls-cert-file "$work/server.pem" --tls-private-key-file "$work/server.key" \
        --client-ca-file "$work/ca.pem" --token-auth-file "$work/tokens.csv" --authorization-mode RBAC \
        --service-account-issuer https://kubernetes.default.svc --api-audiences https://kubernetes.default.svc \
        --service-account-key-file "$work/accounts.pub" --service-account-signing-key-file "$work/accounts.key" \
        --endpoint-reconciler-type none --disable-admission-plugins ServiceAccount \
        --service-cluster-ip-range 10.0.0.0/24 >"$work/apiserver.log" 2>&1 &
    started+=($!)
    url="https://127.0.0.1:${ports[2]}"
    # Pretty-printed maps panic in this build: nothing here asks for them.
    until_true 'the API server' kubectl_admin get --raw '/readyz?pretty=0'
}

furnish() {
    (cd tests/clients && "$python" kube_objects.py) >"$work/objects.json"
    kubectl_admin create --validate=false -f "$work/objects.json" >"$work/objects.log"
    printf '{"url": "%s"}\n' "$url" >"$work/facts.json"
}

run_stories() {
    say "stories against $url"
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --locked --color never --no-fail-fast --test suite -j 1 story_kubernetes::real_
    else
        cargo test --locked --color never --test suite -- --test-threads 1 story_kubernetes::real_
    fi
}

end() {
    local process
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null || true
        # A killed one's status is no failure of ours, and must not stop the rest.
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$work"
}

started=()
cache="$(tests/install.sh all)"
python="$cache/venv/bin/python" apiserver="$cache/kube-apiserver-$kubernetes" etcd="$cache/etcd"
work="$(mktemp -d "$cache/kubernetes.XXXXXX")"
trap end EXIT
[ -x "$apiserver" ] || build_apiserver
[ -x "$etcd" ] || fetch_etcd
start_servers
furnish
export VALETKEY_TEST_CACHE="$cache" VALETKEY_REAL_KUBERNETES="$work"
run_stories
say 'all stories hold against a real API server'
