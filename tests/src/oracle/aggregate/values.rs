//! What aggregates make of the values of a group, none of which is null.

use crate::oracle::value::Value;

pub(super) fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by(Value::order);
    values
}

/// The values that differ, in ascending order.
pub(super) fn distinct(values: Vec<Value>) -> Vec<Value> {
    let mut values: Vec<Value> = sorted(values).into_iter().map(Value::shown).collect();
    values.dedup_by(|a, b| a.order(b).is_eq());
    values
}

fn numbers(values: &[Value]) -> Vec<f64> {
    values.iter().map(|value| value.number().expect("a number")).collect()
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn mean(values: &[Value]) -> f64 {
    numbers(values).iter().sum::<f64>() / values.len() as f64
}

/// The mean of the squares of the distances from the mean.
#[allow(clippy::cast_precision_loss)]
pub(super) fn variance(values: &[Value]) -> f64 {
    let mean = mean(values);
    numbers(values).iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / values.len() as f64
}

/// The value at the fraction `p` of the way from the first to the last of sorted values; between two values, as far
/// from each as `p` is.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn between_two(sorted: &[Value], p: f64) -> Value {
    let numbers = numbers(sorted);
    if numbers.is_empty() {
        return Value::Null;
    }
    let position = p * (numbers.len() - 1) as f64;
    let (low, part) = (position as usize, position.fract());
    let high = (low + 1).min(numbers.len() - 1);
    Value::Double(numbers[low] * (1.0 - part) + numbers[high] * part)
}

/// The first of sorted values that, with those before it, makes up the fraction `p` of all.
#[allow(clippy::cast_precision_loss)]
pub(super) fn at_rank(sorted: &[Value], p: f64) -> Value {
    let is_enough = |i: &usize| (i + 1) as f64 >= p * sorted.len() as f64;
    (0..sorted.len()).find(is_enough).map_or(Value::Null, |i| sorted[i].clone())
}

/// How many values are below the first bound, from each bound to the next, and from the last bound on.
pub(super) fn between(values: &[Value], bounds: &[f64]) -> Vec<usize> {
    let numbers = numbers(values);
    let below = |bound: f64| numbers.iter().filter(|number| **number < bound).count();
    let mut up_to: Vec<usize> = bounds.iter().map(|bound| below(*bound)).collect();
    up_to.push(numbers.len());
    (0..up_to.len()).map(|i| if i == 0 { up_to[0] } else { up_to[i] - up_to[i - 1] }).collect()
}

/// The texts with `between` between them; null if there are none.
pub(super) fn joined(texts: &[Value], between: &str) -> Value {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    };
    let texts: Vec<String> = texts.iter().map(text).collect();
    if texts.is_empty() { Value::Null } else { Value::Text(texts.join(between)) }
}
