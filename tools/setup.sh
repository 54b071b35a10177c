#!/usr/bin/env bash
# Make a virtual environment with the locked versions. Usage: tools/setup.sh VENV
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

find_python() {
    for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: ${PYTHON:+PYTHON=$PYTHON is none: }Python 3.11 or 3.12 is needed (dm_control's labmaze has no wheel for later ones); set PYTHON=" >&2
    return 2
}

python=$(find_python)
rm -f "$venv/.installed"
if [ ! -x "$venv/bin/pip" ]; then
    echo "setup: making $venv with $("$python" --version)"
    if ! "$python" -m venv "$venv" 2>/dev/null; then
        # Debian ships venv apart from Python.
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq python3-venv
            "$python" -m venv "$venv"
        else
            echo "setup: '$python -m venv' failed; install python3-venv and try again" >&2
            exit 2
        fi
    fi
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
# The lock names everything, so nothing may ask for more; torch comes first, since all else is small beside it.
"$venv/bin/pip" install --quiet "$(grep -E '^torch==' requirements.lock)"
"$venv/bin/pip" install --quiet --no-deps -r requirements.lock
"$venv/bin/pip" install --quiet --no-deps --no-build-isolation -e .
echo "setup: $venv is ready"
