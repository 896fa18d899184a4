//! A controller as a process of its own: its client, its mirror, its memory. It is started, stopped and killed.

use super::cluster::{Cluster, NAMESPACE};
use super::time::Time;
use super::wire::{Line, Net, Wire};
use canary_tui::cluster::{Connection, For, Kinds, Mirror};
use canary_tui::controller::{Controller, Options};
use canary_tui::metrics::Locator;
use std::sync::Arc;
use std::time::Duration;

/// The kinds as the embedded cluster serves them.
pub fn kinds() -> Kinds {
    Kinds::newest()
}

/// A connection over a line.
pub fn connection(net: &Arc<Net>, line: &Arc<Line>, cluster: &Cluster) -> Connection {
    let client = Wire::client(net, line, cluster);
    Connection::over(client, "simulated", NAMESPACE)
}

pub struct Process {
    pub line: Arc<Line>,
    controller: Controller,
}

impl Process {
    /// Starts a controller.
    pub fn start(name: &str, time: Time, net: &Arc<Net>, cluster: &Cluster) -> Self {
        let line = Line::new(name);
        let connection = connection(net, &line, cluster);
        let mirror = Mirror::start(&connection.client, &kinds(), NAMESPACE, time.clock(), For::Driver);
        let locator = Locator::new(connection.client.clone(), NAMESPACE, None);
        let options = Options { min_interval: Duration::from_secs(1), ..Options::default() };
        let controller = Controller::start(connection, kinds(), mirror, locator, time.clock(), options);
        Self { line, controller }
    }

    /// Lets it end in good order.
    pub async fn stop(self) {
        self.controller.stop().await;
        self.line.die();
    }

    /// Kills it. What it has sent may still arrive; what is left of its tasks reaches nobody, and is cleared away.
    pub fn kill(self) {
        self.line.die();
        tokio::spawn(self.controller.stop());
    }
}
