//! The pods of the selected canary: asked for when it is selected, and when one of its Deployments changes, which it
//! does whenever one of its pods becomes ready or stops being so.

use super::message::{Msg, Teller};
use super::row::Key;
use super::worlds::Worlds;
use crate::cluster::{Changed, Mirror, Source, pods};
use futures::future::join_all;
use kube::Client;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

/// Least time between two looks at the pods of one canary.
const GAP: Duration = Duration::from_secs(2);
/// What changes together is looked at together.
const BURST: Duration = Duration::from_millis(250);

/// Asks when there is a reason to.
pub struct Counting {
    pub told: Teller,
    pub client: Client,
    pub worlds: Worlds,
    /// Names of the selected canary's primary and target.
    pub selected: watch::Receiver<Option<[Key; 2]>>,
}

impl Counting {
    /// Runs until nobody listens.
    pub async fn run(mut self) {
        loop {
            let selected = self.selected.borrow_and_update().clone();
            let mirror = selected.as_ref().and_then(|[primary, _]| self.worlds.of(&primary.namespace));
            let (Some(workloads), Some(mirror)) = (&selected, mirror) else {
                match self.selected.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            // Before the look, so that no change falls between the two.
            let mut changes = mirror.changes();
            let asked = Instant::now();
            if !self.count(&mirror, workloads).await {
                return;
            }
            // A newly selected canary is looked at at once; a burst of changes only every so often.
            let mut due: Option<Instant> = None;
            let soon = || (asked + GAP).max(Instant::now() + BURST);
            loop {
                let at = due.unwrap_or_else(|| asked + Duration::from_secs(3600));
                tokio::select! {
                    changed = self.selected.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    changed = changes.recv() => match changed {
                        // Nothing is kept of that namespace any more.
                        Err(broadcast::error::RecvError::Closed) => match self.selected.changed().await {
                            Ok(()) => break,
                            Err(_) => return,
                        },
                        Err(broadcast::error::RecvError::Lagged(_)) => due = due.or_else(|| Some(soon())),
                        Ok(changed) if concerns(&changed, workloads) => {
                            due = due.or_else(|| Some(soon()));
                        }
                        Ok(_) => {}
                    },
                    () = tokio::time::sleep_until(at), if due.is_some() => break,
                }
            }
        }
    }

    /// Counts and tells; answers whether anybody still listens.
    async fn count(&self, mirror: &Mirror, workloads: &[Key; 2]) -> bool {
        let selectors: Vec<_> = {
            let world = mirror.read();
            let of = |key: &Key| Some((key.clone(), world.workload(&key.name)?.selector.clone()));
            workloads.iter().filter_map(of).collect()
        };
        let asked = selectors.into_iter().map(|(workload, selector)| async move {
            let pods = match selector {
                Ok(selector) => pods::of(&self.client, &workload.namespace, &workload.name, &selector).await,
                Err(why) => Err(why),
            };
            Msg::Pods { workload, pods }
        });
        join_all(asked).await.into_iter().all(|message| self.told.send(message).is_ok())
    }
}

/// Whether a change may be one of the pods of these workloads.
fn concerns(changed: &Changed, workloads: &[Key; 2]) -> bool {
    let named = changed.name.is_empty() || workloads.iter().any(|key| key.name == changed.name);
    changed.source == Source::Deployments && named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Clock, World};
    use crate::tui::message::Told;
    use axum::Router;
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    fn deployment(name: &str, ready: u32) -> serde_json::Value {
        json!({"metadata": {"name": name, "uid": name, "resourceVersion": ready.to_string()},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {}},
            "status": {"readyReplicas": ready}})
    }

    /// Time stands still but where the program waits for it.
    #[tokio::test(start_paused = true)]
    async fn pods_are_asked_for_on_selection_and_when_a_deployment_of_it_changes() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let answer = move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            axum::Json(json!({"metadata": {}, "items": []}))
        };
        let router = Router::new().fallback(answer);
        let client = Client::new(router.into_service::<kube::client::Body>(), "prod");
        let mirror = Mirror::of(World::default(), Clock::system());
        for name in ["web", "web-primary", "other"] {
            mirror.note_written(Source::Deployments, &deployment(name, 1));
        }
        let (to, mut messages) = mpsc::unbounded_channel();
        let told = Teller::new(0, to);
        let (select, selected) = watch::channel(None);
        let worlds = Worlds::One { namespace: "prod".into(), mirror: mirror.clone() };
        let counting = Counting { told, client, worlds, selected };
        let task = tokio::spawn(counting.run());
        select.send_replace(Some([Key::new("prod", "web-primary"), Key::new("prod", "web")]));
        let mut heard = Vec::new();
        for _ in 0..2 {
            let Some(Told { msg: Msg::Pods { workload, pods }, .. }) = messages.recv().await else { panic!() };
            heard.push((workload.name, pods.unwrap().pods));
        }
        assert_eq!(heard, [("web-primary".to_string(), 0), ("web".to_string(), 0)]);
        mirror.note_written(Source::Deployments, &deployment("other", 2));
        tokio::time::sleep(GAP * 3).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2, "another's Deployment is no reason");
        for ready in 2..20 {
            mirror.note_written(Source::Deployments, &deployment("web", ready));
        }
        tokio::time::sleep(GAP * 3).await;
        assert_eq!(asked.load(Ordering::SeqCst), 4, "a burst of changes is one look");
        drop(messages);
        drop(select);
        task.await.unwrap();
    }
}
