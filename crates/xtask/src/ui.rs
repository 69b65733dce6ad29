//! The browser program, `crates/ui/app`: packages, build, and the client typed from the server's own description.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::{run, sh};

/// Packages, then `npm run build`, each only when its inputs changed.
pub(crate) fn build(place: &Place) -> Result<()> {
    let app = place.app();
    install(place, &app, "npm-app")?;
    let mut inputs = sh::inputs(&app, &["node_modules", "dist"])?;
    for shared in ["i18n", "icons.json"] {
        inputs.push_str(&sh::inputs(&place.root.join("crates/ui").join(shared), &[])?);
    }
    let stamp = place.stamp("ui");
    // The Rust side makes an empty dist where there is none: only a built one has this file.
    let built = app.join("dist/entries.json").exists();
    if built && std::fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
        return Ok(());
    }
    let _ = std::fs::remove_file(&stamp);
    sh::step("build the browser program", || sh::run(npm(place, &app).args(["run", "--silent", "build"])))?;
    sh::replace(&stamp, inputs.as_bytes())
}

/// `npm ci` in `folder` unless what is installed is what the lock file says.
pub(crate) fn install(place: &Place, folder: &Path, stamp: &str) -> Result<()> {
    let lock = format!("{:016x}", lock_of(folder)?);
    let stamp = place.stamp(stamp);
    if folder.join("node_modules").is_dir() && std::fs::read_to_string(&stamp).is_ok_and(|old| old == lock) {
        return Ok(());
    }
    sh::step(
        &format!("npm packages of {}", folder.strip_prefix(&place.root).unwrap_or(folder).display()),
        || {
            // Scripts of packages are not run: nothing here needs them, and they are how packages attack.
            sh::run(npm(place, folder).args([
                "ci",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--loglevel=error",
            ]))
        },
    )?;
    sh::replace(&stamp, lock.as_bytes())
}

pub(crate) fn npm(place: &Place, folder: &Path) -> Command {
    let mut npm = sh::command(place, "npm");
    npm.current_dir(folder)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .env("npm_config_update_notifier", "false");
    npm
}

fn lock_of(folder: &Path) -> Result<u64> {
    let lock = folder.join("package-lock.json");
    Ok(sh::fingerprint(&std::fs::read_to_string(&lock).with_context(|| lock.display().to_string())?))
}

/// `openapi.json` as the built program tells it, and the TypeScript types made from it; both are committed, so that
/// a review sees the contract change.
pub(crate) fn openapi(place: &Place, check: bool) -> Result<()> {
    let app = place.app();
    install(place, &app, "npm-app")?;
    let told = sh::read(sh::command(place, place.preau(run::FOLDER)).arg("openapi"))?;
    let committed = app.join("openapi.json");
    let types = app.join("src/gen/api.d.ts");
    let new_types = place.local.join("api.d.ts");
    let new_json = place.local.join("openapi.json");
    sh::replace(&new_json, told.as_bytes())?;
    sh::quiet(
        npm(place, &app)
            .args(["exec", "--no", "--", "openapi-typescript"])
            .arg(&new_json)
            .arg("--output")
            .arg(&new_types),
    )?;
    let mut stale = Vec::new();
    for (new, old) in [(&new_json, &committed), (&new_types, &types)] {
        let content = std::fs::read(new)?;
        if std::fs::read(old).ok().as_ref() != Some(&content) {
            stale.push(old.strip_prefix(&place.root).unwrap_or(old).display().to_string());
            if !check {
                sh::replace(old, &content)?;
            }
        }
    }
    match (stale.is_empty(), check) {
        (true, _) => println!("  openapi.json and the typed client are current"),
        (false, false) => println!("  written: {}", stale.join(", ")),
        (false, true) => bail!("stale: {}; run `cargo xtask openapi`", stale.join(", ")),
    }
    Ok(())
}
