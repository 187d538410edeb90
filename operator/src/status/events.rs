//! Which changes of the conditions are told as events.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::EventType;
use weir_crds::resource::Reason;

/// An event for each condition that people wait for, when it changes.
pub fn events<'a>(before: &[Condition], now: &'a [Condition]) -> impl Iterator<Item = (EventType, &'a Condition)> {
    let is_same = |a: &Condition, b: &Condition| a.type_ == b.type_ && a.status == b.status && a.reason == b.reason;
    let told = now.iter().filter(move |condition| {
        let is_waited_for = ["Ready", "Stalled"].contains(&condition.type_.as_str());
        let is_quiet = condition.type_ == "Stalled" && condition.status == "False";
        is_waited_for && !is_quiet && !before.iter().any(|b| is_same(b, condition))
    });
    told.map(|condition| (kind(condition), condition))
}

fn kind(condition: &Condition) -> EventType {
    let on_its_way = [Reason::Starting, Reason::Stopping].iter().any(|r| r.as_str() == condition.reason);
    let is_good = on_its_way || (condition.type_ == "Ready") == (condition.status == "True");
    if is_good { EventType::Normal } else { EventType::Warning }
}
