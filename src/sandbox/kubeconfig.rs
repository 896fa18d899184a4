//! The kubeconfig of a sandbox: its address, its authority and one user's token, readable by its owner alone.

use anyhow::Context;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::base64;

/// What a client has to know.
pub struct Access<'a> {
    /// `https://127.0.0.1:PORT`
    pub url: &'a str,
    /// The authority's certificate in PEM.
    pub authority: &'a str,
    /// Who the client is.
    pub user: &'a str,
    /// How it proves that.
    pub token: &'a str,
    /// Where it works unless told otherwise.
    pub namespace: &'a str,
}

/// The file's text. The context is named `sandbox`.
pub fn text(access: &Access<'_>) -> String {
    let authority = base64::encode(access.authority.as_bytes());
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         current-context: sandbox\n\
         clusters:\n\
         - name: sandbox\n\
         \x20 cluster:\n\
         \x20   server: {url}\n\
         \x20   certificate-authority-data: {authority}\n\
         users:\n\
         - name: {user}\n\
         \x20 user:\n\
         \x20   token: {token}\n\
         contexts:\n\
         - name: sandbox\n\
         \x20 context:\n\
         \x20   cluster: sandbox\n\
         \x20   user: {user}\n\
         \x20   namespace: {namespace}\n",
        url = access.url,
        user = access.user,
        token = access.token,
        namespace = access.namespace,
    )
}

/// Writes the text to a file that only its owner can read. It appears whole or not at all, so that whoever waits for it
/// never reads half of it.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    let written = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, path)
    };
    written()
        .inspect_err(|_| {
            // Half a file helps nobody; that it may not be there at all is no error.
            let _ = fs::remove_file(beside);
        })
        .with_context(|| format!("writing the sandbox's kubeconfig to {}", path.display()))
}
