//! Deletes the checkpoint of a pipeline that is gone. It never touches tables.
//!
//! It first claims the checkpoint, as a writer does. A writer that still runs finds itself fenced when it decides its
//! next epoch. One that stalls for longer finds its own newest manifest gone and stops (`Stop::Vanished`). So nobody
//! goes on in a half-deleted checkpoint.
//!
//! It checks the identity first and deletes it last, right after the newest manifest. So an interrupted removal can be
//! repeated. A runtime that starts in between finds a manifest whose state is gone and reports that; it never finds an
//! older manifest, from which it would write rows twice.

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::random::Random;
use weir_base::retry::RetryPolicy;
use weir_plan::ids::Epoch;

use super::content::Carried;
use super::home::Home;
use super::identity::Identity;
use super::layout::{self, StateName};
use super::manifest::Manifest;
use super::sinks::{SinkMemory, Sinks};
use super::store::{Outcome, Store};
use super::writer::{self, Options};

/// Requests under way at the same time.
const AT_ONCE: usize = 16;

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    pub manifests: usize,
    pub state_files: usize,
    pub probes: usize,
    /// Whether there was a checkpoint.
    pub identity: bool,
    /// Objects in its folders that are not Weir's; they stay.
    pub foreign: usize,
    /// The claim that was made first; `None` if there was nothing to claim upon, or nothing that could be read.
    pub claimed: Option<Epoch>,
}

/// Removes a checkpoint that nobody should write any more. A writer that still does is stopped.
///
/// # Errors
/// `Config`: the checkpoint belongs to another pipeline, or to one that runs elsewhere, or it is not one of Weir's.
/// `Retry`: the store was away for too long; the removal may be repeated.
pub async fn remove(
    store: &Store,
    pipeline: &str,
    home: &Home,
    retry: RetryPolicy,
    random: &Random,
) -> Result<Removed> {
    let identity = retry.persist("read the identity", async || settled(store.read(layout::IDENTITY).await?)).await?;
    let claimed = match &identity {
        Some(identity) if Identity::decode(identity)?.pipeline == pipeline => {
            claim(store, pipeline, home, retry, random).await?
        }
        _ => None,
    };
    let (mut manifests, mut foreign) =
        names(store, retry, layout::EPOCHS, |name| layout::manifest_epoch(name).is_some()).await?;
    let (states, others) = names(store, retry, layout::STATE, |name| StateName::parse(name).is_some()).await?;
    foreign += others;
    let (probes, _) = names(store, retry, layout::PROBES, |_| true).await?;
    let Some(identity) = identity else {
        return match manifests.len() + states.len() {
            0 => Ok(Removed::default()),
            _ => Err(Failure::config(format!(
                "{} has epochs or state and no {}, so it can't be told whose they are; delete them by hand",
                store.uri(),
                layout::IDENTITY
            ))),
        };
    };
    let identity = Identity::decode(&identity)?;
    if identity.pipeline != pipeline {
        return Err(Failure::config(format!(
            "the checkpoint at {} belongs to pipeline {}, and this is {pipeline}; nothing was deleted",
            store.uri(),
            identity.pipeline
        )));
    }
    manifests.sort();
    let newest = manifests.pop();
    for paths in [&states, &probes, &manifests] {
        delete(store, retry, paths).await?;
    }
    delete(store, retry, newest.as_slice()).await?;
    delete(store, retry, &[layout::IDENTITY.to_owned()]).await?;
    // A writer that was about to be fenced may have created this one late.
    let (late, _) = names(store, retry, layout::EPOCHS, |name| layout::manifest_epoch(name).is_some()).await?;
    delete(store, retry, &late).await?;
    let manifests = manifests.len() + usize::from(newest.is_some());
    Ok(Removed { manifests, state_files: states.len(), probes: probes.len(), identity: true, foreign, claimed })
}

