//! What guards the HTTP port.

use weir_plan::plan;

use super::secret::{secret_key, secret_name};
use crate::document::{Http, TOKEN_WITHOUT_TLS};
use crate::finding::{Findings, Path};

pub(super) fn lower(http: Option<&Http>, at: &Path, out: &mut Findings) -> plan::Http {
    let Some(http) = http else { return plan::Http::default() };
    // A block `tls` that is wrong is there all the same.
    if http.token_secret_ref.is_some() && http.tls.is_none() && out.is_sound(&at.field("tls")) {
        out.add(&at.field("tokenSecretRef"), TOKEN_WITHOUT_TLS);
    }
    let tls_at = at.field("tls").field("secretRef");
    plan::Http {
        tls_secret: http.tls.as_ref().map(|tls| secret_name(&tls.secret_ref, &tls_at, out)),
        token: http.token_secret_ref.as_ref().map(|key| secret_key(key, &at.field("tokenSecretRef"), out)),
    }
}
