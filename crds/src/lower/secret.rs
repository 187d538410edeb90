//! Secrets that a document names.

use weir_plan::plan;

use super::name;
use crate::document::{SecretKeyRef, SecretRef};
use crate::finding::{Findings, Path};

/// A key of a Secret.
pub(super) fn secret_key(key: &SecretKeyRef, at: &Path, out: &mut Findings) -> plan::SecretKey {
    out.checked(&at.field("name"), name::check_object(&key.name));
    out.checked(&at.field("key"), name::check_secret_key(&key.key));
    plan::SecretKey { secret: key.name.clone(), key: key.key.clone() }
}

/// The name of a Secret.
pub(super) fn secret_name(secret: &SecretRef, at: &Path, out: &mut Findings) -> String {
    out.checked(&at.field("name"), name::check_object(&secret.name));
    secret.name.clone()
}
