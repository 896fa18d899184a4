//! The places that a console looks at, on the real program: all namespaces, another one, another context, and none at all.

mod operator;
mod terminal;

use canary_tui::sandbox::{Options, Sandbox, Store};
use operator::{APP, Cluster, PATIENCE};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use terminal::Terminal;

const SIZE: (u16, u16) = (120, 40);
const FIRST: &str = "jx-production";

/// Another namespace with a Canary `shop`.
fn open_shop(store: &Store) {
    store.create("Namespace", None, json!({"metadata": {"name": "shops"}})).expect("a namespace");
    let first = store.get("Deployment", Some(FIRST), APP).expect("the first app");
    let mut target = first.as_ref().clone();
    target["metadata"] = json!({"name": "shop"});
    target["spec"]["replicas"] = json!(2);
    target["spec"]["selector"] = json!({"matchLabels": {"app": "shop"}});
    target["spec"]["template"]["metadata"]["labels"] = json!({"app": "shop"});
    target["spec"]["template"]["spec"]["containers"][0]["image"] = json!("gcr.io/jx/shop:1.0.0");
    target.as_object_mut().expect("an object").remove("status");
    store.create("Deployment", Some("shops"), target).expect("a target");
    let first = store.get("Canary", Some(FIRST), APP).expect("the first canary");
    let mut spec = first["spec"].clone();
    spec["targetRef"]["name"] = json!("shop");
    let canary =
        json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop"}, "spec": spec});
    store.create("Canary", Some("shops"), canary).expect("a canary");
}

fn holder(store: &Store, namespace: &str) -> String {
    let lease = store.get("Lease", Some(namespace), "canary-tui");
    lease.map(|l| l["spec"]["holderIdentity"].as_str().unwrap_or("").to_string()).unwrap_or_default()
}

fn image(store: &Store, namespace: &str, name: &str) -> String {
    let target = store.get("Deployment", Some(namespace), name).expect("a target");
    target["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or("").to_string()
}

/// One kubeconfig with a context for each of these; the first is the current one.
fn kubeconfig(path: &Path, contexts: &[(&str, &str)]) {
    let mut lists = [Vec::<Value>::new(), Vec::new(), Vec::new()];
    for (name, text) in contexts {
        let field = |key: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
            line.unwrap_or_default().trim().to_string()
        };
        lists[0].push(json!({"name": name, "cluster": {
            "server": field("server:"), "certificate-authority-data": field("certificate-authority-data:")}}));
        lists[1].push(json!({"name": name, "user": {"token": field("token:")}}));
        lists[2].push(json!({"name": name, "context": {"cluster": name, "user": name, "namespace": FIRST}}));
    }
    let [clusters, users, named] = lists;
    let all = json!({"apiVersion": "v1", "kind": "Config", "current-context": contexts[0].0,
        "clusters": clusters, "users": users, "contexts": named});
    fs::write(path, all.to_string()).expect("a kubeconfig");
}

#[test]
fn all_namespaces_are_looked_at_and_a_request_goes_to_the_right_one() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let store = cluster.sandbox.store();
    open_shop(store);
    let path = cluster.home.path().join("kubeconfig");
    let at = ["--kubeconfig", path.to_str().expect("a plain path"), "--min-interval", "1s"];
    let driver = Terminal::start(&[&["controller", "-A"], &at[..]].concat(), cluster.home.path(), SIZE, &[]);
    let mut console = cluster.open(SIZE, &["-A"], &[]);
    console.until("both namespaces are there", PATIENCE, |screen| {
        let of = |namespace: &str| screen.lines().any(|line| line.contains(namespace) && line.contains("Initialized"));
        screen.contains("all namespaces") && of(FIRST) && of("shops")
    });
    console.type_keys("/shop\r");
    console.until("the shop is selected, and who drives it is said", PATIENCE, |screen| {
        screen.contains("shop in shops") && screen.contains("driver: alice@")
    });
    console.type_keys("s");
    console.until_shows("Start which version");
    console.type_keys("1.1.0\r");
    console.until_shows("Start 1.1.0 of shop?");
    console.type_keys("y");
    console.until("it is carried out", PATIENCE, |screen| screen.contains("start shop: carried out"));
    assert_eq!(image(store, "shops", "shop"), "gcr.io/jx/shop:1.1.0");
    assert!(image(store, FIRST, APP).ends_with(":1.0.0"));
    assert!(!holder(store, "shops").is_empty(), "the controller drives, and the console only looks on");
    drop((console, driver));
}

