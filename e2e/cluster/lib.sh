# shellcheck shell=bash disable=SC2034 # settings are read by the files that source this
# Settings and small helpers that the scripts of this folder share. Sourced by bash, never run.
set -euo pipefail
shopt -s inherit_errexit

cluster_scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$cluster_scripts/../.." && pwd)
cache=${WEIR_CACHE:-$HOME/.cache/weir}
cluster_name=${CLUSTER_NAME:-weir-e2e}
# The folder of one cluster: its kubeconfig, and the mark that `up` created it.
state=$cache/e2e/$cluster_name
# The engine is shared by all clusters of a machine.
engine_data=/var/lib/weir-docker
engine_run=/run/weir-docker

die() { echo "$1" >&2; exit 1; }
missing() { echo "$1" >&2; exit 69; }

# The current step: the last line of a script that fails names it.
doing=
trap '[ -z "$doing" ] || echo "failed: $doing" >&2' EXIT
step() { # WHAT COMMAND…: runs the command with its output on stderr, and says how long it took
  local what=$1 start=$EPOCHREALTIME micros
  doing=$what
  shift
  "$@" >&2
  micros=$((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}))
  printf '%6d.%d s  %s\n' $((micros / 1000000)) $((micros / 100000 % 10)) "$what" >&2
  doing=
}

wait_until() { # SECONDS COMMAND…
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.2
  done
}

engine_answers() { docker info >/dev/null 2>&1; }

# Takes a lock until this process ends. A process that is to live longer must be started with 9>&-.
lock() { # NAME
  mkdir -p "$cache/e2e"
  exec 9>"$cache/e2e/$1.lock"
  flock 9
}
