//! The command line: what may be given, and what it means. Nothing is done here.

use crate::api::{Verb, duration};
use crate::controller::Options;
use crate::tui::config::Config;
use crate::tui::look::Wanted;
use crate::tui::theme::{self, Colours, Depth};
use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// An interactive console for progressive delivery on Kubernetes with Istio and Prometheus.
///
/// Without a command it opens the console on the cluster of the present kubeconfig.
#[derive(Debug, Parser)]
#[command(name = "canary-tui", version, max_term_width = 100, args_conflicts_with_subcommands = false)]
pub struct Cli {
    /// Open the console on an embedded cluster; nothing else is needed
    #[arg(long, conflicts_with_all = ["kubeconfig", "context"])]
    pub sandbox: bool,

    #[command(flatten)]
    pub cluster: ClusterArgs,

    #[command(flatten)]
    pub driver: DriverArgs,

    #[command(flatten)]
    pub look: LookArgs,

    /// Look on only: never drive a rollout from this console
    #[arg(long)]
    pub no_controller: bool,

    /// Look at all namespaces; the console then only looks on
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Which cluster, and which part of it.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// Namespace of the canaries [default: the context's]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// Kubeconfig file [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context in the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Address of Prometheus as seen from here [default: looked for in the cluster]
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,

    /// Change nothing: write no request, drive nothing
    #[arg(long)]
    pub read_only: bool,

    /// Act as this user, in whatever context (impersonation)
    #[arg(long = "as", value_name = "USER")]
    pub act_as: Option<String>,

    /// Act as a member of this group; may be given again
    #[arg(long = "as-group", value_name = "GROUP")]
    pub act_as_group: Vec<String>,
}

impl ClusterArgs {
    /// What was given before the command holds where the command itself says nothing.
    fn or(self, before: ClusterArgs) -> Self {
        Self {
            namespace: self.namespace.or(before.namespace),
            kubeconfig: self.kubeconfig.or(before.kubeconfig),
            context: self.context.or(before.context),
            prometheus: self.prometheus.or(before.prometheus),
            read_only: self.read_only || before.read_only,
            act_as: self.act_as.or(before.act_as),
            act_as_group: if self.act_as_group.is_empty() { before.act_as_group } else { self.act_as_group },
        }
    }
}

/// How the console looks.
#[derive(Args, Clone, Debug, Default)]
pub struct LookArgs {
    /// Theme of the console: a built-in one or one of your own [default: auto, dark or light as the terminal is]
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,

    /// Colours of the console [default: auto, by what the terminal says of itself, and NO_COLOR]
    #[arg(long, value_name = "WHEN")]
    pub color: Option<Color>,

    /// Draw the console with ASCII alone [default: where the locale is not UTF-8]
    #[arg(long)]
    pub ascii: bool,
}

/// What may be said about colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
    #[value(name = "16")]
    Sixteen,
    #[value(name = "256")]
    TwoFiftySix,
    Truecolor,
}

impl LookArgs {
    /// The look that is wanted on a context: what is given here, else what the config file says.
    pub fn wanted(self, config: &Config, context: &str) -> Wanted {
        let set = config.color.as_deref().and_then(|text| Color::from_str(text, true).ok());
        let colours = match self.color.or(set).unwrap_or(Color::Auto) {
            Color::Auto => Colours::Auto,
            Color::Always => Colours::Always,
            Color::Never => Colours::Just(Depth::None),
            Color::Sixteen => Colours::Just(Depth::Sixteen),
            Color::TwoFiftySix => Colours::Just(Depth::TwoFiftySix),
            Color::Truecolor => Colours::Just(Depth::True),
        };
        let theme = self.theme.or_else(|| config.theme(context));
        Wanted { theme, colours, ascii: self.ascii || config.ascii.unwrap_or_default(), themes: theme::directory() }
    }
}

