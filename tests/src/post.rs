//! What left by mail, as the `file` transport wrote it.

use std::path::Path;

use crate::Stage;

/// A message that left.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The recipient.
    pub to: String,
    /// The subject; empty for a text message.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl Sent {
    /// Reads an e-mail as it travels.
    ///
    /// # Panics
    /// When it has no recipient.
    pub fn parse(eml: &str) -> Self {
        let (head, body) = eml.split_once("\r\n\r\n").expect("headers and a body");
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        let quoted = header("Content-Transfer-Encoding:") == "quoted-printable";
        let text = if quoted { unquote(body) } else { body.to_owned() };
        Self { to: header("To:"), subject: header("Subject:"), text }
    }

    /// The last part of the first address in the text that goes through `path`.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self, path: &str) -> String {
        let (_, rest) =
            self.text.split_once(&format!("/{path}/")).unwrap_or_else(|| panic!("{path} in {self:?}"));
        rest.chars().take_while(|c| !c.is_whitespace()).collect()
    }

    /// The first run of so many digits in the text.
    ///
    /// # Panics
    /// When there is none.
    pub fn code(&self, digits: usize) -> String {
        let runs = self.text.split(|c: char| !c.is_ascii_digit());
        runs.into_iter()
            .find(|run| run.len() == digits)
            .unwrap_or_else(|| panic!("a code in {self:?}"))
            .to_owned()
    }
}

fn unquote(body: &str) -> String {
    let body = body.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'=').then(|| tail.get(..2)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

impl Stage {
    /// Everything that this stage's nodes sent to an address or a number, oldest first.
    ///
    /// # Panics
    /// When a file cannot be read.
    pub fn sent_to(&self, to: &str) -> Vec<Sent> {
        let mut sent = self.sent();
        sent.retain(|sent| sent.to == to);
        sent
    }

    /// Everything that this stage's nodes sent, oldest first.
    ///
    /// # Panics
    /// When a file cannot be read.
    pub fn sent(&self) -> Vec<Sent> {
        let Ok(files) = std::fs::read_dir(self.post_folder()) else { return Vec::new() };
        // Named by their UUIDv7: in the order in which they were written.
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        paths.iter().filter_map(|path| read(path)).collect()
    }
}

fn read(path: &Path) -> Option<Sent> {
    let name = path.file_name()?.to_str()?;
    let text = std::fs::read_to_string(path).expect("a message");
    if name.ends_with(".sms.json") {
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let field = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        return Some(Sent { to: field("to"), subject: String::new(), text: field("text") });
    }
    name.ends_with(".eml").then(|| Sent::parse(&text))
}
