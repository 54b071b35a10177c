#!/usr/bin/env bash
# Make sure that OpenGL without a display is there: Debian's Mesa, installed where we may.
set -euo pipefail
if ldconfig -p | grep -q 'libEGL\.so\.1' && ldconfig -p | grep -q 'libOSMesa'; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq libegl1 libgl1-mesa-dri libosmesa6
else
    echo "test-gl: OpenGL is missing: as root, apt-get install libegl1 libgl1-mesa-dri libosmesa6" >&2
    exit 1
fi
