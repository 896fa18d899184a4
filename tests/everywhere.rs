//! One controller for all namespaces, on the embedded cluster: they roll out at the same time over the same watches, each
//! under a lease of its own.

mod rehearsal;

use canary_tui::api::Verb;
use canary_tui::cluster::lease::{RENEWAL, Tenure};
use canary_tui::cluster::requests::{self, Outcome, Wish};
use canary_tui::cluster::{Clock, Fleet, For};
use canary_tui::controller::{self, Everywhere, Role, Says};
use canary_tui::metrics::Locator;
use canary_tui::sandbox::Store;
use canary_tui::sandbox::store::DeleteOptions;
use rehearsal::{APP, Rehearsal, hurried};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(400);
/// Long enough that whatever happens within a test does not happen because an interval has passed.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);
/// The namespace that the cluster begins with.
const FIRST: &str = "jx-production";

/// A cluster with one app in its first namespace, and a controller of all namespaces.
struct Land {
    rehearsal: Rehearsal,
    controllers: Option<Everywhere>,
    fleet: Fleet,
}

impl Land {
    /// The namespaces `with` have an app `shop` from the beginning.
    async fn of(interval: Duration, with: &[&str]) -> Self {
        let mut options = hurried(interval);
        options.canaries = 1;
        let rehearsal = Rehearsal::observing(options).await;
        for namespace in with {
            found(rehearsal.sandbox.store(), namespace);
            open_shop(rehearsal.sandbox.store(), namespace);
        }
        let connection = rehearsal.connection.clone();
        let fleet = Fleet::start(&connection.client, &rehearsal.kinds, Clock::system(), For::Driver);
        let controllers = Everywhere::start(
            connection.clone(),
            rehearsal.kinds.clone(),
            fleet.clone(),
            Locator::new(connection.client, "", None),
            Clock::system(),
            controller::Options { min_interval: Duration::from_millis(100), ..Default::default() },
        );
        Self { rehearsal, controllers: Some(controllers), fleet }
    }

    fn store(&self) -> &Store {
        self.rehearsal.sandbox.store()
    }

    fn controllers(&self) -> &Everywhere {
        self.controllers.as_ref().expect("they have not been stopped")
    }

    async fn until_roles(&self, what: &str, looks: impl Fn(&BTreeMap<String, Role>) -> bool) {
        let mut roles = self.controllers().roles();
        let waited = tokio::time::timeout(PATIENCE, roles.wait_for(|roles| looks(roles))).await;
        if waited.is_err() {
            panic!("{what}: {:?}", self.controllers().roles().borrow());
        }
    }

    async fn until_role(&self, namespace: &str, role: Role) {
        self.until_roles(&format!("{namespace} is not {role:?}"), |roles| roles.get(namespace) == Some(&role)).await;
    }

    async fn until(&self, what: &str, looks: impl Fn(&Store) -> bool) {
        let mut news = self.store().news();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !looks(self.store()) {
                let _ = news.recv().await;
            }
        });
        if waited.await.is_err() {
            let canaries = self.store().list("Canary", None).0;
            let standing: Vec<_> = canaries.iter().map(|c| (&c["metadata"]["namespace"], &c["status"])).collect();
            panic!("{what}: {standing:#?}\n{:?}", self.controllers().roles().borrow());
        }
    }

    async fn until_phase(&self, namespace: &str, name: &str, phase: &str) {
        let stands = |store: &Store| phase_of(store, namespace, name) == phase;
        self.until(&format!("{name} of {namespace} is not {phase}"), stands).await;
    }

    fn set_version(&self, namespace: &str, name: &str, tag: &str) {
        let image = json!(format!("gcr.io/jx/{name}:{tag}"));
        self.store()
            .modify("Deployment", Some(namespace), name, |target| {
                target["spec"]["template"]["spec"]["containers"][0]["image"] = image.clone();
            })
            .expect("an image");
    }

    fn holder(&self, namespace: &str) -> String {
        let lease = self.store().get("Lease", Some(namespace), "canary-tui");
        lease.map(|l| l["spec"]["holderIdentity"].as_str().unwrap_or("").to_string()).unwrap_or_default()
    }

    /// How many watches were ever begun, and lists read.
    fn asked(&self, verb: &str) -> u64 {
        let requests = self.rehearsal.sandbox.requests();
        requests.iter().filter(|((of, _), _)| of == verb).map(|(_, count)| count).sum()
    }
}

