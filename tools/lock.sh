#!/usr/bin/env bash
# Write requirements.lock from what is installed. Usage: tools/lock.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
{
    echo "# Exact versions, written by 'make lock'; the tests pass with these."
    "${1:-.venv}/bin/pip" freeze --all --exclude-editable | grep -vE '^(pip|virtual-rodent)(==| )' | sed -E 's/^torch==([0-9.]+).*/torch==\1/'
} >requirements.lock.part
mv requirements.lock.part requirements.lock
