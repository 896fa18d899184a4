//! What happens to a run from outside, and when: other versions, an operator's wishes, processes that die, stop and
//! start, lines that are cut, leases that cannot be renewed, and pods that are lost. Drawn beforehand from the seed.

use super::wire::LONGEST_CUT;
use canary_tui::api::Verb;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Happening {
    /// The target gets another image.
    Version(&'static str),
    /// The operator asks, for the revision that is there, or (stale) for one that is not.
    Ask { verb: Verb, image: Option<&'static str>, stale: bool },
    /// A process of those that run is killed, and another started after so long.
    Crash { restarts_after: Duration },
    /// One more process, beside those that run.
    Another,
    /// A process ends in good order, and another starts after so long.
    Stop { restarts_after: Duration },
    /// The line of a process is cut for so long; another stands by.
    Cut(Duration),
    /// The Lease of a process cannot be renewed for so long, and all else works; another stands by.
    LoseLease(Duration),
    /// Pods are lost: of the primary or of the target, so many at most.
    LosePods { primary: bool, most: usize },
    /// The target is paused for so long.
    PauseTarget(Duration),
}

/// Versions that a target may get; most are good for something to be rolled out.
const VERSIONS: [&str; 9] = ["1.1.0", "1.1.0", "1.1.1", "1.2.0", "5xx", "1.3.0", "1.4.0", "1.0.0", "1.5.0"];

/// All happenings of a run whose troubles last so long, in their order.
pub fn drawn(random: &mut Pcg64Mcg, lasts: Duration) -> Vec<(Duration, Happening)> {
    let mut all = Vec::new();
    let first = Duration::from_millis(random.random_range(0..15_000));
    all.push((first, Happening::Version(VERSIONS[random.random_range(0..VERSIONS.len())])));
    for _ in 0..random.random_range(0..8) {
        let at = Duration::from_millis(random.random_range(0..lasts.as_millis() as u64));
        let restarts_after = Duration::from_millis(random.random_range(0..25_000));
        let happening = match random.random_range(0..100) {
            0..18 => Happening::Version(VERSIONS[random.random_range(0..VERSIONS.len())]),
            18..52 => {
                let verb = Verb::ALL[random.random_range(0..Verb::ALL.len() - 1)];
                let image =
                    (verb == Verb::Start && random.random_bool(0.5)).then(|| VERSIONS[random.random_range(0..9)]);
                Happening::Ask { verb, image, stale: random.random_bool(0.1) }
            }
            52..66 => Happening::Crash { restarts_after },
            66..76 => Happening::Another,
            76..80 => Happening::Stop { restarts_after },
            80..90 => Happening::Cut(Duration::from_millis(random.random_range(500..LONGEST_CUT.as_millis() as u64))),
            90..93 => Happening::LoseLease(Duration::from_millis(random.random_range(5_000..40_000))),
            93..97 => Happening::LosePods { primary: random.random_bool(0.5), most: random.random_range(1..4) },
            _ => Happening::PauseTarget(Duration::from_millis(random.random_range(500..20_000))),
        };
        all.push((at, happening));
    }
    all.sort_by_key(|(at, _)| *at);
    all
}