#[test]
fn whoever_may_look_at_one_namespace_alone_gets_that_one() {
    let cluster = Cluster::start(Duration::from_secs(10));
    open_shop(cluster.sandbox.store());
    cluster.sandbox.deny(Some(Arc::new(|asked| {
        !asked.resource.is_empty() && asked.namespace.as_deref() != Some(FIRST) && asked.verb != "create"
    })));
    let mut console = cluster.open(SIZE, &["-A"], &[]);
    console.until_shows("Not all namespaces may be looked at");
    console
        .until("its canaries are there", PATIENCE, |screen| screen.contains(APP) && screen.contains("PRIMARY 1.0.0"));
    assert!(!console.screen().contains("shops"));
    // It was asked to look on, and does.
    console.until_shows("driver: nobody");
    // What is typed need not be listed.
    console.type_keys("Nshops\r");
    console.until_shows("The canaries of shops may not be read");
}

#[test]
fn who_is_told_slowly_where_to_look_is_not_kept_waiting_by_a_long_list() {
    let cluster = Cluster::start(Duration::from_secs(10));
    open_shop(cluster.sandbox.store());
    cluster.sandbox.deny(Some(Arc::new(|asked| {
        !asked.resource.is_empty() && asked.namespace.as_deref() != Some("shops") && asked.verb != "create"
    })));
    cluster.sandbox.delay(Some(Arc::new(|asked| match asked.resource.as_str() {
        "selfsubjectaccessreviews" => Duration::from_secs(2),
        _ => Duration::ZERO,
    })));
    names_in_config(&cluster, &["none-such", "neither", "shops"]);
    let console = cluster.open(SIZE, &["-A"], &[]);
    // Asked to the end, it would be at the shops.
    console.until_shows("The canaries of jx-production may not be read");
}

/// Namespaces to look at where not all may be.
fn names_in_config(cluster: &Cluster, namespaces: &[&str]) {
    let folder = cluster.home.path().join(".config/canary-tui");
    fs::create_dir_all(&folder).expect("a folder");
    let text = format!("[contexts.\"*\"]\nnamespaces = {namespaces:?}\n");
    fs::write(folder.join("config.toml"), text).expect("a config file");
}

#[test]
fn whoever_may_not_look_at_the_contexts_namespace_either_gets_one_that_the_config_file_names() {
    let cluster = Cluster::start(Duration::from_secs(10));
    open_shop(cluster.sandbox.store());
    cluster.sandbox.deny(Some(Arc::new(|asked| {
        !asked.resource.is_empty() && asked.namespace.as_deref() != Some("shops") && asked.verb != "create"
    })));
    names_in_config(&cluster, &["none-such", "shops", "payments"]);
    let mut console = cluster.open(SIZE, &["-A"], &[]);
    console.until_shows("Not all namespaces may be looked at");
    console.until("its canaries are there", PATIENCE, |screen| {
        screen.contains("▸ shops") && screen.contains("1 canary") && !screen.contains(APP)
    });
    console.type_keys("N");
    console.until("those of the file are offered, though none may be listed", PATIENCE, |screen| {
        screen.contains("namespace none-such") && screen.contains("namespace payments")
    });
}

