#!/usr/bin/env bash
# What the shipped policies do: a film of each in its own task, a recording of `run`, and a report of that.
# Usage: tools/demo_shipped.sh RODENT FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
rodent=$1
out=$2
mkdir -p "$out"
for policy in assets/policies/*/policy.json; do
    folder=$(dirname "$policy")
    "$rodent" render "$folder" --seconds 5 --width 320 --height 240 --output "$out/$(basename "$folder").mp4"
done
# Four episodes are the fewest whose order can be dealt anew, 250 steps hold each some twenty strides.
rm -rf "$out/run.nwb" "$out/.run.nwb.parts"
"$rodent" record run --episodes 4 --steps 250 --output "$out/run.nwb"
"$rodent" analyze "$out/run.nwb" --output "$out/report" --film
