#!/usr/bin/env bash
# Build an image of the Dockerfile and try it, without Docker and without an image registry: on a base made by
# debootstrap, in containers of Podman with a read-only root.
# usage: scripts/try_image.sh [cpu|cuda]
#   WORK        folder for the base and the images, kept for the next time: 2 GB, with cuda 10 GB
#   BUILD_ARGS  more arguments of `podman build`, such as --volume=/etc/pip.conf:/etc/pip.conf:ro
# The CPU image is also the ground on which systemd runs deploy/llm-dit.service.
# Needs root, `apt-get install podman runc debootstrap`, and the test environment that `make test` creates.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-cpu}
work=${WORK:-/var/tmp/llm-dit-image}
base=docker.io/library/python:3.11-slim
image=localhost/llm-dit:$target
name=llm-dit-try-$$
mkdir -p "$work"
data=$(mktemp -d "$work/data.XXXX")
port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
url=http://127.0.0.1:$port

step() { printf '\n== %s\n' "$*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
podman() {
  command podman --root "$work/images" --runroot "$work/run" --storage-driver vfs --cgroup-manager cgroupfs \
    --runtime runc --events-backend none "$@"
}
# As deploy/compose.yaml starts it, but on the host's network, which needs no bridge.
start() { # container, arguments of podman run, the image
  podman run --detach --name "$1" --network host --cgroupns host --read-only --tmpfs /tmp --volume "$data:/data" \
    --cap-drop all --cap-add CHOWN,DAC_OVERRIDE,SETGID,SETUID --security-opt no-new-privileges --no-healthcheck \
    --ulimit nofile=1024:4096 --ulimit nproc=4096:4096 --env LLM_DIT_SERVER__PORT="$port" "${@:2}" >/dev/null
}
healthy() { # container
  for _ in $(seq 60); do
    if podman exec "$1" llm-dit health 2>/dev/null; then return; fi
    [ "$(podman inspect --format '{{.State.Running}}' "$1")" = true ] || break
    sleep 1
  done
  podman logs "$1"
  fail "$1 is not healthy"
}
stop() { # container
  podman stop --time 30 "$1" >/dev/null
  code=$(podman inspect --format '{{.State.ExitCode}}' "$1")
  podman rm "$1" >/dev/null
  [ "$code" = 0 ] || fail "it stopped with exit code $code"
  echo "stopped with exit code 0"
}
owned_by() { # uid gid
  others=$(find "$data" ! '(' -uid "$1" -gid "$2" ')')
  [ -z "$others" ] || fail "not of $1:$2: $others"
  echo "$(find "$data" -type f | wc -l) files, all of $1:$2"
}
decompose() {
  .venv/bin/python - "$url" <<'PYTHON'
import sys
from PIL import Image
from llm_dit import Client
with Client(sys.argv[1]) as client, Image.open("static/samples/poster.webp") as picture:
    print(len(client.decompose(picture.convert("RGB"), layer_num=3, num_inference_steps=2)) - 1, "layers")
PYTHON
}
clean_up() {
  for each in $(podman ps --all --quiet --filter "name=$name"); do podman rm --force "$each" >/dev/null; done
  rm -rf "$data"
}
trap clean_up EXIT

if ! podman image exists "$base"; then
  step "The base: Debian with its Python, in place of the registry's $base"
  rm -rf "$work/base"
  debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,python-is-python3,ca-certificates \
    bookworm "$work/base" >"$work/base.log"
  rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
  rm -f "$work"/base/usr/lib/python3.*/EXTERNALLY-MANAGED # pip installs here as it does in the registry's image
  tar -C "$work/base" -c . | podman import --quiet - "$base"
  rm -rf "$work/base"
fi

step "podman build --target $target"
# shellcheck disable=SC2086 # several arguments
podman build --isolation chroot --network host --pull=never --format docker --layers=false --target "$target" \
  --volume /etc/ssl/certs:/etc/ssl/certs:ro ${BUILD_ARGS:-} --tag "$image" . >"$work/build-$target.log" 2>&1 ||
  { tail -30 "$work/build-$target.log"; fail "the build"; }
podman image inspect --format '{{.Size}} bytes, {{.Config.Entrypoint}} {{.Config.Cmd}}, health {{.Config.Healthcheck.Test}}' "$image"

step "Without a token it does not start"
start "$name-shut" "$image"
[ "$(podman wait "$name-shut")" = 2 ] || fail "it started"
podman logs "$name-shut" 2>&1 | grep -o "so the service needs a token"

step "As PUID 1234, PGID 2345, with a read-only root"
start "$name" --env PUID=1234 --env PGID=2345 --env LLM_DIT_SERVER__INSECURE=true "$image"
healthy "$name"
if podman exec "$name" touch /app/file 2>/dev/null; then fail "the root can be written"; fi
podman exec "$name" sh -c 'grep -E "^(Uid|Gid|Groups|CapEff|CapPrm|NoNewPrivs)" /proc/1/status'
podman exec "$name" llm-dit doctor | tail -1

step "The HTTP contract"
decompose
PYTHONPATH=. .venv/bin/python -c "
import sys
from tests.kit.contract import CONTRACT
for holds in CONTRACT:
    holds(sys.argv[1])
print(len(CONTRACT), 'parts hold')" "$url"

step "The page in a browser"
TEST_SERVICE=$url .venv/bin/pytest tests/browser/test_journey.py
owned_by 1234 2345

step "A backup in the running container, and a stop"
podman exec "$name" as-owner llm-dit backup /data/backups
owned_by 1234 2345
stop "$name"

step "The same data as PUID 3456"
start "$name-2" --env PUID=3456 --env PGID=3456 --env LLM_DIT_SERVER__INSECURE=true "$image"
healthy "$name-2"
owned_by 3456 3456
.venv/bin/python -c "
import sys, urllib.request, json
print(len(json.load(urllib.request.urlopen(sys.argv[1] + '/api/projects'))['projects']), 'projects')" "$url"
stop "$name-2"

step "Never as root: --user 3456:3456"
start "$name-3" --user 3456:3456 --env LLM_DIT_SERVER__INSECURE=true "$image"
healthy "$name-3"
stop "$name-3"

if [ "$target" = cuda ]; then
  step "Qwen-Image with tiny checkpoints, on the CPU"
  PYTHONPATH=. .venv/bin/python -c "
import sys, pathlib
from tests.kit.checkpoints import write_checkpoints
write_checkpoints(pathlib.Path(sys.argv[1]))" "$data"
  start "$name-4" --env LLM_DIT_SERVER__INSECURE=true --env LLM_DIT_ENGINE=qwen --env LLM_DIT_QWEN_IMAGE__DEVICE=cpu \
    --env LLM_DIT_QWEN_IMAGE__MODEL_PATH=/data/layered --env LLM_DIT_QWEN_IMAGE__EDIT_MODEL_PATH=/data/edit "$image"
  healthy "$name-4"
  podman exec "$name-4" as-owner python -c 'import torch; print("torch", torch.__version__, "CUDA", torch.version.cuda)'
  decompose
  owned_by 1000 1000
  stop "$name-4"
fi

if [ "$target" = cpu ]; then
  step "deploy/llm-dit.service, on the installation of the image"
  podman build --quiet --isolation chroot --network host --pull=never --format docker --layers=false \
    --tag localhost/llm-dit:systemd --file - . >/dev/null <<DOCKERFILE
FROM $image
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd >/dev/null
RUN mkdir -p /opt/llm-dit/bin /etc/llm-dit && ln -s /usr/local/bin/llm-dit /opt/llm-dit/bin/llm-dit
COPY deploy/llm-dit.service /etc/systemd/system/
RUN systemctl enable llm-dit && echo LLM_DIT_SERVER__PORT=$port > /etc/llm-dit/environment
ENTRYPOINT []
CMD ["/lib/systemd/systemd"]
DOCKERFILE
  # It needs a file system of its own to make parts of it read-only for the service.
  podman run --detach --name "$name-5" --systemd always --network host --no-healthcheck --cap-add SYS_ADMIN \
    --security-opt seccomp=unconfined --security-opt unmask=ALL --ulimit nofile=1024:4096 --ulimit nproc=4096:4096 \
    --env LLM_DIT_SERVER__PORT="$port" localhost/llm-dit:systemd >/dev/null
  healthy "$name-5"
  decompose
  podman exec "$name-5" sh -c 'grep -E "^(Uid|CapBnd|NoNewPrivs|Seccomp:)" "/proc/$(systemctl show --property MainPID --value llm-dit)/status"'
  podman exec "$name-5" systemd-analyze security --no-pager llm-dit.service | tail -1
  podman exec "$name-5" systemctl stop llm-dit
  [ "$(podman exec "$name-5" systemctl show --property ExecMainStatus --value llm-dit)" = 0 ] || fail "the unit's exit code"
fi

step "The image $image works"
