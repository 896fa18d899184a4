//! The config file with every key and its default, for whoever wants to begin with one.

use crate::tui::keymap::{self, written};
use crate::tui::keys::{Place, TABLE};
use crate::tui::order::Order;
use std::fmt::Write as _;

/// A config file in which every key stands with its default, and says what it does. All of it is commented out, so that it
/// changes nothing.
pub fn example() -> String {
    let orders = Order::ALL.map(Order::name).join(", ");
    let mut text = format!(
        r##"# canary-tui's config file. Every key is optional; what stands here are the defaults.
# What is wrong in it is said by the console and by `canary-tui config check`, and costs its own key alone.

# The theme, by its name: a built-in one, one of your own in the folder themes beside this file, or auto, which is dark or
# light as the terminal is.
# theme = "auto"

# Colours: auto, always, never, 16, 256 or truecolor.
# color = "auto"

# Draw with ASCII alone. Without this key the locale decides.
# ascii = false

# Take the mouse's clicks and wheel; a key turns it on and off. The terminal selects text while it is off.
# mouse = false

# Change nothing: the keys that would are not there, no request is written, and nothing is driven.
# read-only = false

# The namespace where none is given with -n. Without this key it is the context's.
# namespace = "default"

# The order of the canaries at first: {orders}.
# order = "{}"

# Keys by what they do, as lists. A key is a character, a name (enter, esc, tab, shift-tab, space, up, down, left,
# right, pgup, pgdn, home, end, backspace, delete, f1 to f12), or one of them with ctrl- or alt- before it. An empty
# list takes the keys away; the command palette (:) has everything all the same.
# [keys]
"##,
        Order::default().name()
    );
    for action in keymap::settable_actions() {
        let bindings = || TABLE.iter().filter(|binding| binding.action == action);
        let binding = bindings().find(|binding| binding.place == Place::Main).or_else(|| bindings().next());
        let Some(binding) = binding else { continue };
        let keys: Vec<String> = binding.presses.iter().map(|press| toml_text(&written(press))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {} = [{}] # {}", action.name(), keys.join(", "), binding.help);
    }
    text.push_str(
        r##"
# What holds on the contexts whose name matches: * stands for any characters, ? for one. Of two that match, the later
# one holds, key by key.
# [contexts."prod-*"]
# theme = "dark"
# read-only = false
# protected = false # true: a question wants the canary's name typed before Yes does anything
# prometheus = "http://prometheus.example.com:9090" # without this key it is looked for in the cluster
# namespaces = ["payments", "web"] # offered by N where they may not be listed; -A shows the first that may be read
"##,
    );
    text
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
