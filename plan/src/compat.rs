//! Whether a document may continue with the state that another version of it left.
//!
//! A fingerprint holds what saved state and pinned offsets depend on. It refers to everything by name, never by
//! position, so that adding a step moves nothing. Every manifest stores it (`fingerprint`), and [`differences`]
//! compares the stored one with the plan that is about to start.
//!
//! These may change freely: steps without state, columns computed from aggregates and their order, conditions, delays
//! and sinks; an aggregate may be dropped. These may not change: the window, the keys, an aggregate that open windows
//! have not kept, and a step with state may not be removed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::plan::{OperatorFingerprint, Plan, Step};
use crate::quote::quoted;
use crate::topics::Topics;

/// What saved state and offsets depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fingerprint {
    pub sources: Vec<SourceFingerprint>,
    pub steps: Vec<StepFingerprint>,
    pub sinks: Vec<SinkFingerprint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFingerprint {
    pub name: String,
    /// The topics by name; empty if the source finds them by a pattern.
    pub topics: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_pattern: Option<String>,
    /// The partitions by topic, if the source reads only certain ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: BTreeMap<String, BTreeSet<i32>>,
}

impl SourceFingerprint {
    fn of(name: &str, topics: &Topics) -> Self {
        let (topic_pattern, partitions) = match topics {
            Topics::Named(_) => (None, BTreeMap::new()),
            Topics::Matching(pattern) => (Some(pattern.as_str().to_owned()), BTreeMap::new()),
            Topics::Assigned(partitions) => (None, partitions.clone()),
        };
        Self { name: name.to_owned(), topics: topics.names().map(str::to_owned).collect(), topic_pattern, partitions }
    }

    /// What the source reads, in words for a message.
    fn what_is_read(&self) -> String {
        if let Some(pattern) = &self.topic_pattern {
            return format!("the topics that match {}", quoted(pattern));
        }
        if self.partitions.is_empty() {
            return format!("the topics {}", self.topics.join(", "));
        }
        let all = self.partitions.iter().flat_map(|(topic, all)| all.iter().map(move |p| format!("{topic}-{p}")));
        format!("the partitions {}", all.collect::<Vec<_>>().join(", "))
    }
}

/// A step with state. Steps without state may change freely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFingerprint {
    pub name: String,
    #[serde(flatten)]
    pub operator: OperatorFingerprint,
}

impl StepFingerprint {
    /// The step's fingerprint; `None` for a step without state.
    #[must_use]
    pub fn of(step: &Step) -> Option<Self> {
        Some(Self { name: step.name.clone(), operator: step.op.fingerprint()? })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkFingerprint {
    pub name: String,
    pub uri: String,
}

/// The fingerprint of a plan.
#[must_use]
pub fn fingerprint(plan: &Plan) -> Fingerprint {
    Fingerprint {
        sources: plan.sources.iter().map(|s| SourceFingerprint::of(&s.name, &s.kafka.topics)).collect(),
        steps: plan.steps.iter().filter_map(StepFingerprint::of).collect(),
        sinks: plan.sinks.iter().map(|s| SinkFingerprint { name: s.name.clone(), uri: s.place().to_owned() }).collect(),
    }
}

/// The reasons why state saved under `saved` does not fit `now`, one sentence each; empty if it fits.
#[must_use]
pub fn differences(saved: &Fingerprint, now: &Fingerprint) -> Vec<String> {
    let mut found = Vec::new();
    for old in &saved.sources {
        match now.sources.iter().find(|s| s.name == old.name) {
            None => found.push(format!("source {} is gone, and with it the offsets that were read", quoted(&old.name))),
            Some(new) if new != old => {
                found.push(format!(
                    "source {} read {} and now reads {}",
                    quoted(&old.name),
                    old.what_is_read(),
                    new.what_is_read()
                ));
            }
            Some(_) => {}
        }
    }
    for old in &saved.steps {
        let Some(new) = now.steps.iter().find(|s| s.name == old.name) else {
            found.push(format!("step {} has saved windows and is no longer in the document", quoted(&old.name)));
            continue;
        };
        found.extend(
            old.operator
                .differences(&new.operator)
                .into_iter()
                .map(|what| format!("step {} {what}", quoted(&old.name))),
        );
    }
    found
}

/// What a person should know of changes that fit, one sentence each.
#[must_use]
pub fn notices(saved: &Fingerprint, now: &Fingerprint) -> Vec<String> {
    let new = now.steps.iter().filter(|step| !saved.steps.iter().any(|old| old.name == step.name));
    let says = new.map(|step| {
        format!(
            "step {} is new: it gets the records that are read from now on, so its first windows lack what was read \
             before",
            quoted(&step.name)
        )
    });
    says.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::aggregate::{Aggregate, AggregateColumn, AggregateFingerprint, GroupColumn, compile};
    use crate::plan::Input;
    use crate::topics::TopicPattern;
    use crate::types::{Column, DataType, EVENT_TIME};
    use crate::window::Window;

    /// The fingerprint of a step over `city string, price <price>` with these columns.
    fn step(price: DataType, size_us: i64, keys: &[&str], columns: &[&str]) -> Fingerprint {
        let keys: Vec<_> = keys.iter().map(|k| GroupColumn::from(*k)).collect();
        grouped(price, size_us, &keys, columns)
    }

    fn grouped(price: DataType, size_us: i64, keys: &[GroupColumn], columns: &[&str]) -> Fingerprint {
        let field =
            |name: &str, data_type| Column { name: name.into(), data_type, nullable: name != EVENT_TIME }.to_field();
        let fields = [field("city", DataType::String), field("price", price), field(EVENT_TIME, DataType::Timestamp)];
        let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields.to_vec()));
        let column = |(i, expr): (usize, &&str)| AggregateColumn {
            name: format!("c{i}"),
            expr: (*expr).to_owned(),
            filter: None,
        };
        let columns: Vec<_> = columns.iter().enumerate().map(column).collect();
        let aggregate = compile(Input::Source(0), &schema, Window::tumbling(size_us), keys, &columns).unwrap();
        Fingerprint {
            sources: Vec::new(),
            steps: vec![StepFingerprint { name: "revenue".into(), operator: of(&aggregate) }],
            sinks: Vec::new(),
        }
    }

