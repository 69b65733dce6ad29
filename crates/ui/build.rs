//! Turns the shared catalogue, icons and stylesheets into Rust, so that a missing word is a compile error.
//! It never runs npm: without a built program the binary serves its own pages, and one line says so.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use base64::Engine as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

const STYLES: [&str; 5] = ["tokens", "base", "components", "pages", "print"];

fn main() -> Result<(), Box<dyn Error>> {
    for watched in ["build.rs", "i18n", "icons.json", "app/src/styles", "app/dist"] {
        // rust-embed refuses a missing folder, and a clone without Node has none.
        if watched == "app/dist" {
            fs::create_dir_all(watched)?;
        }
        cargo(&format!("rerun-if-changed={watched}"));
    }
    if !Path::new("app/dist/entries.json").exists() {
        cargo(
            "warning=the browser program is not built: this binary serves simple pages only (`make ui` builds it)",
        );
    }
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("words.rs"), words()?)?;
    fs::write(Path::new(&out).join("icons.rs"), icons()?)?;
    fs::write(Path::new(&out).join("style.rs"), style()?)?;
    fs::write(Path::new(&out).join("icon_url.rs"), icon_url()?)?;
    Ok(())
}

fn cargo(order: &str) {
    println!("cargo:{order}");
}

fn object(path: &str) -> Result<Map<String, Value>, Box<dyn Error>> {
    match serde_json::from_str(&fs::read_to_string(path)?)? {
        Value::Object(map) => Ok(map),
        _ => Err(format!("{path} is not an object").into()),
    }
}

/// A struct with a field for each key, and one value of it for each language.
fn words() -> Result<String, Box<dyn Error>> {
    let french = object("i18n/fr.json")?;
    let mut code = String::from(
        "/// Every sentence of the screens, in one language.\n#[derive(Debug)]\npub struct Words {\n",
    );
    for (key, value) in &french {
        let kind = if value.is_array() { "&'static [&'static str]" } else { "&'static str" };
        writeln!(code, "    /// See `i18n/fr.json`.\n    pub {key}: {kind},")?;
    }
    code.push_str("}\n");
    for (name, file) in [("FRENCH", "i18n/fr.json"), ("ENGLISH", "i18n/en.json")] {
        writeln!(code, "/// The words of `{file}`.\npub static {name}: Words = Words {{")?;
        for (key, value) in object(file)? {
            let literal = match &value {
                Value::Array(list) => {
                    format!(
                        "&[{}]",
                        list.iter()
                            .map(|v| format!("{:?}", v.as_str().unwrap_or("")))
                            .collect::<Vec<_>>()
                            .join(", ")
                    )
                }
                other => format!("{:?}", other.as_str().unwrap_or("")),
            };
            writeln!(code, "    {key}: {literal},")?;
        }
        code.push_str("};\n");
    }
    Ok(code)
}

fn icons() -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for (name, path) in object("icons.json")? {
        writeln!(
            code,
            "/// The path of a drawing, in a square of 24.\npub(crate) const {}: &str = {:?};",
            name.to_uppercase(),
            path.as_str().unwrap_or("")
        )?;
    }
    Ok(code)
}

/// The mark of Préau as a `data:` address, for the tab.
fn icon_url() -> Result<String, Box<dyn Error>> {
    let icons = object("icons.json")?;
    let path = icons.get("logo").and_then(Value::as_str).ok_or("no logo")?;
    Ok(format!(
        "\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%230f7a6c' \
         stroke-width='2.4' stroke-linecap='round'%3E%3Cpath d='{path}'/%3E%3C/svg%3E\""
    ))
}

/// The stylesheet inlined in every page, the queue page's own, and the hashes by which the content policy admits them.
fn style() -> Result<String, Box<dyn Error>> {
    let mut css = String::new();
    for name in STYLES {
        css.push_str(&squeeze(&fs::read_to_string(format!("app/src/styles/{name}.css"))?));
    }
    let queue = squeeze(&fs::read_to_string("app/src/styles/queue.css")?);
    let hash = |css: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(css));
    let (every, own) = (hash(&css), hash(&queue));
    Ok(format!(
        "/// The stylesheet of every page but the queue's.\npub(crate) const STYLE: &str = {css:?};\n/// The queue page's.\n\
         pub(crate) const QUEUE_STYLE: &str = {queue:?};\n/// What `style-src` names them by.\n\
         pub(crate) const STYLE_HASHES: [&str; 2] = [\"sha256-{every}\", \"sha256-{own}\"];\n"
    ))
}

/// Drops comments and the spaces that mean nothing to CSS.
fn squeeze(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, tail)| tail);
    }
    out.push_str(rest);
    let mut line = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for (wide, narrow) in [
        (" {", "{"),
        ("{ ", "{"),
        ("; ", ";"),
        (";}", "}"),
        ("} ", "}"),
        (" }", "}"),
        (": ", ":"),
        (", ", ","),
    ] {
        line = line.replace(wide, narrow);
    }
    line
}
