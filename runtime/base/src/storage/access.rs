//! How a store is reached and with whose keys. Messages show this, so the secret part is only in `AwsCredential`, whose
//! own Debug hides it.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::aws::AwsCredential;
use weir_plan::plan::{S3Encryption, SecretKey};

use super::current_keys::CurrentKeys;
use super::profile;
use super::secrets::Secrets;
use crate::failure::{Failure, Result};

/// How a store is reached: enough for a message to say which store refused whom.
#[derive(Debug, Clone)]
pub enum Access {
    Folder,
    S3 {
        bucket: String,
        /// The endpoint, as the document or the environment names it; `AWS` if neither does.
        endpoint: String,
        credentials: Credentials,
        /// The certificates that the document names for the server.
        ca: Option<SecretKey>,
        encryption: Option<S3Encryption>,
    },
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("this machine"),
            Self::S3 { bucket, endpoint, credentials, .. } => {
                write!(f, "the bucket `{bucket}` at {endpoint} with {credentials}")
            }
        }
    }
}

/// Where the keys come from; `keys` is `None` if the client finds them by itself.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub origin: String,
    pub(super) keys: Option<Arc<CurrentKeys>>,
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keys {
            Some(keys) => write!(f, "{} (access key id {})", self.origin, keys.access_key_id()),
            None => f.write_str(&self.origin),
        }
    }
}

/// Static keys from a Secret: `accessKeyId`, `secretAccessKey` and, for temporary keys, `sessionToken`.
pub(super) fn from_secret(name: &str, secrets: &Secrets) -> Result<Credentials> {
    let (secret, secrets) = (name.to_owned(), secrets.clone());
    let read = move || {
        secrets.at_one_moment(&secret, || {
            Ok(AwsCredential {
                key_id: secrets.read(&secret, "accessKeyId")?,
                secret_key: secrets.read(&secret, "secretAccessKey")?,
                token: secrets.read_optional(&secret, "sessionToken")?,
            })
        })
    };
    current(format!("the Secret `{name}`"), read)
}

fn current(origin: String, read: impl Fn() -> Result<AwsCredential> + Send + Sync + 'static) -> Result<Credentials> {
    let keys = CurrentKeys::new(&origin, read)?;
    Ok(Credentials { origin, keys: Some(Arc::new(keys)) })
}

/// The usual chain of credentials. The client knows environment variables, web identities, containers and instances. It
/// does not know profiles, so this function reads them. The order is that of the AWS SDKs: variables, web identity,
/// profile, then containers and instances.
pub(super) fn from_environment(var: &dyn Fn(&str) -> Option<String>) -> Result<Credentials> {
    let found = |origin: &str| Credentials { origin: origin.to_owned(), keys: None };
    if var("AWS_ACCESS_KEY_ID").is_some() {
        return Ok(found("the environment's AWS_ACCESS_KEY_ID"));
    }
    if var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
        return Ok(found("the environment's web identity"));
    }
    let file = var("AWS_SHARED_CREDENTIALS_FILE")
        .map(PathBuf::from)
        .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".aws").join("credentials")));
    let asked = var("AWS_PROFILE");
    let name = asked.clone().unwrap_or_else(|| "default".to_owned());
    if let Some(file) = file {
        let keys = from_profile(&file, &name)?;
        if keys.is_some() {
            let origin = format!("the profile `{name}` of {}", file.display());
            let gone = Failure::config(format!("{origin} has no static keys any more"));
            return current(origin, move || from_profile(&file, &name)?.ok_or_else(|| gone.clone()));
        }
        if asked.is_some() {
            let says = format!("AWS_PROFILE names `{name}`, but {} has no static keys for it", file.display());
            return Err(Failure::config(says));
        }
    }
    if var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").or_else(|| var("AWS_CONTAINER_CREDENTIALS_FULL_URI")).is_some() {
        return Ok(found("the container's role"));
    }
    Ok(found("the instance's role (no keys were found in the environment or in a profile)"))
}

/// The static keys of a profile in an AWS credentials file, if it has any.
fn from_profile(file: &Path, name: &str) -> Result<Option<AwsCredential>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(profile::keys(&text, name)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::config(format!("the AWS credentials file {} can't be read: {e}", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(vars: &[(&str, &str)]) -> Result<String> {
        let lookup = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        from_environment(&lookup).map(|c| c.to_string())
    }

    #[test]
    fn variables_win_over_profiles_and_profiles_over_roles() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().display().to_string();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let file = home.path().join(".aws/credentials");
        std::fs::write(
            &file,
            "[default]\naws_access_key_id = A\naws_secret_access_key = \
             s\n[dev]\naws_access_key_id=D\naws_secret_access_key=t\n",
        )
        .unwrap();
        let shown = file.display();
        assert_eq!(
            found(&[("HOME", &path), ("AWS_ACCESS_KEY_ID", "x")]).unwrap(),
            "the environment's AWS_ACCESS_KEY_ID"
        );
        assert_eq!(found(&[("HOME", &path)]).unwrap(), format!("the profile `default` of {shown} (access key id A)"));
        assert_eq!(
            found(&[("HOME", &path), ("AWS_PROFILE", "dev")]).unwrap(),
            format!("the profile `dev` of {shown} (access key id D)")
        );
        let refused = found(&[("HOME", &path), ("AWS_PROFILE", "prod")]).unwrap_err().message;
        assert_eq!(refused, format!("AWS_PROFILE names `prod`, but {shown} has no static keys for it"));
        assert_eq!(
            found(&[("HOME", "/nowhere"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "x")]).unwrap(),
            "the container's role"
        );
    }
}
