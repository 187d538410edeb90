//! Where tables and checkpoints are: turns a URI of the document into an object store and a path in it. Only local
//! folders and S3 are supported; support for other stores would go here. Every request has a deadline and few retries:
//! the callers, not the client, decide when to give up.

mod access;
mod aws_keys;
mod current_keys;
mod failures;
mod part_file;
mod profile;
mod secrets;
mod standing;
mod tls;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use url::Url;
use weir_plan::plan::{S3, S3Encryption, SecretKey, Storage};
use weir_plan::quote::quoted;

pub use access::{Access, Credentials};
pub use aws_keys::AwsKeys;
pub use failures::{innermost, is_missing_object, is_refusal};
pub use part_file::PartFile;
pub use secrets::Secrets;
pub use standing::Standing;
pub use upload::{PART_BYTES, Target, Upload};

use crate::certificates;
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;

/// The deadline of one request, its body included. No request carries more than [`PART_BYTES`], so this demands at
/// least 280 kB/s.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Retries inside the client, per request: enough for a blip, and few enough that our own policy decides.
const RETRIES_MAX: usize = 3;
const RETRY_FOR_MAX: Duration = Duration::from_secs(10);
const REGION_OF_OTHER_STORES: &str = "us-east-1";

/// A folder in an object store.
#[derive(Clone)]
pub struct Location {
    /// The store, rooted at the bucket, or at `/` for local files.
    pub store: Arc<dyn ObjectStore>,
    /// The same store, if it takes large objects in numbered parts. A local folder does not: see `PartFile`.
    pub parts: Option<Arc<dyn MultipartStore>>,
    /// The folder, from the store's root.
    pub path: Path,
    /// The same folder as the document names it, without a trailing slash.
    pub url: Url,
    /// How the store is reached, for messages.
    pub access: Access,
    pub standing: Standing,
}

// The client's own Debug shows its keys.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Location")
            .field("url", &self.url.as_str())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Location {
    /// A path below this folder. `relative` is a valid path already: it is not escaped again.
    pub fn at(&self, relative: &str) -> Result<Path> {
        let joined =
            if self.path.as_ref().is_empty() { relative.to_owned() } else { format!("{}/{relative}", self.path) };
        Path::parse(&joined).map_err(|e| Failure::bug(format!("{relative:?} is no path below {}: {e}", self.url)))
    }

    /// This location, in a run that shares this standing.
    #[must_use]
    pub fn in_run(self, standing: &Standing) -> Self {
        Self { standing: standing.clone(), ..self }
    }

    /// Whether this is a folder on this machine. Anybody may move such a folder, and its files carry times of the
    /// machine's clock.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        matches!(self.access, Access::Folder)
    }

    /// Begins the upload of an object to `path`; `what` names the object, as in "a data file".
    pub fn upload(&self, path: Path, what: &str, retry: RetryPolicy) -> Upload {
        let (of, writing) = (self.clone(), format!("write {path}"));
        Upload::new(Target {
            store: Arc::clone(&self.store),
            parts: self.parts.clone(),
            path,
            retry,
            doing: format!("writing {what} to {}", self.url),
            sort: Box::new(move |error| of.describe(error, &writing)),
        })
    }

    /// Sorts an error of this store by its remedy; `what` names the activity that failed, as in "read the table's log".
    pub fn describe(&self, error: object_store::Error, what: impl std::fmt::Display) -> Failure {
        let sorted = self.access.sort(&error);
        let judged = if failures::is_refusal(&error) { self.standing.judge(sorted) } else { sorted };
        judged.context(what)
    }
}

/// Opens `file:///folder` (the first write creates it) or `s3://bucket/prefix`. This sends no request to S3.
pub fn open(uri: &str, storage: Option<&Storage>, secrets: &Secrets) -> Result<Location> {
    let url = Url::parse(uri.trim_end_matches('/'))
        .map_err(|e| Failure::config(format!("{} is not a URI: {e}", quoted(uri))))?;
    match url.scheme() {
        "file" => open_folder(url),
        "s3" => open_s3(url, storage.map(|s| &s.s3), secrets),
        other => Err(Failure::config(format!(
            "{} has the scheme {}; file:///folder and s3://bucket/prefix are supported",
            quoted(uri),
            quoted(other)
        ))),
    }
}

fn open_folder(url: Url) -> Result<Location> {
    let folder = match url.to_file_path() {
        Ok(folder) if url.path() != "/" => folder,
        _ => {
            return Err(Failure::config(format!(
                "{url} names no folder on this machine; write file:///folder with three slashes"
            )));
        }
    };
    let access = Access::Folder;
    if let Some(file) = folder.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
        let file = file.display();
        return Err(Failure::config(format!(
            "{url}: {file} is a file where a folder should be; move it away, or correct the URI"
        )));
    }
    let path = Path::from_absolute_path(&folder)
        .map_err(|e| Failure::config(format!("{url} can't be used as a folder: {e}")))?;
    Ok(Location {
        store: Arc::new(LocalFileSystem::new()),
        parts: None,
        path,
        url,
        access,
        standing: Standing::default(),
    })
}