    fn of(aggregate: &Aggregate) -> OperatorFingerprint {
        OperatorFingerprint::Aggregate(AggregateFingerprint::of(aggregate))
    }

    fn assert_differences(saved: &Fingerprint, now: &Fingerprint, expected: &[&str]) {
        assert_eq!(differences(saved, now), expected);
    }

    #[test]
    fn the_same_aggregates_in_another_order_spelling_or_formula_fit() {
        let saved = step(DataType::Double, 5, &["city"], &["sum(price) / count(*)", "max(price)"]);
        let now = step(DataType::Double, 5, &["city"], &["MAX( price )", "Count(*)", "round(sum((price)), 2)"]);
        assert_differences(&saved, &now, &[]);
    }

    #[test]
    fn an_aggregate_may_go_and_not_come() {
        let two = step(DataType::Double, 5, &["city"], &["sum(price)", "max(price)"]);
        let one = step(DataType::Double, 5, &["city"], &["sum(price)"]);
        assert_differences(&two, &one, &[]);
        assert_differences(&one, &two, &["step `revenue` now needs max(price), which its open windows have not kept"]);
    }

    #[test]
    fn a_window_a_key_or_a_type_may_not_change() {
        let saved = step(DataType::Int, 5, &["city"], &["sum(price)"]);
        let differs = |now: &Fingerprint, expected| assert_differences(&saved, now, &[expected]);
        differs(
            &step(DataType::Int, 6, &["city"], &["sum(price)"]),
            "step `revenue` had windows of 0.000005 s and now has windows of 0.000006 s",
        );
        differs(
            &step(DataType::Int, 5, &["city", "price"], &["sum(price)"]),
            "step `revenue` was grouped by [city string] and is now by [city string, price int]",
        );
        differs(
            &step(DataType::Double, 5, &["city"], &["sum(price)"]),
            "step `revenue` kept sum(price) as (bigint) and now needs it as (double)",
        );
    }

    #[test]
    fn a_key_that_is_computed_may_not_be_computed_otherwise() {
        let by = |name: &str, expr: &str, price: DataType| {
            let key = GroupColumn { name: name.into(), expr: Some(expr.into()) };
            grouped(price, 5, &[key], &["count(*)"])
        };
        let saved = by("town", "upper(city)", DataType::Int);
        assert_differences(&saved, &by("town", " UPPER( city )", DataType::Int), &[]);
        let says = "step `revenue` was grouped by [town string = upper(city) over city string] and is now by [town \
                    string = lower(city) over city string]";
        assert_differences(&saved, &by("town", "lower(city)", DataType::Int), &[says]);
        let saved = by("dear", "price > 3", DataType::Int);
        let says = "step `revenue` was grouped by [dear boolean = (price > 3) over price int] and is now by [dear \
                    boolean = (price > 3) over price double]";
        assert_differences(&saved, &by("dear", "price > 3", DataType::Double), &[says]);
        let column = step(DataType::Int, 5, &["city"], &["count(*)"]);
        assert_differences(&column, &by("city", "city", DataType::Int), &[]);
    }

