//! Errors in event time and windows.

use crate::right::{findings, said, with};

#[test]
fn a_window_without_an_event_time_is_refused() {
    said(
        &[("    eventTime: {expr: ts, watermarkDelay: 10m}\n", "")],
        &["spec.steps[1].aggregate.window: a window goes by the event time, and the rows of `cleaned` have none; \
             give its source an eventTime"],
    );
}

#[test]
fn an_event_time_that_is_no_timestamp_is_refused() {
    said(
        &[("eventTime: {expr: ts", "eventTime: {expr: city")],
        &["spec.sources[0].eventTime.expr: `city` is a string, and an event time is a timestamp: write cast(… as \
             timestamp) or to_timestamp(…)"],
    );
}

#[test]
fn the_watermark_delay_is_the_authors_to_choose() {
    said(
        &[(", watermarkDelay: 10m", "")],
        &["spec.sources[0].eventTime.watermarkDelay: is required: how long to wait for rows that come late, as 10m \
           where rows are up to ten minutes late"],
    );
}

#[test]
fn a_number_for_a_duration_or_a_size_is_told_what_to_write() {
    let without_unit = |number: u64| {
        format!(
            "found the number {number}, which has no unit: write {number}s for seconds, or {number} with h, m or ms"
        )
    };
    said(
        &[
            ("size: 5m", "size: 300"),
            ("interval: 5s", "interval: 5"),
            ("watermarkDelay: 10m", "watermarkDelay: 0.5"),
            ("  storage:", "  resources: {limits: {cpu: 0.5, memory: 1Gi}}\n  storage:"),
        ],
        &[
            &format!("spec.trigger.interval: {}", without_unit(5)),
            "spec.resources.limits.cpu: found the number 0.5; write a size such as 128Mi, or a fraction as text: \
             \"0.5\"",
            "spec.sources[0].eventTime.watermarkDelay: found the number 0.5: write a duration such as 5s, 10m or 1h30m",
            &format!("spec.steps[1].aggregate.window.tumbling.size: {}", without_unit(300)),
        ],
    );
}

#[test]
fn durations_have_bounds() {
    said(
        &[("size: 5m", "size: 0s"), ("interval: 5s", "interval: 48h"), ("watermarkDelay: 10m", "watermarkDelay: 1d")],
        &[
            "spec.trigger.interval: found `48h`: write 1ms to 24h",
            "spec.sources[0].eventTime.watermarkDelay: found `1d`: write a duration such as 5s, 10m or 1h30m \
             (one to four whole numbers, each with h, m, s or ms); there is no unit for days: 1d is 24h",
            "spec.steps[1].aggregate.window.tumbling.size: found `0s`: write 1ms to 99999h",
        ],
    );
}

#[test]
fn days_of_a_time_zone_are_told_how_to_be_had_today() {
    let days = "for days of UTC+2 (without summer time) write `tumbling: {size: 24h}` and move the event time by as \
                much, `eventTime: \
                {expr: ts + interval '2 hours', maxFuture: 3h, …}`: window_start and window_end are local times then";
    said(
        &[("window: {tumbling: {size: 5m}}", "window: {calendar: {unit: Day, timeZone: Europe/Paris}}")],
        &[&format!("spec.steps[1].aggregate.window.calendar: not supported yet; leave it out; {days}")],
    );
    said(
        &[("  checkpoint: {", "  timeZone: Europe/Paris\n  checkpoint: {")],
        &[&format!("spec.timeZone: not supported yet: `Europe/Paris`; write UTC; {days}")],
    );
    let as_told = [
        ("{tumbling: {size: 5m}}", "{tumbling: {size: 24h}}"),
        ("{expr: ts,", "{expr: ts + interval '2 hours', maxFuture: 3h,"),
    ];
    assert_eq!(findings(&with(&as_told)), Vec::<String>::new());
}

#[test]
fn an_interval_belongs_to_its_trigger() {
    said(
        &[("{type: Interval, interval: 5s}", "{type: Interval}")],
        &["spec.trigger.interval: is required for the type `Interval`: write a duration such as 5s"],
    );
    said(
        &[("type: Interval,", "type: AvailableNow,")],
        &["spec.trigger.interval: belongs to the type `Interval`, and the type is `AvailableNow`; leave one of them \
             out"],
    );
}