fn open_s3(url: Url, settings: Option<&S3>, secrets: &Secrets) -> Result<Location> {
    let bucket = url
        .host_str()
        .filter(|b| !b.is_empty())
        .ok_or_else(|| Failure::config(format!("{url} names no bucket")))?
        .to_owned();
    let path =
        Path::from_url_path(url.path()).map_err(|e| Failure::config(format!("{url} has an invalid prefix: {e}")))?;

    let ca = settings.and_then(|s| s.ca.clone());
    let encryption = settings.and_then(|s| s.encryption.clone());
    let mut builder = from_environment(encryption.is_none())
        .with_bucket_name(&bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_FOR_MAX,
        })
        .with_client_options(client_options(ca.as_ref(), secrets)?);
    if let Some(encryption) = &encryption {
        builder = with_encryption(builder, encryption)?;
    }
    if let Some(settings) = settings {
        builder = with_endpoint(builder, settings, &bucket)?;
    }
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    if endpoint.is_some() && builder.get_config_value(&AmazonS3ConfigKey::Region).is_none() {
        builder = builder.with_region(REGION_OF_OTHER_STORES);
    }
    // Plain HTTP is allowed only if the endpoint's URL says `http://`.
    builder = builder.with_allow_http(endpoint.as_deref().is_some_and(|e| e.starts_with("http://")));

    let credentials = match settings.and_then(|s| s.credentials_secret.as_deref()) {
        Some(secret) => access::from_secret(secret, secrets)?,
        None => access::from_environment(&|name| std::env::var(name).ok())?,
    };
    if let Some(keys) = credentials.keys.clone() {
        builder = builder.with_credentials(keys);
    }
    let shown = settings.and_then(|s| s.endpoint.clone()).or(endpoint).unwrap_or_else(|| "AWS".to_owned());
    let store = Arc::new(builder.build().map_err(|e| Failure::config(format!("{url} can't be opened: {e}")))?);
    let access = Access::S3 { bucket, endpoint: shown, credentials, ca, encryption };
    Ok(Location { parts: Some(store.clone()), store, path, url, access, standing: Standing::default() })
}

/// The settings in the environment, with or without those of encryption. A key in the environment does not belong to
/// the encryption that the document names.
fn from_environment(with_encryption: bool) -> AmazonS3Builder {
    settings_in_environment()
        .filter(|(key, _)| with_encryption || !matches!(key, AmazonS3ConfigKey::Encryption(_)))
        .fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value))
}

