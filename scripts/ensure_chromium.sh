#!/bin/sh
# Make sure that the browser tests find a Chromium: take the system's, else install one.
# usage: scripts/ensure_chromium.sh PLAYWRIGHT
set -eu
for name in "${CHROMIUM:-}" chromium-headless-shell chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null; then exit 0; fi
done
if "$1" install --list 2>/dev/null | grep -q chromium; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing chromium with apt-get"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium-headless-shell fonts-noto-core >/dev/null && exit 0
fi
echo "installing chromium with Playwright"
"$1" install chromium && exit 0
echo "No Chromium was found or could be installed: install one, or set CHROMIUM to its path." >&2
exit 1
