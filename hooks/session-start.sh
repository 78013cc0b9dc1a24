#!/bin/sh
# SessionStart. When this machine's agent or another session already keeps it in step, the file `live` says so and
# nothing is started: only the shell's own commands run. Otherwise Node asks the hub. Never fails a session.
root=${0%/*}/..
# Installed by the collective it lies in the collective's folder, wherever `install_path` has that.
ours=${0%/versions/haivemind-core/*}
case $ours in */.haivemind) ;; *) ours="${CLAUDE_CONFIG_DIR:-$HOME/.claude}/plugins/.haivemind" ;; esac
live=$ours/live
if { IFS=' ' read -r form pid start _ && { IFS= read -r notice || :; }; } 2>/dev/null <"$live" &&
  [ "$form" = v1 ] && case $pid in 0* | *[!0-9]*) false ;; esac && kill -0 "$pid" 2>/dev/null; then
  now=$start
  # A process id is used again: its start time (field 22, after a name that may hold anything) tells them apart. One that is
  # stopped, or dead and not waited for, keeps nothing in step.
  if [ -r "/proc/$pid/stat" ]; then
    IFS= read -r stat <"/proc/$pid/stat"
    set -f
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    case $1 in T | t | Z | X) now= ;; *) now=${20} ;; esac
  fi
  if [ "$now" = "$start" ]; then
    [ -z "$notice" ] || printf '%s\n' "$notice"
    exit 0
  fi
fi
if command -v node >/dev/null 2>&1; then
  [ ! -r "$root/server/dist/hook.cjs" ] || exec node "$root/server/dist/hook.cjs"
  printf '%s\n' '{"systemMessage":"hAIveMind: plugins are not synced, because server/dist of the plugin is not there."}'
  exit 0
fi
printf '%s\n' '{"systemMessage":"hAIveMind: plugins are not synced, because Node.js (20 or newer) is not in PATH."}'
exit 0
