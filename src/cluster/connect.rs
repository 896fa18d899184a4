//! From a kubeconfig to a client, and from an error of that client to words.

use super::credentials::{Attended, Login, Origin};
use super::keeping::Keeping;
use super::renewing;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::PathBuf;

/// What the command line says about the cluster.
#[derive(Clone, Debug, Default)]
pub struct ConnectionOptions {
    /// Else `$KUBECONFIG`, else `~/.kube/config`, else the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Else the current context.
    pub context: Option<String>,
    /// Else the context's.
    pub namespace: Option<String>,
    /// Act as somebody else, in whatever context.
    pub act_as: Option<ActAs>,
}

/// Who is acted as (impersonation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActAs {
    pub user: String,
    pub groups: Vec<String>,
}

impl ActAs {
    /// Makes a configuration act so.
    pub(super) fn put_on(&self, config: &mut Config) {
        config.auth_info.impersonate = Some(self.user.clone());
        config.auth_info.impersonate_groups = (!self.groups.is_empty()).then(|| self.groups.clone());
    }
}

/// The names of the contexts in the kubeconfig; none where it cannot be read.
pub fn contexts(options: &ConnectionOptions) -> Vec<String> {
    let kubeconfig = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    kubeconfig.map(|read| read.contexts.into_iter().map(|context| context.name).collect()).unwrap_or_default()
}

/// A client and where it leads.
#[derive(Clone)]
pub struct Connection {
    /// Retries are off: an operator's key must answer, and a driver's write is decided anew, not repeated.
    pub client: Client,
    /// The context's name, or `in-cluster`.
    pub context: String,
    pub namespace: String,
    /// Where the API server is, and the proxy before it, as an operator would look for them; empty where it is not known.
    pub server: String,
    pub(super) keeping: Keeping,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot read the kubeconfig{file}: {why}. Give one with --kubeconfig FILE, or try: canary-tui --sandbox")]
    Kubeconfig { file: String, why: String },
    #[error("there is no context {wanted:?} in the kubeconfig; it has: {known}")]
    NoContext { wanted: String, known: String },
    #[error("no client can be made for context {context}: {why}")]
    Client { context: String, why: String },
}

impl Connection {
    /// Reads the kubeconfig and makes a client. Nothing is sent yet. A plugin may ask for something at the terminal.
    pub async fn open(options: &ConnectionOptions) -> Result<Self, ConnectError> {
        Self::opened(options, Attended::Yes).await
    }

    /// As [`open`](Self::open) while a screen is drawn: a plugin gets no terminal, which it would write over.
    pub async fn open_unattended(options: &ConnectionOptions) -> Result<Self, ConnectError> {
        Self::opened(options, Attended::No).await
    }

    async fn opened(options: &ConnectionOptions, attended: Attended) -> Result<Self, ConnectError> {
        let unreadable = |e: kube::config::KubeconfigError| ConnectError::Kubeconfig {
            file: options.kubeconfig.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default(),
            why: e.to_string(),
        };
        let kubeconfig = match &options.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).map(Some).map_err(unreadable)?,
            None => match Kubeconfig::read() {
                Ok(kubeconfig) => Some(kubeconfig),
                Err(_) if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => None,
                Err(e) => return Err(unreadable(e)),
            },
        };
        let (mut config, context, origin) = match kubeconfig {
            None => {
                let config = Config::incluster()
                    .map_err(|e| ConnectError::Client { context: "in-cluster".into(), why: e.to_string() })?;
                (config, "in-cluster".to_string(), None)
            }
            Some(kubeconfig) => {
                let wanted = options.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
                let known: Vec<String> = kubeconfig.contexts.iter().map(|c| c.name.clone()).collect();
                if !known.contains(&wanted) {
                    let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
                    return Err(ConnectError::NoContext { wanted, known });
                }
                let select = KubeConfigOptions { context: Some(wanted.clone()), ..Default::default() };
                let config = Config::from_custom_kubeconfig(kubeconfig, &select)
                    .await
                    .map_err(|e| ConnectError::Client { context: wanted.clone(), why: e.to_string() })?;
                let origin = Origin {
                    kubeconfig: options.kubeconfig.clone(),
                    context: wanted.clone(),
                    act_as: options.act_as.clone(),
                };
                (config, wanted, Some(origin))
            }
        };
        if let Some(act_as) = &options.act_as {
            act_as.put_on(&mut config);
        }
        let failed = |why: String| ConnectError::Client { context: context.clone(), why };
        let login = Login::of(config, origin, attended).await.map_err(failed)?;
        let namespace = options.namespace.clone().unwrap_or_else(|| login.config.default_namespace.clone());
        let client = renewing::client(login.clone()).map_err(failed)?;
        let server = server(&login.config);
        Ok(Self { client, context, namespace, server, keeping: Keeping::apart(login) })
    }

    /// The same way to the cluster, for another namespace.
    pub fn of(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_string(), ..self.clone() }
    }

    /// A connection over a client of the caller's, by which its leases are kept too, in the caller's runtime.
    pub fn over(client: Client, context: &str, namespace: &str) -> Self {
        let keeping = Keeping::Here(client.clone());
        Self { client, context: context.into(), namespace: namespace.into(), server: String::new(), keeping }
    }
}

/// The server's address; of a proxy never the credentials.
fn server(config: &Config) -> String {
    let bare = |uri: &http::Uri| {
        let host = uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default());
        format!("{}://{host}{}", uri.scheme_str().unwrap_or("https"), uri.path().trim_end_matches('/'))
    };
    let server = bare(&config.cluster_url);
    match &config.proxy_url {
        Some(proxy) => format!("{server} through the proxy {}", bare(proxy)),
        None => server,
    }
}

/// An error of the API in an operator's words: what was refused or what could not be reached, without Rust's wrapping.
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            let hint = match status.code {
                401 => " (the credentials are not accepted: log in again, and it goes on by itself)",
                _ => "",
            };
            if status.message.is_empty() {
                format!("{} {}{hint}", status.code, status.reason)
            } else {
                format!("{}{hint}", status.message)
            }
        }
        other => {
            // The innermost cause is what says anything: "Connection refused (os error 111)".
            let mut cause: &dyn std::error::Error = other;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            // Rustls ends some of its sentences with the address of its manual.
            let text = cause.to_string();
            text.split_once(": https://").map_or(text.as_str(), |(sentence, _)| sentence).to_string()
        }
    }
}

/// The HTTP status of an API error.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
