//! The scenarios of Flagger's end-to-end tests on a real Kubernetes API server and its own controllers, driven by the real
//! program. No proxies run there: what is judged is the objects, by traffic that follows their routes.

#[path = "../conformance/scenarios/mod.rs"]
mod scenarios;

mod ground;
#[path = "../receiver/mod.rs"]
mod receiver;

use ground::Ground;
use ground::program::Program;
use receiver::Receiver;
use scenarios::{Cluster, leaving, ownership, promotion, routes, rules, skipping};
use std::sync::Arc;

/// A namespace of the test's own, driven.
async fn driven(name: &str) -> (Arc<Ground>, Cluster, Receiver, Program) {
    let ground = Arc::new(Ground::new(name).await);
    let program = ground.controller();
    let counted = ground.clone();
    let lost = move || counted.watched.lost_requests();
    let cluster = Cluster::new(&ground.client, &ground.namespace, &ground.watched.metrics_url(), lost);
    (ground, cluster, Receiver::start().await, program)
}

macro_rules! scenario {
    ($name:ident, $namespace:literal, $run:path) => {
        scenario!($name, $namespace, $run, scenarios::APP);
    };
    ($name:ident, $namespace:literal, $run:path, $app:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[cfg_attr(not(go), ignore = "Go is not installed")]
        async fn $name() {
            let (_ground, cluster, receiver, _program) = driven($namespace).await;
            $run(&cluster.of($app), &receiver).await;
        }
    };
}

scenario!(a_canary_is_initialized, "init", promotion::initialization);
scenario!(a_weighted_canary_is_promoted_step_by_step, "weighted", promotion::weighted_promotion);
scenario!(a_blue_green_canary_is_promoted_after_its_iterations, "bluegreen", promotion::blue_green_promotion);
scenario!(an_ab_test_is_promoted_after_its_iterations_and_its_gate, "abtest", promotion::ab_testing_promotion);
scenario!(the_canary_of_early_2019_is_promoted_as_it_is, "early", promotion::seed);
scenario!(
    a_deleted_canary_goes_under_its_finalizer_and_leaves_a_target_that_serves,
    "finalizer",
    ownership::finalizer_and_delete
);
scenario!(
    a_service_and_routes_that_were_there_are_taken_over_and_given_back,
    "takeover",
    ownership::take_over_and_revert
);
scenario!(a_good_image_is_promoted_without_analysis, "skip", skipping::good_image);
scenario!(a_bad_image_fails_without_analysis_too, "skipbad", skipping::bad_image);
scenario!(a_delegate_is_promoted_under_the_routes_that_delegate_to_it, "delegate", routes::delegation);
scenario!(session_affinity_keeps_each_user_with_a_version_until_the_promotion, "affinity", routes::session_affinity);
scenario!(what_stands_after_a_promotion_is_what_flagger_leaves, "promoted", leaving::promoted, leaving::APP);
scenario!(what_stands_after_a_rollback_is_what_flagger_leaves, "rolledback", leaving::rolled_back, leaving::APP);
scenario!(what_the_canary_owns_is_put_right_when_others_touch_it, "repair", rules::repair);
scenario!(a_template_is_a_revision_and_nothing_else_of_the_target_is, "trigger", rules::triggers);
scenario!(the_primary_is_left_as_it_is_between_promotions, "drift", rules::drift);
