//! How a cluster is reached, on the real program: through a proxy, and as somebody else.

mod operator;
mod terminal;

use operator::{APP, Cluster, PATIENCE};
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const SIZE: (u16, u16) = (120, 40);
/// A name that nobody resolves: only the proxy knows the way.
const NOWHERE: &str = "kubernetes.example.com:443";

/// An HTTP proxy that opens tunnels.
struct Proxy {
    address: String,
    /// Where to it was asked for tunnels.
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Proxy {
    /// Whatever is asked of it, its tunnels lead to the cluster.
    fn before(cluster: &Cluster) -> Self {
        let server = server(cluster);
        let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let listener = cluster.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = asked.clone();
        cluster.runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, server.clone(), seen.clone()));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic under the lock").iter().cloned().collect()
    }
}

async fn tunnel(client: TcpStream, server: String, asked: Arc<Mutex<BTreeSet<String>>>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line);
    }
    let wanted = lines[0].strip_prefix("CONNECT ").and_then(|line| line.split(' ').next()).unwrap_or(&lines[0]);
    asked.lock().expect("no panic under the lock").insert(wanted.to_string());
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Host and port of the cluster's API server.
fn server(cluster: &Cluster) -> String {
    let kubeconfig = cluster.sandbox.kubeconfig();
    let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: https://"));
    line.expect("a server").trim_matches('"').to_string()
}

/// Gives the cluster another name in the operator's kubeconfig, and says more about it.
fn rename(cluster: &Cluster, more: &str) {
    let (before, after) = (format!("server: https://{}", server(cluster)), format!("server: https://{NOWHERE}"));
    let text = cluster.sandbox.kubeconfig().replace(&before, &format!("{after}\n    tls-server-name: localhost{more}"));
    fs::write(cluster.home.path().join("kubeconfig"), text).expect("a kubeconfig");
}

#[test]
fn a_cluster_behind_a_proxy_is_reached_by_it() {
    let cluster = Cluster::start(Duration::from_secs(10));
    for of_the_kubeconfig in [true, false] {
        let proxy = Proxy::before(&cluster);
        let more = format!("\n    proxy-url: {}", proxy.address);
        rename(&cluster, if of_the_kubeconfig { &more } else { "" });
        let environment = [("HTTPS_PROXY", proxy.address.as_str())];
        let environment = if of_the_kubeconfig { &[][..] } else { &environment };
        let console = cluster.open(SIZE, &["--no-controller"], environment);
        console.until_shows(APP);
        // Watches and Prometheus go the same way.
        console.until("all of it is there", PATIENCE, |screen| {
            screen.contains("driver: nobody") && screen.contains("prometheus ●")
        });
        assert_eq!(proxy.asked(), [NOWHERE], "of the kubeconfig: {of_the_kubeconfig}");
    }
}

#[test]
fn what_is_excepted_from_the_proxy_is_reached_without_it() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let proxy = Proxy::before(&cluster);
    let environment = [("HTTPS_PROXY", proxy.address.as_str()), ("NO_PROXY", "127.0.0.0/8")];
    let console = cluster.open(SIZE, &[], &environment);
    console.until_shows("prometheus ●");
    console.until_shows(APP);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let cluster = Cluster::start(Duration::from_secs(10));
    rename(&cluster, "\n    proxy-url: http://me:secret@127.0.0.1:1");
    let console = cluster.open(SIZE, &[], &[]);
    console.until_shows("No connection to the cluster since");
    console.until_says(&format!("https://{NOWHERE} through the proxy http://127.0.0.1:1: Connection refused"));
    assert!(!console.screen().contains("secret"));
}

#[test]
fn who_acts_as_somebody_else_does_so_in_every_namespace_and_context() {
    let cluster = Cluster::start(Duration::from_secs(10));
    let users: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = users.clone();
    cluster.sandbox.deny(Some(Arc::new(move |asked| {
        // Whether she may be acted as is asked of the operator.
        if asked.verb == "impersonate" {
            assert!(["jane", "auditors"].contains(&asked.name.as_deref().unwrap_or_default()));
            return false;
        }
        seen.lock().expect("no panic under the lock").insert(asked.user.clone());
        false
    })));
    let path = cluster.home.path().join("kubeconfig");
    let text = cluster.sandbox.kubeconfig();
    let (head, contexts) = text.split_once("contexts:\n").expect("contexts");
    let context = contexts.lines().take_while(|line| line.starts_with([' ', '-'])).collect::<Vec<_>>().join("\n");
    let second = context.replacen("sandbox", "again", 2).replacen("cluster: again", "cluster: sandbox", 1);
    fs::write(&path, format!("{head}contexts:\n{second}\n{contexts}")).expect("a kubeconfig");
    let mut console = cluster.open(SIZE, &["--as", "jane", "--as-group", "auditors"], &[]);
    console.until_shows(APP);
    console.until_shows("driver: this console");
    console.type_keys("Ndefault\r");
    console.until_shows("sandbox ▸ default");
    console.until_shows("There is no canary in default");
    console.type_keys("Cagain\r");
    console.until_shows("again ▸");
    console.until_shows(APP);
    console.until_shows("prometheus ●");
    let users = users.lock().expect("no panic under the lock");
    assert_eq!(users.iter().collect::<Vec<_>>(), ["jane"]);
}

#[test]
fn who_may_not_act_as_somebody_else_is_told() {
    let cluster = Cluster::start(Duration::from_secs(10));
    cluster.sandbox.deny(Some(Arc::new(|asked| asked.verb == "impersonate" && asked.resource == "groups")));
    let console = cluster.open(SIZE, &["--as", "jane", "--as-group", "auditors"], &[]);
    console.until_says("User \"sandbox-operator\" cannot impersonate resource \"groups\"");
}
