//! What is next for a pipeline that asks that its checkpoint goes with it. Pure: the clock is an argument.
//!
//! Deleting is bounded in time, whatever happens: a pipeline, and a namespace with it, must not hang for a store that
//! is away.

use k8s_openapi::jiff::Timestamp;

/// From the moment that somebody asked for the deletion.
pub const DEADLINE_SECONDS: i64 = 600;

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The spec says `DeleteCheckpoint`.
    pub is_asked_for: bool,
    pub has_finalizer: bool,
    pub deleting_since: Option<Timestamp>,
    /// There may be a checkpoint that a Job can reach, and it is this pipeline's.
    pub has_checkpoint: bool,
    /// What would make pods again.
    pub has_workload: bool,
    pub has_pods: bool,
    pub job: Job,
    pub now: Timestamp,
}

/// The Job that deletes the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    None,
    /// Somebody else's, of the same name.
    Foreign,
    /// Of a pipeline of the same name that was there before.
    Earlier,
    Suspended,
    Running,
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do with deletion.
    Pass,
    AddFinalizer,
    /// Lets the pipeline go: the checkpoint stays, or is gone.
    RemoveFinalizer,
    /// The same, and says what was left.
    GiveUp,
    /// Makes the Job, suspended. A namespace that is being deleted refuses it here.
    MakeJob,
    DeleteJob,
    /// Says that the Job's name is taken, and waits for a person to make room.
    RefuseJob,
    Stop,
    ResumeJob,
    Wait,
}

#[must_use]
pub fn step(facts: &Facts) -> Step {
    let Some(since) = facts.deleting_since else {
        return match (facts.is_asked_for, facts.has_finalizer) {
            (true, false) => Step::AddFinalizer,
            (false, true) => Step::RemoveFinalizer,
            _ => Step::Pass,
        };
    };
    if !facts.has_finalizer {
        return Step::Pass;
    }
    if !facts.is_asked_for || !facts.has_checkpoint || facts.job == Job::Complete {
        return Step::RemoveFinalizer;
    }
    if facts.now.duration_since(since).as_secs() >= DEADLINE_SECONDS {
        return Step::GiveUp;
    }
    match facts.job {
        Job::Foreign => Step::RefuseJob,
        Job::Earlier => Step::DeleteJob,
        Job::None => Step::MakeJob,
        _ if facts.has_workload => Step::Stop,
        Job::Suspended if !facts.has_pods => Step::ResumeJob,
        _ => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn living() -> Facts {
        Facts {
            is_asked_for: true,
            has_finalizer: true,
            deleting_since: None,
            has_checkpoint: true,
            has_workload: true,
            has_pods: true,
            job: Job::None,
            now: "2026-01-01T12:01:00Z".parse().unwrap(),
        }
    }

    fn deleted() -> Facts {
        Facts { deleting_since: Some("2026-01-01T12:00:00Z".parse().unwrap()), ..living() }
    }

    #[test]
    fn only_a_pipeline_that_asks_for_it_has_the_finalizer() {
        assert_eq!(step(&living()), Step::Pass);
        assert_eq!(step(&Facts { has_finalizer: false, ..living() }), Step::AddFinalizer);
        assert_eq!(step(&Facts { is_asked_for: false, ..living() }), Step::RemoveFinalizer);
        assert_eq!(step(&Facts { is_asked_for: false, has_finalizer: false, ..living() }), Step::Pass);
        // None is added to one that is on its way out.
        assert_eq!(step(&Facts { has_finalizer: false, ..deleted() }), Step::Pass);
    }

    #[test]
    fn the_job_waits_until_nothing_writes_any_more() {
        assert_eq!(step(&deleted()), Step::MakeJob);
        let suspended = Facts { job: Job::Suspended, ..deleted() };
        assert_eq!(step(&suspended), Step::Stop);
        let stopped = Facts { has_workload: false, ..suspended };
        assert_eq!(step(&stopped), Step::Wait, "pods are on their way out");
        let gone = Facts { has_pods: false, ..stopped };
        assert_eq!(step(&gone), Step::ResumeJob);
        assert_eq!(step(&Facts { job: Job::Running, ..gone.clone() }), Step::Wait);
        assert_eq!(step(&Facts { job: Job::Complete, ..gone }), Step::RemoveFinalizer);
    }

    #[test]
    fn it_ends_after_the_deadline_whatever_is_the_matter() {
        let late = |facts: Facts| step(&Facts { now: "2026-01-01T12:10:00Z".parse().unwrap(), ..facts });
        for job in [Job::None, Job::Foreign, Job::Earlier, Job::Suspended, Job::Running] {
            assert_eq!(late(Facts { job, ..deleted() }), Step::GiveUp);
        }
        assert_eq!(late(Facts { job: Job::Complete, ..deleted() }), Step::RemoveFinalizer);
    }

    #[test]
    fn without_a_checkpoint_of_its_own_or_the_wish_nothing_is_deleted() {
        assert_eq!(step(&Facts { has_checkpoint: false, ..deleted() }), Step::RemoveFinalizer);
        assert_eq!(step(&Facts { is_asked_for: false, ..deleted() }), Step::RemoveFinalizer);
    }

    #[test]
    fn the_job_of_a_pipeline_of_the_same_name_is_not_taken_for_ours() {
        assert_eq!(step(&Facts { job: Job::Earlier, ..deleted() }), Step::DeleteJob);
    }

    #[test]
    fn a_job_that_is_somebody_elses_is_not_touched() {
        assert_eq!(step(&Facts { job: Job::Foreign, ..deleted() }), Step::RefuseJob);
    }
}
