//! The API server is killed, restarted and made to forget the past in the middle of a rollout. On control planes of
//! their own: what these tests do to one, no other test could stand.

mod ground;

use ground::plane::ControlPlane;
use ground::{APP, Ground, NEVER, SOON};
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn a_killed_api_server_decides_nothing_and_the_rollout_goes_on_after_it() {
    let plane = ControlPlane::start().await;
    let ground = Ground::on(&plane.kubeconfig(), "outage").await;
    ground.plant(SOON).await;
    let _controller = ground.controller();
    ground.until_phase("Initialized").await;
    ground.set_version("1.1.0").await;
    ground.until("no step", |w| w.weight() == 20).await;
    plane.api_server("kill").await;
    let (code, said) = ground.ask("status", &[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the API server cannot be reached: Connection re"), "{said}"); // …fused or …set
    plane.api_server("start").await;
    ground.until_phase("Succeeded").await;
    let w = &ground.watched;
    assert!(w.image(&format!("{APP}-primary")).ends_with(":1.1.0"));
    ground.until("its last message", |w| w.said("Promotion completed!")).await;
    // The test's own watch was away too, but every step has left its message, once.
    for weight in [10, 20, 30, 40, 50] {
        let step = format!("Advance {APP}.{} canary weight {weight}", ground.namespace);
        let said = w.events(APP).into_iter().filter(|(message, _)| *message == step).collect::<Vec<_>>();
        assert_eq!(said, [(step, 1)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(go), ignore = "Go is not installed")]
async fn watches_that_expire_are_begun_again_and_miss_nothing() {
    let plane = ControlPlane::start().await;
    let ground = Ground::on(&plane.kubeconfig(), "expiry").await;
    ground.plant(NEVER).await;
    let controller = ground.controller();
    ground.until_phase("Initialized").await;
    ground.set_version("1.1.0").await;
    ground.until_first_step().await;
    // Stopped, it sees nothing of what happens now; and when it looks again, what it saw last is forgotten.
    signal(&controller, "STOP");
    ground.set_version("1.1.1").await;
    ground.until("the new image is known", |w| w.image(APP).ends_with(":1.1.1")).await;
    plane.compact().await;
    plane.api_server("stop").await;
    plane.api_server("start").await;
    signal(&controller, "CONT");
    ground.until("it starts again", |w| w.said("New revision detected! Restarting analysis")).await;
    ground.until_first_step().await;
    ground.order("abort", &[]).await;
    ground.until_phase("Failed").await;
    assert_eq!(ground.watched.weight(), 0);
}

fn signal(program: &ground::program::Program, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &program.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}
