#!/usr/bin/env bash
# Install the wheel into empty environments and try the service in each: its health, the page in a browser, its end.
# usage: scripts/try_wheel.sh python3.11 python3.12 …
# Needs the test environment that `make test` creates.
set -euo pipefail
cd "$(dirname "$0")/.."
room=$(mktemp -d)
server=
clean_up() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$room"
}
trap clean_up EXIT

.venv/bin/python -m hatchling build --target wheel --directory "$room" >/dev/null 2>&1
for python in "$@"; do
  printf '\n== %s\n' "$("$python" --version)"
  rm -rf "$room/env" "$room/at"
  "$python" -m venv "$room/env"
  "$room/env/bin/pip" install --quiet --disable-pip-version-check --constraint requirements/base.txt "$room"/*.whl
  "$room/env/bin/llm-dit" models fetch | tail -1
  mkdir "$room/at"
  port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
  (cd "$room/at" && exec "$room/env/bin/llm-dit" serve --port "$port" 2>log) &
  server=$!
  # In a folder without settings, as the service is.
  until (cd "$room/at" && "$room/env/bin/llm-dit" health --port "$port" 2>why); do
    kill -0 "$server" 2>/dev/null && grep -q "does not answer" "$room/at/why" || { cat "$room"/at/log "$room/at/why"; exit 1; }
    sleep 1
  done
  TEST_SERVICE=http://127.0.0.1:$port .venv/bin/pytest tests/browser/test_journey.py
  kill "$server"
  wait "$server" # its exit code is 0
  server=
done