/// How rollouts are driven.
#[derive(Args, Clone, Debug, Default)]
pub struct DriverArgs {
    /// Shortest time between two checks, whatever a Canary says [default: 10s]
    #[arg(long, value_name = "D", value_parser = positive)]
    pub min_interval: Option<Duration>,

    /// Post every event of the canaries that name no webhook for events here
    #[arg(long, value_name = "URL", env = "EVENT_WEBHOOK_URL", hide_env_values = true)]
    pub event_webhook: Option<String>,
}

impl DriverArgs {
    /// The bound, 10 s unless given (Flagger's).
    pub fn min_interval(&self) -> Duration {
        self.min_interval.unwrap_or(Duration::from_secs(10))
    }

    /// How a controller runs by them.
    ///
    /// # Errors
    /// Where the address for events is none. It may stand in the environment, where it must not trouble other commands.
    pub fn options(&self) -> anyhow::Result<Options> {
        let event_webhook = self.event_webhook.clone().filter(|url| !url.is_empty());
        if !event_webhook.as_deref().is_none_or(is_http) {
            bail!("--event-webhook (EVENT_WEBHOOK_URL) is no HTTP address: write it like https://events.example.com/x");
        }
        Ok(Options { min_interval: self.min_interval(), event_webhook })
    }

    fn or(self, before: DriverArgs) -> Self {
        Self {
            min_interval: self.min_interval.or(before.min_interval),
            event_webhook: self.event_webhook.or(before.event_webhook),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the embedded cluster for kubectl and other consoles
    Sandbox(SandboxArgs),
    /// Drive the rollouts of a namespace, or of all of them, without a screen
    Controller(ControllerArgs),
    /// List the canaries, or show one
    Get(GetArgs),
    /// List the events of the canaries
    Events(EventsArgs),
    /// Say how the rollout of the target's present revision stands
    ///
    /// Exit code: 0 Succeeded or Initialized, 1 Failed, 2 error, 3 timeout, 4 under way.
    Status(StatusArgs),
    /// Print one line for each change of a canary, or of all of them
    ///
    /// For logs, pipes and screen readers: the time, the canary, its phase, its weight, its failed checks, and what has
    /// changed. It goes on until it is stopped or nobody reads. With --until-end the exit code is that of status.
    Watch(WatchArgs),
    /// Write down what happened in a rollout: Markdown, with the charts as an SVG beside it
    ///
    /// Of the rollout under way, or the last one. Nothing is written over.
    Report(ReportArgs),
    /// Start a rollout, or try a failed revision again
    Start(StartArgs),
    /// Hold the weight where it is; the checks go on
    Pause(RequestArgs),
    /// Let a paused rollout go on
    Resume(RequestArgs),
    /// Run the checks now and take the next step if they pass
    Advance(RequestArgs),
    /// Promote now, without the remaining checks
    Promote(RequestArgs),
    /// Give all traffic back to the version last promoted, now
    Abort(RequestArgs),
    /// Open a gate that holds a rollout, for this revision
    Open(OpenArgs),
    /// Give the traffic back to the target, then delete the Canary
    ///
    /// Waits until it is gone. `kubectl delete canary` alone is an outage where the target stands at zero.
    Release(RequestArgs),
    /// Print what a cluster without Flagger needs, for kubectl apply -f -
    ///
    /// The custom resource definitions, roles to look on, to operate and to drive, a policy that holds operators to
    /// requests in their own name, and the controller in a pod.
    Manifests(ManifestsArgs),
    /// Begin, check or find the config file
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the completions for a shell
    ///
    /// As in: canary-tui completions bash > ~/.local/share/bash-completion/completions/canary-tui
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    ///
    /// As in: canary-tui man > ~/.local/share/man/man1/canary-tui.1
    Man,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Write a config file with every key in it, commented out; one that is there stays
    Init,
    /// Print what is wrong in the config file
    ///
    /// Exit code: 0 nothing, 1 something, 2 it could not be looked for.
    Check,
    /// Print where the config file, the themes and the log are
    Path,
}

#[derive(Args, Debug)]
pub struct SandboxArgs {
    /// Where to write the kubeconfig of the embedded cluster
    #[arg(long, value_name = "FILE", required = true)]
    pub kubeconfig: PathBuf,

    /// Address to serve on; loopback alone [default: 127.0.0.1, a free port]
    #[arg(long, value_name = "127.0.0.1:PORT", value_parser = loopback)]
    pub listen: Option<SocketAddr>,

    /// How many apps with a Canary each
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub canaries: u32,

    /// Pods of each app's primary
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub replicas: u32,

    /// Seed of everything that is random in it
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args, Debug)]
pub struct ControllerArgs {
    /// Drive all namespaces, each under a lease of its own; it takes rights in all of them
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Serve /metrics (Flagger's series), /healthz and /readyz here, as on 0.0.0.0:8080 in a pod
    /// [default: no port is opened]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    pub driver: DriverArgs,
}

#[derive(Args, Debug)]
pub struct GetArgs {
    /// Name of a Canary [default: all]
    pub name: Option<String>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Output>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Wide,
    Json,
    Yaml,
}

#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Name of a Canary [default: all]
    pub name: Option<String>,
    /// Go on printing events as they come
    #[arg(short, long)]
    pub watch: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Name of a Canary
    pub name: String,
    /// The revision that is meant; an error once the target bears another one
    #[arg(long, value_name = "HASH")]
    pub revision: Option<String>,
    /// Wait until the rollout has ended
    #[arg(long)]
    pub wait: bool,
    /// How long to wait [default: without end]
    #[arg(long, value_name = "D", value_parser = positive, requires = "wait")]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Name of a Canary [default: all]
    #[arg(required_if_eq("until_end", "true"))]
    pub name: Option<String>,
    /// End when the rollout of the target's present revision has ended: exit code 0 Succeeded or Initialized, 1 Failed
    #[arg(long)]
    pub until_end: bool,
    /// How long to wait for the end [default: without end]; exit code 3 after that
    #[arg(long, value_name = "D", value_parser = positive, requires = "until_end")]
    pub timeout: Option<Duration>,
    /// One JSON object a line
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Lines>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lines {
    Json,
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Name of a Canary
    pub name: String,
    /// Folder or file to write to [default: the present folder, under a name of the canary and the time]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Debug)]
pub struct StartArgs {
    /// Image to set on the target
    #[arg(long, value_name = "IMAGE", value_parser = text)]
    pub image: Option<String>,
    /// Tag to set on the target's image
    #[arg(long, value_name = "TAG", conflicts_with = "image", value_parser = text)]
    pub version: Option<String>,
    /// Number of a revision that the target had, as in kubectl rollout history: sets the image that it had
    #[arg(long, value_name = "N", conflicts_with_all = ["image", "version", "container"])]
    pub to_revision: Option<u64>,
    /// Container to set it on [default: the only one, else the one named like the target]
    #[arg(long, value_name = "C")]
    pub container: Option<String>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Args, Debug)]
pub struct OpenArgs {
    /// Name of the gate, which is its webhook's [default: the one that holds the rollout]
    #[arg(long, value_name = "G")]
    pub gate: Option<String>,
    #[command(flatten)]
    pub request: RequestArgs,
}

#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    /// Name of a Canary
    pub name: String,
    /// Why; it is kept with the request
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,
    /// Do not ask; required where there is no terminal
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

#[derive(Args, Clone, Debug)]
pub struct ManifestsArgs {
    /// Print the custom resource definitions alone
    #[arg(long, conflicts_with_all = ["namespaced", "system_namespace", "image", "prometheus"])]
    pub crds_only: bool,
    /// Grant rights in this namespace alone, and drive no other [default: all namespaces]
    #[arg(long, value_name = "NAMESPACE", value_parser = label)]
    pub namespaced: Option<String>,
    /// Namespace of the controller itself [default: canary-tui-system, or the one that it is to drive]
    #[arg(long, value_name = "NAMESPACE", value_parser = label)]
    pub system_namespace: Option<String>,
    /// The controller's image [default: canary-tui:VERSION, which nobody promises to be public]
    #[arg(long, value_name = "IMAGE", value_parser = text)]
    pub image: Option<String>,
    /// Address of Prometheus as seen from the controller's pod [default: looked for in the cluster]
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
}

/// A request as the command line has it.
#[derive(Debug)]
pub struct Ask {
    pub verb: Verb,
    pub request: RequestArgs,
    pub image: Option<String>,
    pub version: Option<String>,
    pub to_revision: Option<u64>,
    pub container: Option<String>,
    pub gate: Option<String>,
}

/// A console as the command line has it.
#[derive(Debug)]
pub struct ConsoleArgs {
    pub sandbox: bool,
    pub cluster: ClusterArgs,
    pub driver: DriverArgs,
    pub look: LookArgs,
    pub no_controller: bool,
    pub everywhere: bool,
}

/// What to run.
#[derive(Debug)]
pub enum Run {
    Console(ConsoleArgs),
    Sandbox(SandboxArgs),
    Controller { cluster: ClusterArgs, driver: DriverArgs, everywhere: bool, listen: Option<SocketAddr> },
    Get(GetArgs),
    Events(EventsArgs),
    Status(StatusArgs),
    Watch(WatchArgs),
    Report(ReportArgs),
    Request(Ask),
    Manifests(ManifestsArgs),
    Config(ConfigCommand),
    Completions(Shell),
    Man,
}

impl Run {
    /// Which cluster it is for, where it is for one.
    pub fn cluster(&mut self) -> Option<&mut ClusterArgs> {
        match self {
            Run::Console(args) => Some(&mut args.cluster),
            Run::Controller { cluster, .. } => Some(cluster),
            Run::Get(args) => Some(&mut args.cluster),
            Run::Events(args) => Some(&mut args.cluster),
            Run::Status(args) => Some(&mut args.cluster),
            Run::Watch(args) => Some(&mut args.cluster),
            Run::Report(args) => Some(&mut args.cluster),
            Run::Request(ask) => Some(&mut ask.request.cluster),
            Run::Sandbox(_) | Run::Manifests(_) | Run::Config(_) | Run::Completions(_) | Run::Man => None,
        }
    }
}

impl Cli {
    /// Threads for what waits on the network: one is enough for that, and keeps the process small; an embedded cluster
    /// has work of its own, and hundreds of leases must be renewed in time whatever else is to be done.
    pub fn threads(&self) -> usize {
        match &self.command {
            Some(Command::Controller(args)) if args.all_namespaces || self.all_namespaces => 2,
            Some(Command::Sandbox(_)) => 2,
            _ if self.sandbox => 2,
            _ => 1,
        }
    }

