//! Paths of `get_json_object`: `$.a.b[0]`, `$['a b']`, `$.a[*].b`, as Spark has them from Hive.

use super::document::Json;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
    AllItems,
}

/// The steps of a path; `None` if it is none.
pub(super) fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('.') {
            let behind = behind.trim_start();
            let end = behind.find(['.', '[']).unwrap_or(behind.len());
            let (name, behind) = behind.split_at(end);
            // Members of any name are none for Spark either.
            if name.is_empty() || name == "*" {
                return None;
            }
            steps.push(Step::Member(name.to_owned()));
            rest = behind;
        } else {
            let (inside, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(match inside.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
                Some(name) => Step::Member(name.to_owned()),
                None if inside == "*" => Step::AllItems,
                None => Step::Item(inside.parse().ok()?),
            });
            rest = behind;
        }
    }
    Some(steps)
}

/// What the path leads to, as a text; `None` for nothing and for null.
pub(super) fn found(document: &Json<'_>, steps: &[Step]) -> Option<String> {
    let mut found = Vec::new();
    follow(document, steps, &mut found);
    let has_many = steps.contains(&Step::AllItems);
    match &found[..] {
        [] => None,
        // A null is nothing, but for the whole document.
        [Json::Null] if !steps.is_empty() => None,
        [one] => Some(match (has_many, one) {
            // One of several items is written as JSON.
            (true, Json::Text(_)) => json(one),
            _ => one.text(),
        }),
        several => {
            let texts: Vec<_> = several.iter().map(|one| json(one)).collect();
            Some(format!("[{}]", texts.join(",")))
        }
    }
}

fn json(value: &Json<'_>) -> String {
    let mut out = String::new();
    value.write(&mut out);
    out
}

fn follow<'d, 't>(value: &'d Json<'t>, steps: &[Step], found: &mut Vec<&'d Json<'t>>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Member(name), Json::Object(members)) => {
            if let Some((_, value)) = members.iter().find(|(other, value)| other == name && *value != Json::Null) {
                follow(value, rest, found);
            }
        }
        (Step::Item(at), Json::Array(items)) => {
            if let Some(item) = items.get(*at) {
                follow(item, rest, found);
            }
        }
        (Step::AllItems, Json::Array(items)) => items.iter().for_each(|item| follow(item, rest, found)),
        _ => {}
    }
}
