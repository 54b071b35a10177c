#!/usr/bin/env bash
# Trains configurations of assets/configs one after the other, NAME in runs/NAME, where the next one looks for it; the same
# command again goes on with the last one that has begun. With a seed, each in runs/NAME/seed-N, from the one
# before it in the chain; the first NAME begins as its configuration says, so name the whole chain.
# Usage: tools/train_chain.sh [--seed N] NAME ...      (RODENT: the command, if `rodent` is not on the path)
set -euo pipefail
seed=
if [ "${1-}" = --seed ]; then
    seed=${2-}
    if ! [[ $seed =~ ^[0-9]+$ ]]; then
        echo "train_chain.sh: --seed is followed by a whole number, as in --seed 0, and not by '$seed'" >&2
        exit 2
    fi
    shift 2
fi
if [ $# = 0 ]; then
    echo "train_chain.sh: name the configurations of assets/configs to train, as in two-tap-expert two-tap-waits" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
trap 'exit 130' INT TERM  # but not before the run that it started, which ends with a checkpoint
names=("$@")
run_of() { echo "runs/$1${seed:+/seed-$seed}"; }
first=0
for i in "${!names[@]}"; do
    if [ -d "$(run_of "${names[i]}")/checkpoints" ]; then first=$i; fi
done
for ((i = first; i < ${#names[@]}; i++)); do
    run=$(run_of "${names[i]}")
    before=()
    if [ -n "$seed" ] && [ "$i" -gt 0 ]; then before=(--init-from "$(run_of "${names[i - 1]}")"); fi
    "${RODENT:-rodent}" train --config "assets/configs/${names[i]}.yaml" --run-dir "$run" --threads 1 --resume \
        ${seed:+--seeds "$seed"} ${before[@]+"${before[@]}"}
done