    /// What the line asks for, with what stands before the command carried over to it.
    ///
    /// # Errors
    /// Where the two do not go together.
    pub fn resolve(self) -> Result<Run, String> {
        let Cli { sandbox, cluster: before, driver: driving, look, no_controller, all_namespaces, command } = self;
        if all_namespaces && !matches!(command, None | Some(Command::Controller(_))) {
            return Err("this command asks one namespace at a time, given with -n: the console and canary-tui \
                        controller take -A (--all-namespaces)"
                .into());
        }
        let Some(command) = command else {
            return Ok(Run::Console(ConsoleArgs {
                sandbox,
                cluster: before,
                driver: driving,
                look,
                no_controller,
                everywhere: all_namespaces,
            }));
        };
        let consoles = [
            (sandbox, "--sandbox"),
            (no_controller, "--no-controller"),
            (look.theme.is_some(), "--theme"),
            (look.color.is_some(), "--color"),
            (look.ascii, "--ascii"),
        ];
        if let Some((_, flag)) = consoles.iter().find(|(given, _)| *given) {
            return Err(format!("{flag} is for the console and goes with no command: see canary-tui --help"));
        }
        if driving.min_interval.is_some() && !matches!(command, Command::Controller(_)) {
            return Err("--min-interval is for the console and the controller: see canary-tui --help".into());
        }
        let ask = |verb: Verb, request: RequestArgs, before: ClusterArgs| {
            let request = RequestArgs { cluster: request.cluster.clone().or(before), ..request };
            Ask { verb, request, image: None, version: None, to_revision: None, container: None, gate: None }
        };
        Ok(match command {
            Command::Sandbox(args) => Run::Sandbox(args),
            Command::Controller(args) => {
                let everywhere = args.all_namespaces || all_namespaces;
                let cluster = args.cluster.or(before);
                if everywhere && cluster.namespace.is_some() {
                    return Err("-A (--all-namespaces) drives every namespace: it does not go with -n".into());
                }
                Run::Controller { cluster, driver: args.driver.or(driving), everywhere, listen: args.listen }
            }
            Command::Get(args) => Run::Get(GetArgs { cluster: args.cluster.or(before), ..args }),
            Command::Events(args) => Run::Events(EventsArgs { cluster: args.cluster.or(before), ..args }),
            Command::Status(args) => Run::Status(StatusArgs { cluster: args.cluster.or(before), ..args }),
            Command::Watch(args) => Run::Watch(WatchArgs { cluster: args.cluster.or(before), ..args }),
            Command::Report(args) => Run::Report(ReportArgs { cluster: args.cluster.or(before), ..args }),
            Command::Start(StartArgs { image, version, to_revision, container, request }) => {
                Run::Request(Ask { image, version, to_revision, container, ..ask(Verb::Start, request, before) })
            }
            Command::Pause(args) => Run::Request(ask(Verb::Pause, args, before)),
            Command::Resume(args) => Run::Request(ask(Verb::Resume, args, before)),
            Command::Advance(args) => Run::Request(ask(Verb::Advance, args, before)),
            Command::Promote(args) => Run::Request(ask(Verb::Promote, args, before)),
            Command::Abort(args) => Run::Request(ask(Verb::Abort, args, before)),
            Command::Open(OpenArgs { gate, request }) => Run::Request(Ask { gate, ..ask(Verb::Open, request, before) }),
            Command::Release(args) => Run::Request(ask(Verb::Release, args, before)),
            Command::Manifests(_) if before.namespace.is_some() => {
                return Err("manifests asks no cluster: give the namespace that is to be driven as --namespaced".into());
            }
            Command::Manifests(args) => {
                Run::Manifests(ManifestsArgs { prometheus: args.prometheus.or(before.prometheus), ..args })
            }
            Command::Config { command } => Run::Config(command),
            Command::Completions { shell } => Run::Completions(shell),
            Command::Man => Run::Man,
        })
    }
}

fn positive(given: &str) -> Result<Duration, String> {
    match duration::parse(given) {
        Ok(Duration::ZERO) => Err("it is 0".into()),
        other => other,
    }
}

fn is_http(given: &str) -> bool {
    reqwest::Url::parse(given).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn text(given: &str) -> Result<String, String> {
    let trimmed = given.trim();
    if trimmed.is_empty() || trimmed.contains(char::is_whitespace) || trimmed.contains(char::is_control) {
        return Err("it is empty or holds white space".into());
    }
    Ok(trimmed.to_string())
}

/// A namespace's name.
fn label(given: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = given.starts_with('-') || given.ends_with('-');
    if given.is_empty() || given.len() > 63 || ends || !given.chars().all(plain) {
        return Err("a namespace has 1 to 63 lower-case letters, digits and dashes, and no dash at an end".into());
    }
    Ok(given.to_string())
}

fn address(given: &str) -> Result<SocketAddr, String> {
    given.parse().map_err(|_| "write it like 127.0.0.1:8080, or 0.0.0.0:8080 for every address of this host".into())
}

fn loopback(given: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = given.parse().map_err(|_| "write it like 127.0.0.1:6443".to_string())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("the sandbox serves on loopback alone: write it like 127.0.0.1:6443".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn run(line: &str) -> Run {
        Cli::try_parse_from(line.split(' ')).unwrap().resolve().unwrap()
    }

    fn refused(line: &str) -> ErrorKind {
        Cli::try_parse_from(line.split(' ')).unwrap_err().kind()
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_the_command_or_after_it() {
        for line in ["canary-tui -n prod --context eu get web", "canary-tui get web -n prod --context eu"] {
            let Run::Get(args) = run(line) else { panic!("{line}") };
            assert_eq!(
                (args.cluster.namespace.as_deref(), args.cluster.context.as_deref()),
                (Some("prod"), Some("eu"))
            );
        }
        let Run::Get(args) = run("canary-tui -n before get -n after") else { panic!() };
        assert_eq!(args.cluster.namespace.as_deref(), Some("after"));
    }

    #[test]
    fn no_command_is_the_console() {
        let Run::Console(ConsoleArgs { sandbox, cluster, driver, no_controller, .. }) =
            run("canary-tui --namespace prod --no-controller --min-interval 500ms")
        else {
            panic!()
        };
        assert_eq!((sandbox, no_controller, cluster.namespace.as_deref()), (false, true, Some("prod")));
        assert_eq!(driver.min_interval(), Duration::from_millis(500));
        assert!(matches!(run("canary-tui --sandbox"), Run::Console(ConsoleArgs { sandbox: true, .. })));
    }

    #[test]
    fn a_controller_opens_no_port_unless_it_is_given_one() {
        let Run::Controller { listen, .. } = run("canary-tui controller") else { panic!() };
        assert_eq!(listen, None);
        let Run::Controller { listen, .. } = run("canary-tui controller --listen 0.0.0.0:8080") else { panic!() };
        assert_eq!(listen, Some(SocketAddr::from(([0, 0, 0, 0], 8080))));
    }

    #[test]
    fn a_start_takes_an_image_or_a_version() {
        let Run::Request(ask) = run("canary-tui start web --version 1.1.0 --container app --reason why --yes") else {
            panic!()
        };
        assert_eq!(
            (ask.verb, ask.version.as_deref(), ask.container.as_deref()),
            (Verb::Start, Some("1.1.0"), Some("app"))
        );
        assert!(ask.request.yes);
        let Run::Request(ask) = run("canary-tui start web --to-revision 7") else { panic!() };
        assert_eq!((ask.to_revision, ask.version), (Some(7), None));
        for two in ["--version 1 --image x:1", "--to-revision 1 --version 1", "--to-revision 1 --container app"] {
            assert_eq!(refused(&format!("canary-tui start web {two}")), ErrorKind::ArgumentConflict, "{two}");
        }
    }

    #[test]
    fn the_controllers_pod_is_started_as_the_command_line_has_it() {
        for (manifests, namespace) in [("manifests --namespaced prod", Some("prod")), ("manifests", None)] {
            let Run::Manifests(args) = run(&format!("canary-tui --prometheus http://p:9090 {manifests}")) else {
                panic!()
            };
            assert_eq!((args.namespaced.as_deref(), args.prometheus.as_deref()), (namespace, Some("http://p:9090")));
            let options = crate::api::manifests::Options {
                namespaced: args.namespaced,
                prometheus: args.prometheus,
                ..Default::default()
            };
            let documents = crate::api::manifests::all(&options);
            let deployment = &documents.last().unwrap().object;
            let line = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
            let line: Vec<&str> = std::iter::once("canary-tui").chain(line.iter().filter_map(|a| a.as_str())).collect();
            let Run::Controller { cluster, everywhere, listen, .. } = run(&line.join(" ")) else { panic!("{line:?}") };
            assert_eq!((cluster.namespace.as_deref(), everywhere), (namespace, namespace.is_none()));
            assert_eq!(cluster.prometheus.as_deref(), Some("http://p:9090"));
            assert_eq!(listen, Some(SocketAddr::from(([0, 0, 0, 0], 8080))));
        }
    }

    #[test]
    fn all_namespaces_are_the_consoles_and_the_controllers() {
        for line in ["canary-tui controller -A", "canary-tui -A controller", "canary-tui controller --all-namespaces"] {
            assert!(matches!(run(line), Run::Controller { everywhere: true, .. }), "{line}");
        }
        assert!(matches!(run("canary-tui controller"), Run::Controller { everywhere: false, .. }));
        for line in ["canary-tui controller -A -n prod", "canary-tui -A -n prod controller"] {
            assert_eq!(refused(line), ErrorKind::ArgumentConflict, "{line}");
        }
        let why = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().resolve().unwrap_err();
        assert!(matches!(run("canary-tui -A"), Run::Console(ConsoleArgs { everywhere: true, .. })));
        assert_eq!(refused("canary-tui -A -n prod"), ErrorKind::ArgumentConflict);
        assert!(why("canary-tui -A get").starts_with("this command asks one namespace at a time"));
        for line in ["canary-tui -n prod controller -A", "canary-tui -A controller -n prod"] {
            assert!(why(line).contains("does not go with -n"), "{line}");
        }
    }

    #[test]
    fn a_gate_may_be_named() {
        let Run::Request(ask) = run("canary-tui -n prod open web --gate approve --reason why --yes") else { panic!() };
        assert_eq!((ask.verb, ask.gate.as_deref()), (Verb::Open, Some("approve")));
        assert_eq!((ask.request.cluster.namespace.as_deref(), ask.request.yes), (Some("prod"), true));
        let Run::Request(ask) = run("canary-tui open web") else { panic!() };
        assert_eq!(ask.gate, None);
    }

    #[test]
    fn events_go_to_an_http_address_or_nowhere() {
        let of = |url: &str| {
            let driver = DriverArgs { event_webhook: Some(url.into()), ..Default::default() };
            driver.options().map(|options| options.event_webhook)
        };
        assert_eq!(of("https://events.example.com/x").unwrap().as_deref(), Some("https://events.example.com/x"));
        assert_eq!(of("").unwrap(), None, "set in the environment, to nothing");
        assert!(of("events.example.com").is_err() && of("ftp://events").is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "canary-tui --nonsense",
            "canary-tui frobnicate",
            "canary-tui status",
            "canary-tui status web --wait --timeout soon",
            "canary-tui status web --timeout 5s",
            "canary-tui watch --until-end",
            "canary-tui watch web --timeout 5s",
            "canary-tui watch -o yaml",
            "canary-tui report",
            "canary-tui sandbox",
            "canary-tui sandbox --kubeconfig f --listen 0.0.0.0:1",
            "canary-tui sandbox --kubeconfig f --canaries 0",
            "canary-tui controller --listen nowhere",
            "canary-tui controller --listen 127.0.0.1",
            "canary-tui controller --listen 127.0.0.1:65536",
            "canary-tui --listen 127.0.0.1:0",
            "canary-tui --min-interval 0s",
            "canary-tui --sandbox --context x",
            "canary-tui manifests --namespaced Prod",
            "canary-tui manifests --namespaced -",
            "canary-tui manifests --system-namespace a.b",
            "canary-tui manifests --crds-only --namespaced prod",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        for line in [
            "canary-tui --sandbox get",
            "canary-tui --no-controller get",
            "canary-tui --min-interval 1s get",
            "canary-tui -n prod manifests",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).unwrap().resolve().is_err(), "{line}");
        }
    }
}
