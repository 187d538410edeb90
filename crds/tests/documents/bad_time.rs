//! Errors in event time and windows.

use crate::right::told;

const FIVE: &str = "{tumbling: {size: 5m}}";

/// The rides of the most expensive window of each, and maps of the windows.
const BEST: &str = "  - name: best
    aggregate: {from: revenue, window: {ofInput: {}}, columns: [{name: most, expr: max(revenue)}]}
  - name: renamed
    map: {from: revenue, columns: [{name: window_start, expr: window_end}, {name: window_end}, {name: revenue}]}
  - name: moved
    map: {from: revenue, addColumns: [{name: window_end, expr: window_end + interval '1 second'}]}
  - name: kept
    map: {from: revenue, where: revenue > 0, dropColumns: [city]}
  sinks:
  - {name: a, from: best, delta: {uri: s3://lake/a}}
  - {name: b, from: renamed, delta: {uri: s3://lake/b}}
  - {name: c, from: moved, delta: {uri: s3://lake/c}}
  - {name: d, from: kept, delta: {uri: s3://lake/d}}";

#[test]
fn wrong_times_and_windows() {
    let topic = told(&[
        ("a window without an event time is refused", &[&[("    eventTime: {expr: ts, watermarkDelay: 10m}\n", "")]]),
        ("an event time that is no timestamp is refused", &[&[("eventTime: {expr: ts", "eventTime: {expr: city")]]),
        (
            "nothing says for how long to wait where the clock gives the time",
            &[
                &[("{expr: ts, watermarkDelay: 10m}", "{processingTime: {}}")],
                &[(
                    "{expr: ts, watermarkDelay: 10m}",
                    "{processingTime: {}, watermarkDelay: 0s, maxFuture: 1h, idleAfter: 1m, maxSkew: 1h, \
                     closeIdleWindowsAfter: 1h}",
                )],
                &[("{expr: ts, watermarkDelay: 10m}", "{processingTime: {}, kafkaTimestamp: {}, maxSkew: 1h}")],
            ],
        ),
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
            "days of a time zone are told how to be had",
            &[
                &[("  checkpoint: {", "  timeZone: Europe/Paris\n  checkpoint: {")],
                // As told.
                &[("window: {tumbling: {size: 5m}}", "window: {calendar: {unit: Day, timeZone: Europe/Paris}}")],
                &[(FIVE, "{calendar: {unit: Day, timeZone: europe/Paris}}")],
                &[(FIVE, "{calendar: {unit: Week, timeZone: GMT+2}}")],
                &[(FIVE, "{calendar: {unit: Week, timeZone: '+05:30'}}")],
                &[(FIVE, "{calendar: {unit: Hour, offset: 24h}}")],
                &[(FIVE, "{calendar: {unit: Month, offset: 24h}}")],
            ],
        ),
        (
            "windows that overlap leave no gap, and not too many contain one row",
            &[
                &[(FIVE, "{sliding: {size: 5m, slide: 10m}}")],
                &[(FIVE, "{sliding: {size: 24h, slide: 1s}}")],
                &[(FIVE, "{sliding: {size: 5m}}")],
                &[(FIVE, "{sliding: {size: 5 minutes, slide: 0s, offset: 1x}}")],
                &[(FIVE, "{sliding: {size: 5m, slide: 1m, offset: 1m}}")],
                &[(FIVE, "{tumbling: {size: 5m, offset: 5m}}")],
                &[(FIVE, "{cumulate: {size: 1h, step: 7m}}")],
                &[(FIVE, "{session: {gap: 0s}}")],
                &[(FIVE, "{session: 30m}")],
                &[(FIVE, "{cumulate: {size: 24h, step: 1s, offset: 25h}}")],
            ],
        ),
        (
            "a window of the input is one that the input has",
            &[
                &[(FIVE, "{ofInput: {}}")],
                &[("  sinks:", BEST)],
                &[("  sinks:", BEST), ("from: revenue, window", "from: renamed, window")],
                &[("  sinks:", BEST), ("from: revenue, window", "from: moved, window")],
                &[("  sinks:", BEST), ("from: revenue, window", "from: kept, window")],
                &[("  sinks:", BEST), ("name: silver, from: revenue", "name: silver, from: best.Late")],
            ],
        ),
    ]);
    insta::assert_snapshot!(topic);
}