fn phase_of(store: &Store, namespace: &str, name: &str) -> String {
    let canary = store.get("Canary", Some(namespace), name);
    canary.and_then(|c| c["status"]["phase"].as_str().map(str::to_string)).unwrap_or_default()
}

fn found(store: &Store, namespace: &str) {
    store.create("Namespace", None, json!({"metadata": {"name": namespace}})).expect("a namespace");
}

/// What the app needs, without its Canary.
fn furnish_shop(store: &Store, namespace: &str) {
    let first = store.get("Deployment", Some(FIRST), APP).expect("the first app");
    let mut target = first.as_ref().clone();
    target["metadata"] = json!({"name": "shop"});
    target["spec"]["replicas"] = json!(2);
    target["spec"]["selector"] = json!({"matchLabels": {"app": "shop"}});
    target["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
    target["spec"]["template"]["spec"]["containers"][0]["image"] = json!("gcr.io/jx/shop:1.0.0");
    target.as_object_mut().expect("an object").remove("status");
    store.create("Deployment", Some(namespace), target).expect("a target");
}

fn hang_out_the_sign(store: &Store, namespace: &str) {
    let first = store.get("Canary", Some(FIRST), APP).expect("the first canary");
    let mut spec = first["spec"].clone();
    spec["targetRef"]["name"] = json!("shop");
    let canary =
        json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop"}, "spec": spec});
    store.create("Canary", Some(namespace), canary).expect("a canary");
}

fn open_shop(store: &Store, namespace: &str) {
    furnish_shop(store, namespace);
    hang_out_the_sign(store, namespace);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_namespaces_roll_out_at_the_same_time() {
    let mut land = Land::of(STEP, &["shops"]).await;
    land.until_role(FIRST, Role::Driving).await;
    land.until_role("shops", Role::Driving).await;
    land.until_phase("shops", "shop", "Initialized").await;
    assert!(!land.holder(FIRST).is_empty() && land.holder(FIRST) == land.holder("shops"));

    land.set_version(FIRST, APP, "1.1.0");
    land.set_version("shops", "shop", "1.1.0");
    let both =
        |store: &Store, phase: &str| phase_of(store, FIRST, APP) == phase && phase_of(store, "shops", "shop") == phase;
    land.until("both are under way", |store| both(store, "Progressing")).await;
    land.until("both are promoted", |store| both(store, "Succeeded")).await;

    let report = land.controllers().report();
    assert_eq!((report.alive(), report.ready()), (Ok(()), Ok(())));
    let series = report.series();
    for line in [
        "flagger_canary_total{namespace=\"jx-production\"} 1\n".to_string(),
        "flagger_canary_total{namespace=\"shops\"} 1\n".to_string(),
        format!("flagger_canary_weight{{workload=\"{APP}-primary\",namespace=\"jx-production\"}} 100\n"),
        "flagger_canary_weight{workload=\"shop-primary\",namespace=\"shops\"} 100\n".to_string(),
    ] {
        assert!(series.contains(&line), "{line}{series}");
    }
    assert_eq!(series.matches("# TYPE flagger_canary_weight ").count(), 1, "{series}");

    let holders = [land.holder(FIRST), land.holder("shops")];
    assert!(holders.iter().all(|holder| !holder.is_empty()));
    land.controllers.take().expect("controllers").stop().await;
    assert_eq!([land.holder(FIRST), land.holder("shops")], ["", ""], "both are given back");
    assert_eq!(report.alive(), Err("the controller of all namespaces has ended".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_any_namespace_is_carried_out() {
    let land = Land::of(NEVER, &["shops"]).await;
    land.until_phase("shops", "shop", "Initialized").await;
    land.set_version("shops", "shop", "1.1.0");
    land.until_phase("shops", "shop", "Progressing").await;
    let connection = land.rehearsal.connection.of("shops");
    let status = land.store().get("Canary", Some("shops"), "shop").expect("a canary")["status"].clone();
    let wish = Wish {
        canary: "shop".into(),
        verb: Verb::Abort,
        revision: status["lastAppliedSpec"].as_str().expect("a revision").into(),
        reason: String::new(),
        image: None,
        container: None,
        gate: None,
    };
    let sent = requests::send(&connection, &land.rehearsal.kinds, "alice", &wish, chrono::Utc::now()).await;
    let outcome = requests::outcome(&connection, &sent.expect("it is written"), PATIENCE).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::CarriedOut(_)), "{outcome:?}");
    land.until_phase("shops", "shop", "Failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_is_driven_from_its_first_canary_to_its_last_over_the_same_watches() {
    let land = Land::of(STEP, &[]).await;
    land.until_role(FIRST, Role::Driving).await;
    land.fleet.whole().ready().await;
    for namespace in ["early", "empty"] {
        found(land.store(), namespace);
        // There before the Canary is: no watch brings it again.
        furnish_shop(land.store(), namespace);
    }
    land.until("they run", |store| store.list("Pod", Some("empty")).0.len() == 2).await;
    let (watches, lists) = (land.asked("watch"), land.asked("list"));

    hang_out_the_sign(land.store(), "early");
    land.until_role("early", Role::Driving).await;
    land.until_phase("early", "shop", "Initialized").await;
    land.set_version("early", "shop", "1.1.0");
    land.until_phase("early", "shop", "Succeeded").await;
    assert_eq!(land.asked("watch"), watches, "the watches are the same");
    assert!(land.asked("list") - lists <= 16, "one small list for each kind, and where Prometheus is");
    let members = land.fleet.members();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["early", FIRST], "nothing is kept of the empty one");
    assert!(members["early"].mirror.read().workloads.contains_key("shop-primary"));
    drop(members);

    land.store().delete("Canary", Some("early"), "shop", &DeleteOptions::default()).expect("it is deleted");
    land.until_roles("the last is gone", |roles| !roles.contains_key("early")).await;
    land.until("its lease is given back", |_| land.holder("early").is_empty()).await;
    assert_eq!(land.fleet.members().keys().collect::<Vec<_>>(), [FIRST]);
    let report = land.controllers().report();
    assert!(!report.series().contains("early") && report.ready() == Ok(()));
    // And a first one again.
    land.until("what it owned is gone", |store| store.get("Deployment", Some("early"), "shop-primary").is_none()).await;
    hang_out_the_sign(land.store(), "early");
    land.until_role("early", Role::Driving).await;
    land.until_phase("early", "shop", "Initialized").await;
    assert_eq!(land.asked("watch"), watches);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_lost_or_anothers_is_nothing_to_the_other_namespaces() {
    let land = Land::of(NEVER, &["shops"]).await;
    for (namespace, name) in [(FIRST, APP), ("shops", "shop")] {
        land.until_role(namespace, Role::Driving).await;
        land.until_phase(namespace, name, "Initialized").await;
    }
    let theirs = |holder: &str| {
        json!({"holderIdentity": holder, "leaseDurationSeconds": 3600, "leaseTransitions": 9,
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)})
    };
    // A namespace that somebody else drives already.
    found(land.store(), "theirs");
    let lease = json!({"metadata": {"name": "canary-tui"}, "spec": theirs("bob@there (1)")});
    land.store().create("Lease", Some("theirs"), lease).expect("a lease");
    open_shop(land.store(), "theirs");
    // And one that is taken from this process.
    let stolen = theirs("eve@there (2)");
    land.store()
        .modify("Lease", Some("shops"), "canary-tui", |lease: &mut Value| lease["spec"] = stolen.clone())
        .expect("it is taken");
    land.until_role("shops", Role::Waiting).await;
    land.until_role("theirs", Role::Waiting).await;
    for (namespace, name) in [("shops", "shop"), (FIRST, APP)] {
        land.set_version(namespace, name, "1.1.0");
    }
    land.until_phase(FIRST, APP, "Progressing").await;
    assert_eq!(phase_of(land.store(), "shops", "shop"), "Initialized");
    assert_eq!(phase_of(land.store(), "theirs", "shop"), "");
    assert!(land.store().get("Deployment", Some("theirs"), "shop-primary").is_none());
    let report = land.controllers().report();
    assert_eq!((report.alive(), report.ready()), (Ok(()), Ok(())), "a lease that is known to be another's");
    let series = report.series();
    assert!(series.contains("namespace=\"jx-production\"") && !series.contains("shops"), "{series}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_flagger_is_at_work_in_a_namespace_that_one_is_observed() {
    let land = Land::of(NEVER, &[]).await;
    found(land.store(), "shops");
    let labels = json!({"app": "flagger"});
    let flagger = json!({"metadata": {"name": "flagger", "labels": labels}, "spec": {"replicas": 1,
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "flagger", "image": "ghcr.io/fluxcd/flagger:1.44.0"}]}}}});
    land.store().create("Deployment", Some("shops"), flagger).expect("a deployment");
    open_shop(land.store(), "shops");
    let why = "Flagger is at work: its deployment flagger in shops runs";
    land.until_role("shops", Role::Observing(why.into())).await;
    land.until_role(FIRST, Role::Driving).await;
    assert_eq!(land.holder("shops"), "", "it does not want the lease");
    assert_eq!(land.controllers().report().ready(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_renewals_of_many_leases_do_not_come_at_once() {
    let mut options = hurried(NEVER);
    options.canaries = 1;
    let rehearsal = Rehearsal::observing(options).await;
    let store = rehearsal.sandbox.store();
    let namespaces: Vec<String> = (0..16).map(|number| format!("team-{number:02}")).collect();
    namespaces.iter().for_each(|namespace| found(store, namespace));
    let tenures: Vec<Tenure> = namespaces
        .iter()
        .map(|namespace| Tenure::begin(&rehearsal.connection.of(namespace), "me@here (1)", Clock::system()))
        .collect();
    let spec = |namespace: &String| {
        let lease = store.get("Lease", Some(namespace), "canary-tui");
        lease.map(|lease| lease["spec"].clone()).unwrap_or_default()
    };
    let time = |spec: &Value, key: &str| {
        let text = spec[key].as_str().unwrap_or_default();
        chrono::DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis()).unwrap_or_default()
    };
    // Taken together, renewed apart.
    let renewed = |namespace: &String| {
        let spec = spec(namespace);
        (time(&spec, "renewTime") - time(&spec, "acquireTime")).rem_euclid(RENEWAL.as_millis() as i64)
    };
    let is_renewed = |namespace: &String| spec(namespace)["renewTime"] != spec(namespace)["acquireTime"];
    let mut news = store.news();
    let waited = tokio::time::timeout(PATIENCE, async {
        while !namespaces.iter().all(is_renewed) {
            let _ = news.recv().await;
        }
    });
    waited.await.expect("all are renewed");
    let phases: Vec<i64> = namespaces.iter().map(renewed).collect();
    // Were they alike, all would be within some milliseconds of each other.
    let (first, last) = (phases.iter().min().expect("some"), phases.iter().max().expect("some"));
    assert!(last - first > 1000, "{phases:?}");
    for tenure in tenures {
        tenure.release().await;
    }
}
