//! A sandbox that runs: its store, its API server over HTTPS, its Prometheus in plain, and the handle to stop, disturb
//! and ask it. What a test may do to it is here too: close it, take its Prometheus down, deny or delay requests.

use anyhow::Context;
use axum::Router;
use chrono::Utc;
use rand::RngExt;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::base;
use super::feed::Feed;
use super::kubeconfig::{self, Access};
use super::listener::Listener;
use super::seed::{self, Apps, Past};
use super::server::{Api, Delay, Denial};
use super::store::{Clock, DeleteOptions, HISTORY_LIMIT, Store};
use super::tls;
use super::workloads::{Controllers, Pace};
use crate::api::manifests;
use crate::traffic::{Simulator, Traffic};

/// Who the kubeconfig's user is.
pub const OPERATOR: &str = "sandbox-operator";
/// Where the sandbox's Prometheus stands in the cluster.
pub const PROMETHEUS: (&str, &str, u16) = ("istio-system", "prometheus", 9090);

/// How long Prometheus keeps samples.
const RETENTION: Duration = Duration::from_secs(30 * 60);

/// How a sandbox is set up.
#[derive(Clone)]
pub struct Options {
    /// Where the API is served; port 0 takes a free one. Loopback alone.
    pub listen: SocketAddr,
    /// Where Prometheus is served in plain, for `--prometheus`.
    pub listen_prometheus: SocketAddr,
    /// Decides uids, generated names and the traffic.
    pub seed: u64,
    /// How many apps with a Canary there are.
    pub canaries: usize,
    /// Pods of each app's primary.
    pub replicas: u32,
    /// The Canaries' analysis interval.
    pub interval: Duration,
    /// How long a pod takes to become ready.
    pub ready_after: Duration,
    /// How often Prometheus samples.
    pub scrape: Duration,
    /// The namespace of the apps, and of the kubeconfig's context.
    pub namespace: String,
    /// How many changes a watch may be behind before it gets 410 Gone.
    pub history: usize,
    /// After how much silence a watch gets a bookmark.
    pub bookmark_every: Duration,
    /// Whether requests are held to who writes them: the policy of `canary-tui manifests` is there, and in force.
    pub policy: bool,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: anywhere,
            listen_prometheus: anywhere,
            seed: 0,
            canaries: 3,
            replicas: 3,
            interval: Duration::from_secs(10),
            ready_after: Duration::from_secs(2),
            scrape: Duration::from_secs(1),
            namespace: "jx-production".into(),
            history: HISTORY_LIMIT,
            bookmark_every: Duration::from_secs(60),
            policy: false,
            clock: Arc::new(Utc::now),
        }
    }
}

/// A running sandbox. Dropping it ends it: the listeners, the connections, and what runs in it.
pub struct Sandbox {
    store: Store,
    api: Arc<Api>,
    listener: Arc<Listener>,
    prometheus: Arc<Prometheus>,
    authority: String,
    /// The operator's.
    token: Mutex<String>,
    namespace: String,
    /// The namespace that Prometheus' Service stands in.
    prometheus_in: Mutex<String>,
    /// None where somebody else answers for Prometheus.
    traffic: Option<Traffic>,
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Sandbox {
    /// Starts a cluster with its namespaces, its apps, the controllers that run them, and traffic.
    /// Errors: an address that is not loopback or is taken, or no certificate could be made.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let past = Past::before(options.clock.clone());
        let store = Store::seeded(past.clock(), options.seed, options.history);
        base::furnish(&store, &options.namespace).context("furnishing the sandbox")?;
        let apps = Apps {
            count: options.canaries,
            replicas: options.replicas,
            interval: options.interval,
            namespace: options.namespace.clone(),
        };
        seed::plant(&store, &past, &apps).context("planting the sandbox's apps")?;
        if options.policy {
            for document in manifests::policy() {
                let kind = document.object["kind"].as_str().unwrap_or_default().to_owned();
                store.create(&kind, None, document.object).with_context(|| format!("creating the {kind}"))?;
            }
        }
        let clock = options.clock.clone();
        let simulator = Simulator::new(options.seed, clock(), options.scrape, RETENTION);
        let traffic = Traffic::new(simulator, clock.clone());
        let router = crate::traffic::api::router(traffic.clone());
        let mut feed = Feed::default();
        // Before anybody can ask: rates exist at the first question.
        traffic.observe(clock(), feed.facts(&store));
        traffic.advance(clock());
        let sandbox = Self::start_over(&options, store.clone(), router).await?.with_traffic(traffic.clone());
        let pace = Pace { ready_after: options.ready_after, ..Pace::default() };
        let (for_pods, for_traffic) = (clock.clone(), clock);
        sandbox.keep(tokio::spawn(Controllers::new(&store, pace).run(move || for_pods())));
        sandbox.keep(tokio::spawn(feed.run(store, traffic, move || for_traffic())));
        Ok(sandbox)
    }

    fn with_traffic(mut self, traffic: Traffic) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// How many requests have found no ready pod since the start.
    pub fn lost_requests(&self) -> u64 {
        self.traffic.as_ref().map_or(0, Traffic::lost_requests)
    }

