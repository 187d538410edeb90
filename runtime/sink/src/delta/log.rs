//! The table's log, `_delta_log`: reads its current state, reads one commit, and creates one. Every commit is an object
//! that is created only if it is absent; writers have no other agreement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use delta_kernel::actions::LOG_TXN_SCHEMA;
use delta_kernel::engine::arrow_data::EngineDataArrowExt as _;
use delta_kernel::{Engine, Snapshot, SnapshotRef};
use deltalake::logstore::{StorageConfig, default_logstore};
use futures::StreamExt as _;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions};
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::storage::Location;

use super::actions::{Commit, Metadata, Protocol};
use super::{bounded, transaction};

/// The state of the table at its newest version.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) version: i64,
    pub(super) protocol: Protocol,
    pub(super) metadata: Metadata,
    /// The version of the last transaction of each of Weir's application ids. Empty if nobody asked for them.
    pub(super) txns: HashMap<String, i64>,
    /// The version of the log checkpoint at which reading began.
    pub(super) checkpoint: Option<i64>,
}

/// How creating a commit ended. An error leaves open whether the commit is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Created {
    Yes {
        etag: Option<String>,
    },
    /// The store refused. Mostly the version is taken, perhaps by a commit of our own whose answer was lost. But S3
    /// also answers 409 when two requests met, and then the version may be free.
    Refused,
}

/// The underscore hides this object from readers and from vacuum.
const PROBE: &str = "_weir_probe";
/// How many commits are searched for a torn one. Reading a log that has checkpoints needs fewer.
const TORN_AMONG: usize = 200;
/// The deadline of one request. It is longer than the S3 client takes to give up, because it is for stores that hang.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// The deadline for reading or writing much: a log of many thousand versions without a log checkpoint takes a while to
/// read, and so does writing one of a table with a million files.
const LOAD_DEADLINE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub(super) struct Log {
    location: Location,
    /// The deadline of one request.
    pub(super) call_deadline: Duration,
}

impl Log {
    pub(super) fn new(location: Location) -> Self {
        Self { location, call_deadline: CALL_DEADLINE }
    }

