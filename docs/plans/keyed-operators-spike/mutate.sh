#!/usr/bin/env bash
# Breaks the spike in 27 ways, one at a time; the oracles should find each but the two that change no result.
cd "$(dirname "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=$work/target
m() { # name file perl-expr
  rm -rf "$work/mut"; mkdir -p "$work/mut"; cp -r Cargo.toml src "$work/mut/"
  perl -0pi -e "$3" "$work/mut/src/$2"
  if cmp -s "src/$2" "$work/mut/src/$2"; then echo "NOT APPLIED: $1"; return; fi
  (cd "$work/mut" && cargo build -q 2>"$work/err") || { echo "NO BUILD: $1"; grep -m3 error "$work/err"; return; }
  if out=$("$CARGO_TARGET_DIR/debug/keyed-spike" 300 2>&1); then echo "SURVIVED: $1"; else echo "found: $1 | $(echo "$out" | grep -oE '(left join|inner join|session|dedup|tumbling|step|join of|two|passed|sessions|left|right|waiting)[^:]*seed [0-9]+[^:]*' | head -1)$(echo "$out" | grep -m1 -oE 'step [0-9]+ gives rows that are late')"; fi
}
m "compacted files go to the end of the list" engine.rs 's/files\.insert\(0, File \{ blocks \}\)/files.push(File { blocks })/'
m "restore takes what is below the horizon" engine.rs 's/ && !below\(e\.time, horizon\)\)\.cloned/).cloned/'
m "deletes are not written" state.rs 's/\(value\.is_some\(\) \|\| was_there\)/value.is_some()/'
m "deletes of what was never saved are written" state.rs 's/\(value\.is_some\(\) \|\| was_there\)/(value.is_some() || was_there || true)/'
m "a file goes when one table of it is over" state.rs 's/self\.blocks\.iter\(\)\.all\(/self.blocks.iter().any(/'
m "left join holds nothing back" join.rs 's/if self\.is_left \{ vec!\[0, self\.after\] \}/if self.is_left { vec![0, 0] }/'
m "left table keeps by the left watermark" join.rs 's/rows\("left", \(1, self\.after\)\)/rows("left", (0, self.after))/'
m "right table keeps one less" join.rs 's/rows\("right", \(0, self\.before\)\)/rows("right", (0, self.before - 1))/'
m "passed times are kept one less" dedup.rs 's/horizon: vec!\[\(0, self\.within\)\]/horizon: vec![(0, self.within - 1)]/'
m "session holds nothing back" session.rs 's/vec!\[1\]/vec![0]/'
m "a session closes at its end" session.rs 's/self\.horizon = marks\.after\[0\];/self.horizon = marks.after[0].map(|w| w + 1);/'
m "arrival order is take-in order" dedup.rs 's/self\.arrived\.sort_by\(\|\(_, a\), \(_, b\)\| b\.origin\.cmp\(&a\.origin\)\);//'
m "matches of a left row are not saved" join.rs 's/if self\.step\.is_left && input == 1 && other\[0\] == Some\(0\)/if false \&\& self.step.is_left \&\& input == 1 \&\& other[0] == Some(0)/'
m "what arrives below the horizon is in the change" state.rs 's/partition\(\|e\| below\(e\.time, horizon\)\)/partition(|_| false)/'
m "a raise forgets hold-backs" engine.rs 's/source_mark\(graph, \*i, at \+ hold\)/source_mark(graph, *i, at + 0 * hold)/'
m "a raise forgets rows to come" engine.rs 's/held\.into_iter\(\)\.chain\(of_those\)\.max\(\)/{ let _ = of_those; held }/'
m "deletes are dropped by every merge" engine.rs 's/merged\(change, &spec\.kind, false\)/merged(change, &spec.kind, true)/'
m "a file of untimed entries goes" state.rs 's/entries\.iter\(\)\.all\(\|e\| below/entries.iter().all(|e| e.time.is_none() || below/'
m "equal keys and times are one row" state.rs 's/vec!\[Some\(last \+ 1\)\]/vec![Some(0 * last)]/g'
m "a timer that moves leaves the old one" process.rs 's/self\.timers\.put\(key\.clone\(\), at, vec!\[Some\(0\)\], None\);/let _ = at;/'
m "timers at a time come before its rows" process.rs 's/row <= timer/row < timer/'
m "late rows are judged by the watermark of one input" operator.rs 's/before\[self\.input\]/before[0]/'
m "restored merge state is also change" state.rs 's/entries\.iter\(\)\.for_each\(\|entry\| self\.merge\(entry\)\);/self.arrived.extend(entries);/'
m "steps close in any order" engine.rs 's/for k in 0\.\.graph\.len\(\) \{\n        let marks = Marks/for k in (0..graph.len()).rev() {\n        let marks = Marks/'
m "what has left still leaves (over)" over.rs 's/\.filter\(\|time\| before\[0\]\.is_none_or\(\|w\| \*time >= w\)\)//'
m "over keeps one less" over.rs 's/horizon: vec!\[\(0, self\.preceding\)\]/horizon: vec![(0, self.preceding - 1)]/'
m "a row is late once, not per window" tumbling.rs 's/late\.push\(row\.clone\(\)\);\n                    continue;/late.push(row.clone());\n                    break;/'
