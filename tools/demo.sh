#!/usr/bin/env bash
# The main job in one go: train `run`, evaluate it, draw its learning curve, film its best episode; film the shipped
# policies, record one and report on it. Usage: tools/demo.sh RODENT
set -euo pipefail
cd "$(dirname "$0")/.."
rodent=$1
out=demo
"$rodent" doctor
"$rodent" train --config assets/configs/demo.yaml --run-dir "$out" --overwrite
"$rodent" evaluate "$out" --task run --episodes 4 --json > "$out/evaluation.json"
best=$("$(dirname "$rodent")/python" -c '
import json, sys
told = json.load(open(sys.argv[1]))
returns = told["returns"]
print("returns of", round(told["max_return"]), "under", told["physics"], "physics:", *map(round, returns), file=sys.stderr)
print(returns.index(max(returns)))
' "$out/evaluation.json")
"$rodent" curves "$out" --output "$out/curve.png"
"$rodent" render "$out" --task run --episode "$best" --output "$out/film.mp4"
bash tools/demo_shipped.sh "$rodent" "$out/shipped"
echo
echo "policy          $out/policy/"
echo "evaluation      $out/evaluation.json"
echo "learning curve  $out/curve.png"
echo "film            $out/film.mp4, of the best episode"
echo "shipped         $out/shipped/POLICY.mp4, of each shipped policy in its task (of several, POLICY-TASK.mp4)"
echo "recording       $out/shipped/run.nwb, of the shipped policy \`run\`"
echo "report          $out/shipped/report/index.html, of that recording: open it in a browser"