    #[test]
    fn a_source_reads_the_same_topics_partitions_or_pattern_for_ever() {
        let named = |names: &[&str]| Topics::Named(names.iter().map(|n| (*n).to_owned()).collect());
        let matching = |pattern: &str| Topics::Matching(TopicPattern::parse(pattern).unwrap());
        let assigned = |partitions: &[i32]| {
            Topics::Assigned(BTreeMap::from([("a".to_owned(), partitions.iter().copied().collect())]))
        };
        let of = |topics: &Topics| Fingerprint {
            sources: vec![SourceFingerprint::of("s", topics)],
            steps: Vec::new(),
            sinks: Vec::new(),
        };
        let all =
            [named(&["a", "b"]), named(&["a"]), matching("a.*"), matching("b.*"), assigned(&[0, 1]), assigned(&[1])];
        for (i, saved) in all.iter().enumerate() {
            for (j, now) in all.iter().enumerate() {
                let said = differences(&of(saved), &of(now));
                assert_eq!(said.is_empty(), i == j, "{saved:?} {now:?}");
            }
        }
        assert_differences(
            &of(&all[0]),
            &of(&all[2]),
            &["source `s` read the topics a, b and now reads the topics that match `a.*`"],
        );
        assert_differences(
            &of(&all[4]),
            &of(&all[1]),
            &["source `s` read the partitions a-0, a-1 and now reads the topics a"],
        );
        let old: SourceFingerprint = serde_json::from_str(r#"{"name": "s", "topics": ["a"]}"#).unwrap();
        assert_eq!(old, SourceFingerprint::of("s", &named(&["a"])), "as it was written before there were patterns");
    }

    #[test]
    fn a_step_or_source_with_saved_progress_may_not_go() {
        let mut saved = step(DataType::Int, 5, &[], &["count(*)"]);
        saved.sources.push(SourceFingerprint::of("rides", &Topics::Named(vec!["rides".into()])));
        let nothing = Fingerprint { sources: Vec::new(), steps: Vec::new(), sinks: Vec::new() };
        let gone = [
            "source `rides` is gone, and with it the offsets that were read",
            "step `revenue` has saved windows and is no longer in the document",
        ];
        assert_differences(&saved, &nothing, &gone);
        assert_differences(&nothing, &saved, &[]);
    }

    #[test]
    fn a_step_that_comes_later_fits_and_is_told_of() {
        let before = step(DataType::Int, 5, &[], &["count(*)"]);
        let none = Fingerprint { steps: Vec::new(), ..before.clone() };
        assert_differences(&none, &before, &[]);
        let says = "step `revenue` is new: it gets the records that are read from now on, so its first windows lack \
                    what was read before";
        assert_eq!(notices(&none, &before), [says]);
        assert_eq!(notices(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn a_column_that_an_aggregate_reads_keeps_its_type_and_files_that_do_not_say_it_fit() {
        let (narrow, wide) =
            (step(DataType::Int, 5, &[], &["sum(price)"]), step(DataType::Bigint, 5, &[], &["sum(price)"]));
        let says = "step `revenue` kept sum(price) over price bigint and now reads price int";
        assert_differences(&wide, &narrow, &[says]);
        let mut old = wide;
        let OperatorFingerprint::Aggregate(aggregate) = &mut old.steps[0].operator else { panic!("{old:?}") };
        aggregate.calls[0].reads.clear();
        assert_differences(&old, &narrow, &[]);
        let json = json!({
            "name": "revenue", "operator": "Aggregate", "window": {"type": "Tumbling", "sizeUs": 5}, "keys": [],
            "calls": [{"name": "sum(price)", "state": ["bigint"]}],
        });
        assert_eq!(serde_json::to_value(&old.steps[0]).unwrap(), json, "as it was written before");
        assert_eq!(serde_json::from_value::<StepFingerprint>(json).unwrap(), old.steps[0]);
    }

    #[test]
    fn a_step_of_a_kind_or_with_settings_that_only_another_version_knows_is_read_and_does_not_fit() {
        let now = step(DataType::Int, 5, &[], &["count(*)"]);
        let saved =
            |json: serde_json::Value| Fingerprint { steps: vec![serde_json::from_value(json).unwrap()], ..now.clone() };
        let session = json!({"name": "revenue", "operator": "Session", "gapUs": 5});
        assert_differences(&saved(session.clone()), &now, &["step `revenue` was Session and is now Aggregate"]);
        assert_eq!(
            serde_json::to_value(&saved(session.clone()).steps[0]).unwrap(),
            session,
            "it is carried on as it is"
        );
        let sliding =
            json!({"name": "revenue", "operator": "Aggregate", "window": {"type": "Sliding"}, "keys": [], "calls": []});
        let says = "step `revenue` has saved state as Aggregate, which this version of Weir can't read";
        assert_differences(&saved(sliding), &now, &[says]);
    }
}
