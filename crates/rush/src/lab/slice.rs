//! A slice of a core: the cgroup that holds a node to it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// How often the kernel refills a slice, in µs. Short, or a node would stand still for most of a tenth of a
/// second whenever a hash used its share up.
const PERIOD_US: u32 = 10_000;

/// One group; removed when dropped, once its processes ended.
#[derive(Debug)]
pub(crate) struct Slice {
    folder: PathBuf,
}

impl Slice {
    /// Makes a group that gets `quota_us` of CPU in every 10 ms.
    ///
    /// Fails where control groups cannot be written (a container, no root): then the figure is not measurable.
    pub(crate) fn make(name: &str, quota_us: u32) -> anyhow::Result<Self> {
        if let Some(root) = version_1() {
            let slice = Self::folder(&root, name)?;
            slice.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
            slice.write("cpu.cfs_quota_us", &quota_us.to_string())?;
            return Ok(slice);
        }
        let root = PathBuf::from("/sys/fs/cgroup");
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        if !controllers.split_ascii_whitespace().any(|name| name == "cpu") {
            bail!("this machine has no control group with a cpu controller");
        }
        fs::write(root.join("cgroup.subtree_control"), "+cpu")
            .context("control groups cannot be written here")?;
        let slice = Self::folder(&root, name)?;
        slice.write("cpu.max", &format!("{quota_us} {PERIOD_US}"))?;
        Ok(slice)
    }

    fn folder(root: &Path, name: &str) -> anyhow::Result<Self> {
        let folder = root.join(name);
        fs::create_dir(&folder)
            .with_context(|| format!("control groups cannot be written here ({})", folder.display()))?;
        Ok(Self { folder })
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, value).with_context(|| format!("cannot write {value} to {}", path.display()))
    }

    /// Where a process writes its own number to join.
    pub(crate) fn door(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        // It stays behind, empty and without effect, when a process of it outlives the bench.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Removes groups that were left behind: those whose process was still ending when the handle was dropped, and those
/// of benches that were killed. A group in use stays: the kernel refuses.
pub(crate) fn sweep() {
    let root = version_1().unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup"));
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    for entry in fs::read_dir(root).into_iter().flatten().flatten().filter(ours) {
        let _ = fs::remove_dir(entry.path());
    }
}

/// What our groups' names begin with.
pub(crate) const PREFIX: &str = "preau-bench-";

/// The mount of version 1's cpu controller.
fn version_1() -> Option<PathBuf> {
    fs::read_to_string("/proc/mounts").ok()?.lines().find_map(parse_mount)
}

fn parse_mount(line: &str) -> Option<PathBuf> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (at, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
    let cpu = kind == "cgroup" && options.split(',').any(|option| option == "cpu");
    cpu.then(|| PathBuf::from(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_controller_is_told_from_its_neighbours() {
        let at = |line| parse_mount(line).map(|path| path.display().to_string());
        assert_eq!(
            at("cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0").as_deref(),
            Some("/sys/fs/cgroup/cpu,cpuacct")
        );
        assert_eq!(at("cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0"), None);
        assert_eq!(at("cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0"), None);
    }
}
