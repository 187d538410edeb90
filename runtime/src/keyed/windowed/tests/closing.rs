//! The rows of windows that are over come a batch at a time, with the bad rows beside the good ones.

use super::*;

const ROWS: usize = 200_000;

/// A window of many groups with keys of a hundred bytes. `high` gives the bits of each group's sum above the 64th.
fn large(high: impl Fn(usize) -> i64) -> State {
    let aggregate = aggregate();
    let mut state = state(&aggregate);
    let keys: ArrayRef = Arc::new((0..ROWS).map(|i| Some(format!("{i:0100}"))).collect::<StringArray>());
    let number = |i: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![i; ROWS])) };
    let high: ArrayRef = Arc::new((0..ROWS).map(|i| Some(high(i))).collect::<Int64Array>());
    let times = Int64Array::from(vec![SIZE_US - 1; ROWS]);
    let values = vec![number(1), high, number(2), number(3)];
    apply(&mut state, &Entries { times, deleted: None, keys: vec![keys, number(0)], values });
    state
}

#[test]
fn a_window_that_closes_gives_its_rows_a_batch_at_a_time() {
    let mut state = large(|_| 0);
    close(&mut state, Some(10));
    let mut batches = Vec::new();
    while let Some(rows) = state.next(&|_| Ok(())).unwrap() {
        let [rows] = &rows.good[..] else { panic!("{} batches at once", rows.good.len()) };
        assert_eq!(rows.column(3).as_primitive::<Int64Type>().value(0), 1);
        batches.push(rows.num_rows());
    }
    assert_eq!(batches.iter().sum::<usize>(), ROWS);
    // Keys have a hundred bytes and more, and come 4 MiB at a time.
    assert!(batches.iter().all(|rows| *rows < 42_000), "{batches:?}");
}

#[test]
fn each_batch_of_a_window_has_its_own_bad_rows() {
    // In one group of each thousand, the sum is beyond its type.
    let mut state = large(|i| i64::from(i % 1_000 == 7));
    close(&mut state, Some(10));
    let (mut first, mut bad_in_all) = (0, 0);
    while let Some(rows) = state.next(&|_| Ok(())).unwrap() {
        let [bad] = &rows.bad[..] else { panic!("bad rows of one batch, in one: {:?}", rows.bad) };
        let good: usize = rows.good.iter().map(RecordBatch::num_rows).sum();
        let of_batch = first..first + good + bad.reasons.len();
        for key in bad.rows.column(2).as_string::<i32>().iter().flatten() {
            let key = key.parse::<usize>().unwrap();
            assert!(key % 1_000 == 7 && of_batch.contains(&key), "{key} in {of_batch:?}");
        }
        (first, bad_in_all) = (of_batch.end, bad_in_all + bad.reasons.len());
    }
    assert_eq!((first, bad_in_all), (ROWS, ROWS / 1_000));
}

/// `total` is beyond its type for the key `b`, and `share` divides by zero for `a`.
fn failing() -> State {
    let column = |name: &str, expr: &str| AggregateColumn { name: name.into(), expr: expr.into(), filter: None };
    let columns = [column("total", "sum(value)"), column("share", "count(*) / count(nullif(value, 7))")];
    let aggregate =
        aggregate::compile(Input::Source(0), &input_schema(), Window::tumbling(SIZE_US), &["key".into()], &columns)
            .unwrap();
    let aggregate = Arc::new(aggregate);
    let rows = [("a", 7), ("b", i64::MAX), ("b", 1), ("c", 5), ("d", i64::MAX), ("d", 1), ("d", -1)];
    let rows = rows.map(|(key, value)| Row { time_us: 3, key: Some(key), value: Some(value) });
    let mut state = state(&aggregate);
    apply(&mut state, &partials(&aggregate, &rows).unwrap());
    state
}

