//! Errors in names and in who reads whom.

use crate::right::said;

#[test]
fn two_nodes_with_one_name_are_refused() {
    said(
        &[("- name: revenue\n", "- name: rides\n"), ("name: silver, from: revenue", "name: cleaned, from: rides")],
        &[
            "spec.steps[1].name: `rides` is the name of spec.sources[0].name too; sources, steps and sinks have \
             different names",
            "spec.sinks[0].name: `cleaned` is the name of spec.steps[0].name too; sources, steps and sinks have \
             different names",
        ],
    );
}

#[test]
fn a_name_is_a_dns_label() {
    said(
        &[("- name: revenue\n", "- name: Ride_Revenue\n"), ("from: revenue", "from: Ride_Revenue")],
        &["spec.steps[1].name: found `Ride_Revenue`: write at most 50 lower-case letters, digits and hyphens, \
           beginning with a letter and not ending with a hyphen"],
    );
}

#[test]
fn a_sink_from_nowhere_names_the_nearest_node() {
    said(
        &[("from: revenue", "from: revenu")],
        &["spec.sinks[0].from: there is no source or step `revenu`; did you mean `revenue`?"],
    );
    said(
        &[("from: revenue", "from: elsewhere")],
        &["spec.sinks[0].from: there is no source or step `elsewhere`; write rides, cleaned or revenue"],
    );
    said(
        &[("from: cleaned", "from: silver")],
        &["spec.steps[1].aggregate.from: `silver` is a sink, which nothing can read: write the name of a source or a \
           step"],
    );
}

#[test]
fn a_circle_is_named_in_the_direction_in_which_rows_would_go() {
    said(
        &[("from: rides", "from: revenue")],
        &["spec.steps[0].map.from: the steps go round in a circle: cleaned → revenue → cleaned"],
    );
    said(
        &[("from: rides", "from: cleaned")],
        &["spec.steps[0].map.from: the steps go round in a circle: cleaned → cleaned"],
    );
    let more = "  - {name: a, map: {from: c}}\n  - {name: b, map: {from: a}}\n  - {name: c, map: {from: b}}\n  sinks:";
    said(&[("  sinks:", more)], &["spec.steps[2].map.from: the steps go round in a circle: a → b → c → a"]);
}

#[test]
fn what_leads_to_no_sink_is_refused() {
    said(
        &[("from: revenue", "from: cleaned")],
        &["spec.steps[1]: nothing reads `revenue`, so it leads to no sink; let a sink or a step read it, or leave \
             it out"],
    );
}

#[test]
fn a_step_is_exactly_one_thing() {
    said(
        &[
            ("- name: revenue\n", "- {name: nothing}\n  - name: revenue\n"),
            (
                "- name: cleaned\n",
                "- name: cleaned\n    aggregate: {from: rides, window: {tumbling: {size: 1m}}, columns: [{name: cnt, \
                 expr: count(*)}]}\n",
            ),
        ],
        &[
            "spec.steps[0]: found map and aggregate; exactly one of map, aggregate, union, unnest, deduplicate, \
             top, over, join, lookup, process, pattern or sql should be there",
            "spec.steps[1]: found none of map, aggregate, union, unnest, deduplicate, top, over, join, lookup, \
             process, pattern or sql; exactly one should be there",
        ],
    );
}

#[test]
fn a_document_without_sources_or_sinks_is_refused() {
    said(
        &[("  - {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}", "    []")],
        &["spec.sinks: found 0 elements: write 1 to 64"],
    );
}
