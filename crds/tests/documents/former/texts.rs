//! Texts in each style that an author may use, and the whole rewritten texts.

use super::becomes;

#[test]
fn columns_of_a_block_move_with_their_comments() {
    becomes(
        "\
spec:
  sources:
  - name: rides
    format:   # how it is read
      # JSON, as it comes
      json:   # one object per record

        # what is read of it
        columns:   # in this order
        - {name: city, type: string}   # the city
        # not yet: {name: price}
        - name: ts
          type: timestamp
          # of the ride

        timestampNumbers: EpochMillis   # milliseconds
    # when it happened
    eventTime: {expr: ts}
",
        "\
spec:
  sources:
  - name: rides
    format:   # how it is read
      # JSON, as it comes
      json:   # one object per record

        timestampNumbers: EpochMillis   # milliseconds
    # what is read of it
    columns:   # in this order
    - {name: city, type: string}   # the city
    # not yet: {name: price}
    - name: ts
      type: timestamp
      # of the ride
    # when it happened
    eventTime: {expr: ts}
",
    );
}

#[test]
fn a_block_that_has_nothing_left_is_written_as_an_empty_one() {
    becomes(
        "\
spec:
    sources:
        -   name: rides
            format:
                json:   # one object per record
                    columns:
                        -   name: city
                            type: string
                    # - {name: price}
",
        "\
spec:
    sources:
        -   name: rides
            format:
                json: {}   # one object per record
            columns:
                -   name: city
                    type: string
            # - {name: price}
",
    );
}

#[test]
fn columns_in_braces_move_out_of_them() {
    becomes(
        "\
spec:
  sources:
  - {name: a, format: {json: {columns: [{name: x}]}}, eventTime: {expr: ts}}   # all in one
  - name: b
    format: {json: {columns: [{name: x}], timestampNumbers: EpochMillis}}   # b's
    badRecords: {policy: Drop}
  - name: c
    format:
      json: {timestampNumbers: EpochMillis, columns: [{name: x},   # x
                                                      {name: z}]}
",
        "\
spec:
  sources:
  - {name: a, format: {json: {}}, columns: [{name: x}], eventTime: {expr: ts}}   # all in one
  - name: b
    format: {json: {timestampNumbers: EpochMillis}}   # b's
    columns: [{name: x}]
    badRecords: {policy: Drop}
  - name: c
    format:
      json: {timestampNumbers: EpochMillis}
    columns: [{name: x},   # x
                                                    {name: z}]
",
    );
}

#[test]
fn braces_over_several_lines_keep_their_lines() {
    becomes(
        "\
spec:
  sources: [
    {
      name: rides,
      groupId: rides,   # ours
      kafka: {
        connection: events,
        topics: [rides]
      },
      format: {
        json: {
          # what is read
          columns: [
            {name: city},
          ],
        },
      },
    },
  ]
  sinks: [
    {
      name: late,
      output: Late,
      from: revenue,
    }
  ]
",
        "\
spec:
  sources: [
    {
      name: rides,
      # ours
      kafka: {
        connection: events,
        topics: [rides],
        groupId: rides
      },
      format: {
        json: {
          # what is read
        },
      },
      columns: [
        {name: city},
      ],
    },
  ]
  sinks: [
    {
      name: late,
      from: revenue.Late,
    }
  ]
",
    );
}

#[test]
fn the_consumer_group_moves_into_kafka() {
    becomes(
        "\
spec:
  sources:
    - groupId: first   # the group
      name: a
      kafka:
        connection: events
        topics:
        - x   # the only one
        # - y
      format: {json: {}}
    - groupId: second

      # where from
      kafka: {connection: events, topics: [x]}   # one
    - name: c
      # who reads
      groupId: 'third, # or fourth'
      # where from
      kafka:
          topics: [x]
    - name: d
      groupId: fifth   # stays here
      kafka: {}
",
        "\
spec:
  sources:
    - name: a
      kafka:
        connection: events
        topics:
        - x   # the only one
        # - y
        groupId: first   # the group
      format: {json: {}}
    - # where from
      kafka: {connection: events, topics: [x], groupId: second}   # one
    - name: c
      # where from
      kafka:
          topics: [x]
          # who reads
          groupId: 'third, # or fourth'
    - name: d
      # stays here
      kafka: {groupId: fifth}
",
    );
}

