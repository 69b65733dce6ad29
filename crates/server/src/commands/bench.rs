//! `preau bench`: what cannot be measured from outside the process. Not a back door: `stack` serves an empty answer and
//! nothing else, `tx` measures statements on a table of its own session.

use clap::Subcommand;

use crate::{Config, bench, bench_factors, bench_saml};

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
    /// Print what a sign-in by a desk costs this process, as JSON: request, answer, session. Makes a territory of its own,
    /// in a demonstration's database only; keys come from the `openssl` command.
    Saml {
        /// Sign-ins.
        #[arg(long, default_value_t = 1000)]
        n: u32,
    },
}

impl Bench {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        match self {
            Self::Stack => bench::stack(config).await,
            Self::Tx { n } => bench::transactions(config, n).await,
            Self::Factors { n } => bench_factors::factors(n),
            Self::Saml { n } => bench_saml::sign_ins(config, n).await,
        }
    }
}
