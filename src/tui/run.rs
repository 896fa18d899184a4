//! The console's loop: it waits for a key, a message or the clock, brings the model up to date, and draws.
//!
//! It draws only when something has changed, at most thirty times a second; a key is answered at once. Over a slow line
//! it draws less often, and always the newest state. It never waits for the terminal: while that takes nothing, keys and
//! signals act as ever, and a frame is drawn when the one before has gone out.

use super::bytes::Typed;
use super::clipboard::Wrap;
use super::config::{Config, Problem};
use super::line::{Line, Way};
use super::look::{Look, Wanted};
use super::message::{Command, Msg, Told};
use super::model::{Model, Notice, Start, Tone};
use super::screen::Screen;
use super::source::{self, Order};
use super::terminal::{self, Session};
use super::theme::Library;
use super::update::{hear, update};
use super::visits::{self, Visits};
use super::{input, view};
use crate::cluster::Clock;
use crate::controller;
use chrono::{Local, Offset};
use crossterm::event::Event;
use ratatui::layout::Size;
use rustix::process::Signal as Number;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Least time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(33);
/// How long the first frame waits for the terminal to tell its ground, so that a light one is not painted dark first.
const GRACE: Duration = Duration::from_millis(15);
/// How long the terminal is given to answer before it goes back to the shell, which would take the answer for keys; and
/// for how long after the question an answer is likely to come.
const LAST_WAIT: Duration = Duration::from_millis(100);
const LIKELY: Duration = Duration::from_secs(2);
/// How long what is still on its way is waited for: when the console ends, and before it goes back to the shell.
const LAST_FRAME: Duration = Duration::from_millis(300);
const BEFORE_THE_SHELL: Duration = Duration::from_secs(1);
/// Why this is not suspended where the terminal would not hear of it.
const DEAF: &str = "the terminal takes nothing now: not suspended";
/// Seconds of one column of the charts.
const STEP: i64 = 5;

/// What the command line says about the console.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How to drive the namespace's rollouts; None only watches.
    pub controller: Option<controller::Options>,
    /// Address of Prometheus; None: it is looked for.
    pub prometheus: Option<String>,
    /// Theme, colours and shapes.
    pub look: Wanted,
    /// Where reports are written; None: the present folder.
    pub reports: Option<PathBuf>,
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
pub async fn run(begin: visits::Start, clock: Clock, options: Options) -> Result<(), ConsoleError> {
    let env = |name: &str| std::env::var(name).ok();
    let look = Look::new(&options.look, env).map_err(ConsoleError::Theme)?;
    let (told, messages) = mpsc::unbounded_channel();
    let (orders, ordered) = mpsc::unbounded_channel();
    let (context, namespace) = match &begin.opened {
        Ok(connection) => (connection.context.clone(), connection.namespace.clone()),
        Err(_) => (begin.way.context.clone().unwrap_or_default(), begin.way.namespace.clone().unwrap_or_default()),
    };
    let sources = source::Options {
        everywhere: false,
        controller: options.controller,
        prometheus: options.prometheus,
        namespaces: Vec::new(),
    };
    let session = Session::enter()?;
    let asked = if look.asks_for_ground() {
        session.ask_for_ground()?;
        Some(Instant::now())
    } else {
        None
    };
    let (width, height) = crossterm::terminal::size()?;
    let mut model = Model::new(Start {
        context,
        namespace,
        everywhere: begin.everywhere,
        now: clock.now(),
        offset: Local::now().offset().fix(),
        size: Size { width, height },
        look,
        sample_step: STEP,
    });
    model.configure(options.config.clone(), &options.problems);
    if model.mouse {
        session.mouse(true)?;
    }
    let mut way = session.line().way();
    let screen = Screen::new(session.line().clone(), width, height);
    let visits = Visits::new(told, ordered, begin.way.clone(), clock.clone(), sources, options.config);
    let visits = tokio::spawn(visits.run(begin));
    let console = Console {
        model,
        screen,
        clock,
        orders: orders.clone(),
        reports: options.reports,
        way: way.clone(),
        gap: FRAME,
        drawn: None,
        asked,
        leaving: None,
        away: false,
        copy: None,
        wrap: Wrap::choose(env),
        folder: options.look.themes,
        reading: None,
    };
    let ended = console.run(messages, &session).await;
    // The operator has the prompt back while the lease is still being released, and a line that has stalled does not hold
    // the lease.
    let _ = orders.send(Order::Stop);
    // A copy may be on its way.
    let _ = timeout(LAST_FRAME, way.wait_for(|way| *way != Way::Busy)).await;
    drop(session);
    let _ = visits.await;
    ended
}

