//! `canary-tui sandbox`: the embedded cluster alone, for kubectl and for consoles in other processes. It drives nothing.

use super::args::SandboxArgs;
use super::exit::Exit;
use super::signals::Ending;
use crate::sandbox::serve::OPERATOR;
use crate::sandbox::{Options, Sandbox};
use anyhow::{Context, Result, bail};
use std::io::{self, Write};
use std::path::Path;

/// Serves until SIGINT, SIGTERM or SIGHUP.
pub async fn run(args: SandboxArgs, out: &mut dyn Write) -> Result<Exit> {
    let mut ending = Ending::listen()?;
    spare(&args.kubeconfig)?;
    let mut options = Options {
        seed: args.seed,
        canaries: args.canaries as usize,
        replicas: args.replicas,
        policy: true,
        ..Default::default()
    };
    if let Some(listen) = args.listen {
        options.listen = listen;
    }
    let sandbox = Sandbox::start(options).await?;
    sandbox.write_kubeconfig(&args.kubeconfig)?;
    // The line is to be pasted in another shell, which may stand elsewhere.
    let path = std::path::absolute(&args.kubeconfig).unwrap_or(args.kubeconfig);
    writeln!(
        out,
        "sandbox ready: export KUBECONFIG={} (API {}, Prometheus {})",
        path.display(),
        sandbox.url(),
        sandbox.prometheus_url()
    )?;
    out.flush()?;
    tracing::info!("the sandbox ends after {}", ending.wait().await);
    Ok(Exit::Done)
}

/// Refuses to write over a kubeconfig that leads to any other cluster.
fn spare(path: &Path) -> Result<()> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() || text.contains(OPERATOR) => Ok(()),
        Ok(_) => bail!("{} is there already and is no sandbox's: give --kubeconfig another name", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot write the kubeconfig to {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_clusters_kubeconfig_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        spare(&path).unwrap();
        for (text, spared) in [("", true), ("user: sandbox-operator", true), ("user: prod-admin", false)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(spare(&path).is_ok(), spared, "{text:?}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(spare(&path).is_err(), "what is no text is none of ours");
    }
}
