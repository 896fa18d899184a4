//! Where leases are kept: apart from all else, in one thread of this process and over a connection of their own. A driver
//! that is busy with a thousand rollouts must not lose its Lease for it. It must never do anything but that.

use super::credentials::Login;
use super::renewing;
use kube::Client;
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Handle};

/// A place to keep leases of one cluster in. Clones are the same place.
#[derive(Clone)]
pub(super) enum Keeping {
    /// In the runtime of the caller, over its client: for whoever owns the time.
    Here(Client),
    Apart(Arc<Apart>),
}

/// The connection of its own, made with the first lease.
pub(super) struct Apart {
    login: Login,
    client: OnceLock<Result<Client, String>>,
}

/// The thread, for all clusters of this process; None where it could not be started.
static THREAD: OnceLock<Option<Handle>> = OnceLock::new();

impl Keeping {
    pub fn apart(login: Login) -> Self {
        Self::Apart(Arc::new(Apart { login, client: OnceLock::new() }))
    }

    /// The client to use there, and where to run what uses it.
    ///
    /// # Errors
    /// There is no such place, in words.
    pub fn place(&self) -> Result<(Client, Handle), String> {
        match self {
            Self::Here(client) => Ok((client.clone(), Handle::current())),
            Self::Apart(apart) => {
                let thread = THREAD.get_or_init(thread).clone().ok_or("no thread can be started")?;
                let client = apart.client.get_or_init(|| {
                    // Its connections are the thread's.
                    let _thread = thread.enter();
                    renewing::client(apart.login.clone())
                });
                Ok((client.clone()?, thread))
            }
        }
    }
}

fn thread() -> Option<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("leases".into()).spawn(run).ok()?;
    Some(handle)
}
