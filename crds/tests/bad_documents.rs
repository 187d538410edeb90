//! Wrong documents, and everything that is said about each: path and sentence, the whole list, in order.
//!
//! Each case is the same right document with some of its text replaced.

#![allow(clippy::unwrap_used)]

use weir_crds::load;

const RIGHT: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides-revenue}
spec:
  trigger: {type: Interval, interval: 5s}
  checkpoint: {uri: s3://lake/checkpoints/rides}
  storage:
  - {uriPrefix: s3://lake/, s3: {endpoint: http://s3:9000}}
  connections:
  - {name: events, kafka: {bootstrapServers: kafka:9092}}
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format:
      json:
        columns:
        - {name: city, type: string, required: true}
        - {name: price, type: double, required: true}
        - {name: ts, type: timestamp, required: true}
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - name: cleaned
    map:
      from: rides
      where: price >= 0
      columns: [{name: city, expr: upper(city)}, {name: price}]
  - name: revenue
    aggregate:
      from: cleaned
      window: {tumbling: {size: 5m}}
      groupBy: [city]
      columns: [{name: revenue, expr: sum(price)}]
  sinks:
  - {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}
"#;

fn with(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(RIGHT.to_owned(), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old:?} should stand once in the document");
        text.replace(old, new)
    })
}

fn findings(text: &str) -> Vec<String> {
    load(text, None).err().into_iter().flatten().map(|f| f.to_string()).collect()
}

#[track_caller]
fn said(edits: &[(&str, &str)], right: &[&str]) {
    assert_eq!(findings(&with(edits)), right);
}

#[test]
fn the_right_document_is_right() {
    said(&[], &[]);
}

/// What is not the shape of a document.
mod shape {
    use super::{findings, said, with};

