//! The binary `preau`.

use clap::Parser;
use preau_server::commands::Cli;

/// Returns memory to the system faster than the default under many short requests.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    // sqlx and redis each bring rustls; one provider is chosen here, before either asks.
    drop(rustls::crypto::ring::default_provider().install_default());
    let cli = Cli::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(cli.run())
}
