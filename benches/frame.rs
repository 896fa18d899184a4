//! One frame of the console: 100 canaries, and 5,000, at 120x40, drawn into a screen that counts its writes.
//!
//! `cargo bench --bench frame` prints one row a figure.

use canary_tui::tui::screen::Screen;
use canary_tui::tui::{scene, view};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, Write};
use std::time::Duration;

const FRAMES: u32 = 2000;

/// Counts what is written.
#[derive(Default)]
struct Counter {
    writes: usize,
    bytes: usize,
}

impl Write for &mut Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What frames cost in which another canary is selected each time.
struct Cost {
    cpu: Duration,
    writes: usize,
    first: usize,
    changed: usize,
    same: usize,
}

fn frames(canaries: usize) -> Cost {
    let mut model = scene::many(canaries, 120, 40);
    let mut counter = Counter::default();
    let mut screen = Screen::new(&mut counter, 120, 40);
    let mut frame = |model: &canary_tui::tui::model::Model| {
        screen.draw(|buffer| view::draw(model, buffer)).expect("a counter takes everything")
    };
    let first = frame(&model);
    let begun = cpu();
    let mut changed = 0;
    for turn in 0..FRAMES {
        // Every frame differs: the selection moves, and with it the detail, its charts and the table.
        scene::press(&mut model, if turn % 40 < 20 { "j" } else { "k" });
        changed += frame(&model);
    }
    let cpu = (cpu() - begun) / FRAMES;
    let same = frame(&model);
    Cost { cpu, writes: counter.writes, first, changed: changed / FRAMES as usize, same }
}

fn main() {
    let Cost { cpu, writes, first, changed, same } = frames(100);
    println!("| what | to reach | measured |\n| --- | --- | --- |");
    println!("| a frame: CPU | 0.4 ms | {:.3} ms |", cpu.as_secs_f64() * 1000.0);
    println!("| a frame: writes | 1 | {:.2} |", writes as f64 / f64::from(FRAMES + 1));
    println!("| a frame: bytes, first and with another canary selected | | {first} and {changed} |");
    println!("| a frame: bytes when nothing visible changed | 0 | {same} |");
    let many = frames(5000);
    println!("| a frame with 5,000 canaries: CPU | 0.4 ms | {:.3} ms |", many.cpu.as_secs_f64() * 1000.0);
}
