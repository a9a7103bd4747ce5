#!/bin/sh
# Runs the comparisons: all wings, or those that are named. Each script says what it misses.
#   sh bench/run.sh [WING …]
set -eu
cd "$(dirname "$0")/.."
uv=.tools/uv/bin/uv
rivals=bench/.venv

if ! cmp -s bench/rivals.txt "$rivals/rivals.txt"; then
    echo "bench: fetching the rivals into $rivals …" >&2
    $uv venv -q --clear --python .venv/bin/python "$rivals"
    $uv pip install -q --python "$rivals/bin/python" -r bench/rivals.txt -e .
    cp bench/rivals.txt "$rivals/rivals.txt"
fi
export RIVALS="$PWD/$rivals/bin/python"

worst=0
for wing in ${*:-run service load dash}; do
    for script in bench/"$wing"/compare*.py; do
        [ -f "$script" ] || continue
        echo "── ${script#bench/}"
        .venv/bin/python "$script" || { code=$?; [ "$code" -gt "$worst" ] && worst=$code; }
    done
done
exit "$worst"
