//! What the controller says of itself over HTTP while it drives rollouts on the embedded cluster: Flagger's series at
//! each stage, and the two probes.

mod rehearsal;

use canary_tui::api::{Phase, Verb};
use canary_tui::cluster::requests::Outcome;
use canary_tui::cluster::{Clock, For, Mirror};
use canary_tui::controller::{self, Controller, Endpoint};
use canary_tui::metrics::Locator;
use kube::Api;
use kube::api::DeleteParams;
use kube::core::DynamicObject;
use rehearsal::{APP, Rehearsal, hurried};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(30);

/// A controller's endpoint on a free port.
struct Reader {
    address: SocketAddr,
    client: reqwest::Client,
    serving: JoinHandle<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Reader {
    async fn of(controller: &Controller) -> Self {
        let endpoint = Endpoint::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a free port");
        let address = endpoint.address();
        let serving = tokio::spawn(endpoint.serve(controller.report()));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { address, client, serving }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("http://{}{path}", self.address)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }

    /// The samples by series; a series that comes twice is an error, as it is to Prometheus.
    async fn samples(&self) -> BTreeMap<String, f64> {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200, "{text}");
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let value = value.parse().expect("a number");
            assert_eq!(samples.insert(series.to_string(), value), None, "{series} comes twice");
        }
        samples
    }

    /// Reads the samples until they look so: the tally of a turn follows its last write.
    async fn until(&self, what: &str, looks: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let samples = self.samples().await;
            if looks(&samples) {
                return samples;
            }
            assert!(tokio::time::Instant::now() < end, "{what}: {samples:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A series of the app's Canary.
fn of_app(metric: &str) -> String {
    format!("flagger_canary_{metric}{{name=\"{APP}\",namespace=\"jx-production\"}}")
}

fn ended(metric: &str) -> String {
    format!(
        "flagger_canary_{metric}_total{{name=\"{APP}\",namespace=\"jx-production\",deployment_strategy=\"canary\",\
         analysis_status=\"completed\"}}"
    )
}

fn bucket(bound: &str) -> String {
    format!("flagger_canary_duration_seconds_bucket{{name=\"{APP}\",namespace=\"jx-production\",le=\"{bound}\"}}")
}

fn check(name: &str) -> String {
    format!("flagger_canary_metric_analysis{{name=\"{APP}\",namespace=\"jx-production\",metric=\"{name}\"}}")
}

/// The weights of the primary and of the canary.
fn weights(samples: &BTreeMap<String, f64>) -> (f64, f64) {
    let of = |workload: &str| {
        samples[&format!("flagger_canary_weight{{workload=\"{workload}\",namespace=\"jx-production\"}}")]
    };
    (of(&format!("{APP}-primary")), of(APP))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_can_be_followed_in_flaggers_series() {
    let rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let reader = Reader::of(rehearsal.controller.as_ref().expect("a controller")).await;

    let at_rest = reader.samples().await;
    assert_eq!(at_rest["flagger_canary_total{namespace=\"jx-production\"}"], 3.0);
    assert_eq!((at_rest[&of_app("status")], weights(&at_rest)), (1.0, (100.0, 0.0)));
    assert_eq!((at_rest[&ended("successes")], at_rest[&ended("failures")]), (0.0, 0.0));
    assert!(!at_rest.contains_key(&of_app("duration_seconds_count")), "nothing was analysed yet: {at_rest:#?}");

    let count = of_app("duration_seconds_count");
    rehearsal.set_version("1.1.0").await;
    let begun = reader.until("the first traffic", |s| s.get(&count) == Some(&1.0)).await;
    assert_eq!((begun[&of_app("status")], weights(&begun)), (0.0, (90.0, 10.0)));
    assert!(!begun.contains_key(&check("request-duration")), "nothing was measured yet: {begun:#?}");

    rehearsal.until_measured().await;
    assert!(matches!(rehearsal.ask(Verb::Advance).await, Outcome::CarriedOut(_)));
    let advanced = reader.until("the next step", |s| s[&count] == 2.0).await;
    assert_eq!((advanced[&of_app("status")], weights(&advanced)), (0.0, (80.0, 20.0)));
    assert_eq!(advanced[&bucket("+Inf")], 2.0);
    assert!(advanced[&of_app("duration_seconds_sum")] > 0.0);
    assert!((99.0..=100.0).contains(&advanced[&check("request-success-rate")]), "percent: {advanced:#?}");
    let seconds = advanced[&check("request-duration")];
    assert!(seconds > 0.0 && seconds < 0.5, "seconds: {advanced:#?}");

    set_interval(&rehearsal, "300ms");
    rehearsal.until_phase(Phase::Succeeded).await;
    let promoted = reader.until("no success", |s| s[&ended("successes")] == 1.0).await;
    assert_eq!((promoted[&of_app("status")], weights(&promoted)), (1.0, (100.0, 0.0)));
    assert_eq!(promoted[&ended("failures")], 0.0);
    let turns = promoted[&count];
    assert!(turns >= 6.0, "the first traffic, four steps and the promotion: {turns}");

    set_interval(&rehearsal, "1h");
    rehearsal.set_version("1.1.1").await;
    reader.until("the second rollout's first traffic", |s| s[&count] == turns + 1.0).await;
    assert!(matches!(rehearsal.ask(Verb::Pause).await, Outcome::CarriedOut(_)));
    assert!(matches!(rehearsal.ask(Verb::Abort).await, Outcome::CarriedOut(_)));
    rehearsal.until_phase(Phase::Failed).await;
    let failed = reader.until("no failure", |s| s[&ended("failures")] == 1.0).await;
    assert_eq!((failed[&of_app("status")], weights(&failed)), (2.0, (100.0, 0.0)));
    assert_eq!((failed[&ended("successes")], failed[&count]), (1.0, turns + 1.0), "an abort measures nothing");

    let canaries = Api::<DynamicObject>::namespaced_with(
        rehearsal.connection.client.clone(),
        "jx-production",
        &rehearsal.kinds.canary,
    );
    canaries.delete(APP, &DeleteParams::default()).await.expect("the canary goes");
    let gone = reader.until("its series stay", |s| !s.contains_key(&of_app("status"))).await;
    assert_eq!(gone["flagger_canary_total{namespace=\"jx-production\"}"], 2.0);
    assert!(!gone.keys().any(|series| series.contains(APP)), "{gone:#?}");
}

/// Sets how long the app's steps take.
fn set_interval(rehearsal: &Rehearsal, interval: &str) {
    let set = |canary: &mut Value| canary["spec"]["analysis"]["interval"] = json!(interval);
    rehearsal.sandbox.store().modify("Canary", Some("jx-production"), APP, set).expect("another interval");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probes_say_whether_it_lives_and_whether_it_knows_the_cluster() {
    let mut rehearsal = Rehearsal::driving(hurried(NEVER)).await;
    let controller = rehearsal.controller.take().expect("a controller");
    let reader = Reader::of(&controller).await;
    assert_eq!(reader.get("/healthz").await, (200, "OK".into()));
    assert_eq!(reader.get("/readyz").await, (200, "OK".into()));
    assert_eq!(reader.get("/elsewhere").await.0, 404);
    controller.stop().await;
    assert_eq!(reader.get("/healthz").await, (503, "the controller of jx-production has ended".into()));
    let stopped = reader.samples().await;
    assert!(!stopped.keys().any(|series| series.starts_with("flagger_canary")), "{stopped:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_is_ready_once_it_has_listed_everything() {
    let rehearsal = Rehearsal::observing(hurried(NEVER)).await;
    rehearsal.sandbox.stop_serving();
    let mirror =
        Mirror::start(&rehearsal.connection.client, &rehearsal.kinds, "jx-production", Clock::system(), For::Driver);
    let locator = Locator::new(rehearsal.connection.client.clone(), "jx-production", None);
    let controller = Controller::start(
        rehearsal.connection.clone(),
        rehearsal.kinds.clone(),
        mirror.clone(),
        locator,
        Clock::system(),
        controller::Options::default(),
    );
    let reader = Reader::of(&controller).await;
    // Every watch has failed once, and still nothing was listed.
    tokio::time::timeout(PATIENCE, mirror.ready()).await.expect("each watch says how it stands");
    let (status, why) = reader.get("/readyz").await;
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("of jx-production are not listed yet: "), "{why}");
    assert_eq!(reader.get("/healthz").await.0, 200, "a lost API server is no reason to be killed");
    rehearsal.sandbox.resume_serving().await.expect("the same port");
    let mut count = mirror.count();
    let ready = async {
        while reader.get("/readyz").await.0 != 200 {
            count.changed().await.expect("the mirror lives");
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("ready");
    controller.stop().await;
}
