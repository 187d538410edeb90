//! Which of the operator's replicas acts. They share a Lease and use the algorithm of client-go's leader election.
//!
//! Clocks of different machines are never compared: a candidate takes a lease over when its own clock says that the
//! lease was unchanged for the lease's duration. The leader gives up if it could not renew the lease for
//! `RENEW_DEADLINE`, which is shorter, so two leaders never act at once.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{self as coordination, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::{sleep, timeout};

use crate::clock::{since, steady};
use crate::error::{Error, Result, asking};

const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long the leader acts without a successful renewal.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

/// The Lease for which the candidates of one release compete. Another release has its own Lease, because it manages
/// other namespaces.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

/// A candidate, which becomes the leader once it is elected.
pub struct Candidate {
    api: Api<coordination::Lease>,
    name: String,
    identity: String,
    /// For what others read in the Lease: nothing is decided by it.
    clock: fn() -> Timestamp,
    /// The last record that was seen, and when by this machine's clock.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    #[must_use]
    pub fn new(client: Client, lease: Lease<'_>, identity: String, clock: fn() -> Timestamp) -> Self {
        let (api, name) = (Api::namespaced(client, lease.namespace), lease.name.to_owned());
        Self { api, name, identity, clock, seen: None }
    }

    /// Waits until this process is the leader. `answered` is called each time the API server has said who leads. There
    /// is no deadline: a second replica waits for as long as the first one works.
    pub async fn elected(&mut self, answered: impl Fn()) {
        loop {
            match self.try_hold().await {
                Ok(true) => return answered(),
                Ok(false) => answered(),
                Err(e) => tracing::warn!("leader election: {e}"),
            }
            sleep(RETRY).await;
        }
    }

    /// Returns when the lease could not be renewed in time or belongs to another. The process must then end, since
    /// another leader may already do the same work.
    pub async fn lost(&mut self) {
        let mut renewed = steady();
        while since(renewed) < RENEW_DEADLINE {
            sleep(RETRY).await;
            let left = RENEW_DEADLINE.saturating_sub(since(renewed));
            let asked = steady();
            match timeout(left, self.try_hold()).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) => return,
                Ok(Err(e)) => tracing::warn!("renew the lease: {e}"),
                Err(_) => tracing::warn!("renew the lease: no answer within {} s", RENEW_DEADLINE.as_secs()),
            }
        }
    }

    /// Gives the lease back, so that the next leader does not have to wait until it expires.
    pub async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = asking("get the Lease", self.api.get_opt(&self.name)).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                asking("release the Lease", self.api.replace(&self.name, &PostParams::default(), &lease)).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(e) = released.await {
            tracing::warn!("{e}");
        }
    }

    /// Tries once to take or renew the lease. The object's resource version prevents two candidates from succeeding at
    /// once.
    async fn try_hold(&mut self) -> Result<bool> {
        let Some(lease) = asking("get the Lease", self.api.get_opt(&self.name)).await? else {
            let lease = coordination::Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.record(None)),
            };
            return taken(asking("create the Lease", self.api.create(&PostParams::default(), &lease)).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec.clone(), steady()));
        }
        let seen_for = self.seen.as_ref().map_or(Duration::ZERO, |(_, at)| since(*at));
        let is_ours = spec.holder_identity.as_deref() == Some(&self.identity);
        let is_free = spec.holder_identity.as_deref().is_none_or(str::is_empty) || seen_for >= LEASE_DURATION;
        if !is_ours && !is_free {
            return Ok(false);
        }
        let next = coordination::Lease { spec: Some(self.record(Some(&spec))), ..lease };
        taken(asking("renew the Lease", self.api.replace(&self.name, &PostParams::default(), &next)).await)
    }

    fn record(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime((self.clock)());
        let ours = before.filter(|b| b.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|b| b.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            acquire_time: ours.and_then(|o| o.acquire_time.clone()).or(Some(now.clone())),
            renew_time: Some(now),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            lease_transitions: Some(if before.is_some() && ours.is_none() { transitions + 1 } else { transitions }),
            ..LeaseSpec::default()
        }
    }
}

/// Whether the lease was taken. A conflict means that another candidate was faster.
fn taken(answer: Result<coordination::Lease>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::Kube { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 409) => {
            Ok(false)
        }
        Err(e) => Err(e),
    }
}
