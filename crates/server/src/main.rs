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
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_start(let_finish).build()?;
    runtime.block_on(cli.run())
}

/// A worker that wakes lets the hash on its core finish its turn of some milliseconds (`SCHED_BATCH`): an Argon2id that is
/// broken off begins again with cold caches, as does the code that broke it off, and requests that wait for one another
/// are answered in one go. Measured: 6 % of a hash, a tenth of all else in a storm. Where the kernel refuses, nothing
/// changes but that.
fn let_finish() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityOsValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    drop(set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Os(ThreadPriorityOsValue::default()),
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch),
    ));
}
