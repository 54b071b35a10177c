#!/usr/bin/env bash
# The main job in one go: train `run`, evaluate it, draw its learning curve, film it. Usage: tools/demo.sh RODENT
set -euo pipefail
cd "$(dirname "$0")/.."
rodent=$1
out=demo
"$rodent" doctor
"$rodent" train --config assets/configs/demo.yaml --run-dir "$out" --overwrite
"$rodent" evaluate "$out" --task run --episodes 4 | tee "$out/evaluation.txt"
"$rodent" curves "$out" --output "$out/curve.png"
"$rodent" render "$out" --task run --output "$out/film.mp4"
echo
echo "policy          $out/policy/"
echo "evaluation      $out/evaluation.txt"
echo "learning curve  $out/curve.png"
echo "film            $out/film.mp4"
