//! A cluster that runs Flagger for Deployments, Istio and Prometheus can run this instead, with its Canary objects
//! untouched. Here on the embedded cluster: every scenario of Flagger's end-to-end tests, and what the two find when one
//! takes over from the other.

mod handover;
#[path = "../receiver/mod.rs"]
mod receiver;
#[path = "../rehearsal/mod.rs"]
mod rehearsal;
mod scenarios;

use canary_tui::cluster::Connection;
use receiver::Receiver;
use rehearsal::{Rehearsal, hurried};
use scenarios::{Cluster, leaving, ownership, promotion, routes, rules, skipping};
use std::sync::Arc;
use std::time::Duration;

/// Where the embedded cluster has its Prometheus.
const PROMETHEUS: &str = "http://prometheus.istio-system:9090";

/// An embedded cluster without apps, driven.
async fn driven() -> (Arc<Rehearsal>, Cluster, Receiver) {
    let mut options = hurried(Duration::from_secs(1));
    (options.canaries, options.scrape) = (0, Duration::from_millis(50));
    let rehearsal = Arc::new(Rehearsal::driving(options).await);
    let counted = rehearsal.clone();
    let lost = move || counted.sandbox.lost_requests();
    let Connection { client, namespace, .. } = &rehearsal.connection;
    let cluster = Cluster::new(client, namespace, PROMETHEUS, lost);
    (rehearsal, cluster, Receiver::start().await)
}

macro_rules! scenario {
    ($name:ident, $run:path) => {
        scenario!($name, $run, scenarios::APP);
    };
    ($name:ident, $run:path, $app:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (_rehearsal, cluster, receiver) = driven().await;
            $run(&cluster.of($app), &receiver).await;
        }
    };
}

scenario!(a_canary_is_initialized, promotion::initialization);
scenario!(a_weighted_canary_is_promoted_step_by_step, promotion::weighted_promotion);
scenario!(a_blue_green_canary_is_promoted_after_its_iterations, promotion::blue_green_promotion);
scenario!(an_ab_test_is_promoted_after_its_iterations_and_its_gate, promotion::ab_testing_promotion);
scenario!(the_canary_of_early_2019_is_promoted_as_it_is, promotion::seed);
scenario!(a_deleted_canary_goes_under_its_finalizer_and_leaves_a_target_that_serves, ownership::finalizer_and_delete);
scenario!(a_service_and_routes_that_were_there_are_taken_over_and_given_back, ownership::take_over_and_revert);
scenario!(a_good_image_is_promoted_without_analysis, skipping::good_image);
scenario!(a_bad_image_fails_without_analysis_too, skipping::bad_image);
scenario!(a_delegate_is_promoted_under_the_routes_that_delegate_to_it, routes::delegation);
scenario!(session_affinity_keeps_each_user_with_a_version_until_the_promotion, routes::session_affinity);
scenario!(what_stands_after_a_promotion_is_what_flagger_leaves, leaving::promoted, leaving::APP);
scenario!(what_stands_after_a_rollback_is_what_flagger_leaves, leaving::rolled_back, leaving::APP);
scenario!(what_the_canary_owns_is_put_right_when_others_touch_it, rules::repair);
scenario!(a_template_is_a_revision_and_nothing_else_of_the_target_is, rules::triggers);
scenario!(the_primary_is_left_as_it_is_between_promotions, rules::drift);