    /// Whether there is a log at all. This asks the store directly, because the store's errors are sorted best before
    /// other layers wrap them.
    pub(super) async fn exists(&self) -> Result<bool> {
        let folder = self.location.at("_delta_log")?;
        let doing = || format!("list the Delta log of {}", self.location.url);
        let mut listing = self.location.store.list(Some(&folder));
        match within(self.call_deadline, doing, listing.next()).await? {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(e)) => Err(self.location.describe(e, doing())),
        }
    }

    /// Proves with a separate object that the store refuses to create an object that exists. Nothing else keeps two
    /// writers from overwriting each other's commits.
    pub(super) async fn prove_create(&self) -> Result<()> {
        let path = self.location.at(PROBE)?;
        // The store refuses the second create, or even the first one if an earlier start made the object.
        for _ in 0..2 {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let doing = || format!("write to {}", self.location.url);
            match within(self.call_deadline, doing, self.location.store.put_opts(&path, PROBE.into(), options)).await? {
                Ok(_) => {}
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                Err(e) => return Err(self.location.describe(e, doing())),
            }
        }
        Err(Failure::config(format!(
            "the store of {} overwrites objects that must only be created if absent (If-None-Match: *); commits would \
             be lost there",
            self.location.url
        )))
    }

    /// The newest state, with the transactions of Weir's pipelines. This reads the last log checkpoint and the commits
    /// after it.
    pub(super) async fn load(&self) -> Result<State> {
        let look = |snapshot: &SnapshotRef, engine: &dyn Engine| {
            Ok(State { txns: transactions(snapshot, engine)?, ..state_of(snapshot)? })
        };
        match self.newest("read the Delta log of", look).await {
            Err(failure) if failure.remedy == Remedy::Config => Err(self.torn().await.unwrap_or(failure)),
            loaded => loaded,
        }
    }

    /// The failure for the newest commit that is not valid JSON, if one of the last commits is. The kernel does not say
    /// which file it could not read.
    async fn torn(&self) -> Option<Failure> {
        let mut versions = self.versions().await.ok()?;
        versions.sort_unstable_by(|a, b| b.cmp(a));
        for version in versions.into_iter().take(TORN_AMONG) {
            let commit = self.commit(version).await.ok()??;
            if let Err(e) = Commit::parse(&commit) {
                return Some(Failure::config(format!(
                    "{} of {} is torn or damaged ({}): put the whole file back, from a copy or an older version of \
                     the object",
                    commit_path(version),
                    self.location.url,
                    e.message
                )));
            }
        }
        None
    }

    /// Works with the newest snapshot, on a thread that may block. `doing` is for messages, as in "read the Delta log
    /// of".
    pub(super) async fn newest<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&SnapshotRef, &dyn Engine) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<T> {
        let (engine, url) = (self.engine(), self.folder_url());
        let worked = tokio::task::spawn_blocking(move || {
            let snapshot = Snapshot::builder_for(url).build(engine.as_ref())?;
            work(&snapshot, engine.as_ref())
        });
        let doing = || format!("{doing} {}", self.location.url);
        // The thread goes on past the deadline; each of its requests ends by the client's own deadline.
        match within(LOAD_DEADLINE, doing, worked).await?.map_err(|e| Failure::bug(format!("{}: {e}", doing())))? {
            Ok(worked) => Ok(worked),
            Err(Unreadable::Kernel(e)) => Err(self.sort(*e, &doing())),
            Err(Unreadable::Odd(what)) => Err(Failure::config(format!("{}: {what}", doing()))),
        }
    }

    /// The parts of the commit of `version` that an appending writer must know; `None` if that commit does not exist
    /// (yet, or any more).
    pub(super) async fn read(&self, version: i64) -> Result<Option<Commit>> {
        let commit = self.commit(version).await?;
        let doing = || format!("read {} of {}", commit_path(version), self.location.url);
        commit.map(|bytes| Commit::parse(&bytes)).transpose().map_err(|f| f.context(doing()))
    }

    /// The commit of `version` as it is stored; `None` if it does not exist.
    pub(super) async fn commit(&self, version: i64) -> Result<Option<bytes::Bytes>> {
        let path = self.location.at(&commit_path(version))?;
        let doing = || format!("read version {version} of {}", self.location.url);
        let get = async { self.location.store.get(&path).await?.bytes().await };
        match within(self.call_deadline, doing, get).await? {
            Err(object_store::Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => {
                Ok(None)
            }
            got => got.map(Some).map_err(|e| self.location.describe(e, doing())),
        }
    }

    /// The oldest version whose commit exists; `None` if there is none. This lists the whole log.
    pub(super) async fn first_version(&self) -> Result<Option<i64>> {
        Ok(self.versions().await?.into_iter().min())
    }

    /// The versions whose commits exist.
    async fn versions(&self) -> Result<Vec<i64>> {
        let folder = self.location.at("_delta_log")?;
        let doing = || format!("list the Delta log of {}", self.location.url);
        let mut listing = self.location.store.list(Some(&folder));
        let mut versions = Vec::new();
        while let Some(found) = within(self.call_deadline, doing, listing.next()).await? {
            let found = found.map_err(|e| self.location.describe(e, doing()))?;
            versions.extend(found.location.filename().and_then(version_of));
        }
        Ok(versions)
    }

    /// Distinguishes the commit of `version` from another one with the same name; `None` if it does not exist.
    pub(super) async fn etag(&self, version: i64) -> Result<Option<Etag>> {
        let path = self.location.at(&commit_path(version))?;
        let doing = || format!("look for version {version} of {}", self.location.url);
        match within(self.call_deadline, doing, self.location.store.head(&path)).await? {
            Ok(meta) => Ok(Some(Etag(meta.e_tag))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.location.describe(e, doing())),
        }
    }

    pub(super) async fn create(&self, version: i64, commit: bytes::Bytes) -> Result<Created> {
        let path = self.location.at(&commit_path(version))?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let doing = || format!("commit version {version} of {}", self.location.url);
        match within(self.call_deadline, doing, self.location.store.put_opts(&path, commit.into(), options)).await? {
            Ok(put) => Ok(Created::Yes { etag: put.e_tag }),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Refused),
            Err(e) => Err(self.location.describe(e, doing())),
        }
    }

    /// Writes a log checkpoint of the newest version, if there is none, and returns that version. From then on, reading
    /// the log starts there. Its content follows from the log alone, so writers that meet write the same;
    /// `_last_checkpoint` is only a hint to readers.
    ///
    /// Memory: the kernel streams actions from the last log checkpoint and the commits after it into one Parquet file,
    /// which is uploaded in parts. It holds the names of the files in those commits, and one row group while encoding
    /// it, whose bytes [`bounded`] limits.
    pub(super) async fn checkpoint(&self) -> Result<i64> {
        let (location, engine) = (self.location.clone(), self.engine());
        self.newest("write a log checkpoint of", move |snapshot, _| {
            let engine = bounded::engine(engine, location, tokio::runtime::Handle::current());
            snapshot.checkpoint(&engine, None)?;
            version_of_snapshot(snapshot)
        })
        .await
    }

    /// The kernel joins paths to this URL, so it must end with a slash.
    fn folder_url(&self) -> url::Url {
        let mut url = self.location.url.clone();
        url.set_path(&format!("{}/", url.path().trim_end_matches('/')));
        url
    }

    /// delta-rs is built without its S3 feature, so it gets our store instead of opening its own.
    fn engine(&self) -> Arc<dyn Engine> {
        let table = PrefixStore::new(self.location.store.clone(), self.location.path.clone());
        default_logstore(Arc::new(table), self.location.store.clone(), &self.location.url, &StorageConfig::default())
            .engine(None)
    }

    fn sort(&self, error: delta_kernel::Error, doing: &str) -> Failure {
        match error {
            delta_kernel::Error::Backtraced { source, .. } => self.sort(*source, doing),
            delta_kernel::Error::ObjectStore(e) => self.location.describe(e, doing),
            // Somebody cleaned the log or dropped the table between listing and reading.
            e @ delta_kernel::Error::FileNotFound(_) => Failure::retry(format!("{doing}: {e}")),
            e @ (delta_kernel::Error::IOError(_) | delta_kernel::Error::JoinFailure(_)) => {
                Failure::retry(format!("{doing}: {e}"))
            }
            // If a connection breaks while a log checkpoint is read, Parquet or Arrow wraps the store's error.
            e if is_of_store(&e) => Failure::retry(format!("{doing}: {e}")),
            e => Failure::config(format!("{doing}: {e}")),
        }
    }
}

