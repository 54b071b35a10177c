#!/usr/bin/env bash
# Trains configurations of assets/configs one after the other, NAME in runs/NAME, where the next one looks for it; the same
# command again goes on where it was stopped.
# Usage: tools/train_chain.sh NAME ...      (RODENT: the command, if `rodent` is not on the path)
set -euo pipefail
if [ $# = 0 ]; then
    echo "train_chain.sh: name the configurations of assets/configs to train, as in two-tap-expert two-tap-waits" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
trap 'exit 130' INT TERM  # a run that is asked to end does so in good order, and the next would begin with a part of it
for name in "$@"; do
    "${RODENT:-rodent}" train --config "assets/configs/$name.yaml" --run-dir "runs/$name" --threads 1 --resume
done