struct Console {
    model: Model,
    screen: Screen<Line>,
    clock: Clock,
    orders: mpsc::UnboundedSender<Order>,
    reports: Option<PathBuf>,
    way: watch::Receiver<Way>,
    /// Least time between two frames; longer over a slow line.
    gap: Duration,
    drawn: Option<Instant>,
    /// When the terminal was asked for its ground; None once it has answered.
    asked: Option<Instant>,
    /// The terminal is to be the shell's; until when the line is waited for.
    leaving: Option<Instant>,
    /// The terminal is the shell's now.
    away: bool,
    /// What waits for a free line to be copied; the last is what counts.
    copy: Option<String>,
    wrap: Wrap,
    /// The operator's themes.
    folder: Option<PathBuf>,
    /// Their files are being read.
    reading: Option<JoinHandle<Library>>,
}

/// What woke the loop.
enum Woken {
    Input(Option<Typed>),
    Resized,
    Message(Option<Box<Told>>),
    Themes(Option<Library>),
    Clock,
    Leave,
    /// Somebody asks this process to stop.
    Stop,
    /// It goes on after a stop.
    Resumed,
    Panicked,
}

impl Console {
    async fn run(mut self, messages: mpsc::UnboundedReceiver<Told>, session: &Session) -> Result<(), ConsoleError> {
        let mut input = input::listen()?;
        let ended = self.go_on(messages, &mut input, session).await;
        self.await_answer(&mut input).await;
        ended
    }

    /// What the terminal may still answer is not left to the shell.
    async fn await_answer(&mut self, input: &mut mpsc::UnboundedReceiver<Typed>) {
        if self.asked.take().is_some_and(|asked| asked.elapsed() < LIKELY) {
            let answered = async {
                while let Some(typed) = input.recv().await {
                    if let Typed::Ground(ground) = typed {
                        update(&mut self.model, Msg::Ground(ground));
                        break;
                    }
                }
            };
            let _ = timeout(LAST_WAIT, answered).await;
        }
    }

    async fn go_on(
        &mut self,
        mut messages: mpsc::UnboundedReceiver<Told>,
        input: &mut mpsc::UnboundedReceiver<Typed>,
        session: &Session,
    ) -> Result<(), ConsoleError> {
        let mut panicked = session.panicked();
        let mut resized = signal(SignalKind::window_change())?;
        let mut stopped = signal(SignalKind::from_raw(Number::TSTP.as_raw()))?;
        let mut resumed = signal(SignalKind::from_raw(Number::CONT.as_raw()))?;
        let mut signals = Signals::new()?;
        // A frame is owed from here on.
        let mut dirty = true;
        let mut urgent = false;
        loop {
            let now = Instant::now();
            let Some(free) = self.tend_line(session) else {
                // Nobody is there to be told.
                return Ok(());
            };
            if let Some(until) = self.leaving {
                if free {
                    self.suspend(input, session).await;
                } else if until <= now {
                    self.stay(DEAF.into());
                }
            }
            let first = self.asked.map_or(now, |asked| asked + GRACE);
            let frame_due = self.drawn.map_or(first, |drawn| drawn + self.gap);
            if dirty && free && !self.away && (urgent || frame_due <= now) {
                if self.draw().is_err() {
                    // Nobody is there to be told.
                    return Ok(());
                }
                (dirty, urgent) = (false, false);
            }
            let owed = dirty && free && !self.away;
            let wake = self.until_wake();
            let leaving = self.leaving;
            let woken = tokio::select! {
                biased;
                _ = signals.any() => Woken::Leave,
                _ = panicked.wait_for(|told| *told) => Woken::Panicked,
                _ = stopped.recv() => Woken::Stop,
                _ = resumed.recv() => Woken::Resumed,
                _ = resized.recv() => Woken::Resized,
                typed = input.recv() => Woken::Input(typed),
                // Whoever has nothing on its way need not know how the line stands.
                _ = self.way.changed(), if !free => continue,
                () = tokio::time::sleep_until(leaving.unwrap_or(now)), if leaving.is_some() => continue,
                message = messages.recv() => Woken::Message(message.map(Box::new)),
                themes = read(&mut self.reading) => Woken::Themes(themes),
                () = tokio::time::sleep_until(frame_due), if owed => Woken::Clock,
                () = tokio::time::sleep(wake), if !owed => Woken::Clock,
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
                Woken::Stop => commands.push(Command::Suspend),
                Woken::Resumed => {
                    if session.take_back(self.model.mouse).is_err() {
                        return Ok(());
                    }
                    self.leaving = None;
                    (self.away, urgent) = (false, true);
                    commands.extend(self.measure());
                }
                Woken::Resized => {
                    urgent = true;
                    commands.extend(self.measure());
                }
                Woken::Input(Some(typed)) => {
                    urgent = true;
                    let message = match typed {
                        Typed::Event(Event::Key(key)) => Msg::Key(key),
                        Typed::Event(Event::Paste(text)) => Msg::Paste(text),
                        Typed::Event(Event::Mouse(mouse)) => Msg::Mouse(mouse),
                        Typed::Event(_) => continue,
                        Typed::Ground(ground) => {
                            self.asked = None;
                            Msg::Ground(ground)
                        }
                    };
                    commands.extend(update(&mut self.model, message));
                }
                Woken::Message(message) => {
                    // What the source says last must not be lost when it ends; nothing comes after it.
                    let Some(message) = message else { return Ok(()) };
                    let known = !self.model.rows.is_empty();
                    commands.extend(hear(&mut self.model, *message));
                    while let Ok(more) = messages.try_recv() {
                        commands.extend(hear(&mut self.model, more));
                    }
                    // The first canaries are what the operator waits for.
                    urgent |= !known && !self.model.rows.is_empty();
                }
                Woken::Themes(themes) => {
                    self.reading = None;
                    urgent = true;
                    commands.extend(themes.into_iter().flat_map(|themes| update(&mut self.model, Msg::Themes(themes))));
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
                    Command::Send(wish) => drop(self.orders.send(Order::Send(wish))),
                    Command::LookBack { asked, canary } => drop(self.orders.send(Order::LookBack { asked, canary })),
                    Command::Report(canary) => {
                        let _ = self.orders.send(Order::Report { canary, folder: self.reports.clone() });
                    }
                    Command::Go { generation, goal } => drop(self.orders.send(Order::Go { generation, goal })),
                    Command::Remember { primary, canary } => {
                        let _ = self.orders.send(Order::Remember { primary, canary });
                    }
                    Command::Copy(text) => self.copy = Some(text),
                    Command::Mouse(on) => {
                        if session.mouse(on).is_err() {
                            return Ok(());
                        }
                    }
                    Command::ReadThemes => {
                        let folder = self.folder.clone();
                        self.reading = Some(tokio::task::spawn_blocking(move || Library::load(folder.as_deref())));
                    }
                    Command::Suspend => self.leaving = Some(Instant::now() + BEFORE_THE_SHELL),
                    Command::Recall { primary, canary, range } => {
                        let _ = self.orders.send(Order::Recall { primary, canary, range });
                    }
                }
            }
        }
    }

