//! Starting programs, and saying how it went.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::Place;

/// A command whose PATH starts with the pinned tools, and that does not inherit what `cargo run` set for this
/// crate: *ring*'s build script watches `CARGO_MANIFEST_DIR` and `CARGO_PKG_*`, and would recompile half the
/// tree each time a chore, rather than a shell, calls cargo.
pub(crate) fn command(place: &Place, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&place.root).env("PATH", path(place)).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_BIN_NAME" {
            command.env_remove(&name);
        }
    }
    command
}

/// PATH with the pinned tools first, and the folders that Debian keeps for root.
pub(crate) fn path(place: &Place) -> std::ffi::OsString {
    let tools = place.tools().join("bin");
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(tools)
        .filter(|dir| dir.is_dir())
        .chain(std::env::split_paths(&inherited))
        .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    std::env::join_paths(dirs).unwrap_or(inherited)
}

/// Where `program` is on that PATH.
pub(crate) fn which(place: &Place, program: &str) -> Option<PathBuf> {
    std::env::split_paths(&path(place)).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs to the end with its output on the terminal; an error names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs to the end in silence; an error carries everything that it printed.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    read(command).map(drop)
}

/// Runs to the end and returns its standard output; an error carries everything that it printed.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("cannot start {}", line(command)))?;
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        bail!(
            "{} ended with {}\n{stdout}{}",
            line(command),
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
    }
    Ok(stdout)
}

/// Whether it runs and ends well; says nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Says what starts, then how long it took. Chores that take long are all wrapped in this.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("▸ {title}");
    let start = Instant::now();
    let done = work().with_context(|| format!("step \"{title}\""))?;
    println!("  {title}: {}", took(start.elapsed()));
    Ok(done)
}

/// A duration for people.
pub(crate) fn took(time: Duration) -> String {
    if time.as_secs() >= 60 {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Writes beside, then renames, so that an interruption leaves the old file or the new one.
pub(crate) fn replace(file: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension("part");
    std::fs::write(&beside, content)
        .and_then(|()| std::fs::rename(&beside, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// FNV-1a: the same in every build, which the standard library's hasher does not promise.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A digest of what `root` (a folder or a file) holds: paths, sizes and times of change, without what `skip` names.
pub(crate) fn inputs(root: &Path, skip: &[&str]) -> Result<String> {
    let mut seen = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(path) = left.pop() {
        let about = path.metadata().with_context(|| path.display().to_string())?;
        if about.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                let entry = entry?;
                if !skip.iter().any(|name| entry.file_name() == *name) {
                    left.push(entry.path());
                }
            }
        } else {
            seen.push(format!("{} {} {:?}", path.display(), about.len(), about.modified()?));
        }
    }
    seen.sort();
    Ok(format!("{:016x}", fingerprint(&seen.join("\n"))))
}