/// Claims the checkpoint, which fences every writer. `None` if nothing was ever decided, or if the newest manifest
/// can't be read: then nobody can go on from it either.
async fn claim(
    store: &Store,
    pipeline: &str,
    home: &Home,
    retry: RetryPolicy,
    random: &Random,
) -> Result<Option<Epoch>> {
    let options = Options { retry, ..Options::new(store.uri(), random.number()) };
    let opened = match writer::open_in(store.clone(), pipeline, String::new(), random.id(), options).await {
        Ok(opened) => opened,
        Err(failure) if failure.remedy == Remedy::Config => {
            tracing::warn!("the checkpoint is deleted without being claimed first: {failure}");
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let Some(newest) = opened.newest() else { return Ok(None) };
    home.check(newest).map_err(|f| f.context("nothing was deleted"))?;
    let content = async |newest: Option<&Manifest>, _| {
        newest
            .map(Carried::on_from)
            .ok_or_else(|| Failure::retry("the checkpoint was emptied while it was being deleted"))
    };
    Ok(Some(opened.claim(&NoSinks, content).await?.newest().epoch))
}

/// The sinks of a removal: nothing more is written to them.
struct NoSinks;

impl Sinks for NoSinks {
    fn held(&self, _: bool) -> BoxFuture<'_, Result<Vec<SinkMemory>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn excuses(&self, _: Option<&Manifest>) -> bool {
        true
    }
}

/// The paths of a folder's objects that are ours, and the number of the others.
async fn names(
    store: &Store,
    retry: RetryPolicy,
    folder: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<(Vec<String>, usize)> {
    let listed = retry.persist("list the checkpoint", async || settled(store.list(folder, None).await?)).await?;
    let all: Vec<_> = listed.iter().flatten().filter_map(|object| object.location.filename()).collect();
    let ours: Vec<_> = all.iter().filter(|name| is_ours(name)).map(|name| format!("{folder}/{name}")).collect();
    let foreign = all.len() - ours.len();
    Ok((ours, foreign))
}

async fn delete(store: &Store, retry: RetryPolicy, paths: &[String]) -> Result<()> {
    let deletions = paths
        .iter()
        .map(|path| retry.persist("delete the checkpoint", async move || settled(store.delete(path).await?)));
    stream::iter(deletions).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await
}

/// The value, or `None` if nothing is there.
fn settled<T>(outcome: Outcome<T>) -> Result<Option<T>> {
    match outcome {
        Outcome::Done(value) => Ok(Some(value)),
        Outcome::NotFound | Outcome::AlreadyExists => Ok(None),
        Outcome::Unknown(why) => Err(Failure::retry(why)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use weir_plan::ids::Generation;

    use super::*;

    const PIPELINE: &str = "rides";

    async fn checkpoint_with(paths: &[String]) -> Store {
        let store = Store::new(Arc::new(InMemory::new()), Path::from("c"), "memory:///c", Duration::from_secs(5));
        for path in paths {
            store.create(path, Bytes::from_static(b"x")).await.unwrap();
        }
        store
    }

    fn state() -> String {
        StateName { generation: Generation(1), epoch: Epoch(2), task: 0, n: 0 }.path("arrow")
    }

    fn objects() -> Vec<String> {
        vec![layout::manifest(Epoch(1)), layout::manifest(Epoch(2)), state(), layout::probe("n", 1)]
    }

    async fn with_identity(pipeline: &str) -> Store {
        let store = checkpoint_with(&objects()).await;
        let identity = Identity::new("l".into(), pipeline.into()).encode().unwrap();
        store.create(layout::IDENTITY, identity).await.unwrap();
        store
    }

    async fn left(store: &Store) -> usize {
        let mut left = 0;
        for folder in [layout::EPOCHS, layout::STATE, layout::PROBES] {
            let Outcome::Done(listed) = store.list(folder, None).await.unwrap() else { panic!("no listing") };
            left += listed.len();
        }
        left + usize::from(matches!(store.read(layout::IDENTITY).await.unwrap(), Outcome::Done(_)))
    }

    async fn removed(store: &Store) -> Result<Removed> {
        remove(store, PIPELINE, &Home::default(), RetryPolicy::default(), &Random::of_system()).await
    }

    #[tokio::test]
    async fn all_of_a_checkpoint_goes_and_again_is_nothing() {
        let store = with_identity(PIPELINE).await;
        let expected = Removed { manifests: 2, state_files: 1, probes: 1, identity: true, foreign: 0, claimed: None };
        assert_eq!(removed(&store).await, Ok(expected));
        assert_eq!(left(&store).await, 0);
        assert_eq!(removed(&store).await, Ok(Removed::default()));
    }

    #[tokio::test]
    async fn another_pipelines_checkpoint_is_left_alone() {
        let store = with_identity("orders").await;
        let refused = removed(&store).await.unwrap_err();
        assert_eq!(refused.remedy, Remedy::Config);
        assert!(refused.message.contains("belongs to pipeline orders, and this is rides"), "{refused}");
        assert_eq!(left(&store).await, 5);
    }

    #[tokio::test]
    async fn objects_without_an_identity_are_left_alone() {
        let store = checkpoint_with(&objects()).await;
        assert!(removed(&store).await.unwrap_err().message.contains("can't be told whose they are"));
        assert_eq!(left(&store).await, 4);
    }

    #[tokio::test]
    async fn what_is_not_ours_stays_and_is_counted() {
        let store = with_identity(PIPELINE).await;
        store.create("state/notes.txt", Bytes::new()).await.unwrap();
        assert_eq!(removed(&store).await.unwrap().foreign, 1);
        assert_eq!(left(&store).await, 1);
    }
}
