//! Where a pipeline runs. If somebody tried its document on a laptop, that run would take the checkpoint away from the
//! pipeline on the cluster. So manifests name the namespace in which the pipeline runs.

use weir_base::failure::{Failure, Result};
use weir_plan::quote::quoted;

use super::manifest::Manifest;

/// Where this process runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Home {
    /// Not on a cluster, as far as the process can see.
    #[default]
    Elsewhere,
    /// On a cluster. An older operator does not tell the namespace.
    Cluster { namespace: Option<String> },
}

impl Home {
    /// Derives the home from `WEIR_NAMESPACE` and from whether this is a pod. Whoever sets the variable declares that
    /// this process is the pipeline of that namespace.
    #[must_use]
    pub fn of(namespace: Option<String>, in_a_pod: bool) -> Self {
        match namespace.filter(|n| !n.is_empty()) {
            Some(namespace) => Self::Cluster { namespace: Some(namespace) },
            None if in_a_pod => Self::Cluster { namespace: None },
            None => Self::Elsewhere,
        }
    }

    #[must_use]
    pub fn namespace(&self) -> Option<String> {
        match self {
            Self::Cluster { namespace } => namespace.clone(),
            Self::Elsewhere => None,
        }
    }

    /// Checks that this process may go on from a manifest. Any process may go on from one that names no namespace.
    ///
    /// # Errors
    /// `Config`, with what to do.
    pub fn check(&self, newest: &Manifest) -> Result<()> {
        let Some(theirs) = &newest.writer.namespace else { return Ok(()) };
        let here = match self {
            Self::Cluster { namespace: None } => return Ok(()),
            Self::Cluster { namespace: Some(ours) } if ours == theirs => return Ok(()),
            Self::Cluster { namespace: Some(ours) } => format!("this run is in the namespace {}", quoted(ours)),
            Self::Elsewhere => "this run is on no cluster".to_owned(),
        };
        Err(Failure::config(format!(
            "the checkpoint belongs to the pipeline in the namespace {}, and {here}: write another \
             spec.checkpoint.uri and other tables (`weir \
             run --override`), or set WEIR_NAMESPACE={theirs} if it is to take over from that one",
            quoted(theirs)
        )))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use weir_plan::ids::Epoch;

    fn written_in(namespace: Option<&str>) -> Manifest {
        let fixture = include_bytes!("../../fixtures/manifest-v2.json");
        let mut manifest = Manifest::decode(Epoch(42), "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491", fixture).unwrap();
        manifest.writer.namespace = namespace.map(str::to_owned);
        manifest
    }

    #[test]
    fn a_checkpoint_of_a_cluster_is_not_taken_over_from_elsewhere() {
        let (laptop, data) = (Home::of(None, false), Home::of(Some("data".into()), true));
        let (staging, unsaid) = (Home::of(Some("staging".into()), true), Home::of(None, true));
        for (home, written, may) in [
            (&laptop, None, true),
            (&laptop, Some("data"), false),
            (&data, None, true),
            (&data, Some("data"), true),
            (&staging, Some("data"), false),
            (&unsaid, Some("data"), true),
        ] {
            assert_eq!(home.check(&written_in(written)).is_ok(), may, "{home:?} {written:?}");
        }
        let refused = laptop.check(&written_in(Some("data"))).unwrap_err();
        assert!(refused.message.contains("in the namespace `data`, and this run is on no cluster"), "{refused}");
        assert!(refused.message.contains("set WEIR_NAMESPACE=data if"), "{refused}");
    }
}
