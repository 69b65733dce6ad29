//! Where things are in this checkout.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout and the folders that chores share. All paths are absolute.
pub(crate) struct Place {
    /// The workspace root.
    pub(crate) root: PathBuf,
    /// `.local/`: everything that chores make for themselves; git-ignored, safe to delete when the stores are down.
    pub(crate) local: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root =
            manifest.ancestors().nth(2).context("crates/xtask is two folders below the workspace root")?;
        let root = root
            .canonicalize()
            .with_context(|| format!("this binary was built in {}, which is gone", root.display()))?;
        let local = root.join(".local");
        std::fs::create_dir_all(&local)?;
        Ok(Self { root, local })
    }

    /// The pinned tools' folder: a Python virtual environment, because PyPI ships them as plain binaries.
    pub(crate) fn tools(&self) -> PathBuf {
        self.local.join("tools")
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.root.join("crates/ui/app")
    }

    pub(crate) fn e2e(&self) -> PathBuf {
        self.root.join("tests/e2e")
    }

    pub(crate) fn accounts(&self) -> PathBuf {
        self.local.join("accounts.json")
    }

    /// Waits until no other chore of this checkout holds the lock `name`; released when the file is dropped.
    pub(crate) fn lock(&self, name: &str) -> Result<File> {
        let lock = File::create(self.local.join(name).with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    pub(crate) fn stamp(&self, name: &str) -> PathBuf {
        self.local.join("stamps").join(name)
    }

    /// The built program of `profile`'s folder ("debug" or "release").
    pub(crate) fn preau(&self, folder: &str) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |dir| self.root.join(dir));
        target.join(folder).join("preau")
    }
}
