//! Errors in names and in who reads whom.

use crate::right::told;

/// A source whose rows are timed by the clock.
const APP: &str = "  - name: app
    kafka: {connection: events, topics: [app]}
    format: {json: {}}
    columns: [{name: city, type: string, required: true}, {name: price, type: double, required: true}]
    eventTime: {processingTime: {}}
  steps:";

const UNIONS: &str = "  - {name: dearer, map: {from: app, where: price > 1}}
  - {name: both, union: {inputs: [cleaned, app, dearer]}}
  - name: sums
    aggregate:
      from: dearer
      window: {tumbling: {size: 5m}}
      groupBy: [{name: city}]
      columns: [{name: revenue, expr: sum(price)}]
  - {name: alike, union: {inputs: [app, dearer]}}
  - {name: unlike, union: {inputs: [sums, revenue]}}
  sinks:
  - {name: a, from: both, delta: {uri: s3://lake/a}}
  - {name: b, from: unlike, delta: {uri: s3://lake/b}}
  - {name: c, from: alike, delta: {uri: s3://lake/c}}";

#[test]
fn wrong_names_and_edges() {
    let topic = told(&[
        (
            "two nodes with one name are refused",
            &[&[
                ("- name: revenue\n", "- name: rides\n"),
                ("name: silver, from: revenue", "name: cleaned, from: rides"),
            ]],
        ),
        ("a connection without a name is told once", &[&[("- {name: events, kafka", "- {kafka")]]),
        (
            "a name is a DNS label",
            &[&[("- name: revenue\n", "- name: Ride_Revenue\n"), ("from: revenue", "from: Ride_Revenue")]],
        ),
        (
            "a sink from nowhere names the nearest node",
            &[
                &[("from: revenue", "from: revenu")],
                &[("from: revenue", "from: elsewhere")],
                &[("from: cleaned", "from: silver")],
            ],
        ),
        (
            "the inputs of a union have the same columns",
            &[
                &[(
                    "  sinks:",
                    "  - {name: short, map: {from: rides, dropColumns: [ts]}}\n  - {name: b, union: {inputs: [rides, \
                     short]}}\n  - {name: c, union: {inputs: [short, rides]}}\n  - {name: d, union: {inputs: [rides, \
                     revenue]}}\n  sinks:",
                )],
                &[(
                    "  sinks:",
                    "  - {name: other, map: {from: rides, addColumns: [{name: price, expr: cast(price as string)}]}}\n  - \
                     {name: b, union: {inputs: [rides, other, rides]}}\n  sinks:",
                )],
                &[(
                    "  sinks:",
                    "  - {name: b, union: {inputs: [rides]}}\n  - {name: c, union: {inputs: [rides, ridez]}}\n  sinks:",
                )],
                &[(
                    "  sinks:",
                    "  - {name: more, map: {from: rides}}\n  - {name: b, union: {inputs: [rides, more]}}\n  sinks:\n  \
                         - {name: bad, from: b.Rejected, delta: {uri: s3://lake/bad}}",
                )],
            ],
        ),
        (
            "rows that are timed by the clock meet no others, whatever lies between",
            &[&[("  steps:", APP), ("  sinks:", UNIONS)]],
        ),
        ("what leads to no sink is refused", &[&[("from: revenue", "from: cleaned")]]),
        (
            "a step is exactly one thing",
            &[&[
                ("- name: revenue\n", "- {name: nothing}\n  - name: revenue\n"),
                (
                    "- name: cleaned\n",
                    "- name: cleaned\n    aggregate: {from: rides, window: {tumbling: {size: 1m}}, columns: [{name: cnt, \
                 expr: count(*)}]}\n",
                ),
            ]],
        ),
        (
            "a document without sources or sinks is refused",
            &[&[("  - {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}", "    []")]],
        ),
        (
            "a circle is named in the direction in which rows would go",
            &[
                &[("from: rides", "from: revenue")],
                &[("from: rides", "from: cleaned")],
                &[(
                    "  sinks:",
                    "  - {name: a, map: {from: c}}\n  - {name: b, map: {from: a}}\n  - {name: c, map: {from: b}}\n  sinks:",
                )],
            ],
        ),
    ]);
    insta::assert_snapshot!(topic);
}
