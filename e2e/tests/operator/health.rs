//! When an operator reports that it is ready, and which one acts.

use weir_tests::web::get;
use weir_tests::{deadline, or_skip};

use crate::stage::{LIMIT, Operator, Stage};

fn wait_until_ready(operator: &Operator) {
    deadline::until("the operator is ready", LIMIT, || {
        get(&operator.address, "/readyz").ok().filter(|answer| answer.status == 200)
    });
}

fn metrics(operator: &Operator) -> String {
    get(&operator.address, "/metrics").unwrap().body
}

#[tokio::test]
async fn the_leader_is_ready_when_it_has_seen_all_pipelines_and_a_standby_when_it_was_answered() {
    let stage = or_skip!(Stage::new().await);
    wait_until_ready(&stage.operator);
    deadline::until("it leads", LIMIT, || metrics(&stage.operator).contains("weir_operator_leader 1").then_some(()));
    let standby = stage.start_another("the-standby");
    wait_until_ready(&standby);
    assert!(metrics(&standby).contains("weir_operator_leader 0"));
}

#[tokio::test]
async fn an_operator_that_nobody_answers_lives_and_is_not_ready() {
    let stage = or_skip!(Stage::new().await);
    let lost = stage.start_without_api_server();
    let health = deadline::until("the operator answers", LIMIT, || get(&lost.address, "/healthz").ok());
    assert_eq!(health.status, 200);
    assert_eq!(get(&lost.address, "/readyz").unwrap().status, 503);
}
