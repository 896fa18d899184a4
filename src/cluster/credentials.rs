//! Credentials of a kubeconfig, and how they are had again: tokens expire, files are written anew, and a plugin is asked
//! once more, all while the program runs.

use super::connect::ActAs;
use chrono::{DateTime, Duration as Span, Utc};
use kube::Config;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a plugin may take once the screen is taken: nobody can answer it then.
const PLUGIN: Duration = Duration::from_secs(30);
/// How long before their end credentials are had anew.
const AHEAD: Span = Span::seconds(30);

/// Where a configuration came from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// None: `$KUBECONFIG`, else `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    pub context: String,
    /// Who is acted as, whatever the kubeconfig says.
    pub act_as: Option<ActAs>,
}

/// A configuration with credentials in it, and where to get the next.
#[derive(Clone)]
pub(super) struct Login {
    pub config: Config,
    /// None: a pod's service account, whose token is read again by itself.
    pub origin: Option<Origin>,
    /// When the credentials end, where a plugin said so.
    pub expires: Option<DateTime<Utc>>,
    /// Whether a plugin gave them: it may be slow, or ask somebody for something each time.
    pub from_plugin: bool,
}

/// Whether a plugin may talk with whoever sits at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attended {
    Yes,
    No,
}

impl Login {
    /// A configuration as it was read; a plugin that it names is asked.
    ///
    /// # Errors
    /// In words, where the plugin gives nothing.
    pub async fn of(mut config: Config, origin: Option<Origin>, attended: Attended) -> Result<Self, String> {
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        let (mut expires, mut from_plugin) = (None, false);
        let has_other = config.auth_info.token.is_some() || config.auth_info.token_file.is_some();
        if let Some(exec) = config.auth_info.exec.take()
            && !has_other
        {
            let given = ask(&exec, attended).await?;
            from_plugin = true;
            expires = given.expires()?;
            given.put_into(&mut config.auth_info);
        }
        Ok(Self { config, origin, expires, from_plugin })
    }

    /// Reads the kubeconfig again. It must still lead to the same cluster: what is on the screen is of that one.
    ///
    /// # Errors
    /// In words: what cannot be read, or where it leads now.
    pub async fn again(&self) -> Result<Self, String> {
        let Some(origin) = self.origin.clone() else { return Ok(self.clone()) };
        let file = origin.kubeconfig.clone();
        let read = move || match file {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let kubeconfig = tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?;
        let kubeconfig = kubeconfig.map_err(|e| format!("the kubeconfig cannot be read: {e}"))?;
        let select = KubeConfigOptions { context: Some(origin.context.clone()), ..Default::default() };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &select)
            .await
            .map_err(|e| format!("context {} of the kubeconfig: {e}", origin.context))?;
        if config.cluster_url != self.config.cluster_url {
            return Err(format!(
                "context {} of the kubeconfig leads to {} now, not to {}: open it anew to go there",
                origin.context, config.cluster_url, self.config.cluster_url
            ));
        }
        if let Some(act_as) = &origin.act_as {
            act_as.put_on(&mut config);
        }
        Self::of(config, Some(origin), Attended::No).await
    }

    /// Whether the credentials end about now.
    pub fn ends(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|expires| now + AHEAD >= expires)
    }

    /// What tells these credentials from others; nothing can be read out of it.
    pub fn digest(&self) -> [u8; 32] {
        let info = &self.config.auth_info;
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(info).unwrap_or_default());
        for file in [&info.token_file, &info.client_certificate, &info.client_key].into_iter().flatten() {
            hash.update(std::fs::read(file).unwrap_or_default());
        }
        hash.finalize().into()
    }
}

