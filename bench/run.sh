#!/bin/sh
# Runs the comparisons, in their short form: all wings, or those that are named.
#   sh bench/run.sh [run] [service] [load] [dash]
set -eu
cd "$(dirname "$0")/.."
uv=.tools/uv/bin/uv
rivals=bench/.venv/bin/python

if ! cmp -s bench/rivals.txt bench/.venv/rivals.txt; then
    echo "bench: fetching the rivals into bench/.venv …" >&2
    CHAPITEAU_SKIP_UI=1 && export CHAPITEAU_SKIP_UI  # the dashboard is in .venv already
    $uv venv -q --clear --python .venv/bin/python bench/.venv
    $uv pip install -q --python "$rivals" -r bench/rivals.txt -e .
    cp bench/rivals.txt bench/.venv/rivals.txt
fi

# Supervisors that PyPI does not have. What can't be had is left out of the table by name.
supervisors() {
    if [ ! -e bench/.venv/pm2/node_modules/.bin/pm2 ] && command -v npm >/dev/null; then
        echo "bench: fetching PM2 into bench/.venv …" >&2
        npm install --silent --no-audit --no-fund --prefix bench/.venv/pm2 pm2@7 >&2 || true
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        for program in s6-svscan:s6 runsvdir:runit; do
            command -v "${program%:*}" >/dev/null ||
                apt-get install -y -q --no-install-recommends "${program#*:}" >&2 || true
        done
    fi
}

# Load generators, and the server they are aimed at.
generators() {
    if [ ! -e bench/.venv/node/node_modules/.bin/autocannon ] && command -v npm >/dev/null; then
        echo "bench: fetching autocannon into bench/.venv …" >&2
        npm install --silent --no-audit --no-fund --prefix bench/.venv/node autocannon@8 >&2 || true
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        for program in nginx:nginx-light wrk:wrk hey:hey ab:apache2-utils h2load:nghttp2-client; do
            PATH="$PATH:/usr/sbin" command -v "${program%:*}" >/dev/null ||
                RUNLEVEL=1 apt-get install -y -q --no-install-recommends "${program#*:}" >&2 || true
        done
    fi
}

worst=0
compare() {
    echo "── $*"
    .venv/bin/python "$@" || { code=$?; [ "$code" -le "$worst" ] || worst=$code; }
}

for wing in ${*:-run service load dash}; do
    case $wing in
    run)
        supervisors
        .venv/bin/python -m compileall -q src/chapiteau  # as an installed package is
        mkdir -p reports
        compare bench/run/compare.py --markdown reports/bench-run.md
        ;;
    service)
        out=reports/bench-service.md  # tables for bench/service/README.md
        mkdir -p reports && : >"$out"
        compare bench/service/compare.py --python "$rivals" >>"$out"
        compare bench/service/compare_cornice.py --python "$rivals" --requests 4000 >>"$out"
        compare bench/service/overhttp.py --python "$rivals" --seconds 2 >>"$out"
        cat "$out"
        ;;
    load)
        generators
        mkdir -p reports
        compare bench/load/compare.py --rounds 2 --markdown reports/bench-load.md
        compare bench/load/capacity_truth.py --searches 10
        ;;
    dash)
        compare bench/dash/compare_hub.py
        compare bench/dash/compare_page.py
        ;;
    *) echo "bench: no wing $wing: run, service, load, dash" >&2; exit 2 ;;
    esac
done
exit "$worst"
