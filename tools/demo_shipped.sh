#!/usr/bin/env bash
# What the shipped policies do: a film of each in each of its tasks, a recording of `run`, and a report of that.
# Usage: tools/demo_shipped.sh RODENT FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
rodent=$1
out=$2
mkdir -p "$out"
for policy in assets/policies/*/policy.json; do
    folder=$(dirname "$policy")
    name=$(basename "$folder")
    tasks=$(sed -n '/"tasks": \[/,/\]/p' "$policy" | sed '1d;$d' | tr -d ' ",')
    for task in $tasks; do
        film=$name
        [ "$task" = "$tasks" ] || film=$name-$task
        "$rodent" render "$folder" --task "$task" --seconds 5 --width 320 --height 240 --output "$out/$film.mp4"
    done
done
# Four episodes are the fewest whose order can be dealt anew, 250 steps hold each some twenty strides.
rm -rf "$out/run.nwb" "$out/.run.nwb.parts"
"$rodent" record run --episodes 4 --steps 250 --output "$out/run.nwb"
"$rodent" analyze "$out/run.nwb" --output "$out/report" --film
