//! What strangers send: Schemathesis reads the API's own description and tries what it allows and what it forbids.
//!
//! The answer must never be a 5xx, and must be what the description says: its status, media type and schema.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use crate::place::Place;
use crate::stores::Stores;
use crate::{run, sh};

/// Who tries, beside somebody who is not signed in.
const ROLES: [&str; 5] = ["pupil", "guardian", "teacher", "school_admin", "territory_admin"];
/// Cases an operation, beside those that cover each constraint once.
const EXAMPLES: &str = "6";
const SEED: &str = "20261121";

#[derive(Deserialize)]
struct Account {
    role: String,
    school_id: Option<String>,
    login: String,
    password: String,
    totp_secret: Option<String>,
}

/// The answer to a sign-in, as much as is needed.
#[derive(Deserialize)]
struct Session {
    access_token: String,
}

/// What is asked of whoever has a second factor, as much as is needed.
#[derive(Deserialize)]
struct Challenge {
    challenge: String,
}

/// Ends the server with the chore, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the demo territory from a database of its own, and lets Schemathesis at it.
pub(crate) fn fuzz(place: &Place, stores: &Stores) -> Result<()> {
    const SCRATCH: &str = "preau_fuzz";
    let _alone = place.lock(SCRATCH)?;
    let folder = place.local.join("fuzz");
    std::fs::create_dir_all(&folder)?;
    stores.fresh(place, SCRATCH)?;
    sh::quiet(run::preau(place, stores, SCRATCH)?.arg("migrate"))?;
    let accounts = folder.join("accounts.json");
    sh::quiet(
        run::preau(place, stores, SCRATCH)?
            .arg("demo")
            .arg("--out")
            .arg(folder.join("demo"))
            .arg("--accounts")
            .arg(&accounts),
    )?;
    let accounts: Vec<Account> =
        serde_json::from_slice(&std::fs::read(&accounts)?).context("accounts.json")?;

    let (listen, probes) = (free()?, free()?);
    let mut serve = run::preau(place, stores, SCRATCH)?;
    serve.args(["serve", "--with-worker"]).env("PREAU_HTTP__LISTEN", listen.to_string());
    serve.env("PREAU_HTTP__PROBE_LISTEN", probes.to_string()).env("PREAU_REDIS__PREFIX", "fuzz:");
    let log = std::fs::File::create(folder.join("server.log"))?;
    let server = Server(serve.stderr(log.try_clone()?).stdout(Stdio::from(log)).spawn()?);
    let start = Instant::now();
    while !http(probes, "GET", "/readyz", "").is_ok_and(|(status, _)| status == 200) {
        if start.elapsed() > Duration::from_secs(30) {
            bail!("preau serve was not ready in 30 s; see .local/fuzz/server.log");
        }
        std::thread::sleep(Duration::from_millis(50));
    }

    let (_, description) = http(listen, "GET", "/api/openapi.json", "")?;
    sh::replace(&folder.join("openapi.json"), description.as_bytes())?;
    // All sign in first: what is tried below counts as failed attempts, which soon make sign-in wait.
    let mut callers: Vec<(&str, Option<String>, String)> = Vec::new();
    let mut tokens: BTreeMap<&str, String> = BTreeMap::new();
    for role in ROLES {
        let who =
            accounts.iter().find(|it| it.role == role).with_context(|| format!("no account of a {role}"))?;
        // One person may be both administrators, and a code of an authenticator application is good once.
        let token = match tokens.get(who.login.as_str()) {
            Some(token) => token.clone(),
            None => sign_in(place, stores, SCRATCH, listen, who).with_context(|| format!("as a {role}"))?,
        };
        tokens.insert(&who.login, token.clone());
        callers.push((role, who.school_id.clone(), token));
    }
    let any_school = accounts.iter().find_map(|it| it.school_id.clone()).unwrap_or_default();
    for (role, school, token) in callers {
        let known = parameters(place, stores, SCRATCH, &school.unwrap_or_else(|| any_school.clone()))?;
        sh::replace(&folder.join("schemathesis.toml"), known.as_bytes())?;
        schemathesis(place, listen, &["--header", &format!("Authorization: Bearer {token}")])
            .with_context(|| format!("as a {role}"))?;
    }
    schemathesis(place, listen, &[]).context("as nobody")?;
    drop(server);
    stores.discard(place, SCRATCH)
}

/// Signs in by password and, for whoever has one, by the authenticator application whose secret the demo tells.
fn sign_in(
    place: &Place,
    stores: &Stores,
    database: &str,
    listen: SocketAddr,
    who: &Account,
) -> Result<String> {
    let credentials = json!({"login": who.login, "password": who.password, "tokens": true});
    let (mut status, mut body) = http(listen, "POST", "/api/v1/sessions", &credentials.to_string())?;
    if let (401, Some(secret)) = (status, &who.totp_secret) {
        let asked: Challenge = serde_json::from_str(&body).with_context(|| body.clone())?;
        let code = sh::read(run::preau(place, stores, database)?.args(["code", secret]))?;
        let answer = json!({
            "challenge": asked.challenge,
            "second_factor": {"kind": "totp", "code": code.trim()},
            "tokens": true,
        });
        (status, body) = http(listen, "POST", "/api/v1/sessions", &answer.to_string())?;
    }
    let session: Session =
        serde_json::from_str(&body).with_context(|| format!("sign-in: {status} {body}"))?;
    Ok(session.access_token)
}

fn schemathesis(place: &Place, listen: SocketAddr, rest: &[&str]) -> Result<()> {
    let folder = place.local.join("fuzz");
    let mut command = sh::command(place, "schemathesis");
    command.current_dir(&folder).args(["--config-file", "schemathesis.toml", "run", "openapi.json"]);
    command.args([
        "--url",
        &format!("http://{listen}"),
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        EXAMPLES,
        "--seed",
        SEED,
    ]);
    command.args([
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]);
    // Signing the caller out would make everything after it a 401.
    command.args([
        "--exclude-operation-id",
        "delete_current_session",
        "--continue-on-failure",
        "--no-shrink",
        "--warnings",
        "off",
    ]);
    let told = sh::read(command.args(rest).env("NO_COLOR", "1"))?;
    for line in told.lines().filter(|line| line.contains(" generated, ")) {
        println!("  {}", line.trim());
    }
    Ok(())
}

/// Identifiers that exist, so that not everything is a 404.
fn parameters(place: &Place, stores: &Stores, database: &str, school: &str) -> Result<String> {
    let mut text = "[parameters]\n".to_owned();
    for (name, sql) in [
        ("school_id", format!("SELECT '{school}'")),
        ("territory_id", "SELECT territory_id FROM territory LIMIT 1".to_owned()),
        (
            "person_id",
            format!(
                "SELECT person_id FROM school_person WHERE school_id = '{school}' ORDER BY person_id LIMIT 1"
            ),
        ),
        (
            "class_id",
            format!("SELECT class_id FROM class WHERE school_id = '{school}' ORDER BY class_id LIMIT 1"),
        ),
        (
            "group_id",
            format!(
                "SELECT group_id FROM teaching_group WHERE school_id = '{school}' ORDER BY group_id LIMIT 1"
            ),
        ),
    ] {
        let value = stores.sql(place, database, &sql)?;
        if !value.trim().is_empty() {
            text.push_str(&format!("\"path.{name}\" = \"{}\"\n", value.trim()));
        }
    }
    Ok(text)
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// One request on a connection of its own: status and body.
fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        bail!("{path} came in chunks");
    }
    Ok((status, body.to_owned()))
}