/// What a plugin prints.
#[derive(Deserialize)]
struct Printed {
    status: Option<Given>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Given {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Given {
    fn expires(&self) -> Result<Option<DateTime<Utc>>, String> {
        let Some(text) = &self.expiration_timestamp else { return Ok(None) };
        let at = DateTime::parse_from_rfc3339(text);
        at.map(|at| Some(at.to_utc())).map_err(|_| format!("the plugin's expirationTimestamp {text:?} is no time"))
    }

    fn put_into(self, info: &mut AuthInfo) {
        info.token = self.token.map(Into::into);
        if let (Some(certificate), Some(key)) = (self.client_certificate_data, self.client_key_data) {
            // A kubeconfig has them in base64, a plugin as they are.
            info.client_certificate_data = Some(base64(certificate.as_bytes()));
            info.client_key_data = Some(base64(key.as_bytes()).into());
        }
    }
}

/// Asks a plugin for credentials. Unattended it gets no input, what it writes stays off the screen, and its time is
/// bounded.
async fn ask(exec: &ExecConfig, attended: Attended) -> Result<Given, String> {
    let name = exec.command.as_deref().ok_or("the kubeconfig's exec names no command")?;
    let wants = exec.interactive_mode.clone();
    let interactive = attended == Attended::Yes
        && !matches!(wants, Some(ExecInteractiveMode::Never))
        && std::io::stdin().is_terminal();
    if !interactive && matches!(wants, Some(ExecInteractiveMode::Always)) {
        return Err(format!("{name} wants to ask something, and cannot here: log in with it in another terminal"));
    }
    let mut command = Command::new(name);
    command.args(exec.args.iter().flatten()).stdout(Stdio::piped()).kill_on_drop(true);
    for pair in exec.env.iter().flatten() {
        if let (Some(key), Some(value)) = (pair.get("name"), pair.get("value")) {
            command.env(key, value);
        }
    }
    let mut spec = json!({ "interactive": interactive });
    if exec.provide_cluster_info {
        spec["cluster"] = serde_json::to_value(&exec.cluster).unwrap_or_default();
    }
    let info = json!({ "apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec });
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    if interactive {
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    } else {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        // Out of reach of the terminal: it could be asked for a password there behind our back.
        command.process_group(0);
    }
    let limit = if interactive { Duration::MAX } else { PLUGIN };
    let ended = tokio::time::timeout(limit, command.output())
        .await
        .map_err(|_| format!("{name} gave no credentials within {} s", PLUGIN.as_secs()))?
        .map_err(|e| match &exec.install_hint {
            Some(hint) => format!("{name} cannot be run: {e}. {}", hint.trim()),
            None => format!("{name} cannot be run: {e}"),
        })?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(format!("{name} gave no credentials ({}): {}", ended.status, said.trim()));
    }
    let printed: Printed =
        serde_saphyr::from_slice(&ended.stdout).map_err(|_| format!("what {name} prints is no ExecCredential"))?;
    printed.status.ok_or_else(|| format!("what {name} prints holds no credentials"))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = chunk.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(three >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn plugin(script: &str) -> ExecConfig {
        ExecConfig {
            api_version: Some("client.authentication.k8s.io/v1".into()),
            command: Some("/bin/sh".into()),
            args: Some(vec!["-c".into(), script.into()]),
            env: None,
            drop_env: None,
            install_hint: None,
            interactive_mode: Some(ExecInteractiveMode::IfAvailable),
            provide_cluster_info: false,
            cluster: None,
            other: BTreeMap::new(),
        }
    }

    #[test]
    fn base64_is_base64() {
        for (text, wanted) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }

    #[tokio::test]
    async fn a_plugin_is_asked_without_a_terminal_and_told_so() {
        let script = r#"read x && exit 3; echo "$KUBERNETES_EXEC_INFO" | grep -q '"interactive":false' || exit 4
            echo '{"kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2026-11-22T12:00:00Z"}}'"#;
        let given = ask(&plugin(script), Attended::No).await.unwrap();
        assert_eq!(given.token.as_deref(), Some("t"));
        let expires = given.expires().unwrap().unwrap();
        assert_eq!(expires.to_rfc3339(), "2026-11-22T12:00:00+00:00");
        let config = Config::new("https://127.0.0.1:1".parse().unwrap());
        let login = Login { config, origin: None, expires: Some(expires), from_plugin: true };
        assert!(login.ends(expires - Span::seconds(20)) && !login.ends(expires - Span::seconds(40)));
    }

    #[tokio::test]
    async fn who_is_acted_as_stays_the_same_when_credentials_are_renewed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kubeconfig");
        let kubeconfig = json!({
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "new", "as": "somebody"}}],
        });
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        let config = Config::new("https://127.0.0.1:1".parse().unwrap());
        let act_as = Some(ActAs { user: "jane".into(), groups: vec!["auditors".into()] });
        let origin = Origin { kubeconfig: Some(file), context: "here".into(), act_as };
        let login = Login { config, origin: Some(origin), expires: None, from_plugin: false };
        let again = login.again().await.unwrap();
        let info = &again.config.auth_info;
        assert!(info.token.is_some() && again.origin.is_some());
        assert_eq!(info.impersonate.as_deref(), Some("jane"));
        assert_eq!(info.impersonate_groups.as_deref(), Some(["auditors".to_string()].as_slice()));
    }

    #[tokio::test]
    async fn what_a_plugin_says_when_it_fails_is_handed_on() {
        let failed = |script: &'static str| async move { ask(&plugin(script), Attended::No).await.err().unwrap() };
        let why = failed("echo first >&2; echo 'your session has expired' >&2; exit 255").await;
        assert!(why.ends_with("your session has expired") && why.contains("255"), "{why}");
        assert!(failed("echo nonsense: [").await.contains("no ExecCredential"));
        assert!(failed("echo '{}'").await.contains("no credentials"));
        let missing = ExecConfig {
            command: Some("/nowhere/plugin".into()),
            install_hint: Some("get it there".into()),
            ..plugin("")
        };
        assert!(ask(&missing, Attended::No).await.err().unwrap().ends_with("get it there"));
    }
}
