//! The places that the console visits, one after the other: a source is opened for each, and ends before the next one
//! begins, so that its lease is given back.

use super::config::Config;
use super::message::{Deaf, Msg, Outcome, Teller, Told};
use super::model::{Link, Notice, Tone};
use super::source::{self, Feed, Order};
use super::switch::{Goal, Scope};
use crate::cluster::{Clock, ConnectError, Connection, ConnectionOptions, connect};
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two looks at a kubeconfig that could not be used: somebody may be writing it.
const AGAIN: Duration = Duration::from_secs(2);

/// Where the console begins.
pub struct Start {
    /// How a cluster is reached, here and wherever the console goes.
    pub way: ConnectionOptions,
    /// The first cluster, or why there is none.
    pub opened: Result<Connection, ConnectError>,
    /// Look at all namespaces.
    pub everywhere: bool,
}

/// Opens sources and passes the console's orders on to them.
pub struct Visits {
    told: mpsc::UnboundedSender<Told>,
    orders: mpsc::UnboundedReceiver<Order>,
    way: ConnectionOptions,
    clock: Clock,
    options: source::Options,
    config: Config,
}

/// Where to go next, as of a generation.
type Next = (u64, Goal);

impl Visits {
    /// Sources that tell `told` and listen to `orders`.
    pub fn new(
        told: mpsc::UnboundedSender<Told>,
        orders: mpsc::UnboundedReceiver<Order>,
        way: ConnectionOptions,
        clock: Clock,
        options: source::Options,
        config: Config,
    ) -> Self {
        Self { told, orders, way, clock, options, config }
    }

    /// Runs until told to stop. A lease that is held is given back.
    pub async fn run(mut self, start: Start) {
        let scope = match (start.everywhere, &start.way.namespace) {
            (true, _) => Scope::Everywhere,
            (false, Some(namespace)) => Scope::Namespace(namespace.clone()),
            (false, None) => Scope::Own,
        };
        let goal = Goal { context: start.way.context.clone(), scope };
        let mut next = self.visit((0, goal), Some(start.opened)).await;
        while let Some(present) = next {
            next = self.visit(present, None).await;
        }
    }

    /// Visits a place until the console goes on; None: it has ended.
    async fn visit(
        &mut self,
        (generation, goal): Next,
        opened: Option<Result<Connection, ConnectError>>,
    ) -> Option<Next> {
        let teller = Teller::new(generation, self.told.clone());
        let contexts = connect::contexts(&self.way);
        teller.send(Msg::Contexts(contexts)).ok()?;
        let connection = match self.open(&goal, opened, &teller).await {
            Ok(connection) => connection,
            Err(next) => return next,
        };
        let Connection { context, namespace, server, .. } = connection.clone();
        let place = Msg::Place { context, namespace, server };
        teller.send(place).ok()?;
        let (orders, ordered) = mpsc::unbounded_channel();
        let options = self.options_on(&connection.context, goal.scope == Scope::Everywhere);
        let feed = tokio::spawn(Feed::new(connection, self.clock.clone(), options, teller, ordered).run());
        let next = loop {
            match self.orders.recv().await {
                None | Some(Order::Stop) => break None,
                Some(Order::Go { generation, goal }) => break Some((generation, goal)),
                Some(order) => drop(orders.send(order)),
            }
        };
        let _ = orders.send(Order::Stop);
        // Its lease is given back; how long that may take is bounded there.
        let _ = feed.await;
        next
    }

    /// How a source is run on a context.
    fn options_on(&self, context: &str, everywhere: bool) -> source::Options {
        // Whoever may change nothing drives nothing.
        let drives = self.config.guard(context).may_write().is_ok();
        source::Options {
            everywhere,
            controller: self.options.controller.clone().filter(|_| drives),
            prometheus: self.options.prometheus.clone().or_else(|| self.config.prometheus(context)),
            namespaces: self.config.namespaces(context),
        }
    }

    /// A connection to there; else where to go instead.
    async fn open(
        &mut self,
        goal: &Goal,
        mut opened: Option<Result<Connection, ConnectError>>,
        teller: &Teller,
    ) -> Result<Connection, Option<Next>> {
        let way = ConnectionOptions {
            context: goal.context.clone(),
            namespace: match &goal.scope {
                Scope::Namespace(namespace) => Some(namespace.clone()),
                Scope::Own | Scope::Everywhere => None,
            },
            ..self.way.clone()
        };
        loop {
            let answer = match opened.take() {
                Some(opened) => opened,
                None => {
                    let opening = Connection::open_unattended(&way);
                    tokio::pin!(opening);
                    loop {
                        tokio::select! {
                            answer = &mut opening => break answer,
                            order = self.orders.recv() => if let Some(next) = elsewhere(order, teller) {
                                return Err(next);
                            }
                        }
                    }
                }
            };
            let error = match answer {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            // A file may be written meanwhile; whoever gives credentials is not asked again unless somebody wants it.
            let again = !matches!(error, ConnectError::Client { .. });
            if tell_nowhere(teller, error.to_string()).is_err() {
                return Err(None);
            }
            let wait = async {
                match again {
                    true => tokio::time::sleep(AGAIN).await,
                    false => std::future::pending().await,
                }
            };
            tokio::pin!(wait);
            loop {
                tokio::select! {
                    () = &mut wait => break,
                    order = self.orders.recv() => if let Some(next) = elsewhere(order, teller) {
                        return Err(next);
                    }
                }
            }
            let _ = teller.send(Msg::Contexts(connect::contexts(&self.way)));
        }
    }
}

fn tell_nowhere(teller: &Teller, why: String) -> Result<(), Deaf> {
    teller.send(Msg::Cluster { cluster: Link::Nowhere { why }, routes: Link::Connecting, missing: Vec::new() })
}

/// Where an order leads that comes while no source is there to take it; None: nowhere else.
fn elsewhere(order: Option<Order>, teller: &Teller) -> Option<Option<Next>> {
    match order {
        None | Some(Order::Stop) => Some(None),
        Some(Order::Go { generation, goal }) => Some(Some((generation, goal))),
        Some(Order::Send(wish)) => {
            let outcome = Outcome::Failed("there is no cluster".into());
            let _ = teller.send(Msg::Outcome { wish, outcome });
            None
        }
        Some(Order::Report { .. }) => {
            let text = "there is no cluster".to_string();
            let _ = teller.send(Msg::Notice(Notice { tone: Tone::Bad, text }));
            None
        }
        Some(_) => None,
    }
}
