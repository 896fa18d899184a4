//! The manifests on the shared control plane, and users with each of their roles in a test's namespace.

use super::ground::plane::ControlPlane;
use super::ground::{self, APP, Ground, PATIENCE, cluster, program};
use super::{annotated, change};
use canary_tui::api::annotation;
use kube::api::{Api, DynamicObject};
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Index;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

pub const VIEWER: &str = "vera";
pub const OPERATOR: &str = "oscar";
/// Writes Canaries, and not their status.
pub const AUTHOR: &str = "anna";
/// May do what Flagger is granted on Canaries.
pub const FLAGGER: &str = "flagger";
/// The controller's ServiceAccount.
pub const DRIVER: &str = "system:serviceaccount:canary-tui-system:canary-tui";

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// The kubeconfigs of the users.
pub struct Users(BTreeMap<&'static str, PathBuf>);

impl Index<&str> for Users {
    type Output = PathBuf;
    fn index(&self, user: &str) -> &PathBuf {
        &self.0[user]
    }
}

impl Users {
    /// Users with rights in the test's namespace; what they may do is in force when this ends.
    pub async fn of(ground: &Ground) -> Self {
        install(ground).await;
        let all = json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
        for (role, resources) in [(AUTHOR, json!(["canaries"])), (FLAGGER, json!(["canaries", "canaries/status"]))] {
            let rules = json!([{"apiGroups": ["flagger.app"], "resources": resources, "verbs": all}]);
            let metadata = json!({"name": role});
            ground
                .create(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
                    "rules": rules}))
                .await;
        }
        for (user, kind, role) in [
            (VIEWER, "ClusterRole", "canary-tui-viewer"),
            (OPERATOR, "ClusterRole", "canary-tui-operator"),
            (AUTHOR, "Role", AUTHOR),
            (FLAGGER, "Role", FLAGGER),
        ] {
            bind(ground, user, user, kind, role).await;
        }
        let mut users = BTreeMap::from([(DRIVER, account(ground, "canary-tui-system").await)]);
        for user in [VIEWER, OPERATOR, AUTHOR, FLAGGER] {
            users.insert(user, ground::user(user, &[]).await);
        }
        for kubeconfig in users.values() {
            until_granted(ground, kubeconfig).await;
        }
        Self(users)
    }
}

/// The controller's account in a namespace.
pub async fn account(ground: &Ground, namespace: &str) -> PathBuf {
    let (name, groups) = subject(namespace);
    let made = ground::user(&name, &groups.each_ref().map(String::as_str)).await;
    copied(ground, &made, namespace)
}

/// The same on a control plane of the test's own.
pub async fn account_on(plane: &ControlPlane, ground: &Ground, namespace: &str) -> PathBuf {
    let (name, groups) = subject(namespace);
    let made = plane.user(&name, &groups.each_ref().map(String::as_str)).await;
    copied(ground, &made, namespace)
}

fn subject(namespace: &str) -> (String, [String; 2]) {
    let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    (format!("system:serviceaccount:{namespace}:canary-tui"), groups)
}

fn copied(ground: &Ground, made: &Path, namespace: &str) -> PathBuf {
    // To KUBECONFIG a colon parts two files, and this user's name has some.
    let copy = ground.home.path().join(format!("{namespace}-kubeconfig"));
    std::fs::copy(made, &copy).expect("it is copied");
    copy
}

/// A user with the operator's role.
pub async fn operator_named(ground: &Ground, name: &str) -> PathBuf {
    let binding = format!("operator-{}", name.len());
    bind(ground, &binding, name, "ClusterRole", "canary-tui-operator").await;
    ground::user(name, &[]).await
}

async fn bind(ground: &Ground, name: &str, user: &str, kind: &str, role: &str) {
    let group = "rbac.authorization.k8s.io";
    ground
        .create(json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        }))
        .await;
}

/// RBAC takes a moment to be known.
async fn until_granted(ground: &Ground, kubeconfig: &Path) {
    let api = super::canaries(ground, kubeconfig).await;
    until("its rights are known", || async { api.list(&Default::default()).await.is_ok() }).await;
}

/// Applies the manifests once, as an administrator would, and waits until the policy is in force.
pub async fn install(ground: &Ground) {
    INSTALLED
        .get_or_init(|| async {
            let printed = manifests(&[]).await;
            // What is only tried leaves no namespace behind for what is to lie in it.
            kubectl(&["create", "namespace", "canary-tui-system"], None).await;
            for further in [&["--dry-run=server"][..], &[]] {
                let arguments = [&["apply", "-f", "-"][..], further].concat();
                let applied = kubectl(&arguments, Some(printed.clone())).await;
                assert_eq!(applied.lines().count(), 12, "{applied}");
            }
            until_in_force(ground).await;
        })
        .await;
}

async fn until_in_force(ground: &Ground) {
    ground.create(ground::canary(ground::NEVER)).await;
    let api: Api<DynamicObject> = super::canaries(ground, &ground.kubeconfig).await;
    until("the policy is in force", || async {
        let forged = change(&api, annotated(annotation::REQUEST, json!("nonsense"))).await.is_ok();
        if forged {
            change(&api, annotated(annotation::REQUEST, json!(null))).await.expect("it is taken off");
        }
        !forged
    })
    .await;
    ground.delete("Canary", APP).await;
}

async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}: never"));
}

/// What `canary-tui manifests` prints.
pub async fn manifests(further: &[&str]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let (code, printed) = program::run(&[&["manifests"], further].concat(), Path::new("/nowhere"), home.path()).await;
    assert_eq!(code, 0, "{printed}");
    printed
}

/// Runs kubectl as the administrator; it must succeed.
pub async fn kubectl(arguments: &[&str], input: Option<String>) -> String {
    let (done, said) = run(&cluster().join("kubeconfig"), arguments, input).await;
    assert!(done, "kubectl {arguments:?}: {said}");
    said
}

/// Applies manifests on a control plane of the test's own.
pub async fn apply_on(plane: &ControlPlane, printed: String) {
    let (done, said) = run(&plane.kubeconfig(), &["apply", "-f", "-"], Some(printed)).await;
    assert!(done, "{said}");
}

/// Runs kubectl with a patch as a user; it must fail.
pub async fn refused_by(kubeconfig: &Path, arguments: &[&str], patch: &str) -> String {
    let arguments = [arguments, &["--type=merge", "-p", patch]].concat();
    let (done, said) = run(kubeconfig, &arguments, None).await;
    assert!(!done, "kubectl {arguments:?}: {said}");
    said
}

async fn run(kubeconfig: &Path, arguments: &[&str], input: Option<String>) -> (bool, String) {
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(input.unwrap_or_default().as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("it ends");
    let said = match output.status.success() {
        true => output.stdout,
        false => output.stderr,
    };
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
