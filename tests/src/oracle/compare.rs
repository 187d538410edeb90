//! Compares what a table holds with what it must hold, as multisets: a duplicated row is as wrong as a lost one.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// The relative difference that doubles may have, as a fraction of the greater one, because partial sums merge in
/// another order. Everything else must be equal.
pub const RELATIVE_BOUND: f64 = 1e-9;

/// The differences, one sentence per row; empty if there are none.
#[must_use]
pub fn differences(expected: &[Json], found: &[Json]) -> Vec<String> {
    let (expected, found) = (by_exact_part(expected), by_exact_part(found));
    let mut out = Vec::new();
    for (row, doubles) in &expected {
        let theirs = found.get(row).map_or(&[][..], Vec::as_slice);
        if theirs.len() < doubles.len() {
            out.push(format!("lost: {row} should be there {} times and is {}", doubles.len(), theirs.len()));
        } else if theirs.len() > doubles.len() {
            out.push(format!("doubled: {row} should be there {} times and is {}", doubles.len(), theirs.len()));
        } else if !doubles.iter().zip(theirs).all(|(a, b)| a.iter().zip(b).all(|(a, b)| close(*a, *b))) {
            out.push(format!("different: {row} should have {doubles:?} and has {theirs:?}"));
        }
    }
    for (row, doubles) in &found {
        if !expected.contains_key(row) {
            out.push(format!("wrong: {row} with {doubles:?} should not be there"));
        }
    }
    out
}

/// # Panics
/// With the first few differences, if there are any.
pub fn assert_same_rows(expected: &[Json], found: &[Json]) {
    let all = differences(expected, found);
    let shown: Vec<_> = all.iter().take(10).cloned().collect();
    assert!(
        all.is_empty(),
        "{} rows expected, {} found, {} differences:\n{}",
        expected.len(),
        found.len(),
        all.len(),
        shown.join("\n")
    );
}

/// Groups rows by all of their values but doubles. For each group, the sorted list of the rows' doubles, each row's in
/// the order of the columns' names.
fn by_exact_part(rows: &[Json]) -> BTreeMap<String, Vec<Vec<f64>>> {
    let mut out: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for row in rows {
        let (mut exact, mut doubles) = (BTreeMap::new(), Vec::new());
        for (name, value) in row.as_object().expect("a row is an object") {
            match value {
                Json::Number(n) if n.is_f64() => {
                    exact.insert(name, "a double".to_owned());
                    doubles.push((name, n.as_f64().expect("it is one")));
                }
                other => {
                    exact.insert(name, other.to_string());
                }
            }
        }
        doubles.sort_by_key(|(name, _)| *name);
        out.entry(format!("{exact:?}")).or_default().push(doubles.into_iter().map(|(_, d)| d).collect());
    }
    for rows in out.values_mut() {
        rows.sort_by(|a, b| a.partial_cmp(b).expect("the readers print NaN as text"));
    }
    out
}

#[allow(clippy::float_cmp)] // equal values are close, also infinities
fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= RELATIVE_BOUND * a.abs().max(b.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_doubled_row_a_lost_row_and_a_wrong_row_are_found() {
        let rows = [json!({"k": "a", "n": 1, "x": 1.5}), json!({"k": "b", "n": 2, "x": 2.5})];
        assert_eq!(differences(&rows, &rows), Vec::<String>::new());
        assert!(differences(&rows, &[rows.as_slice(), &rows[..1]].concat())[0].starts_with("doubled"));
        assert!(differences(&rows, &rows[..1])[0].starts_with("lost"));
        let wrong = [rows[0].clone(), json!({"k": "b", "n": 3, "x": 2.5})];
        assert_eq!(differences(&rows, &wrong).len(), 2);
    }

    #[test]
    fn equal_rows_count() {
        let row = json!({"k": "a"});
        assert_eq!(differences(&[row.clone(), row.clone()], &[row.clone(), row.clone()]), Vec::<String>::new());
        assert_eq!(differences(&[row.clone(), row.clone()], std::slice::from_ref(&row)).len(), 1);
    }

    #[test]
    fn doubles_have_a_bound_and_integers_none() {
        assert!(differences(&[json!({"x": 1000.0})], &[json!({"x": 1_000.000_000_1})]).is_empty());
        assert!(!differences(&[json!({"x": 1000.0})], &[json!({"x": 1000.001})]).is_empty());
        assert!(!differences(&[json!({"x": 1000})], &[json!({"x": 1001})]).is_empty());
        assert!(!differences(&[json!({"x": 1.0})], &[json!({"x": 1})]).is_empty(), "a double is not an integer");
        assert!(!differences(&[json!({"x": null})], &[json!({"x": 0.0})]).is_empty());
    }
}
