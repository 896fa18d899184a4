//! The views, and the keys that open them.

/// What a view is about: the scene that it opens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The console as a whole; where it is empty there is no canary.
    Console,
    /// The same over all namespaces.
    Everywhere,
    /// A canary in the middle of its rollout; where it is empty there is nothing to tell of it yet.
    Rollout,
    /// A canary that waits at a gate.
    Gate,
    /// A canary at rest.
    Rest,
}

/// One view.
#[derive(Debug)]
pub struct View {
    pub name: &'static str,
    pub ground: Ground,
    /// What is pressed to see it, as [`press`](crate::tui::scene::press) has it.
    pub keys: &'static str,
    /// Whether the context is protected, and a question wants the canary's name.
    pub protected: bool,
}

const fn view(name: &'static str, ground: Ground, keys: &'static str) -> View {
    View { name, ground, keys, protected: false }
}

/// All of them.
pub const VIEWS: [View; 27] = [
    view("main", Ground::Console, ""),
    view("everywhere", Ground::Everywhere, ""),
    view("filter", Ground::Console, "/m"),
    view("charts", Ground::Rollout, "<enter>"),
    view("charts_large", Ground::Rollout, "<enter>mmmm"),
    view("events", Ground::Console, "e"),
    view("why", Ground::Rollout, "w"),
    view("routes", Ground::Rollout, "r"),
    view("describe", Ground::Rollout, "d"),
    view("diff", Ground::Rollout, "D"),
    view("palette", Ground::Console, ":"),
    view("namespaces", Ground::Console, "N"),
    view("contexts", Ground::Console, "C"),
    view("help", Ground::Console, "?"),
    view("themes", Ground::Console, "tjj"),
    view("versions", Ground::Rest, "s<down><down>"),
    view("ask_start", Ground::Rest, "s<enter>"),
    view("ask_pause", Ground::Rollout, "p"),
    view("ask_abort", Ground::Rollout, "a"),
    View { protected: true, ..view("ask_protected", Ground::Rollout, "a<tab><tab>jx-production-myapp") },
    view("ask_promote", Ground::Rollout, "P"),
    view("ask_next", Ground::Rollout, "n"),
    view("ask_open", Ground::Gate, "O"),
    view("ask_reason", Ground::Rollout, "arthe shop's checkout answers one request in five with 503"),
    view("ask_quit", Ground::Rollout, "q"),
    view("ask_leave", Ground::Rollout, ":ns *<enter>"),
    view("ask_suspend", Ground::Rollout, "<c-z>"),
];