    /// The size of the terminal now. One that cannot tell it any more is found out at the next write.
    fn measure(&mut self) -> Vec<Command> {
        match crossterm::terminal::size() {
            Ok((width, height)) => update(&mut self.model, Msg::Resize(width, height)),
            Err(_) => Vec::new(),
        }
    }

    /// Whether a frame may be drawn: the line is free, and what was to go before has gone. None: the terminal is gone.
    fn tend_line(&mut self, session: &Session) -> Option<bool> {
        if matches!(*self.way.borrow_and_update(), Way::Free { .. })
            && let Some(text) = self.copy.take()
        {
            session.line().send(self.wrap.copy(&text).as_bytes()).ok()?;
        }
        match *self.way.borrow_and_update() {
            Way::Gone => None,
            Way::Busy => Some(false),
            Way::Free { took } => {
                // A line that takes long to swallow a frame gets fewer of them.
                self.gap = FRAME.max(took * 3).min(Duration::from_secs(1));
                Some(true)
            }
        }
    }

    /// Gives the terminal to the shell and stops. What comes after that is [`Woken::Resumed`]. The line is free.
    async fn suspend(&mut self, input: &mut mpsc::UnboundedReceiver<Typed>, session: &Session) {
        self.leaving = None;
        self.await_answer(input).await;
        self.away = true;
        let lent = match session.lend() {
            true => terminal::stop(),
            false => Err(DEAF.into()),
        };
        if let Err(why) = lent {
            // Nothing has stopped: the terminal is ours as before.
            self.away = false;
            let _ = session.take_back(self.model.mouse);
            self.screen.repaint(self.model.size.width, self.model.size.height);
            self.stay(why);
        }
    }

    /// Says why this is not suspended.
    fn stay(&mut self, text: String) {
        self.leaving = None;
        update(&mut self.model, Msg::Notice(Notice { tone: Tone::Plain, text }));
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let model = &self.model;
        self.screen.draw(|buffer| view::draw(model, buffer))?;
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

/// The themes once they are read; None where that failed. Never, where none are being read.
async fn read(reading: &mut Option<JoinHandle<Library>>) -> Option<Library> {
    match reading {
        Some(reading) => reading.await.ok(),
        None => std::future::pending().await,
    }
}