    /// Serves a cluster over a store that is furnished already. `prometheus` answers for the Service
    /// `istio-system/prometheus` and on a port of its own.
    /// Errors: an address that is not loopback or is taken, or no certificate could be made.
    pub async fn start_over(options: &Options, store: Store, prometheus: Router) -> anyhow::Result<Self> {
        let identity = tls::identity()?;
        let api = Api::new(store.clone(), options.bookmark_every);
        let token = random_token();
        api.admit(token.clone(), OPERATOR);
        let prometheus = Prometheus::serve(options.listen_prometheus, prometheus).await?;
        let (namespace, service, port) = PROMETHEUS;
        api.set_backend(namespace, service, port, Some(prometheus.router.clone()));
        let listener = Listener::open(options.listen, api.router(), Some(identity.acceptor)).await?;
        Ok(Self {
            store,
            api,
            listener,
            prometheus,
            authority: identity.authority,
            token: Mutex::new(token),
            namespace: options.namespace.clone(),
            prometheus_in: Mutex::new(namespace.to_owned()),
            traffic: None,
            tasks: Mutex::default(),
        })
    }

    /// Lets a task run for as long as the sandbox does.
    pub fn keep(&self, task: tokio::task::JoinHandle<()>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// The kubeconfig of its operator.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_of(OPERATOR, &locked(&self.token))
    }

    /// Ends the operator's token, as time does: what is asked under it is answered with 401 from now on. Watches that run
    /// go on, as those of an API server do.
    pub fn expire_token(&self) {
        self.api.expel(&locked(&self.token));
    }

    /// Gives the operator a new token. It stands in the kubeconfig from now on.
    pub fn renew_token(&self) {
        let mut token = locked(&self.token);
        *token = random_token();
        self.api.admit(token.clone(), OPERATOR);
    }

    /// The operator's token, for a plugin that hands it out.
    pub fn token(&self) -> String {
        locked(&self.token).clone()
    }

    /// Lets in another user, and returns their kubeconfig: for tests of what one may and another may not.
    pub fn kubeconfig_for(&self, user: &str) -> String {
        let token = random_token();
        self.api.admit(token.clone(), user);
        self.kubeconfig_of(user, &token)
    }

    fn kubeconfig_of(&self, user: &str, token: &str) -> String {
        let url = self.url();
        let namespace = &self.namespace;
        kubeconfig::text(&Access { url: &url, authority: &self.authority, user, token, namespace })
    }

    /// Writes the operator's kubeconfig to a file that only its owner can read.
    pub fn write_kubeconfig(&self, path: &Path) -> anyhow::Result<()> {
        kubeconfig::write(path, &self.kubeconfig())
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", self.listener.address())
    }

    /// `http://127.0.0.1:PORT`, for `--prometheus`.
    pub fn prometheus_url(&self) -> String {
        format!("http://{}", self.prometheus.listener.address())
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How many requests the API has had, by verb and resource.
    pub fn requests(&self) -> BTreeMap<(String, String), u64> {
        self.api.requests()
    }

    /// Closes the API's port and breaks off its connections, as a dead API server does.
    pub fn stop_serving(&self) {
        self.listener.close();
    }

    /// Serves the API on the same port again. Error: the port was taken meanwhile.
    pub async fn resume_serving(&self) -> anyhow::Result<()> {
        self.listener.reopen().await.context("serving the sandbox again")
    }

    /// Takes Prometheus down (503 on its own port, no endpoints behind its Service) or brings it back.
    pub fn set_prometheus_down(&self, down: bool) {
        self.prometheus.down.store(down, Ordering::SeqCst);
        let (_, service, port) = PROMETHEUS;
        let backend = (!down).then(|| self.prometheus.router.clone());
        self.api.set_backend(&locked(&self.prometheus_in), service, port, backend);
    }

    /// Installs Prometheus in another namespace and takes it away from where it was.
    /// Errors: where it stands already.
    pub fn move_prometheus(&self, namespace: &str) -> anyhow::Result<()> {
        let (_, service, port) = PROMETHEUS;
        let mut place = locked(&self.prometheus_in);
        base::install_prometheus(&self.store, namespace).context("installing Prometheus")?;
        self.api.set_backend(namespace, service, port, Some(self.prometheus.router.clone()));
        let options = DeleteOptions::default();
        self.store.delete("Service", Some(&place), service, &options).context("removing Prometheus")?;
        self.api.set_backend(&place, service, port, None);
        *place = namespace.to_owned();
        Ok(())
    }

    /// Refuses with 403 whatever `denies` says yes to; `None` allows all again.
    pub fn deny(&self, denies: Option<Denial>) {
        self.api.deny(denies);
    }

    /// Holds each request back for as long as `delay` says; `None` holds none.
    pub fn delay(&self, delay: Option<Delay>) {
        self.api.delay(delay);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.listener.close();
        self.prometheus.listener.close();
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

/// Prometheus on its own port, which can be down.
struct Prometheus {
    router: Router,
    down: Arc<AtomicBool>,
    listener: Arc<Listener>,
}

impl Prometheus {
    async fn serve(address: SocketAddr, router: Router) -> anyhow::Result<Arc<Self>> {
        let down = Arc::new(AtomicBool::new(false));
        let is_down = down.clone();
        let guarded = router.clone().layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                let down = is_down.load(Ordering::SeqCst);
                async move {
                    if down {
                        return axum::response::IntoResponse::into_response((
                            axum::http::StatusCode::SERVICE_UNAVAILABLE,
                            "Service Unavailable",
                        ));
                    }
                    next.run(request).await
                }
            },
        ));
        let listener = Listener::open(address, guarded, None).await?;
        Ok(Arc::new(Self { router, down, listener }))
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Long enough that nobody guesses it; it lives as long as the sandbox.
fn random_token() -> String {
    let mut random = rand::rng();
    (0..32).map(|_| format!("{:02x}", random.random::<u8>())).collect()
}