    #[test]
    fn an_unknown_field_names_the_one_that_was_meant() {
        said(&[("where:", "wher:")], &[r#"spec.steps[0].map.wher: there is no field "wher"; did you mean "where"?"#]);
        said(
            &[("checkpoint: {", "checkpoint: {interval: 5s, ")],
            &[r#"spec.checkpoint.interval: there is no field "interval"; uri, keep, snapshotEvery, minPause or timeout would be right"#],
        );
    }

    #[test]
    fn a_value_of_another_type_says_what_was_found_and_what_would_be_right() {
        said(
            &[("from: rides", "from: 7"), ("uri: s3://lake/silver", "uri: [x]"), ("topics: [rides]", "topics: rides")],
            &[
                r#"spec.sources[0].kafka.topics: found the text "rides"; a list would be right"#,
                r#"spec.steps[0].map.from: found the number 7; text (in quotes: "7") would be right"#,
                "spec.sinks[0].delta.uri: found a list; text would be right",
            ],
        );
    }

    #[test]
    fn a_required_field_that_is_missing_is_named() {
        said(
            &[("metadata: {name: rides-revenue}", "metadata: {}"), ("- name: cleaned", "-"), ("expr: sum(price)", "filter: price > 1")],
            &["metadata.name: is required", "spec.steps[0].name: is required", "spec.steps[1].aggregate.columns[0].expr: is required"],
        );
    }

    #[test]
    fn an_enum_value_names_the_ones_there_are() {
        said(
            &[("type: Interval,", "type: interval,"), ("topics: [rides]", "topics: [rides], onLostOffsets: Ignore")],
            &[
                r#"spec.trigger.type: found "interval"; did you mean Interval? AsSoonAsPossible, Interval, AvailableNow or Continuous would be right"#,
                r#"spec.sources[0].kafka.onLostOffsets: found the text "Ignore"; Fail, Earliest or Latest would be right"#,
            ],
        );
    }

    #[test]
    fn another_kind_of_document_is_refused() {
        said(
            &[("weir.dev/v1alpha1", "weir.dev/v1"), ("kind: StreamPipeline", "kind: Deployment")],
            &[
                r#"apiVersion: found "weir.dev/v1"; this version reads "weir.dev/v1alpha1""#,
                r#"kind: found "Deployment"; this version reads "StreamPipeline""#,
            ],
        );
        assert_eq!(findings("[1, 2]"), ["found a list; a mapping with the fields apiVersion, kind, metadata, spec would be right"]);
        assert_eq!(findings(""), ["the document is empty; a StreamPipeline should be here"]);
    }

    #[test]
    fn what_is_wrong_with_shape_and_meaning_is_said_at_once() {
        said(
            &[("where: price >= 0", "wher: price >= 0"), ("size: 5m", "size: 5 minutes"), ("s3://lake/checkpoints/rides", "/tmp/x")],
            &[
                r#"spec.steps[0].map.wher: there is no field "wher"; did you mean "where"?"#,
                r#"spec.checkpoint.uri: found "/tmp/x"; s3://bucket/path or file:///absolute/path would be right; did you mean file:///tmp/x?"#,
                r#"spec.steps[1].aggregate.window.tumbling.size: found "5 minutes"; a duration such as 5s, 10m or 1h30m would be right (one to four whole numbers, each with h, m, s or ms)"#,
            ],
        );
    }

    #[test]
    fn a_document_that_is_wrong_everywhere_gets_a_hundred_findings_and_no_more() {
        let columns: Vec<_> = (0..200).map(|i| format!("{{name: 1, x{i}: 2}}")).collect();
        let text = with(&[("[{name: city, expr: upper(city)}, {name: price}]", &format!("[{}]", columns.join(", ")))]);
        assert_eq!(findings(&text).len(), 100);
    }
}

/// Names and who reads whom.
mod graph {
    use super::said;

    #[test]
    fn two_nodes_with_one_name_are_refused() {
        said(
            &[("- name: revenue\n", "- name: rides\n"), ("name: silver, from: revenue", "name: cleaned, from: rides")],
            &[
                r#"spec.steps[1].name: "rides" is the name of spec.sources[0].name too; sources, steps and sinks have different names"#,
                r#"spec.sinks[0].name: "cleaned" is the name of spec.steps[0].name too; sources, steps and sinks have different names"#,
            ],
        );
    }

    #[test]
    fn a_name_is_a_dns_label() {
        said(
            &[("- name: revenue\n", "- name: Ride_Revenue\n"), ("from: revenue", "from: Ride_Revenue")],
            &[
                r#"spec.steps[1].name: found "Ride_Revenue"; at most 50 lower-case letters, digits and hyphens would be right, beginning with a letter and not ending with a hyphen"#,
            ],
        );
    }

    #[test]
    fn a_sink_from_nowhere_names_the_nearest_node() {
        said(
            &[("from: revenue", "from: revenu")],
            &[r#"spec.sinks[0].from: there is no source or step "revenu"; did you mean "revenue"?"#],
        );
        said(
            &[("from: revenue", "from: elsewhere")],
            &[r#"spec.sinks[0].from: there is no source or step "elsewhere"; "rides", "cleaned" or "revenue" would be right"#],
        );
        said(
            &[("from: cleaned", "from: silver")],
            &[r#"spec.steps[1].aggregate.from: "silver" is a sink, which nothing can read; the name of a source or a step would be right"#],
        );
    }

    #[test]
    fn a_circle_is_named_in_the_direction_in_which_rows_would_go() {
        said(&[("from: rides", "from: revenue")], &["spec.steps[0].map.from: the steps go round in a circle: cleaned → revenue → cleaned"]);
        said(&[("from: rides", "from: cleaned")], &["spec.steps[0].map.from: the steps go round in a circle: cleaned → cleaned"]);
        let more = "  - {name: a, map: {from: c}}\n  - {name: b, map: {from: a}}\n  - {name: c, map: {from: b}}\n  sinks:";
        said(&[("  sinks:", more)], &["spec.steps[2].map.from: the steps go round in a circle: a → b → c → a"]);
    }

    #[test]
    fn what_leads_to_no_sink_is_refused() {
        said(
            &[("from: revenue", "from: cleaned")],
            &[r#"spec.steps[1]: nothing reads "revenue", so it leads to no sink; let a sink or a step read it, or leave it out"#],
        );
    }

    #[test]
    fn a_step_is_exactly_one_thing() {
        said(
            &[
                ("- name: revenue\n", "- {name: nothing}\n  - name: revenue\n"),
                (
                    "- name: cleaned\n",
                    "- name: cleaned\n    aggregate: {from: rides, window: {tumbling: {size: 1m}}, columns: [{name: n, expr: count(*)}]}\n",
                ),
            ],
            &[
                "spec.steps[0]: found map and aggregate; exactly one of map, aggregate, union, join, deduplicate, unnest, over, process or sql should be there",
                "spec.steps[1]: found none of map, aggregate, union, join, deduplicate, unnest, over, process or sql; exactly one should be there",
            ],
        );
    }

    #[test]
    fn a_document_without_sources_or_sinks_is_refused() {
        said(
            &[("  - {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}", "    []")],
            &["spec.sinks: found 0 elements; 1 to 64 would be right"],
        );
    }
}

/// Columns and expressions.
mod columns {
    use super::said;

    #[test]
    fn an_unknown_column_names_the_nearest() {
        said(
            &[
                ("{name: price}]", "{name: pricee}]"),
                ("groupBy: [city]", "groupBy: [town]"),
                ("partitionBy: [city]", "partitionBy: [date]"),
            ],
            &[r#"spec.steps[0].map.columns[1].name: "rides" has no column "pricee", and there is no expr; did you mean "price"?"#],
        );
        said(
            &[("groupBy: [city]", "groupBy: [cities]")],
            &["spec.steps[1].aggregate.groupBy[0]: there is no column `cities`: the columns are city, price, _event_time"],
        );
        said(
            &[("partitionBy: [city]", "partitionBy: [date]")],
            &[
                r#"spec.sinks[0].delta.partitionBy[0]: the sink writes no column "date"; "window_start", "window_end", "city" or "revenue" would be right"#,
            ],
        );
    }

    #[test]
    fn an_expression_that_does_not_parse_or_type_is_refused_where_it_stands() {
        said(
            &[("where: price >= 0", "where: price >="), ("upper(city)", "uppper(city)")],
            &[
                "spec.steps[0].map.where: the expression does not parse: expected an expression, found the end",
                "spec.steps[0].map.columns[0].expr: there is no function `uppper`: did you mean `upper`?",
            ],
        );
        said(
            &[("where: price >= 0", "where: price + 1"), ("upper(city)", "upper(town)")],
            &[
                "spec.steps[0].map.where: a condition must be a boolean, and this is a double: compare it, as in `price > 0`",
                "spec.steps[0].map.columns[0].expr: there is no column `town`: the columns are city, price, ts, _event_time",
            ],
        );
        said(
            &[("sum(price)", "price")],
            &[
                "spec.steps[1].aggregate.columns[0].expr: `price` is neither grouped by nor inside an aggregate, so a group has no single value of it: add it to groupBy, or take `max(price)`",
            ],
        );
    }

    #[test]
    fn columns_have_different_names_and_none_is_the_event_time() {
        said(
            &[("{name: price}]", "{name: city, expr: city}, {name: _event_time}, {name: price}]")],
            &[
                r#"spec.steps[0].map.columns[2].name: "_event_time" is the name of the event time, which every row carries anyway; take another name"#,
                r#"spec.steps[0].map.columns[1].name: "city" is the name of spec.steps[0].map.columns[0].name too; columns have different names"#,
            ],
        );
        said(
            &[("{name: revenue, expr", "{name: city, expr")],
            &[
                "spec.steps[1].aggregate.columns[0].name: `city` is a group column already, and group columns are in the output: choose another name, or leave it out",
            ],
        );
        said(
            &[("{name: revenue, expr", "{name: window_end, expr")],
            &["spec.steps[1].aggregate.columns[0].name: `window_end` is a column that the window adds: choose another name"],
        );
    }

    #[test]
    fn a_type_that_is_none_is_refused_and_nothing_that_follows_from_it_is_said() {
        said(
            &[("type: double", "type: doubel")],
            &[
                "spec.sources[0].format.json.columns[1].type: `doubel` is not a type; the types are boolean, int, bigint, float, double, decimal(p,s), string, binary, date, timestamp, array<…> and struct<name: type, …>",
            ],
        );
    }

    #[test]
    fn a_name_that_delta_refuses_is_refused_before_the_first_commit() {
        said(
            &[("{name: revenue, expr", "{name: the revenue, expr")],
            &[r#"spec.sinks[0].from: the column "the revenue" has ' ' in its name, which Delta refuses; rename it in a map step"#],
        );
        said(
            &[("{name: revenue, expr", "{name: City, expr")],
            &[r#"spec.sinks[0].from: Delta can't tell the columns "city" and "City" apart; rename one in a map step"#],
        );
    }

    #[test]
    fn a_table_is_not_partitioned_by_a_float_nor_by_every_column() {
        said(
            &[("partitionBy: [city]", "partitionBy: [revenue]")],
            &[
                r#"spec.sinks[0].delta.partitionBy[0]: the column "revenue" is a double; a table is partitioned by dates, timestamps, texts, whole numbers, decimals or booleans"#,
            ],
        );
        said(
            &[
                (
                    "from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}",
                    "from: only, delta: {uri: s3://lake/silver, partitionBy: [city]}",
                ),
                ("  sinks:", "  - {name: only, map: {from: revenue, columns: [{name: city}]}}\n  sinks:"),
            ],
            &["spec.sinks[0].delta.partitionBy: every column is a partition column, so that files would be empty; leave at least one out"],
        );
    }
}

/// Event time and windows.
mod time {
    use super::said;

    #[test]
    fn a_window_without_an_event_time_is_refused() {
        said(
            &[("    eventTime: {expr: ts, watermarkDelay: 10m}\n", "")],
            &[
                r#"spec.steps[1].aggregate.window: a window goes by the event time, and the rows of "cleaned" have none; give its source an eventTime"#,
            ],
        );
    }

    #[test]
    fn an_event_time_that_is_no_timestamp_is_refused() {
        said(
            &[("eventTime: {expr: ts", "eventTime: {expr: city")],
            &[
                r#"spec.sources[0].eventTime.expr: "city" is a string; a timestamp would be right, as cast(… as timestamp) or to_timestamp(…) give it"#,
            ],
        );
    }

    #[test]
    fn the_watermark_delay_is_the_authors_to_choose() {
        said(
            &[(", watermarkDelay: 10m", "")],
            &[
                "spec.sources[0].eventTime.watermarkDelay: is required: how long to wait for rows that come late; 10m would be right where rows are up to ten minutes late",
            ],
        );
    }

    #[test]
    fn durations_have_bounds() {
        said(
            &[("size: 5m", "size: 0s"), ("interval: 5s", "interval: 48h"), ("watermarkDelay: 10m", "watermarkDelay: 1d")],
            &[
                "spec.trigger.interval: found 48h; 1ms to 24h would be right",
                r#"spec.sources[0].eventTime.watermarkDelay: found "1d"; a duration such as 5s, 10m or 1h30m would be right (one to four whole numbers, each with h, m, s or ms); there is no unit for days: 1d is 24h"#,
                "spec.steps[1].aggregate.window.tumbling.size: found 0s; 1ms to 99999h would be right",
            ],
        );
    }

    #[test]
    fn an_interval_belongs_to_its_trigger() {
        said(
            &[("{type: Interval, interval: 5s}", "{type: Interval}")],
            &["spec.trigger.interval: is required for the type Interval; a duration such as 5s would be right"],
        );
        said(
            &[("type: Interval,", "type: AvailableNow,")],
            &["spec.trigger.interval: belongs to the type Interval, and the type is AvailableNow; leave one of them out"],
        );
    }
}

/// Places and connections.
mod places {
    use super::said;

    #[test]
    fn no_table_and_no_checkpoint_lie_in_one_another() {
        said(
            &[("s3://lake/checkpoints/rides", "s3://lake/silver/_checkpoint")],
            &[
                "spec.sinks[0].delta.uri: s3://lake/silver holds the place of spec.checkpoint.uri (s3://lake/silver/_checkpoint); each needs a place of its own",
            ],
        );
        said(
            &[("  - {name: silver", "  - {name: again, from: revenue, delta: {uri: s3://lake/silver/}}\n  - {name: silver")],
            &[
                "spec.sinks[1].delta.uri: s3://lake/silver is the place of spec.sinks[0].delta.uri (s3://lake/silver); each needs a place of its own",
            ],
        );
    }

    #[test]
    fn a_relative_path_is_refused() {
        said(
            &[("s3://lake/checkpoints/rides", "./checkpoint")],
            &[
                r#"spec.checkpoint.uri: found "./checkpoint"; s3://bucket/path or file:///absolute/path would be right; a relative path is refused, since it would name another place in each folder that the program is started from"#,
            ],
        );
    }

    #[test]
    fn storage_is_reached_by_one_prefix_each_and_a_url() {
        said(
            &[("endpoint: http://s3:9000", "endpoint: \"s3:9000\""), ("  connections:", "  - {uriPrefix: s3://lake/}\n  connections:")],
            &[
                r#"spec.storage[1].uriPrefix: "s3://lake/" is the name of spec.storage[0].uriPrefix too; entries of storage have different names"#,
                r#"spec.storage[0].s3.endpoint: found "s3:9000"; http:// or https://, a host and maybe a port would be right, as in https://s3.data:9000"#,
                "spec.storage[1]: s3 is missing",
            ],
        );
    }

    #[test]
    fn connections_are_used_and_name_hosts_with_ports() {
        said(
            &[("bootstrapServers: kafka:9092", "bootstrapServers: \"kafka\"")],
            &[r#"spec.connections[0].kafka.bootstrapServers: found "kafka"; host:port would be right, several with commas between them"#],
        );
        said(
            &[("connection: events", "connection: event")],
            &[
                r#"spec.connections[0]: no source uses the connection "events"; leave it out"#,
                r#"spec.sources[0].kafka.connection: there is no connection "event"; did you mean "events"?"#,
            ],
        );
    }

    #[test]
    fn topics_have_names_that_kafka_takes() {
        said(
            &[("topics: [rides]", "topics: [rides, rides, \"a b\"]")],
            &[
                r#"spec.sources[0].kafka.topics[1]: "rides" is the name of spec.sources[0].kafka.topics[0] too; topics have different names"#,
                r#"spec.sources[0].kafka.topics[2]: found "a b"; a topic's name has 1 to 249 ASCII letters, digits, dots, underscores and hyphens"#,
            ],
        );
        said(&[("topics: [rides]", "topics: []")], &["spec.sources[0].kafka.topics: found 0 elements; 1 to 64 would be right"]);
        said(
            &[(", topics: [rides]", "")],
            &["spec.sources[0].kafka: found none of topics, topicPattern or assign; exactly one should be there"],
        );
    }

    #[test]
    fn sizes_and_counts_have_bounds() {
        said(
            &[(
                "  checkpoint: {uri: s3://lake/checkpoints/rides}",
                "  limits: {recordsPerEpoch: 0, bytesPerEpoch: 128MB}\n  checkpoint: {uri: s3://lake/checkpoints/rides, keep: 1}",
            )],
            &[
                "spec.checkpoint.keep: found 1; 2 to 10000 would be right",
                "spec.limits.recordsPerEpoch: found 0; 1 to 1000000000 would be right",
                r#"spec.limits.bytesPerEpoch: found "128MB"; a whole number of bytes would be right, written as a Kubernetes quantity such as 128Mi, 1G or 134217728"#,
            ],
        );
    }
}

/// `--override`.
mod overrides {
    use super::RIGHT;

    fn said(over: &str, right: &[&str]) {
        let found: Vec<_> = weir_crds::load(RIGHT, Some(over)).err().into_iter().flatten().map(|f| f.to_string()).collect();
        assert_eq!(found, right);
    }

    #[test]
    fn what_is_wrong_in_it_is_said_of_the_merged_document() {
        said("spec: {trigger: {type: AvailableNow}}", &[]);
        said(
            "spec: {sinks: [{name: silver, delta: {uri: /tmp/x}}]}",
            &[
                r#"spec.sinks[0].delta.uri: found "/tmp/x"; s3://bucket/path or file:///absolute/path would be right; did you mean file:///tmp/x?"#,
            ],
        );
    }

    #[test]
    fn it_is_refused_if_it_is_for_another_pipeline_or_can_not_be_read() {
        said(
            "metadata: {name: orders}",
            &[r#"metadata.name: in the override: found "orders", and the document has "rides-revenue"; leave it out or make it the same"#],
        );
        said("a: {a: 1, a: 2}", &["a.a: in the override: this key stands twice in its mapping; keep one"]);
    }
}
