//! `preau bench`: what cannot be measured from outside the process. Not a back door: `stack` serves an empty answer and
//! nothing else, `tx` measures statements on a table of its own session.

use clap::Subcommand;

use crate::{
    Config, bench, bench_factors, bench_feeds, bench_limiter, bench_rungs, bench_saml, bench_timing,
};

#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// Serve an empty handler behind the product's own layers, at `http.listen`.
    Stack,
    /// Print what a transaction costs, as JSON: autocommit, transaction, transaction with its setting and row-level
    /// security; CPU of this process and wall time.
    Tx {
        /// Statements of each kind.
        #[arg(long, default_value_t = 5000)]
        n: u32,
    },
    /// Print what looking at a second factor costs, as JSON: CPU of one verification of a code and of a passkey.
    Factors {
        /// Passkeys to verify; a hundred times as many codes.
        #[arg(long, default_value_t = 2000)]
        n: u32,
    },
    /// Print whether the door tells by its time who exists, as JSON: medians of one wrong secret for names that somebody has
    /// and names that nobody has, in turns, and their gap. On a demonstration's database.
    Timing {
        /// Attempts of each kind: as many people are needed.
        #[arg(long, default_value_t = 300)]
        n: u32,
    },
    /// Print what each rung of the ladder saves, as JSON: CPU of this process for one request with the rung off and on, in
    /// turns. On a demonstration's database; the stores' own work comes on top.
    Rungs {
        /// Requests of each kind.
        #[arg(long, default_value_t = 2500)]
        n: u32,
    },
    /// Print what sharing the database's room costs a request, as JSON: CPU of a place taken and left, with room and near the
    /// limit.
    Limiter {
        /// Requests of each kind.
        #[arg(long, default_value_t = 2_000_000)]
        n: u32,
    },
    /// Print what a sign-in by a desk costs this process, as JSON: request, answer, session. Makes a territory of its own,
    /// in a demonstration's database only; keys come from the `openssl` command.
    Saml {
        /// Sign-ins.
        #[arg(long, default_value_t = 1000)]
        n: u32,
    },
    /// Print what bringing an academy's directory in costs, as JSON: staging, merge, the same files again, a day's changes;
    /// against a plain COPY of the same rows. Makes databases of its own beside the configured one.
    Feeds(bench_feeds::Size),
}

impl Bench {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        match self {
            Self::Stack => bench::stack(config).await,
            Self::Feeds(size) => bench_feeds::feeds(config, size).await,
            Self::Tx { n } => bench::transactions(config, n).await,
            Self::Rungs { n } => bench_rungs::rungs(config, n).await,
            Self::Limiter { n } => bench_limiter::limiter(n).await,
            Self::Timing { n } => bench_timing::timing(config, n).await,
            Self::Factors { n } => bench_factors::factors(n),
            Self::Saml { n } => bench_saml::sign_ins(config, n).await,
        }
    }
}
