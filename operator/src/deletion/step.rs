//! The next step for a pipeline whose checkpoint is to be deleted with it. Pure: the clock is an argument.
//!
//! Deletion takes a bounded time, whatever happens: an unavailable store must not block a pipeline, and its namespace,
//! forever.

use k8s_openapi::jiff::Timestamp;

/// How long the deletion may take, from the request to delete the pipeline.
pub const DEADLINE_SECONDS: i64 = 600;

/// The facts that decide the step.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Whether the spec says `DeleteCheckpoint`.
    pub is_asked_for: bool,
    pub has_finalizer: bool,
    pub deleting_since: Option<Timestamp>,
    /// Whether there may be a checkpoint that belongs to this pipeline and that a Job can reach.
    pub has_checkpoint: bool,
    /// Whether there is an object that would create pods again.
    pub has_workload: bool,
    pub has_pods: bool,
    pub job: Job,
    pub now: Timestamp,
}

/// The Job that deletes the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    None,
    /// The Job belongs to someone else, but has the same name.
    Foreign,
    /// The Job belongs to an earlier pipeline of the same name.
    Earlier,
    Suspended,
    Running,
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Deletion requires nothing.
    Pass,
    AddFinalizer,
    /// Releases the pipeline: its checkpoint stays or is already deleted.
    RemoveFinalizer,
    /// Releases the pipeline, and reports that the checkpoint was left behind.
    GiveUp,
    /// Creates the Job, suspended. If the namespace is being deleted, the API server refuses the Job.
    MakeJob,
    DeleteJob,
    /// Reports that the Job's name is taken, and waits for a person to remove the other Job.
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
        // A pipeline that is being deleted gets no finalizer.
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