#[test]
fn of_many_canaries_each_is_shown_with_what_is_known_of_it() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let _guard = cluster.runtime.enter();
    let options = Options { canaries: 250, replicas: 1, ..Options::default() };
    let many = cluster.runtime.block_on(Sandbox::start(options)).expect("another sandbox");
    kubeconfig(&cluster.home.path().join("kubeconfig"), &[("many", &many.kubeconfig())]);
    let mut console = cluster.open(SIZE, &["--no-controller"], &[]);
    console.until_shows("250 at rest");
    console.type_keys("G");
    console.until("its Deployments have been read", PATIENCE, |screen| {
        let mut lines = screen.lines().filter(|line| line.contains("jx-production-app-0250"));
        lines.next().is_some_and(|line| line.contains("Initialized") && line.contains("1.0.0"))
    });
    console.type_keys("q");
    assert!(console.ended(PATIENCE).success());
}

#[test]
fn a_console_goes_to_another_namespace_and_to_another_context_and_leaves_nothing_behind() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let store = cluster.sandbox.store();
    open_shop(store);
    let _guard = cluster.runtime.enter();
    let options = Options { canaries: 1, ..Options::default() };
    let other = cluster.runtime.block_on(Sandbox::start(options)).expect("another sandbox");
    let path = cluster.home.path().join("kubeconfig");
    let gone = "server: https://127.0.0.1:1\ntoken: x\n";
    kubeconfig(&path, &[("eu", &cluster.sandbox.kubeconfig()), ("us", &other.kubeconfig()), ("gone", gone)]);
    let mut console = cluster.console();
    assert!(console.screen().contains("eu ▸ jx-production") && !holder(store, FIRST).is_empty());

    console.type_keys("N");
    console.until("those that hold canaries stand first", PATIENCE, |screen| {
        screen.find("jx-production").zip(screen.find("default")).is_none_or(|(first, last)| first < last)
            && screen.contains("namespace shops")
    });
    console.type_keys("shops\r");
    console.until_shows("eu ▸ shops");
    console.until("it drives there", PATIENCE, |screen| {
        screen.contains("driver: this console") && screen.contains("shop") && !screen.contains(APP)
    });
    assert_eq!(holder(store, FIRST), "", "given back before it went");

    console.type_keys(":context us\r");
    console.until_shows("us ▸ jx-production");
    console
        .until("it drives there", PATIENCE, |screen| screen.contains("driver: this console") && screen.contains(APP));
    assert_eq!(holder(store, "shops"), "");
    assert!(!holder(other.store(), FIRST).is_empty());

    console.type_keys("Cgone\r");
    console.until_shows("gone ▸ jx-production");
    console.until("why it is not reached is said", PATIENCE, |screen| {
        screen.contains("No connection to the cluster since") && screen.contains("refused") && !screen.contains(APP)
    });
    console.type_keys(":context eu\r");
    console
        .until("and one can go back", PATIENCE, |screen| screen.contains("eu ▸ jx-production") && screen.contains(APP));

    console.until_shows("driver: this console");
    // A rollout is under way: it is asked first.
    operator::start(&mut console, "1.1.0");
    console.type_keys("Cus\r");
    console.until_shows("Leave for us?");
    console.type_keys("n");
    console
        .until("it stays", PATIENCE, |screen| screen.contains("eu ▸ jx-production") && !screen.contains("Leave for"));
    console.type_keys("Cus\r");
    console.until_shows("Leave for us?");
    console.type_keys("y");
    console.until_shows("us ▸ jx-production");
    assert_eq!(holder(store, FIRST), "");
    assert_eq!(image(other.store(), FIRST, APP).rsplit(':').next(), Some("1.0.0"));
}

#[test]
fn without_a_kubeconfig_it_starts_and_goes_on_once_there_is_one() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let home = tempfile::tempdir().expect("a folder");
    let mut console = Terminal::start(&[], home.path(), (80, 24), &[]);
    console.until_shows("There is no cluster");
    console.until_shows("canary-tui --sandbox");
    console.type_keys("a?");
    console.until("its keys work", PATIENCE, |screen| screen.contains("Keys"));
    console.type_keys("\u{1b}");
    fs::create_dir(home.path().join(".kube")).expect("a folder");
    fs::write(home.path().join(".kube/config"), cluster.sandbox.kubeconfig()).expect("a kubeconfig");
    console.until("it goes on", PATIENCE, |screen| screen.contains("sandbox ▸ jx-production") && screen.contains(APP));
}
