//! A query means what the same steps mean, and what is wrong in it is told at its line and column.

use weir_crds::{explain, load};
use weir_plan::compat::fingerprint;
use weir_plan::plan::Plan;

const DOCUMENT: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: queries}
spec:
  checkpoint: {uri: s3://lake/checkpoints/queries}
  connections:
  - {name: events, kafka: {bootstrapServers: kafka:9092}}
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format: {json: {}}
    columns:
    - {name: city, type: string, required: true}
    - {name: userId, type: bigint}
    - {name: price, type: double, required: true}
    - {name: ts, type: timestamp, required: true}
    eventTime: {expr: ts, watermarkDelay: 10m}
  - name: walks-2
    kafka: {connection: events, topics: [walks]}
    format: {json: {}}
    columns:
    - {name: town, type: string, required: true}
    - {name: cost, type: double, required: true}
    - {name: ts, type: timestamp, required: true}
    eventTime: {expr: ts, watermarkDelay: 10m}
  - name: orders
    kafka: {connection: events, topics: [orders]}
    format: {json: {}}
    columns:
    - {name: id, type: bigint}
    - {name: items, type: "array<struct<name: string, price: double>>"}
    - {name: ts, type: timestamp, required: true}
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - name: hourly
    aggregate:
      from: rides
      window: {tumbling: {size: 1h}}
      groupBy: [{name: city}]
      columns: [{name: revenue, expr: sum(price)}]
STEPS
  sinks:
  - {name: out, from: READ-BY-A-SINK, delta: {uri: s3://lake/out}}
  - {name: all-rides, from: rides, delta: {uri: s3://lake/rides}}
  - {name: all-walks, from: walks-2, delta: {uri: s3://lake/walks}}
  - {name: all-orders, from: orders, delta: {uri: s3://lake/orders}}
  - {name: all-hourly, from: hourly, delta: {uri: s3://lake/hourly}}
"#;

fn document(steps: &str, from: &str) -> String {
    DOCUMENT.replace("STEPS\n", steps).replace("READ-BY-A-SINK", from)
}

/// The document with this query as its step `x`.
fn with_query(inputs: &str, query: &str, from: &str) -> String {
    let lines: String = query.lines().map(|line| format!("        {line}\n")).collect();
    document(&format!("  - name: x\n    sql:\n      inputs: [{inputs}]\n      query: |\n{lines}"), from)
}

fn plan(text: &str) -> Plan {
    load(text, None).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

#[track_caller]
fn assert_same(one: &Plan, other: &Plan) {
    assert_eq!(format!("{one:#?}"), format!("{other:#?}"));
    assert_eq!(fingerprint(one), fingerprint(other));
}

/// Compares a query with steps, each given as its name and its operation.
#[track_caller]
fn means_from(inputs: &str, query: &str, steps: &[(&str, &str)], from: [&str; 2]) {
    let text = with_query(inputs, query, from[0]);
    let by_query = plan(&text);
    let steps: String = steps.iter().map(|(name, step)| format!("  - {{name: {name}, {step}}}\n")).collect();
    assert_same(&by_query, &plan(&document(&steps, from[1])));
    let explained = explain(&text, None).unwrap();
    assert!(!explained.contains("sql:"), "{explained}");
    assert_same(&by_query, &plan(&explained));
}

#[track_caller]
fn means(inputs: &str, query: &str, steps: &[(&str, &str)]) {
    means_from(inputs, query, steps, ["x", "x"]);
}

#[test]
fn select_and_where_are_a_map() {
    means(
        "rides",
        "SELECT upper(r.city) AS city, price * 2 twice, r.ts FROM rides AS r -- all\nWHERE r.price >= 0 AND city <> 'x, from';",
        &[(
            "x",
            r#"map: {from: rides, where: "price >= 0 AND city <> 'x, from'",
               columns: [{name: city, expr: upper(city)}, {name: twice, expr: price * 2}, {name: ts, expr: ts}]}"#,
        )],
    );
    means("rides", "SELECT * FROM rides", &[("x", "map: {from: rides}")]);
    means(
        "rides",
        "select *, upper(city) as city, 1 as one from rides where city is distinct from 'Paris'",
        &[(
            "x",
            r#"map: {from: rides, where: "city is distinct from 'Paris'",
               addColumns: [{name: city, expr: upper(city)}, {name: one, expr: "1"}]}"#,
        )],
    );
    means(
        "rides",
        "SELECT r.* EXCLUDE (price, ts), price / 2 AS price FROM rides r",
        &[("x", "map: {from: rides, dropColumns: [ts], addColumns: [{name: price, expr: price / 2}]}")],
    );
    means("rides", "SELECT * EXCEPT (price, ts) FROM rides", &[("x", "map: {from: rides, dropColumns: [price, ts]}")]);
    means("walks-2", "SELECT town FROM walks-2", &[("x", "map: {from: walks-2, columns: [{name: town, expr: town}]}")]);
}

const BY_CITY: &str = "[{name: city}]";
const REVENUE: &str = "[{name: revenue, expr: sum(price)}]";

fn aggregate(from: &str, window: &str) -> String {
    format!("aggregate: {{from: {from}, window: {window}, groupBy: {BY_CITY}, columns: {REVENUE}}}")
}

#[test]
fn a_window_in_group_by_is_the_window_of_an_aggregate() {
    let windows = [
        ("TUMBLE(INTERVAL '5 minutes')", "{tumbling: {size: 5m}}"),
        ("tumble(ts, interval '5' minute)", "{tumbling: {size: 5m}}"),
        ("TUMBLE(ts, INTERVAL '1' DAY, INTERVAL '6' HOUR)", "{tumbling: {size: 24h, offset: 6h}}"),
        ("HOP(INTERVAL '1 minute', INTERVAL '10 minutes')", "{sliding: {size: 10m, slide: 1m}}"),
        ("HOP(_event_time, INTERVAL 1 MINUTE, INTERVAL 10 MINUTES)", "{sliding: {size: 10m, slide: 1m}}"),
        ("SESSION(INTERVAL '30 minutes')", "{session: {gap: 30m}}"),
        ("CUMULATE(INTERVAL '1' HOUR, INTERVAL '24' HOURS)", "{cumulate: {size: 24h, step: 1h}}"),
        ("window(ts, '10 minutes', '5 minutes')", "{sliding: {size: 10m, slide: 5m}}"),
        ("session_window(ts, '90 seconds')", "{session: {gap: 90s}}"),
    ];
    for (sql, window) in windows {
        means(
            "rides",
            &format!("SELECT city, sum(price) AS revenue FROM rides GROUP BY city, {sql}"),
            &[
                ("x-1", &aggregate("rides", window)),
                ("x", "map: {from: x-1, columns: [{name: city}, {name: revenue}]}"),
            ],
        );
    }
    let of_tables = [
        ("TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '5' MINUTE))", "{tumbling: {size: 5m}}"),
        ("TUMBLE(rides, INTERVAL '5' MINUTE)", "{tumbling: {size: 5m}}"),
        (
            "TABLE(HOP(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)) AS w",
            "{sliding: {size: 5m, slide: 1m}}",
        ),
        ("TABLE(SESSION(TABLE rides PARTITION BY city, DESCRIPTOR(ts), INTERVAL '5' MINUTE))", "{session: {gap: 5m}}"),
    ];
    for (table, window) in of_tables {
        means(
            "rides",
            &format!(
                "SELECT window_end AS until, sum(price) AS revenue\nFROM {table}\nGROUP BY window_start, window_end, city"
            ),
            &[
                ("x-1", &aggregate("rides", window)),
                ("x", r#"map: {from: x-1, columns: [{name: until, expr: '"window_end"'}, {name: revenue}]}"#),
            ],
        );
    }
}

#[test]
fn where_comes_before_an_aggregate_and_having_behind_it() {
    means(
        "rides",
        "SELECT TUMBLE_START(INTERVAL '5' MINUTE) AS since, city AS town, sum(price) / count(*) AS mean, window.end
         FROM rides WHERE price > 0
         GROUP BY city, TUMBLE(INTERVAL '5' MINUTE)
         HAVING count(*) > 2 AND mean > 1",
        &[
            ("x-rows-1", "map: {from: rides, where: price > 0}"),
            (
                "x-1",
                "aggregate: {from: x-rows-1, window: {tumbling: {size: 5m}}, groupBy: [{name: city}], columns: [{name: \
                 mean, expr: sum(price) / count(*)}, {name: _having, expr: count(*) > 2 AND (sum(price) / count(*)) > 1}]}",
            ),
            (
                "x",
                r#"map: {from: x-1, where: '"_having"', columns: [{name: since, expr: '"window_start"'},
                   {name: town, expr: '"city"'}, {name: mean}, {name: window_end}]}"#,
            ),
        ],
    );
    means(
        "rides",
        "SELECT count(*) AS cnt FROM rides GROUP BY TUMBLE(INTERVAL '5 minutes') HAVING cnt > 2",
        &[
            ("x-1", "aggregate: {from: rides, window: {tumbling: {size: 5m}}, columns: [{name: cnt, expr: count(*)}]}"),
            ("x", "map: {from: x-1, where: cnt > 2, columns: [{name: cnt}]}"),
        ],
    );
}

#[test]
fn a_key_may_be_an_expression_or_a_name_of_the_select() {
    let steps = [
        (
            "x-1",
            "aggregate: {from: rides, window: {tumbling: {size: 5m}}, groupBy: [{name: day, expr: cast(ts as date)}], \
             columns: [{name: cnt, expr: count(*) FILTER (WHERE price > 1)}]}",
        ),
        ("x", "map: {from: x-1, columns: [{name: day}, {name: cnt}]}"),
    ];
    for key in ["day", "cast(ts as date)", "cast(rides.ts as date)"] {
        means(
            "rides",
            &format!(
                "SELECT cast(ts as date) AS day, count(*) FILTER (WHERE price > 1) AS cnt FROM rides GROUP BY {key}, \
                 TUMBLE(INTERVAL '5 minutes')"
            ),
            &steps,
        );
    }
    // A column of the input comes before a name of the SELECT.
    means(
        "rides",
        "SELECT upper(city) AS userId, max(price) AS most FROM rides
         GROUP BY city, userId, TUMBLE(INTERVAL '5 minutes')",
        &[
            (
                "x-1",
                "aggregate: {from: rides, window: {tumbling: {size: 5m}}, groupBy: [{name: city}, {name: userId}], \
                 columns: [{name: _userId, expr: upper(city)}, {name: most, expr: max(price)}]}",
            ),
            ("x", r#"map: {from: x-1, columns: [{name: userId, expr: '"_userId"'}, {name: most}]}"#),
        ],
    );
}

#[test]
fn windows_of_windows_are_those_that_the_rows_have() {
    means(
        "hourly",
        "SELECT window_start, max(revenue) AS most FROM hourly GROUP BY window_start, window_end",
        &[
            ("x-1", "aggregate: {from: hourly, window: {ofInput: {}}, columns: [{name: most, expr: max(revenue)}]}"),
            ("x", "map: {from: x-1, columns: [{name: window_start}, {name: most}]}"),
        ],
    );
}

#[test]
fn a_sink_reads_the_late_rows_of_the_only_step_that_has_some() {
    means_from(
        "rides",
        "SELECT city, sum(price) AS revenue FROM rides GROUP BY city, TUMBLE(INTERVAL '5 minutes')",
        &[
            ("x-1", &aggregate("rides", "{tumbling: {size: 5m}}")),
            ("x", "map: {from: x-1, columns: [{name: city}, {name: revenue}]}"),
        ],
        [
            "x.Late, delta: {uri: s3://lake/late}}\n  - {name: rows, from: x",
            "x-1.Late, delta: {uri: s3://lake/late}}\n  - {name: rows, from: x",
        ],
    );
}

#[test]
fn union_all_matches_listed_columns_by_place() {
    means(
        "rides, walks-2",
        "SELECT city, price FROM rides UNION ALL (SELECT town, cost FROM \"walks-2\" w WHERE w.cost > 0)
         UNION ALL SELECT town AS city, cost AS price FROM walks-2",
        &[
            ("x-rows-1", "map: {from: rides, columns: [{name: city, expr: city}, {name: price, expr: price}]}"),
            (
                "x-rows-2",
                "map: {from: walks-2, where: cost > 0, columns: [{name: city, expr: town}, {name: price, expr: cost}]}",
            ),
            ("x-rows-3", "map: {from: walks-2, columns: [{name: city, expr: town}, {name: price, expr: cost}]}"),
            ("x", "union: {inputs: [x-rows-1, x-rows-2, x-rows-3]}"),
        ],
    );
    means(
        "rides, hourly",
        "WITH a AS (SELECT * FROM rides UNION ALL SELECT * FROM rides) SELECT city FROM a UNION ALL SELECT city FROM hourly",
        &[
            ("x-rows-1", "map: {from: rides}"),
            ("x-rows-2", "union: {inputs: [rides, x-rows-1]}"),
            ("x-rows-3", "map: {from: x-rows-2, columns: [{name: city, expr: city}]}"),
            ("x-rows-4", "map: {from: hourly, columns: [{name: city, expr: city}]}"),
            ("x", "union: {inputs: [x-rows-3, x-rows-4]}"),
        ],
    );
}

#[test]
fn arrays_are_unnested() {
    let unnest = "unnest: {from: orders, expr: items, as: item}";
    let map = |from: &str| {
        format!("map: {{from: {from}, columns: [{{name: id, expr: id}}, {{name: price, expr: item.price}}]}}")
    };
    for join in [
        "CROSS JOIN UNNEST(o.items) AS t(item)",
        ", UNNEST(items) AS t (item)",
        ", UNNEST(items) item",
        "LATERAL VIEW explode(items) t AS item",
    ] {
        means(
            "orders",
            &format!("SELECT o.id, item.price FROM orders o {join}"),
            &[("x-rows-1", unnest), ("x", &map("x-rows-1"))],
        );
    }
    means(
        "orders",
        "SELECT o.id, t.item.price FROM orders o LEFT JOIN UNNEST(items) WITH ORDINALITY AS t(item, cnt) ON TRUE WHERE t.cnt < 3",
        &[
            ("x-rows-1", "unnest: {from: orders, expr: items, as: item, position: cnt, empty: Keep}"),
            ("x-rows-2", r#"map: {from: x-rows-1, addColumns: [{name: cnt, expr: 'cast("cnt" + 1 as int)'}]}"#),
            (
                "x",
                "map: {from: x-rows-2, where: cnt < 3, columns: [{name: id, expr: id}, {name: price, expr: item.price}]}",
            ),
        ],
    );
    means(
        "orders",
        "SELECT id, cnt FROM orders LATERAL VIEW OUTER posexplode(items) t AS cnt, item",
        &[
            ("x-rows-1", "unnest: {from: orders, expr: items, as: item, position: cnt, empty: Keep}"),
            ("x", "map: {from: x-rows-1, columns: [{name: id, expr: id}, {name: cnt, expr: cnt}]}"),
        ],
    );
}

#[test]
fn queries_nest_and_have_names() {
    let steps = [
        ("x-rows-1", "map: {from: rides, where: price < 5}"),
        (
            "x-1",
            "aggregate: {from: x-rows-1, window: {tumbling: {size: 5m}}, groupBy: [{name: city}], columns: [{name: cnt, \
             expr: count(*)}]}",
        ),
        (
            "x-rows-2",
            "map: {from: x-1, columns: [{name: window_start}, {name: window_end}, {name: city}, {name: cnt}]}",
        ),
        (
            "x-2",
            "aggregate: {from: x-rows-2, window: {ofInput: {}}, columns: [{name: cities, expr: count(*)}, {name: most, \
             expr: max(cnt)}]}",
        ),
        ("x", "map: {from: x-2, columns: [{name: cities}, {name: most}]}"),
    ];
    means(
        "rides",
        "WITH cheap AS (SELECT * FROM rides WHERE price < 5), counts AS (
           SELECT window_start, window_end, city, count(*) AS cnt FROM cheap
           GROUP BY city, TUMBLE(INTERVAL '5 minutes'))
         SELECT count(*) AS cities, max(c.cnt) AS most FROM counts c GROUP BY window_start, window_end",
        &steps,
    );
    means(
        "rides",
        "SELECT count(*) AS cities, max(cnt) AS most FROM (
           SELECT window_start, window_end, city, count(*) AS cnt FROM (SELECT * FROM rides WHERE price < 5)
           GROUP BY city, TUMBLE(INTERVAL '5 minutes'))
         GROUP BY window_start, window_end",
        &steps,
    );
}

#[test]
fn over_is_a_step_over() {
    let over = "OVER (PARTITION BY r.city ORDER BY ts RANGE BETWEEN INTERVAL '10 minutes' PRECEDING AND CURRENT ROW)";
    means(
        "rides",
        &format!("SELECT r.city, price - avg(price) {over} AS diff, price AS p FROM rides r WHERE price > 0"),
        &[
            ("x-rows-1", "map: {from: rides, where: price > 0}"),
            (
                "x-1",
                "over: {from: x-rows-1, key: [city], range: {preceding: 10m}, addColumns: [{name: diff, expr: price - \
                 avg(price)}, {name: p, expr: price}]}",
            ),
            ("x", "map: {from: x-1, columns: [{name: city}, {name: diff}, {name: p}]}"),
        ],
    );
    means(
        "rides",
        &format!("SELECT * EXCEPT (userId, price), count(*) {over} AS price FROM rides r"),
        &[
            (
                "x-1",
                "over: {from: rides, key: [city], range: {preceding: 10m}, addColumns: [{name: price, expr: count(*)}]}",
            ),
            ("x", "map: {from: x-1, dropColumns: [userId]}"),
        ],
    );
}

#[test]
fn the_first_rows_of_a_ranking_are_a_top() {
    means(
        "hourly",
        "SELECT city, revenue FROM (
           SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue DESC, city NULLS LAST) AS rn
           FROM hourly)
         WHERE rn <= 3 AND city <> 'Rome' AND revenue between 1 and 2",
        &[
            (
                "x-1",
                "top: {from: hourly, key: [window_start], orderBy: [{expr: revenue, direction: Desc}, {expr: city, nulls: \
                 Last}], limit: 3}",
            ),
            (
                "x",
                "map: {from: x-1, where: city <> 'Rome' AND revenue between 1 and 2, columns: [{name: city, expr: city}, \
                 {name: revenue, expr: revenue}]}",
            ),
        ],
    );
    means(
        "rides",
        "WITH ranked AS (
           SELECT city AS town, price, RANK() OVER (PARTITION BY window_start, window_end, city ORDER BY price) AS place
           FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '5' MINUTE)) WHERE price > 0)
         SELECT * FROM ranked WHERE 3 > place",
        &[
            ("x-rows-1", "map: {from: rides, where: price > 0}"),
            (
                "x-1",
                "top: {from: x-rows-1, key: [city], orderBy: [{expr: price}], limit: 2, ties: \
                 Keep, window: {tumbling: {size: 5m}}}",
            ),
            ("x-rows-2", "map: {from: x-1, columns: [{name: town, expr: city}, {name: price, expr: price}]}"),
            ("x", "map: {from: x-rows-2}"),
        ],
    );
}

#[test]
fn clauses_without_state_move_no_state() {
    let names = |query: &str| -> Vec<String> {
        fingerprint(&plan(&with_query("rides", query, "x"))).steps.into_iter().map(|step| step.name).collect()
    };
    let plain = "SELECT city, count(*) AS cnt FROM rides GROUP BY city, TUMBLE(INTERVAL '5 minutes')";
    assert_eq!(names(plain), ["hourly", "x-1"]);
    assert_eq!(names(&format!("SELECT cnt FROM ({plain} HAVING cnt > 1) WHERE cnt < 9")), ["hourly", "x-1"]);
}

/// Queries that are wrong, each with its inputs.
const WRONG: [(&str, &str); 78] = [
    ("rides", "SELEC city FROM rides"),
    ("rides", "SELECT city"),
    ("rides", "SELECT 'a FROM rides"),
    ("rides", "SELECT upper(city FROM rides"),
    ("rides", "SELECT city)\nFROM rides"),
    ("rides", "SELECT city FROM rides where"),
    ("rides", "SELECT city, FROM rides"),
    ("rides", "SELECT city FROM ridess"),
    ("rides", "SELECT town FROM walks-2"),
    ("rides, walks-2", "SELECT city FROM rides"),
    ("nowhere", "SELECT city FROM nowhere"),
    ("rides, rides", "SELECT city FROM rides"),
    ("rides", "SELECT city,\n  prise FROM rides"),
    ("rides", "SELECT city,\n  price +* 2 AS p FROM rides"),
    ("rides", "SELECT city FROM rides\nWHERE price AND true"),
    ("rides", "SELECT upper(city) FROM rides"),
    ("rides", "SELECT city, upper(city) AS city FROM rides"),
    ("rides", "SELECT city, * FROM rides"),
    ("rides", "SELECT * EXCEPT (prize) FROM rides"),
    ("rides", "SELECT DISTINCT city FROM rides"),
    ("rides", "SELECT city FROM rides ORDER BY price LIMIT 3"),
    ("rides", "SELECT city FROM rides LIMIT 3"),
    ("rides, orders", "SELECT city FROM rides JOIN orders ON id = userId"),
    ("rides, orders", "SELECT city FROM rides, orders"),
    ("rides", "SELECT city FROM rides UNION SELECT city FROM rides"),
    ("rides", "SELECT city FROM rides INTERSECT SELECT city FROM rides"),
    ("rides", "SELECT city FROM rides HAVING price > 0"),
    ("rides", "SELECT city FROM rides GROUP BY city WHERE price > 0"),
    ("rides", "SELECT count(*) AS n FROM rides"),
    ("rides", "SELECT city, count(*) AS n FROM rides GROUP BY city"),
    ("rides", "SELECT city, count(*) AS n FROM rides GROUP BY 1, TUMBLE(INTERVAL '5 minutes')"),
    ("rides", "SELECT city, price FROM rides GROUP BY city, TUMBLE(INTERVAL '5 minutes')"),
    ("rides", "SELECT city, sum(prise) AS s FROM rides GROUP BY city, TUMBLE(INTERVAL '5 minutes')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY citty, TUMBLE(INTERVAL '5 minutes')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY TUMBLE(INTERVAL '5 fortnights')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY TUMBLE(INTERVAL '0 seconds')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY TUMBLE(5)"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY HOP(INTERVAL '5 minutes')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY HOP(INTERVAL '5 minutes', INTERVAL '1 minute')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY TUMBLE(price, INTERVAL '5 minutes')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY TUMBLE(INTERVAL '1 minute'), SESSION(INTERVAL '1 minute')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY window_start, window_end"),
    ("rides", "SELECT count(*) AS n FROM TUMBLE(rides, INTERVAL '5' MINUTE) GROUP BY window_start"),
    ("rides", "SELECT city FROM TUMBLE(rides, INTERVAL '5' MINUTE)"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY ROLLUP (city), TUMBLE(INTERVAL '5 minutes')"),
    ("rides", "SELECT * FROM rides GROUP BY city, TUMBLE(INTERVAL '5 minutes')"),
    ("rides", "SELECT count(*) AS n FROM rides GROUP BY TUMBLE(INTERVAL '5 minutes') HAVING n > 'x'"),
    (
        "rides",
        "SELECT count(*) AS n FROM TABLE(SESSION(TABLE rides PARTITION BY userId, DESCRIPTOR(ts), INTERVAL '5' MINUTE)) GROUP BY window_start, window_end, city",
    ),
    ("rides, walks-2", "SELECT city, price FROM rides UNION ALL SELECT town FROM walks-2"),
    ("rides, walks-2", "SELECT city, price FROM rides UNION ALL SELECT cost, town FROM walks-2"),
    ("rides, walks-2", "SELECT * FROM rides UNION ALL SELECT * FROM walks-2"),
    ("orders", "SELECT id FROM orders CROSS JOIN UNNEST(id) AS t(item)"),
    ("orders", "SELECT id FROM orders CROSS JOIN UNNEST(items)"),
    ("orders", "SELECT id FROM orders CROSS JOIN UNNEST(items) AS t(a, b)"),
    ("orders", "SELECT id FROM orders CROSS JOIN UNNEST(items) AS t(id)"),
    ("rides", "WITH a AS (SELECT * FROM rides) SELECT city FROM rides"),
    ("rides", "WITH RECURSIVE a AS (SELECT * FROM a) SELECT city FROM a"),
    ("rides", "SELECT city FROM (SELECT prise AS city FROM rides) AS r"),
    ("rides", "SELECT sum(price) OVER (PARTITION BY city ORDER BY ts) AS s FROM rides"),
    (
        "rides",
        "SELECT sum(price) OVER (PARTITION BY city ORDER BY ts ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) AS s FROM rides",
    ),
    ("rides", "SELECT sum(price) OVER (PARTITION BY city ORDER BY ts RANGE UNBOUNDED PRECEDING) AS s FROM rides"),
    (
        "rides",
        "SELECT sum(price) OVER (PARTITION BY city ORDER BY price RANGE INTERVAL '5 minutes' PRECEDING) AS s FROM rides",
    ),
    ("rides", "SELECT sum(price) OVER (ORDER BY ts RANGE INTERVAL '5 minutes' PRECEDING) AS s FROM rides"),
    ("rides", "SELECT sum(price) OVER w AS s FROM rides"),
    (
        "rides",
        "SELECT sum(prise) OVER (PARTITION BY city ORDER BY ts RANGE INTERVAL '5 minutes' PRECEDING) AS s FROM rides",
    ),
    ("hourly", "SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue) AS rn FROM hourly"),
    (
        "hourly",
        "SELECT rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue) AS rn FROM hourly) WHERE rn < 3",
    ),
    (
        "hourly",
        "SELECT city FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue) AS rn FROM hourly) WHERE rn = 2",
    ),
    (
        "hourly",
        "SELECT city FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY city ORDER BY revenue) AS rn FROM hourly) WHERE rn < 3",
    ),
    (
        "hourly",
        "SELECT city FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenu) AS rn FROM hourly) WHERE rn < 3",
    ),
    (
        "rides",
        "SELECT city FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY city ORDER BY ts) AS rn FROM rides) WHERE rn = 1",
    ),
    (
        "hourly",
        "SELECT city FROM (SELECT *, DENSE_RANK() OVER (PARTITION BY window_start ORDER BY revenue) AS rn FROM hourly) WHERE rn < 3",
    ),
    (
        "hourly",
        "SELECT city FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue) AS rn FROM hourly) WHERE rn < 1",
    ),
    (
        "rides",
        "SELECT city FROM (SELECT *, RANK() OVER (PARTITION BY window_start, window_end ORDER BY price) AS rn FROM TUMBLE(rides, INTERVAL '5' MINUTE)) WHERE rn < 3",
    ),
    (
        "hourly",
        "SELECT city FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start ORDER BY revenue) AS rn FROM hourly) WHERE rn < 3 AND true OR city = 'Paris'",
    ),
    (
        "rides",
        "SELECT count(*) AS n FROM TUMBLE((SELECT *, sum(price) OVER (PARTITION BY city ORDER BY ts) AS s FROM rides), INTERVAL '5' MINUTE) GROUP BY window_start, window_end",
    ),
    ("rides", "INSERT INTO a SELECT city FROM rides"),
    ("rides", "SELECT city FROM rides WHERE price IN (SELECT price FROM rides)"),
];

#[test]
fn what_is_wrong_in_a_query_is_told_at_its_place() {
    let told = WRONG.iter().map(|(inputs, query)| {
        let found = load(&with_query(inputs, query, "x"), None).err().unwrap_or_default();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        format!(
            "[{inputs}]\n{query}\n=> {}\n\n",
            if found.is_empty() { "nothing".to_owned() } else { found.join("\n=> ") }
        )
    });
    insta::assert_snapshot!(told.collect::<String>());
}

/// Names that clash or become too long, references to what a query does not give, and too many steps.
#[test]
fn what_is_wrong_around_a_query_is_told_by_its_path() {
    let query = "SELECT count(*) AS cnt FROM rides GROUP BY TUMBLE(INTERVAL '5 minutes')";
    let found = |text: &str| -> Vec<String> {
        load(text, None).err().into_iter().flatten().map(|found| found.to_string()).collect()
    };
    let text = with_query("rides", query, "x");
    assert_eq!(
        found(&text.replace("name: hourly", "name: x-1").replace("from: hourly", "from: x-1")),
        [
            "spec.steps[1].name: the query becomes steps, one of them `x-1`, and something else is named `x-1` too: choose \
          another name"
        ]
    );
    let name = "x".repeat(50);
    assert_eq!(
        found(&text.replace("name: x\n", &format!("name: {name}\n")).replace("from: x,", &format!("from: {name},"))),
        [format!(
            "spec.steps[1].name: the query becomes steps, one of them `{name}-1`, and a name has at most 50 characters: \
             write a shorter name than `{name}`"
        )]
    );
    // What comes behind a query has the path that its author knows.
    assert_eq!(
        found(
            &text
                .replace("  sinks:", "  - {name: z, map: {from: x, where: cnd > 1}}\n  sinks:")
                .replace("from: x, delta", "from: z, delta")
        ),
        ["spec.steps[2].map.where: there is no column `cnd`: the columns are cnt, _event_time"]
    );
    let selects = vec!["SELECT city FROM rides"; 63];
    assert_eq!(
        found(&with_query("rides", &selects.join(" UNION ALL "), "x")),
        [
            "spec.steps: the steps, with those that queries become, are 65, and at most 64 are allowed: split the pipeline"
        ]
    );
    let selects = vec!["SELECT city FROM rides"; 65];
    assert_eq!(
        found(&with_query("rides", &selects.join(" UNION ALL "), "x")),
        ["spec.steps[1].sql.query: line 1, column 2113: the query becomes more than 64 steps: split it"]
    );
}

/// Neither the stack nor time runs out.
#[test]
fn queries_that_no_author_writes_are_refused() {
    let refused = |query: &str, because: &str| {
        let found = load(&with_query("rides", query, "x"), None).unwrap_err();
        assert!(found.iter().any(|found| found.message.contains(because)), "{found:#?}");
        assert!(found.iter().all(|found| found.message.len() < 2_000), "{found:#?}");
    };
    let nested = |depth: usize| format!("{}SELECT * FROM rides{}", "SELECT * FROM (".repeat(depth), ")".repeat(depth));
    load(&with_query("rides", &nested(16), "x"), None).unwrap();
    refused(&nested(17), "queries are more than 16 deep");
    refused(&nested(900), "queries are more than 16 deep");
    refused(&format!("{}SELECT 1{}", "(".repeat(8_000), ")".repeat(8_000)), "queries are more than 16 deep");
    refused(&"(".repeat(16_000), "expected `)`");
    refused(&"SELECT ".repeat(2_000), "expected");
    refused(&"WITH a AS ".repeat(1_500), "expected");
    refused(&format!("SELECT city FROM rides -- {}", "x".repeat(16_384)), "bytes long, and at most 16384");
    refused(&format!("SELECT {} AS a FROM rides", "(".repeat(5_000) + "1" + &")".repeat(5_000)), "too deep");
    refused(&format!("SELECT {} FROM rides", vec!["sum(price) OVER ()"; 800].join(",")), "PARTITION BY is missing");
    // Each reads the one before it twice, which would be a million steps if they were written out.
    let doubled: Vec<_> =
        (1..20).map(|i| format!("a{i} AS (SELECT * FROM a{0} UNION ALL SELECT * FROM a{0})", i - 1)).collect();
    let doubled = format!("WITH a0 AS (SELECT * FROM rides), {} SELECT * FROM a19", doubled.join(", "));
    load(&with_query("rides", &doubled, "x"), None).unwrap();
}
