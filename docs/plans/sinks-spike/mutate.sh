#!/usr/bin/env bash
# mutate.sh BOOTSTRAP [SECONDS [NAME]]: breaks the spike in one way after the other and says whether a run of 100 seconds
# notices. With a NAME, only the ways whose names contain it.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/." "$work"
export CARGO_PROFILE_DEV_PANIC=abort # what is noticed ends the run at once
ulimit -c 0

mutation() { # NAME FILE FROM TO
  [[ "$1" == *"$only"* ]] || return 0
  cp "$here/src/$2" "$work/src/$2"
  python3 - "$work/src/$2" "$3" "$4" <<'P' || { echo "$1: does not apply"; return; }
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
sys.exit(1) if text.count(old) != 1 else open(path, "w").write(text.replace(old, new))
P
  if ! cargo build --quiet --manifest-path "$work/Cargo.toml" 2>"$work/said"; then
    echo "$1: does not build"
  else
    RUST_BACKTRACE=0 timeout $((seconds + 60)) "${CARGO_TARGET_DIR:-$work/target}/debug/sinks-spike" "$bootstrap" "$seconds" \
      >"$work/said" 2>&1
    case $? in
      0) echo "$1: NOT NOTICED ($(tail -1 "$work/said"))" ;;
      124) echo "$1: noticed (it does not end; $(grep -m1 -A1 panicked "$work/said" | tail -1 | cut -c1-90))" ;;
      *) echo "$1: noticed ($(grep -m1 -A1 panicked "$work/said" | tail -1 | cut -c1-90))" ;;
    esac
  fi
  cp "$here/src/$2" "$work/src/$2"
}

bootstrap=$1 seconds=${2:-100} only=${3:-}
mutation "what is there of an epoch is produced again" kafka.rs '=> there.done,' '=> 0,'
mutation "an epoch that is there is produced again" kafka.rs 'there.epoch == of.epoch && there.is_whole => return Ok(Outcome::AlreadyThere)' 'false => return Ok(Outcome::AlreadyThere)'
mutation "another producer has another id" kafka.rs 'format!("{}-{}", self.control, self.name)' 'format!("{}-{}-{:?}", self.control, self.name, Instant::now())'
mutation "the marker is a transaction of its own" kafka.rs '            world.step()?;
            let value' '            producer.commit_transaction(DEADLINE).map_err(retry)?;
            world.step()?;
            producer.begin_transaction().map_err(retry)?;
            let value'
mutation "a producer is used on after a doubt" kafka.rs 'if done.is_ok() {' 'if !matches!(done, Err(Failure::Died)) {'
mutation "a marker must be there once a claim has pinned the sink" engine.rs 'rfind(|m| m.payloads.is_some())' 'rfind(|m| m.epoch < newest.epoch)'
mutation "a claim over a claim forgets what is in doubt" engine.rs 'else { m.in_doubt }' 'else { None }'
mutation "whoever is unparked gets what was decided meanwhile" engine.rs 'decided.parked.union(&carries.parked).cloned().collect()' 'carries.parked.clone()'
mutation "nobody looks for a later manifest" engine.rs 'filter(|newest| newest.epoch > ours)' 'filter(|newest| newest.epoch > ours && ours == u64::MAX)'
mutation "an epoch that is merged is merged again" merge.rs 'held.epoch == of.epoch => return Ok(Outcome::AlreadyThere)' 'false => return Ok(Outcome::AlreadyThere)'
mutation "a conflict is not computed anew" merge.rs 'if self.table.create(head, version) {' 'if self.table.create(self.table.head(), version) {'
mutation "a deleted key is left in its file" merge.rs 'filter(|(key, _)| !changes.contains_key(key)).collect::<BTreeMap<_, _>>()' 'filter(|(key, _)| changes.get(key).is_none_or(Option::is_none)).collect::<BTreeMap<_, _>>()'
