#!/usr/bin/env bash
# Make sure that a Chromium is there: Playwright's own, or the system's, installed where we may. Usage: install_browser.sh PYTHON
set -euo pipefail
python=$1
for candidate in chromium chromium-browser google-chrome; do
    if command -v "$candidate" >/dev/null; then
        exit 0
    fi
done
if "$python" -m playwright install chromium >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq chromium
else
    echo "test-browser: no Chromium: 'playwright install chromium', or as root 'apt-get install chromium'" >&2
    exit 1
fi