/// The ETag of an object, by which the store tells one object from another. If the store gives none, objects compare as
/// equal.
#[derive(Debug, Clone)]
pub(super) struct Etag(pub(super) Option<String>);

impl Etag {
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => a.trim_matches('"') == b.trim_matches('"'),
            _ => true,
        }
    }
}

/// The path of a version's commit, from the table's root.
pub(super) fn commit_path(version: i64) -> String {
    format!("_delta_log/{version:020}.json")
}

/// The version of a commit by its file name; `None` for any other file in the log.
fn version_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}

pub(super) async fn within<T>(
    deadline: Duration,
    doing: impl Fn() -> String,
    call: impl Future<Output = T>,
) -> Result<T> {
    tokio::time::timeout(deadline, call)
        .await
        .map_err(|_| Failure::retry(format!("{}: no answer within {deadline:?}", doing())))
}

fn is_of_store(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source())
        .any(|e| e.is::<object_store::Error>() || e.is::<std::io::Error>())
}

/// Why Weir could not work with the log.
pub(super) enum Unreadable {
    Kernel(Box<delta_kernel::Error>),
    Odd(String),
}

/// The state in a snapshot, without transactions.
pub(super) fn state_of(snapshot: &SnapshotRef) -> Result<State, Unreadable> {
    let config = snapshot.table_configuration();
    Ok(State {
        version: version_of_snapshot(snapshot)?,
        protocol: reread(config.protocol())?,
        metadata: reread(config.metadata())?,
        txns: HashMap::new(),
        checkpoint: snapshot.log_segment().checkpoint_version.and_then(|v| i64::try_from(v).ok()),
    })
}

/// The last transaction of each of Weir's application ids, of any pipeline.
fn transactions(snapshot: &SnapshotRef, engine: &dyn Engine) -> Result<HashMap<String, i64>, Unreadable> {
    let mut last = HashMap::new();
    for actions in snapshot.log_segment().read_actions(engine, LOG_TXN_SCHEMA.clone())? {
        let actions = actions?.actions.try_into_record_batch()?;
        let txn = actions.column_by_name("txn").and_then(|column| column.as_struct_opt());
        let ids = txn.and_then(|txn| txn.column_by_name("appId")?.as_string_opt::<i32>());
        let versions = txn.and_then(|txn| txn.column_by_name("version")?.as_primitive_opt::<Int64Type>());
        let (Some(txn), Some(ids), Some(versions)) = (txn, ids, versions) else {
            return Err(Unreadable::Odd("the log's `txn` actions are of another shape".to_owned()));
        };
        for row in (0..txn.len()).filter(|row| txn.is_valid(*row) && ids.is_valid(*row) && versions.is_valid(*row)) {
            // The newest transactions come first.
            if transaction::is_ours(ids.value(row)) {
                last.entry(ids.value(row).to_owned()).or_insert_with(|| versions.value(row));
            }
        }
    }
    Ok(last)
}

fn version_of_snapshot(snapshot: &SnapshotRef) -> Result<i64, Unreadable> {
    i64::try_from(snapshot.version()).map_err(|e| Unreadable::Odd(e.to_string()))
}

impl From<delta_kernel::Error> for Unreadable {
    fn from(e: delta_kernel::Error) -> Self {
        Self::Kernel(Box::new(e))
    }
}

/// Converts the kernel's type, whose fields are private, into ours by way of the protocol's JSON.
fn reread<T: serde::de::DeserializeOwned>(action: &impl serde::Serialize) -> Result<T, Unreadable> {
    serde_json::to_value(action).and_then(serde_json::from_value).map_err(|e| Unreadable::Odd(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_found_below_parquet_and_arrow_and_a_broken_file_is_not_one() {
        let broken = || Box::new(object_store::Error::Generic { store: "S3", source: "connection reset".into() });
        let parquet = |cause| delta_kernel::Error::Parquet(parquet::errors::ParquetError::External(cause));
        assert!(is_of_store(&parquet(broken())));
        assert!(is_of_store(&parquet(Box::new(arrow::error::ArrowError::ExternalError(broken())))));
        assert!(!is_of_store(&delta_kernel::Error::Parquet(parquet::errors::ParquetError::EOF("torn".into()))));
    }
}
