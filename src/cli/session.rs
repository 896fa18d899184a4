//! The connection that the commands share.

use super::args::ClusterArgs;
use crate::cluster::connect::{ActAs, explain};
use crate::cluster::object::Object;
use crate::cluster::{Connection, ConnectionOptions, Kinds};
use anyhow::{Context, Result, anyhow, bail};
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use serde_json::Value;
use std::future::Future;
use std::time::Duration;

/// How long a command without `--wait` may take for its calls.
const LIMIT: Duration = Duration::from_secs(10);

/// A cluster that answers, and the versions that it serves.
pub struct Session {
    pub connection: Connection,
    pub kinds: Kinds,
}

impl Session {
    /// Connects, and asks the cluster which kinds it serves.
    pub async fn open(args: &ClusterArgs) -> Result<Self> {
        Self::over(connect(args).await?).await
    }

    /// As [`open`](Self::open), over a connection that was made.
    pub async fn over(connection: Connection) -> Result<Self> {
        let kinds = within(Kinds::discover(&connection.client)).await??;
        Ok(Self { connection, kinds })
    }

    /// All objects of a kind in the namespace.
    pub async fn list(&self, kind: &ApiResource, parameters: &ListParams) -> Result<Vec<Value>> {
        let list = within(self.whole(kind).list(parameters)).await?;
        let list = list.map_err(|e| anyhow!("cannot list {} in {}: {}", kind.plural, self.namespace(), explain(&e)))?;
        Ok(list.items.iter().map(printable).collect())
    }

    /// One Canary.
    pub async fn canary(&self, name: &str) -> Result<Value> {
        let found = within(self.whole(&self.kinds.canary).get_opt(name)).await?;
        let found = found.map_err(|e| anyhow!("cannot read canary {name} in {}: {}", self.namespace(), explain(&e)))?;
        found.as_ref().map(printable).ok_or_else(|| no_canary(name, self.namespace()))
    }

    /// The calls for a kind whose objects are printed as the API has them.
    fn whole(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.connection.client.clone(), self.namespace(), kind)
    }

    /// The calls for a kind of which only what matters is read.
    pub fn api(&self, kind: &ApiResource) -> Api<Object> {
        Api::namespaced_with(self.connection.client.clone(), self.namespace(), kind)
    }

    pub fn namespace(&self) -> &str {
        &self.connection.namespace
    }
}

fn printable(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// Reads the kubeconfig and makes a client; nothing is sent.
pub async fn connect(args: &ClusterArgs) -> Result<Connection> {
    Ok(Connection::open(&way(args)?).await?)
}

/// How the cluster is reached.
///
/// # Errors
/// Where groups are given and nobody to act as.
pub fn way(args: &ClusterArgs) -> Result<ConnectionOptions> {
    let act_as = match &args.act_as {
        Some(user) => Some(ActAs { user: user.clone(), groups: args.act_as_group.clone() }),
        None if args.act_as_group.is_empty() => None,
        None => bail!("--as-group says in which groups somebody is: give --as NAME as well"),
    };
    Ok(ConnectionOptions {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        namespace: args.namespace.clone(),
        act_as,
    })
}

/// Bounds a call: a command must answer.
pub async fn within<T>(call: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(LIMIT, call)
        .await
        .with_context(|| format!("the API server did not answer within {} s", LIMIT.as_secs()))
}

/// What to say of a Canary that is not there.
pub fn no_canary(name: &str, namespace: &str) -> anyhow::Error {
    anyhow!("there is no canary {name} in namespace {namespace}: list them with canary-tui get -n {namespace}")
}
