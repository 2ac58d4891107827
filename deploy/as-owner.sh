#!/bin/sh
# Entry point of the image: runs a command as PUID:PGID, after giving it the data folder.
# In a container that was started as another user (`--user`), it only runs the command.
set -eu
if [ "$(id -u)" != 0 ]; then exec "$@"; fi
uid=${PUID:-1000} gid=${PGID:-1000} data=${LLM_DIT_SERVER__DATA_DIR:-/data}
case $uid$gid in *[!0-9]*) echo "error: PUID and PGID must be numbers; \`id\` prints yours." >&2; exit 2 ;; esac
# A change of owner is a write, which a large folder of weights should not get at every start.
find "$data" ! '(' -uid "$uid" -gid "$gid" ')' -exec chown --no-dereference "$uid:$gid" {} + ||
  echo "warning: $data cannot be given to $uid:$gid." >&2
exec setpriv --reuid="$uid" --regid="$gid" --clear-groups --no-new-privs "$@"
