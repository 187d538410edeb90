//! The Secrets to which a spec refers: which keys it needs, and which are missing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir_crds::resource::Reason;

use crate::refusal::Refusal;

/// The keys of one Secret to which a spec refers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    pub required: BTreeSet<String>,
    /// Keys that are used if they exist.
    pub optional: BTreeSet<String>,
}

/// A Secret as the operator has read it: the names of its keys without their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The object's `resourceVersion`.
    pub version: String,
    pub keys: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
    /// Whether it says which authority has signed its certificate.
    pub has_ca: bool,
}

/// All Secrets to which a spec refers, by name. A field refers to a Secret if its name is `secretRef` or ends with
/// `SecretRef`.
#[must_use]
pub fn secret_keys(spec: &Value) -> BTreeMap<String, Keys> {
    let mut found = BTreeMap::new();
    collect(spec, &mut found);
    for keys in found.values_mut() {
        keys.optional.retain(|key| !keys.required.contains(key));
    }
    found
}

fn collect(value: &Value, found: &mut BTreeMap<String, Keys>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                let name = inner.get("name").and_then(Value::as_str);
                match name.filter(|_| field == "secretRef" || field.ends_with("SecretRef")) {
                    Some(secret) => {
                        let (required, optional) = keys_of(field, inner.get("key").and_then(Value::as_str));
                        let keys = found.entry(secret.to_owned()).or_default();
                        keys.required.extend(required.iter().map(|&key| key.to_owned()));
                        keys.optional.extend(optional.iter().map(|&key| key.to_owned()));
                    }
                    None => collect(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// The required and the optional keys of a reference. A reference without a key is to credentials of a store or to a
/// certificate, whose keys have fixed names.
fn keys_of<'a>(field: &str, key: Option<&'a str>) -> (Vec<&'a str>, &'static [&'static str]) {
    match key {
        Some(key) => (vec![key], &[]),
        None if field == "credentialsSecretRef" => (vec!["accessKeyId", "secretAccessKey"], &["sessionToken"]),
        None => (vec!["tls.crt", "tls.key"], &[]),
    }
}

/// Checks that the Secrets exist with all required keys, and have the labels without which pipelines may not use them.
/// The sentences name no other keys of a Secret: who may read a pipeline may not always read Secrets.
///
/// # Errors
/// What is missing.
pub fn check(
    spec: &Value,
    found: &BTreeMap<String, Option<Found>>,
    labels: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    // Who may not use a Secret does not learn whether it has a key.
    check_labels(found, labels)?;
    let missing = secret_keys(spec).into_iter().flat_map(|(name, keys)| {
        let there = found.get(&name).and_then(Option::as_ref);
        let lacks = keys.required.into_iter().filter(|key| there.is_none_or(|there| !there.keys.contains(key)));
        let say = |key| match there {
            Some(_) => format!("the Secret `{name}` has no key `{key}`: add it"),
            None => format!("there is no Secret `{name}` in this namespace: create it with the key `{key}`"),
        };
        lacks.map(say).collect::<Vec<_>>()
    });
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Refusal { reason: Reason::SecretMissing, message: missing.join("\n") })
    }
}

fn check_labels(found: &BTreeMap<String, Option<Found>>, labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let lacks = |there: &Found| labels.iter().find(|(key, value)| there.labels.get(*key) != Some(*value));
    let refused = found.iter().filter_map(|(name, there)| {
        let (key, value) = lacks(there.as_ref()?)?;
        Some(format!(
            "pipelines may not use the Secret `{name}`: it lacks the label `{key}: {value}`, which is for whoever \
             decides about the Secret to set"
        ))
    });
    let refused: Vec<_> = refused.collect();
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Refusal { reason: Reason::SecretNotAllowed, message: refused.join("\n") })
    }
}

/// The versions of the Secrets as text. It differs after any change of a Secret, and says nothing about its content.
#[must_use]
pub fn versions(found: &BTreeMap<String, Option<Found>>) -> String {
    let version = |(name, found): (&String, &Option<Found>)| Some(format!("{name}={}", found.as_ref()?.version));
    found.iter().filter_map(version).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::fixtures::rides;

    fn seen(version: &str, keys: &[&str]) -> Option<Found> {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Some(Found { version: version.to_owned(), keys, labels: BTreeMap::new(), has_ca: false })
    }

    fn all(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|&key| key.to_owned()).collect()
    }

    #[test]
    fn every_reference_names_its_keys() {
        let spec = json!({
            "storage": [{"s3": {"credentialsSecretRef": {"name": "lake"}, "caSecretRef": {"name": "ca", "key": "ca.crt"}}}],
            "connections": [{"kafka": {
                "sasl": {"username": {"secretRef": {"name": "kafka", "key": "user"}}, "passwordSecretRef": {"name": "kafka", "key": "password"}},
                "tls": {"clientSecretRef": {"name": "client"}},
            }}],
            "http": {"tls": {"secretRef": {"name": "page"}}, "tokenSecretRef": {"name": "lake", "key": "sessionToken"}},
            "podTemplate": {"imagePullSecrets": [{"name": "registry"}]},
        });
        let keys = |required: &[&str]| Keys { required: all(required), optional: BTreeSet::new() };
        let expected = [
            ("ca", keys(&["ca.crt"])),
            ("client", keys(&["tls.crt", "tls.key"])),
            ("kafka", keys(&["password", "user"])),
            ("lake", keys(&["accessKeyId", "secretAccessKey", "sessionToken"])),
            ("page", keys(&["tls.crt", "tls.key"])),
        ];
        assert_eq!(secret_keys(&spec), expected.map(|(name, keys)| (name.to_owned(), keys)).into());
        let lake = &secret_keys(&json!({"credentialsSecretRef": {"name": "lake"}}))["lake"];
        assert_eq!(lake.optional, all(&["sessionToken"]));
    }

    #[test]
    fn what_is_missing_is_named_and_what_else_a_secret_has_is_not() {
        let told = |found| check(&rides().spec, &[("lake".to_owned(), found)].into(), &BTreeMap::new()).unwrap_err();
        let refusal = told(seen("1", &["accessKeyId", "launchCode"]));
        assert_eq!(
            (refusal.reason, refusal.message.as_str()),
            (Reason::SecretMissing, "the Secret `lake` has no key `secretAccessKey`: add it")
        );
        let gone = |key| format!("there is no Secret `lake` in this namespace: create it with the key `{key}`");
        assert_eq!(told(None).message, format!("{}\n{}", gone("accessKeyId"), gone("secretAccessKey")));
    }

    #[test]
    fn a_secret_without_the_label_is_refused_and_its_keys_are_not_told() {
        let label: BTreeMap<_, _> = [("weir.dev/use".to_owned(), "pipelines".to_owned())].into();
        let of = |found| check(&rides().spec, &[("lake".to_owned(), found)].into(), &label);
        let mut lake = seen("1", &["accessKeyId"]).unwrap();
        let refusal = of(Some(lake.clone())).unwrap_err();
        assert_eq!(refusal.reason, Reason::SecretNotAllowed);
        assert_eq!(
            refusal.message,
            "pipelines may not use the Secret `lake`: it lacks the label `weir.dev/use: pipelines`, which is for \
             whoever decides about the Secret to set"
        );
        lake.labels = label.clone();
        assert_eq!(of(Some(lake.clone())).unwrap_err().reason, Reason::SecretMissing);
        lake.keys.insert("secretAccessKey".to_owned());
        assert_eq!(of(Some(lake)), Ok(()));
        assert_eq!(of(None).unwrap_err().reason, Reason::SecretMissing);
    }
}
