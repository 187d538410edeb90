//! Event time and windows.

use crate::right::said;

#[test]
fn a_window_without_an_event_time_is_refused() {
    said(
        &[("    eventTime: {expr: ts, watermarkDelay: 10m}\n", "")],
        &[
            "spec.steps[1].aggregate.window: a window goes by the event time, and the rows of `cleaned` have none; give its source an eventTime",
        ],
    );
}

#[test]
fn an_event_time_that_is_no_timestamp_is_refused() {
    said(
        &[("eventTime: {expr: ts", "eventTime: {expr: city")],
        &[
            "spec.sources[0].eventTime.expr: `city` is a string; a timestamp would be right, as cast(… as timestamp) or to_timestamp(…) give it",
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
            "spec.trigger.interval: found `48h`; 1ms to 24h would be right",
            "spec.sources[0].eventTime.watermarkDelay: found `1d`; a duration such as 5s, 10m or 1h30m would be right (one to four whole numbers, each with h, m, s or ms); there is no unit for days: 1d is 24h",
            "spec.steps[1].aggregate.window.tumbling.size: found `0s`; 1ms to 99999h would be right",
        ],
    );
}

#[test]
fn an_interval_belongs_to_its_trigger() {
    said(
        &[("{type: Interval, interval: 5s}", "{type: Interval}")],
        &["spec.trigger.interval: is required for the type `Interval`; a duration such as 5s would be right"],
    );
    said(
        &[("type: Interval,", "type: AvailableNow,")],
        &["spec.trigger.interval: belongs to the type `Interval`, and the type is `AvailableNow`; leave one of them out"],
    );
}
