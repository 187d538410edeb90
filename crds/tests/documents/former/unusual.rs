//! Texts that few people write: other line ends, anchors, scalars of several lines, and cases that no edit can handle.

use std::time::{Duration, Instant};

use weir_crds::former::{Style, rewrite};

use super::{becomes, is_printed};

#[test]
fn lines_end_as_they_did_and_the_last_one_may_be_open() {
    let old = "\
# é
spec:
  sources:
  - name: a
    groupId: g   # ours
    kafka:
      topics: [x]
    format:
      json:
        columns: [{name: z}]   # é";
    let new = "\
# é
spec:
  sources:
  - name: a
    kafka:
      topics: [x]
      groupId: g   # ours
    format:
      json: {}
    columns: [{name: z}]   # é";
    becomes(old, new);
    becomes(&format!("{old}\n"), &format!("{new}\n"));
    becomes(&old.replace('\n', "\r\n"), &new.replace('\n', "\r\n"));
    becomes(&format!("{}\r\n", old.replace('\n', "\r\n")), &format!("{}\r\n", new.replace('\n', "\r\n")));
}

#[test]
fn what_stands_around_the_document_stays() {
    let old = "spec: {sinks: [{from: a, output: Late}]}";
    let new = "spec: {sinks: [{from: a.Late}]}";
    for (before, behind) in [("\u{feff}", ""), ("# first\n---\n", "\n...\n# last\n"), ("---\n", "\n---\n# nothing\n")] {
        let rewritten = rewrite(&format!("{before}{old}{behind}")).unwrap().unwrap();
        assert_eq!((rewritten.text, rewritten.style), (format!("{before}{new}{behind}"), Style::Kept));
    }
}

#[test]
fn texts_of_several_lines_move_as_they_are() {
    becomes(
        "\
spec:
  sources:
  - name: a
    format:
      json:
        columns:
        - name: >-
            folded
              deeper

            text
        - name: |2
              two more than needed
        - name: \"quoted
          on\\
          \\ lines\"
        - name: plain
           text
",
        "\
spec:
  sources:
  - name: a
    format:
      json: {}
    columns:
    - name: >-
        folded
          deeper

        text
    - name: |2
          two more than needed
    - name: \"quoted
      on\\
      \\ lines\"
    - name: plain
       text
",
    );
}

#[test]
fn anchors_and_tags_go_with_their_values_and_aliases_stay() {
    becomes(
        "\
spec:
  sources:
  - name: &a x
    format:
      json: &empty
        columns: &columns   # of both
        - {name: w, type: !!str string}
    groupId: *a
    kafka: {topics: [*a]}
  - name: z
    format: {json: {columns: *columns}}
    kafka: &kafka {topics: [q]}
    groupId: &g g
  steps:
  - aggregate: {groupBy: &by [*a, *g], window: &w {tumbling: {size: 1h}, offset: 1m}}
  - aggregate: {groupBy: *by, window: *w}
",
        "\
spec:
  sources:
  - name: &a x
    format:
      json: &empty {}
    columns: &columns   # of both
    - {name: w, type: !!str string}
    kafka: {topics: [*a], groupId: *a}
  - name: z
    format: {json: {}}
    columns: *columns
    kafka: &kafka {topics: [q], groupId: &g g}
  steps:
  - aggregate: {groupBy: &by [{name: *a}, {name: *g}], window: &w {tumbling: {size: 1h, offset: 1m}}}
  - aggregate: {groupBy: *by, window: *w}
",
    );
}

#[test]
fn what_no_edit_can_do_is_printed() {
    // The name must not change in other places.
    is_printed("spec: {sinks: [{from: &node a, output: Late, delta: {uri: *node}}]}\n");
    is_printed("spec: {sinks: [{name: &node a, from: *node, output: Late}]}\n");
    // Without quotes, kubectl would read it as true.
    is_printed("spec: {sinks: [{from: &node a, output: Late, delta: {uri: *node, key: \"on\"}}]}\n");
    // The removed value contains a comment.
    is_printed("spec:\n  sinks:\n  - from: a\n    output: >-   # late ones\n      Late\n");
}

#[test]
fn what_only_the_author_can_decide_is_left_and_said() {
    let old = "\
spec:
  sources:
  - {groupId: g, kafka: {groupId: h}, format: {json: {columns: []}}}
  sinks:
  - {output: Late}   # in an override
";
    let rewritten = rewrite(old).unwrap().unwrap();
    let new = "\
spec:
  sources:
  - {groupId: g, kafka: {groupId: h}, format: {json: {}}, columns: []}
  sinks:
  - {output: Late}   # in an override
";
    let left: Vec<_> = rewritten.left.iter().map(|found| found.path.as_str()).collect();
    assert_eq!((rewritten.text.as_str(), rewritten.style), (new, Style::Kept));
    assert_eq!(left, ["spec.sources[0].groupId", "spec.sinks[0].output"]);
}

#[test]
fn a_text_that_can_not_be_read_is_refused_in_the_readers_words() {
    let said: Vec<_> = rewrite("a: 1\na: 2\n").unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(said, ["a: this key stands twice in its mapping; keep one"]);
}

#[test]
fn a_very_long_document_takes_no_longer_than_a_few_seconds() {
    // Long enough to notice work that grows with the square of the length.
    let fill = |begin: &str, part: &str, count: usize, end: &str| format!("{begin}{}{end}", part.repeat(count));
    let long = format!("        # {}\n", "c".repeat(100));
    for text in [
        fill("spec: {sources: [", "{groupId: g, kafka: {}}, ", 3_000, "]}"),
        fill("spec:\n  sources:\n", "  - groupId: g\n    kafka:\n      a: b\n", 3_000, ""),
        fill("spec: {steps: [{aggregate: {groupBy: [", "abcdefghijklmno, ", 8_000, "]}}]}"),
        fill("spec:\n  sources:\n  - format:\n      json:\n", &long, 3_000, "        columns: []\n"),
    ] {
        let began = Instant::now();
        let rewritten = rewrite(&text).unwrap().unwrap();
        assert_eq!(rewritten.style, Style::Kept);
        // Generous for a busy machine.
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}: {:?}", &text[..40], began.elapsed());
    }
}
