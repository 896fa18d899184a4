//! The report that a key asks for: collected and written off the screen's thread, and what became of it.

use super::model::{Notice, Tone, kept};
use crate::api::History;
use crate::cluster::Mirror;
use crate::metrics::Locator;
use crate::report::{self, Asked, Place};
use std::path::PathBuf;

/// Writes a report; answers where it is or why it is not. `history` is what the Canary bears of its rollouts; `folder`: None
/// for the present one.
pub async fn report(
    mirror: Option<&Mirror>,
    locator: &Locator,
    history: Result<History, String>,
    asked: Asked,
    folder: Option<PathBuf>,
) -> Notice {
    let written = async {
        let mirror = mirror.ok_or_else(|| format!("nothing is known of namespace {} any more", asked.namespace))?;
        let story = report::gather(mirror, locator, history, &asked).await?;
        let place = Place::Folder(folder.unwrap_or_else(|| ".".into()));
        let missing = story.missing.len();
        let write = move || report::write(&story, &place);
        let path = tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string())??;
        Ok::<_, String>((path, missing))
    };
    match written.await {
        Ok((path, 0)) => Notice { tone: Tone::Good, text: kept(&format!("written to {}", path.display())) },
        Ok((path, missing)) => {
            let what = if missing == 1 { "one thing is" } else { "some things are" };
            Notice {
                tone: Tone::Good,
                text: kept(&format!("written to {}; {what} not known, and it says so", path.display())),
            }
        }
        Err(why) => Notice { tone: Tone::Bad, text: kept(&format!("no report: {why}")) },
    }
}
