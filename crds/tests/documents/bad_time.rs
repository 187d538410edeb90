//! Errors in event time and windows.

use crate::right::told;

#[test]
fn wrong_times_and_windows() {
    let topic = told(&[
        ("a window without an event time is refused", &[&[("    eventTime: {expr: ts, watermarkDelay: 10m}\n", "")]]),
        ("an event time that is no timestamp is refused", &[&[("eventTime: {expr: ts", "eventTime: {expr: city")]]),
        ("the watermark delay is the author's to choose", &[&[(", watermarkDelay: 10m", "")]]),
        (
            "a number for a duration or a size is told what to write",
            &[&[
                ("size: 5m", "size: 300"),
                ("interval: 5s", "interval: 5"),
                ("watermarkDelay: 10m", "watermarkDelay: 0.5"),
                ("  storage:", "  resources: {limits: {cpu: 0.5, memory: 1Gi}}\n  storage:"),
            ]],
        ),
        (
            "durations have bounds",
            &[&[
                ("size: 5m", "size: 0s"),
                ("interval: 5s", "interval: 48h"),
                ("watermarkDelay: 10m", "watermarkDelay: 1d"),
            ]],
        ),
        (
            "an interval belongs to its trigger",
            &[&[("{type: Interval, interval: 5s}", "{type: Interval}")], &[("type: Interval,", "type: AvailableNow,")]],
        ),
        (
            "days of a time zone are told how to be had today",
            &[
                &[("window: {tumbling: {size: 5m}}", "window: {calendar: {unit: Day, timeZone: Europe/Paris}}")],
                &[("  checkpoint: {", "  timeZone: Europe/Paris\n  checkpoint: {")],
                // As told.
                &[
                    ("{tumbling: {size: 5m}}", "{tumbling: {size: 24h}}"),
                    ("{expr: ts,", "{expr: ts + interval '2 hours', maxFuture: 3h,"),
                ],
            ],
        ),
    ]);
    insta::assert_snapshot!(topic);
}