fn settings_in_environment() -> impl Iterator<Item = (AmazonS3ConfigKey, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

/// Has every object encrypted: the client sends these headers with each put, and at the begin of each upload in parts.
fn with_encryption(builder: AmazonS3Builder, encryption: &S3Encryption) -> Result<AmazonS3Builder> {
    let (algorithm, key) = match encryption {
        S3Encryption::SseS3 => ("AES256", None),
        S3Encryption::SseKms { key_id } => ("aws:kms", key_id.as_ref()),
    };
    // The client has no public name for these settings but their text.
    let named = |name: &str| name.parse().map_err(|e| Failure::bug(format!("the client has no setting {name}: {e}")));
    let builder = builder.with_config(named("aws_server_side_encryption")?, algorithm);
    Ok(match key {
        Some(id) => builder.with_config(named("aws_sse_kms_key_id")?, id),
        None => builder,
    })
}

/// The options of the HTTP client: those of the environment, with our deadlines and the document's CA. The builder
/// takes certificates only together with all other options. Certificates are checked whatever the environment says.
fn client_options(ca: Option<&SecretKey>, secrets: &Secrets) -> Result<ClientOptions> {
    let mut options = ClientOptions::new();
    for (key, value) in settings_in_environment() {
        if let AmazonS3ConfigKey::Client(key) = key {
            options = options.with_config(key, value);
        }
    }
    options = options
        .with_allow_invalid_certificates(false)
        .with_timeout(REQUEST_DEADLINE)
        .with_connect_timeout(CONNECT_TIMEOUT);
    let authorities = ca.map(|ca| certificates::authorities(ca, secrets)).transpose()?.unwrap_or_default();
    for authority in authorities {
        let authority = Certificate::from_der(&authority)
            .map_err(|e| Failure::bug(format!("a certificate that was just read can't be used: {e}")))?;
        options = options.with_root_certificate(authority);
    }
    Ok(options)
}

/// Sets the document's endpoint, region and addressing. A bucket in the host name needs a host that has sub-domains,
/// and under TLS a bucket name without dots; in all other cases the bucket goes into the path, as in the AWS SDKs.
fn with_endpoint(mut builder: AmazonS3Builder, settings: &S3, bucket: &str) -> Result<AmazonS3Builder> {
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    let Some(endpoint) = &settings.endpoint else {
        return Ok(builder.with_virtual_hosted_style_request(!settings.force_path_style && !bucket.contains('.')));
    };
    let mut url = Url::parse(endpoint)
        .map_err(|e| Failure::config(format!("the S3 endpoint {} is not a URL: {e}", quoted(endpoint))))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::config(format!(
            "the S3 endpoint {} must begin with https:// or http://",
            quoted(endpoint)
        )));
    }
    let domain = url.domain().filter(|d| *d != "localhost").map(str::to_owned);
    let in_host = !settings.force_path_style && !bucket.contains('.');
    match domain {
        Some(domain) if in_host => {
            let host = format!("{bucket}.{domain}");
            url.set_host(Some(&host))
                .map_err(|e| Failure::config(format!("{} is no host name: {e}", quoted(&host))))?;
            Ok(builder.with_endpoint(url.as_str().trim_end_matches('/')).with_virtual_hosted_style_request(true))
        }
        _ => Ok(builder.with_endpoint(endpoint.trim_end_matches('/')).with_virtual_hosted_style_request(false)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::failure::Remedy;

    fn secrets(keys: &[(&str, &str)]) -> (tempfile::TempDir, Secrets) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("lake")).unwrap();
        for (key, value) in keys {
            std::fs::write(dir.path().join("lake").join(key), value).unwrap();
        }
        let secrets = Secrets { dir: Some(dir.path().to_owned()) };
        (dir, secrets)
    }

    fn storage(endpoint: &str, force_path_style: bool) -> Storage {
        let s3 = S3 {
            endpoint: Some(endpoint.into()),
            region: None,
            force_path_style,
            credentials_secret: Some("lake".into()),
            ca: None,
            encryption: None,
        };
        Storage { uri_prefix: "s3://lake/".into(), s3 }
    }

    #[test]
    fn the_path_of_a_folder_starts_at_the_root_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let location = open(&format!("file://{}/a/b%20c/", dir.path().display()), None, &Secrets::default()).unwrap();
        assert!(!dir.path().join("a").exists());
        assert_eq!(format!("/{}", location.path), dir.path().join("a/b c").display().to_string());
        assert_eq!(
            format!("/{}", location.at("_delta_log/x=1%2F2").unwrap()),
            format!("{}/a/b c/_delta_log/x=1%2F2", dir.path().display())
        );
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for uri in [format!("file://{}", file.display()), format!("file://{}/table", file.display())] {
            let failure = open(&uri, None, &Secrets::default()).unwrap_err();
            let says = format!(
                "{uri}: {} is a file where a folder should be; move it away, or correct the URI",
                file.display()
            );
            assert_eq!(failure, Failure::config(says));
        }
    }

    #[test]
    fn uris_that_name_nothing_are_refused() {
        for (uri, says) in [
            (
                "gs://bucket/x",
                "gs://bucket/x` has the scheme `gs`; file:///folder and s3://bucket/prefix are supported",
            ),
            ("lake/table", "is not a URI"),
            ("file:///", "names no folder"),
            ("file://host/x", "names no folder"),
        ] {
            let failure = open(uri, None, &Secrets::default()).unwrap_err();
            assert_eq!(failure.remedy, Remedy::Config, "{failure}");
            assert!(failure.message.contains(says), "{failure}");
        }
    }

    #[test]
    fn s3_takes_keys_from_the_secret_and_never_shows_the_secret_one() {
        let (_dir, secrets) = secrets(&[("accessKeyId", "AKIAX\n"), ("secretAccessKey", "hush\n")]);
        let location =
            open("s3://lake/silver/rides/", Some(&storage("http://127.0.0.1:9000", true)), &secrets).unwrap();
        assert_eq!((location.path.as_ref(), location.url.as_str()), ("silver/rides", "s3://lake/silver/rides"));
        let shown = format!("{location:?} {}", location.access);
        assert!(shown.contains("AKIAX") && shown.contains("Secret `lake`") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_missing_secret_key_names_secret_key_and_folder() {
        let (dir, secrets) = secrets(&[("accessKeyId", "AKIAX")]);
        let failure = open("s3://lake/x", Some(&storage("http://127.0.0.1:9000", true)), &secrets).unwrap_err();
        let file = dir.path().join("lake").join("secretAccessKey");
        let says = format!("the Secret `lake` has no key `secretAccessKey`: {} does not exist", file.display());
        assert_eq!(failure, Failure::config(says));
    }

    #[test]
    fn a_secret_without_a_folder_asks_for_one() {
        let failure = open("s3://lake/x", Some(&storage("http://h:1", true)), &Secrets::default()).unwrap_err();
        let says =
            "the Secret `lake` is needed (key `accessKeyId`), but no folder of Secrets was given; use --secrets DIR";
        assert_eq!(failure, Failure::config(says));
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_refused() {
        let (_dir, secrets) = secrets(&[("accessKeyId", "a"), ("secretAccessKey", "b")]);
        let failure = open("s3://lake/x", Some(&storage("minio:9000", true)), &secrets).unwrap_err();
        assert_eq!(failure, Failure::config("the S3 endpoint `minio:9000` must begin with https:// or http://"));
    }
}
