//! The keys that were right when a pod was last asked.
//!
//! A Secret is read again only when a pod does not take these keys or shows another certificate. So an exchange goes
//! unnoticed: the old keys are used until the pod, which gets its files a minute or so later, has the new ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use weir_crds::document::Http;
use weir_crds::resource::StreamPipeline;

use super::Keys;

/// Keys in memory, one entry per pipeline.
#[derive(Debug, Default)]
pub struct Keyring {
    entries: Mutex<HashMap<ObjectRef<StreamPipeline>, Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// What the keys were read for.
    http: Http,
    keys: Arc<Keys>,
}

impl Keyring {
    /// The keys of the pipeline, if they were read for a document that guards the port in this way.
    #[must_use]
    pub fn keys(&self, pipeline: &ObjectRef<StreamPipeline>, http: &Http) -> Option<Arc<Keys>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(pipeline).filter(|entry| entry.http == *http).map(|entry| Arc::clone(&entry.keys))
    }

    /// Keeps keys that were right.
    pub fn keep(&self, pipeline: ObjectRef<StreamPipeline>, http: Http, keys: Arc<Keys>) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(pipeline, Entry { http, keys });
    }

    /// Forgets a pipeline that is deleted, or whose port is not guarded any more.
    pub fn forget(&self, pipeline: &ObjectRef<StreamPipeline>) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(pipeline);
    }
}
