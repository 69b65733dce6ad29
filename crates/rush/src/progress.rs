//! Says how far a run is: a bar on a terminal, a plain line every five seconds elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Progress on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    said: Instant,
    label: String,
    total: Duration,
}

impl Progress {
    /// Starts saying how far `label`, which should take `total`, is.
    #[must_use]
    pub fn new(label: &str, total: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(u64::try_from(total.as_millis()).unwrap_or(u64::MAX)),
                ProgressDrawTarget::stderr(),
            );
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar
        });
        Self { bar, said: Instant::now(), label: label.to_owned(), total }
    }

    /// Shows where it is now.
    pub fn at(&mut self, elapsed: Duration, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            bar.set_message(message());
        } else if self.said.elapsed() >= PLAIN_EVERY {
            self.said = Instant::now();
            say(&format!(
                "{} {:.0}/{:.0} s · {}",
                self.label,
                elapsed.as_secs_f64(),
                self.total.as_secs_f64(),
                message()
            ));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line on standard error. A closed one is nobody's loss.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