#[test]
fn a_group_without_a_kafka_beside_it_makes_one() {
    becomes(
        "spec:\n  sources:\n  - name: a\n    groupId: g   # another one\n  - {name: b, groupId: [x]}\n",
        "spec:\n  sources:\n  - name: a\n    kafka: {groupId: g}   # another one\n  - {name: b, kafka: {groupId: \
         [x]}}\n",
    );
}

#[test]
fn the_output_is_written_behind_the_node_in_its_quotes() {
    becomes(
        "\
spec:
  sinks:
  - output: Late
    name: a
    from: revenue   # the node
  - output: Rejected   # what could not be read
    from: 'rides'
  - name: c
    from: \"rides\"
    # where it goes
    output: Rejected   # what could not be read
    delta: {}
  - {name: d, from: revenue, output: Main}
  - {output: Main, name: e, from: revenue}
",
        "\
spec:
  sinks:
  - name: a
    from: revenue.Late   # the node
  - # what could not be read
    from: 'rides.Rejected'
  - name: c
    from: \"rides.Rejected\"
    # where it goes
    # what could not be read
    delta: {}
  - {name: d, from: revenue}
  - {name: e, from: revenue}
",
    );
}

#[test]
fn a_node_in_a_text_of_lines_is_written_on() {
    becomes(
        "spec:\n  sinks:\n  - output: Late\n    from: |-   # the node\n      a\n\n    name: b\n",
        "spec:\n  sinks:\n  - from: |-   # the node\n      a.Late\n\n    name: b\n",
    );
}

#[test]
fn group_columns_become_objects_as_they_are_quoted() {
    becomes(
        "\
spec:
  steps:
  - aggregate: {from: a, groupBy: [city, 'win start', \"a, b\"]}   # three
  - aggregate:
      groupBy: [city,   # where
        day]
  - aggregate:
      groupBy:
      - city   # where
      # when
      - 'a, b'
      - {name: day}
      -   deep
      - >-
        two
        lines
      - two
        lines
  - aggregate:
      groupBy: [
        city,
        day,   # when
      ]
",
        "\
spec:
  steps:
  - aggregate: {from: a, groupBy: [{name: city}, {name: 'win start'}, {name: \"a, b\"}]}   # three
  - aggregate:
      groupBy: [{name: city},   # where
        {name: day}]
  - aggregate:
      groupBy:
      - name: city   # where
      # when
      - name: 'a, b'
      - {name: day}
      -   name: deep
      - name: >-
          two
          lines
      - name: two
          lines
  - aggregate:
      groupBy: [
        {name: city},
        {name: day},   # when
      ]
",
    );
}

#[test]
fn the_offset_moves_into_its_window() {
    becomes(
        "\
spec:
  steps:
  - aggregate: {window: {tumbling: {size: 1h}, offset: 15m}}
  - aggregate:
      window: {offset: 15m, sliding: {size: 1h, slide: 1m,}}   # overlapping
  - aggregate:
      window:
        # a quarter past
        offset: 15m   # minutes
        tumbling:
          size: 1h   # one hour
        # the end
  - aggregate:
      window:
        cumulate: {size: 1h, step: 10m}   # growing
        offset: 15m   # a quarter past
  - aggregate:
      window:
        calendar: {}
        offset: |-
          15m
",
        "\
spec:
  steps:
  - aggregate: {window: {tumbling: {size: 1h, offset: 15m}}}
  - aggregate:
      window: {sliding: {size: 1h, slide: 1m, offset: 15m,}}   # overlapping
  - aggregate:
      window:
        tumbling:
          size: 1h   # one hour
          # a quarter past
          offset: 15m   # minutes
        # the end
  - aggregate:
      window:
        cumulate: {size: 1h, step: 10m, offset: 15m}   # growing
        # a quarter past
  - aggregate:
      window:
        calendar: {offset: \"15m\"}
",
    );
}

#[test]
fn an_encryption_keeps_its_quotes() {
    becomes(
        "\
spec:
  storage:
  - s3: {encryption: {type: SseKms, keyId: SseKms}}
  - s3:
      encryption:
        type: 'SseS3'   # the server's keys
  - s3: {encryption: {type: !!str SseS3}}
",
        "\
spec:
  storage:
  - s3: {encryption: {type: SSEKMS, keyId: SseKms}}
  - s3:
      encryption:
        type: 'SSES3'   # the server's keys
  - s3: {encryption: {type: !!str SSES3}}
",
    );
}
