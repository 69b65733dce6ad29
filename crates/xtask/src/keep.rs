//! The files of the release before, which its pages still ask for while this one rolls out and until they are closed.
//!
//! They are committed, not built again from the tag: a build needs no network and no history for them, and they are the
//! very bytes that were shipped under those names.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::{sh, ui};

/// The forms in which a file is served.
const FORMS: [&str; 3] = ["", ".br", ".gz"];

/// Puts what this tree builds in the place of what was kept: run in the commit that follows a tag.
pub(crate) fn keep(place: &Place) -> Result<()> {
    ui::build(place)?;
    let (kept, built) = (place.app().join("kept"), place.app().join("dist"));
    // First, and written again last: an interruption leaves a folder that the gate refuses.
    let _ = fs::remove_file(kept.join("release"));
    for name in scripts(&kept)? {
        fs::remove_file(kept.join(name))?;
    }
    let own: Vec<String> = serde_json::from_slice(&fs::read(built.join("own.json"))?)?;
    for path in &own {
        let name = path.rsplit('/').next().unwrap_or(path);
        let from = built.join("assets").join(name);
        fs::copy(&from, kept.join(name)).with_context(|| from.display().to_string())?;
    }
    let version = env!("CARGO_PKG_VERSION");
    sh::replace(&kept.join("release"), format!("{version}\n").as_bytes())?;
    println!("  kept the {} files of {version}: commit crates/ui/app/kept", own.len());
    Ok(())
}

/// That what is kept is of the last release, and that the build carries it.
pub(crate) fn check(place: &Place) -> Result<()> {
    let (kept, built) = (place.app().join("kept"), place.app().join("dist"));
    let release = fs::read_to_string(kept.join("release")).ok();
    let release = release.as_deref().map(str::trim);
    let names = scripts(&kept)?;
    if let Some(fault) = fault(tag_before(place).as_deref(), release, names.len()) {
        bail!("{fault}");
    }
    for name in &names {
        let ours = built.join("assets").join(name);
        if fs::read(&ours).ok() != fs::read(kept.join(name)).ok() {
            bail!("{name} of the release before is not in the build as it was shipped: run `cargo xtask ui`");
        }
        for form in FORMS {
            let file = built.join("assets").join(format!("{name}{form}"));
            if !file.is_file() {
                bail!("{} is missing", file.display());
            }
        }
    }
    println!("  {} files of {}", names.len(), release.unwrap_or("no release yet"));
    Ok(())
}

/// The last tagged version before this commit; none where there is no release, or where a shallow clone does not know.
fn tag_before(place: &Place) -> Option<String> {
    let mut git = sh::command(place, "git");
    git.args(["describe", "--tags", "--match", "v[0-9]*", "--abbrev=0", "HEAD~1"]);
    let tag = sh::read(&mut git).ok()?;
    Some(tag.trim().trim_start_matches('v').to_owned())
}

fn fault(tag: Option<&str>, kept: Option<&str>, files: usize) -> Option<String> {
    match (tag, kept) {
        (Some(tag), kept) if kept != Some(tag) => Some(format!(
            "crates/ui/app/kept holds {}, and the release before is {tag}: run `cargo xtask keep` in its tree",
            kept.unwrap_or("nothing")
        )),
        (_, Some(kept)) if files == 0 => Some(format!("crates/ui/app/kept says {kept}, and holds no file")),
        (None, None) if files > 0 => {
            Some("crates/ui/app/kept holds files and does not say of which release".to_owned())
        }
        _ => None,
    }
}

/// The scripts in a folder, sorted.
fn scripts(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".js") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_of_the_last_release() {
        assert_eq!(fault(None, None, 0), None, "nothing was released");
        assert_eq!(fault(Some("0.2.0"), Some("0.2.0"), 5), None);
        assert_eq!(fault(None, Some("0.2.0"), 5), None, "a clone without tags cannot tell");
        for (tag, kept, files) in [
            (Some("0.2.0"), None, 0),
            (Some("0.2.0"), Some("0.1.0"), 5),
            (Some("0.2.0"), Some("0.2.0"), 0),
            (None, Some("0.2.0"), 0),
            (None, None, 5),
        ] {
            assert!(fault(tag, kept, files).is_some(), "{tag:?} {kept:?} {files}");
        }
    }
}
