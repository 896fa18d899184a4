//! The console's loop: it waits for a key, a message or the clock, brings the model up to date, and draws.
//!
//! It draws only when something has changed, at most thirty times a second; a key is answered at once. Over a slow line
//! it draws less often, and always the newest state.

use super::config::{Config, Problem};
use super::message::{Command, Msg, Teller, Told};
use super::model::{Look, Model, Notice, Start, Tone};
use super::screen::Screen;
use super::source::{self, Feed, Order};
use super::terminal::{self, Session};
use super::theme::{Depth, Theme};
use super::update::{hear, update};
use super::{glyphs, input, view};
use crate::cluster::{Clock, Connection};
use crate::controller;
use chrono::{Local, Offset};
use crossterm::event::Event;
use ratatui::layout::Size;
use std::fs::File;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(33);
/// Seconds of one column of the charts.
const STEP: i64 = 5;

/// What the command line says about the console.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How to drive the namespace's rollouts; None only watches.
    pub controller: Option<controller::Options>,
    /// Address of Prometheus; None: it is looked for.
    pub prometheus: Option<String>,
    /// Name of a theme; None: dark, or the terminal's own colours where it has only sixteen.
    pub theme: Option<String>,
    /// What the config file says, and what is wrong in it.
    pub config: Config,
    pub problems: Vec<Problem>,
}

/// Why the console could not run or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error("{0}")]
    Theme(String),
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
    #[error("an internal error ended the console; what it was stands above and in the log")]
    Panicked,
}

/// Runs the console until the operator leaves, the terminal is gone, or a signal ends it. The terminal is restored and
/// the lease given back.
///
/// # Errors
/// Where there is no terminal, or the theme is unknown.
pub async fn run(connection: Connection, clock: Clock, options: Options) -> Result<(), ConsoleError> {
    let look = look(options.theme.as_deref(), |name| std::env::var(name).ok()).map_err(ConsoleError::Theme)?;
    let (told, messages) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let (context, namespace) = (connection.context.clone(), connection.namespace.clone());
    let sources = source::Options { everywhere: false, controller: options.controller, prometheus: options.prometheus };
    let session = Session::enter()?;
    let (width, height) = crossterm::terminal::size()?;
    let mut model = Model::new(Start {
        context,
        namespace,
        everywhere: false,
        now: clock.now(),
        offset: Local::now().offset().fix(),
        size: Size { width, height },
        look,
        sample_step: STEP,
    });
    model.configure(options.config, &options.problems);
    let screen = Screen::new(terminal::output()?, width, height);
    let feed = tokio::spawn(Feed::new(connection, clock.clone(), sources, Teller::new(0, told), ordered).run());
    let console = Console { model, screen, clock, orders: orders.clone(), gap: FRAME, drawn: None };
    let ended = console.run(messages, session.panicked()).await;
    // The operator has the prompt back while the lease is still being released.
    drop(session);
    let _ = orders.send(Order::Stop);
    let _ = feed.await;
    ended
}

/// How the console looks in an environment.
fn look(theme: Option<&str>, env: impl Fn(&str) -> Option<String> + Copy) -> Result<Look, String> {
    let depth = Depth::choose(env);
    let usual = if depth == Depth::Sixteen { "terminal" } else { "dark" };
    Ok(Look { theme: Theme::named(theme.unwrap_or(usual), depth)?, depth, glyphs: glyphs::choose(env) })
}

struct Console {
    model: Model,
    screen: Screen<File>,
    clock: Clock,
    orders: mpsc::UnboundedSender<Order>,
    /// Least time between two frames; longer over a slow line.
    gap: Duration,
    drawn: Option<Instant>,
}

/// What woke the loop.
enum Woken {
    Input(Option<Event>),
    Resized,
    Message(Option<Box<Told>>),
    Clock,
    Leave,
    Panicked,
}

