//! Rows that change with every epoch, and what may read them.

use crate::right::told;

#[test]
fn wrong_modes() {
    const TOTALS: &str =
        "{name: totals, aggregate: {from: rides, groupBy: [{name: city}], columns: [{name: cnt, expr: count(*)}]}}";
    const EXPIRES: &str = "{name: totals, aggregate: {from: rides, groupBy: [{name: city}], columns: [{name: cnt, expr: \
                           count(*)}], expireAfter: 1h}}";
    let groups: [(&str, &[&[&str]]); 3] = [
        (
            "rows that change go through maps to sinks of one mode, which is not Append",
            &[
                &[TOTALS, "{name: m, from: totals, delta: {uri: s3://lake/m}}"],
                &[TOTALS, "{name: m, from: totals, mode: Update, key: [city], delta: {uri: s3://lake/m}}"],
                &[TOTALS, "{name: m, from: totals, console: {}}"],
                &[TOTALS, "{name: few, map: {from: totals, where: cnt > 3}}", "{name: m, from: few, console: {}}"],
                &[
                    TOTALS,
                    "{name: m, from: totals, mode: Update, key: [city], console: {}}",
                    "{name: o, from: totals, mode: Complete, console: {}}",
                ],
                &[
                    TOTALS,
                    "{name: more, aggregate: {from: totals, columns: [{name: cnt, expr: sum(cnt)}]}}",
                    "{name: m, from: more, mode: Complete, console: {}}",
                ],
                &[
                    TOTALS,
                    "{name: more, union: {inputs: [totals, totals]}}",
                    "{name: m, from: more, mode: Complete, console: {}}",
                ],
                &[EXPIRES, "{name: m, from: totals, mode: Complete, console: {}}"],
            ],
        ),
        (
            "Update has a key, and rows that do not change are written once",
            &[
                &[TOTALS, "{name: m, from: totals, mode: Update, console: {}}"],
                &[TOTALS, "{name: m, from: totals, mode: Update, key: [citty, city, city], console: {}}"],
                &[TOTALS, "{name: m, from: totals, mode: Complete, key: [city], console: {}}"],
                &["{name: m, from: rides, mode: Update, key: [city], console: {}}"],
                &["{name: m, from: revenue, mode: Complete, console: {}}"],
                &[EXPIRES, "{name: m, from: totals.Late, mode: Update, key: [city], console: {rows: 0, truncate: 0}}"],
                &[TOTALS, "{name: m, from: totals.Late, console: {}}"],
            ],
        ),
        (
            "an aggregate without a window has neither bounds nor a time",
            &[
                &[
                    "{name: totals, aggregate: {from: rides, columns: [{name: cnt, expr: min(window_start)}]}}",
                    "{name: m, from: totals, mode: Complete, console: {}}",
                ],
                &[
                    "{name: totals, aggregate: {from: rides, window: {tumbling: {size: 5m}}, columns: [{name: cnt, expr: \
                     count(*)}], expireAfter: 1h}}",
                    "{name: m, from: totals, console: {}}",
                ],
                &[
                    "{name: totals, aggregate: {from: rides, groupBy: [{name: _event_time}], columns: [{name: cnt, expr: \
                     count(*)}], expireAfter: 1 hour}}",
                    "{name: m, from: totals, mode: Update, key: [cnt], console: {}}",
                ],
            ],
        ),
    ];
    let mut all = String::new();
    for (what, documents) in groups {
        all += &format!("# {what}\n\n");
        for items in documents {
            let (steps, sinks): (Vec<_>, Vec<_>) =
                items.iter().partition(|item| !item.contains("console") && !item.contains("delta"));
            let list = |items: &[&&str]| items.iter().map(|item| format!("  - {item}\n")).collect::<String>();
            let lines = format!("{}  sinks:\n{}", list(&steps), list(&sinks).trim_end());
            all += &told(&[(&items.join("\n"), &[&[("  sinks:", &lines)]])]);
        }
    }
    insta::assert_snapshot!(all);
}
