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

worst=0
compare() {
    echo "── $*"
    .venv/bin/python "$@" || { code=$?; [ "$code" -le "$worst" ] || worst=$code; }
}

for wing in ${*:-run service load dash}; do
    case $wing in
    run) compare bench/run/compare.py --n 200 --runs 1 ;;
    service)
        compare bench/service/compare.py --python "$rivals"
        compare bench/service/compare_cornice.py --python "$rivals"
        ;;
    load)
        compare bench/load/cpu_per_request.py
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