impl Console {
    async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Told>,
        mut panicked: watch::Receiver<bool>,
    ) -> Result<(), ConsoleError> {
        let mut input = input::listen()?;
        let mut resized = signal(SignalKind::window_change())?;
        let mut signals = Signals::new()?;
        // A frame is owed from here on.
        let mut dirty = true;
        let mut urgent = true;
        loop {
            let now = Instant::now();
            let frame_due = self.drawn.map_or(now, |drawn| drawn + self.gap);
            if dirty && (urgent || frame_due <= now) {
                if self.draw().is_err() {
                    // Nobody is there to be told.
                    return Ok(());
                }
                (dirty, urgent) = (false, false);
            }
            let wake = self.until_wake();
            let woken = tokio::select! {
                biased;
                _ = signals.any() => Woken::Leave,
                _ = panicked.wait_for(|told| *told) => Woken::Panicked,
                _ = resized.recv() => Woken::Resized,
                event = input.recv() => Woken::Input(event),
                message = messages.recv() => Woken::Message(message.map(Box::new)),
                () = tokio::time::sleep_until(frame_due), if dirty => Woken::Clock,
                () = tokio::time::sleep(wake), if !dirty => Woken::Clock,
            };
            let time = Msg::Clock(self.clock.now(), Local::now().offset().fix());
            update(&mut self.model, time);
            dirty = true;
            let mut commands = Vec::new();
            match woken {
                Woken::Leave => return Ok(()),
                Woken::Panicked => return Err(ConsoleError::Panicked),
                // The keyboard has ended: the terminal is gone.
                Woken::Input(None) => return Ok(()),
                Woken::Clock => {}
                Woken::Resized => {
                    urgent = true;
                    // A terminal that cannot tell its size any more is found out at the next write.
                    if let Ok((width, height)) = crossterm::terminal::size() {
                        commands.extend(update(&mut self.model, Msg::Resize(width, height)));
                    }
                }
                Woken::Input(Some(event)) => {
                    urgent = true;
                    let message = match event {
                        Event::Key(key) => Msg::Key(key),
                        Event::Paste(text) => Msg::Paste(text),
                        _ => continue,
                    };
                    commands.extend(update(&mut self.model, message));
                }
                Woken::Message(message) => {
                    // What the source says last must not be lost when it ends; nothing comes after it.
                    let Some(message) = message else { return Ok(()) };
                    commands.extend(hear(&mut self.model, *message));
                    while let Ok(more) = messages.try_recv() {
                        commands.extend(hear(&mut self.model, more));
                    }
                }
            }
            for command in commands {
                // Whatever was overlooked before: from where nothing may be changed nothing leaves that would.
                if command.mutates()
                    && let Err(text) = self.model.guard.may_write()
                {
                    update(&mut self.model, Msg::Notice(Notice { tone: Tone::Bad, text }));
                    continue;
                }
                match command {
                    Command::Quit => return Ok(()),
                    Command::Repaint => self.screen.repaint(self.model.size.width, self.model.size.height),
                    Command::Read(ask) => drop(self.orders.send(Order::Read(ask))),
                    Command::Namespace(_) | Command::Context(_) => {
                        let text = "this version stays where it was started: leave, and start it again with -n or \
                                    --context"
                            .to_string();
                        update(&mut self.model, Msg::Notice(Notice { tone: Tone::Plain, text }));
                    }
                    Command::Send(wish) => drop(self.orders.send(Order::Send(wish))),
                    Command::Remember { primary, canary } => {
                        let _ = self.orders.send(Order::Remember { primary, canary });
                    }
                }
            }
        }
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let began = Instant::now();
        let model = &self.model;
        self.screen.draw(|buffer| view::draw(model, buffer))?;
        let took = began.elapsed();
        // A line that takes long to swallow a frame gets fewer of them.
        self.gap = FRAME.max(took * 3).min(Duration::from_secs(1));
        self.drawn = Some(Instant::now());
        Ok(())
    }

    /// Time until the screen changes by the clock alone.
    fn until_wake(&self) -> Duration {
        let left = (self.model.next_wake() - self.clock.now()).to_std().unwrap_or_default();
        left.max(Duration::from_millis(20))
    }
}

/// The signals that end the console.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?]))
    }

    async fn any(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_colours_are_the_terminals_own() {
        let env = |vars: &'static [(&str, &str)]| {
            move |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string())
        };
        let poor = look(None, env(&[("TERM", "xterm"), ("LANG", "C.UTF-8")])).unwrap();
        assert_eq!((poor.theme.name, poor.depth, poor.glyphs.unicode), ("terminal", Depth::Sixteen, true));
        let rich = look(None, env(&[("TERM", "xterm-256color"), ("LANG", "C")])).unwrap();
        assert_eq!((rich.theme.name, rich.glyphs.unicode), ("dark", false));
        assert!(look(Some("pink"), env(&[])).is_err());
    }
}