#[test]
fn a_group_whose_row_cannot_be_computed_costs_only_itself_and_says_why() {
    let mut state = failing();
    let rows = close_up_to(&mut state, i64::MAX, &|_| Ok(()));
    let good: Vec<_> = rows.good.iter().flat_map(windows_of_totals).collect();
    assert_eq!(good, [("c".to_owned(), 5), ("d".to_owned(), i64::MAX)]);
    let [bad] = &rows.bad[..] else { panic!("{:?}", rows.bad) };
    assert_eq!(bad.rows.column(2).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b"]);
    assert!(bad.reasons[0].starts_with("column `share`: `count(*) / count(nullif(value, 7))`: "), "{}", bad.reasons[0]);
    assert_eq!(
        bad.reasons[1],
        "column `total`: `sum(value)` is more than its type bigint holds; cast its argument to decimal(38,0)"
    );
}

#[test]
fn a_group_that_has_collected_too_much_costs_only_itself_and_says_so() {
    let column =
        AggregateColumn { name: "keys".into(), expr: "collect_list(repeat(key, 200000))".into(), filter: None };
    let aggregate =
        aggregate::compile(Input::Source(0), &input_schema(), Window::tumbling(SIZE_US), &["key".into()], &[column])
            .unwrap();
    let aggregate = Arc::new(aggregate);
    let mut state = state(&aggregate);
    // 21 values of 200 KB come in each of two epochs.
    for _ in 0..2 {
        let rows = (0..25).map(|i| Row { time_us: i % 5, key: Some(if i < 21 { "a" } else { "b" }), value: None });
        apply(&mut state, &partials(&aggregate, &rows.collect::<Vec<_>>()).unwrap());
    }
    let rows = close_up_to(&mut state, i64::MAX, &|_| Ok(()));
    let [good] = &rows.good[..] else { panic!("{:?}", rows.good) };
    assert_eq!(good.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("b")]);
    assert_eq!(good.column(3).as_list::<i32>().value_length(0), 8);
    let [bad] = &rows.bad[..] else { panic!("{:?}", rows.bad) };
    assert_eq!(
        bad.reasons,
        [
            "column `keys`: `collect_list(repeat(key, 200000))` has collected more than the 8 MiB that a group may; collect \
          fewer values, as with a shorter window or a filter"
        ]
    );
}

fn windows_of_totals(rows: &RecordBatch) -> Vec<(String, i64)> {
    let (keys, totals) = (rows.column(2).as_string::<i32>(), rows.column(3).as_primitive::<Int64Type>());
    let mut all: Vec<_> =
        keys.iter().zip(totals.values()).map(|(key, total)| (key.unwrap().to_owned(), *total)).collect();
    all.sort();
    all
}

#[test]
fn a_row_that_is_not_fit_for_what_comes_next_is_bad_too() {
    let mut state = failing();
    let refuse_c = |rows: &RecordBatch| match rows.column(2).as_string::<i32>().iter().any(|key| key == Some("c")) {
        true => Err("not c".to_owned()),
        false => Ok(()),
    };
    let rows = close_up_to(&mut state, i64::MAX, &refuse_c);
    let [bad] = &rows.bad[..] else { panic!("{:?}", rows.bad) };
    assert_eq!((bad.reasons.len(), bad.reasons[2].as_str()), (3, "not c"));
}

#[test]
fn a_filter_guards_its_argument() {
    let columns =
        [AggregateColumn { name: "share".into(), expr: "sum(100 / value)".into(), filter: Some("value <> 0".into()) }];
    let aggregate =
        aggregate::compile(Input::Source(0), &input_schema(), Window::tumbling(SIZE_US), &["key".into()], &columns)
            .unwrap();
    let rows = [Some(0), Some(5), None, Some(20)].map(|value| Row { time_us: 3, key: Some("a"), value });
    let aggregate = Arc::new(aggregate);
    let sent = sent(&aggregate, [batch(&rows)], None);
    let mut state = state(&aggregate);
    apply(&mut state, &sent.entries[0][0].entries);
    assert_eq!(windows_of_totals(&closed(&mut state, i64::MAX).unwrap()), [("a".to_owned(), 25)]);
}
