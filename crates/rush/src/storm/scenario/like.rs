//! `like = "storm.toml"`: a scenario that differs from another of the same folder says only what differs.

use std::path::{Component, Path};

use anyhow::{Context as _, bail};
use toml::Table;

/// What a scenario at `path` says, and what it leaves unsaid as the one that it is like says it: key by key, each taken whole.
///
/// # Errors
/// The other is absent, malformed, in another folder, or itself like a third.
pub(super) fn complete(mut said: Table, path: &Path) -> anyhow::Result<Table> {
    let Some(like) = said.remove("like") else { return Ok(said) };
    let name = like.as_str().context("like: the name of a scenario beside this one")?;
    let mut parts = Path::new(name).components();
    let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
        bail!("like: `{name}` is not in the same folder");
    };
    let other = path.with_file_name(name);
    let text =
        std::fs::read_to_string(&other).with_context(|| format!("like: cannot read {}", other.display()))?;
    let other: Table = toml::from_str(&text).with_context(|| format!("like: {name}"))?;
    if other.contains_key("like") {
        bail!("like: `{name}` is itself like another");
    }
    for (key, value) in other {
        said.entry(key).or_insert(value);
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use crate::storm::scenario::Scenario;

    const FIRST: &str = "name = 'a'\ntitle = 'a'\nseed = 7\nworld = { schools = 2, people = 100 }\n\
                         user = { typos = 0.5, human = 0.5 }\n[[crowd]]\nname = 'c'\ncount = 1\n\
                         [[segment]]\nname = 's'\nseconds = 5\n";

    #[test]
    fn what_is_left_unsaid_is_as_in_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        write("a.toml", FIRST);
        let second = "like = 'a.toml'\nname = 'b'\ntitle = 'b'\nuser = { typos = 0.25 }\n\
                      [[segment]]\nname = 't'\nseconds = 9\ncrowds = ['c']\n";
        let path = write("b.toml", second);
        let scenario = Scenario::read(&path).unwrap();
        assert_eq!((scenario.name.as_str(), scenario.seed, scenario.world.people), ("b", 7, 100));
        assert_eq!(scenario.crowd[0].name, "c");
        assert_eq!(scenario.segment.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>(), ["t"]);
        assert!((scenario.user.typos - 0.25).abs() < 1e-9);
        assert!((scenario.user.human - 0.3).abs() < 1e-9, "a key is taken whole or not at all");

        let refused = |like: &str, why: &str| {
            let path = write("x.toml", &second.replace("'a.toml'", like));
            let error = format!("{:#}", Scenario::read(&path).unwrap_err());
            assert!(error.contains(why), "{like}: {error}");
        };
        refused("'b.toml'", "itself like another");
        refused("'x.toml'", "itself like another");
        refused("'absent.toml'", "cannot read");
        for outside in ["'../a.toml'", "'sub/a.toml'", "'/etc/passwd'", "'..'", "''"] {
            refused(outside, "not in the same folder");
        }
        refused("7", "the name of a scenario");
        assert!(Scenario::parse(second).is_err(), "a text alone is beside nothing");
    }
}
