//! A real identity provider, SimpleSAMLphp from Debian, on loopback: nobody of ours wrote what it says or how it signs.
//! Needs Debian's `simplesamlphp`, `php-cli` and `php-xml` (`cargo xtask setup`), and fails without them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use preau_kernel::{Clock, Role};
use preau_tests::{
    Answer, Node,
    desk::{jar, pem, post_form},
    play,
};
use serde_json::json;
use uuid::Uuid;

const PROGRAM: &str = "/usr/share/simplesamlphp/www";
const US: &str = "http://localhost:8080/federation/essai";

/// The provider, stopped when dropped.
struct Provider {
    port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Provider {
    fn start() -> Self {
        assert!(
            Path::new(PROGRAM).is_dir(),
            "Debian's simplesamlphp is missing: `cargo xtask setup` installs it"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let at = folder.path().display();
        for name in ["config", "metadata", "cert", "log", "tmp", "sessions"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        put("cert/key.pem", &pem().0);
        put("cert/cert.pem", &pem().1);
        put(
            "config/config.php",
            &format!(
                "<?php $config = ['baseurlpath' => 'http://127.0.0.1:{port}/', 'certdir' => '{at}/cert/', 'loggingdir' => '{at}/log/',
                'datadir' => '{at}/', 'tempdir' => '{at}/tmp', 'metadatadir' => '{at}/metadata', 'secretsalt' => 'essai-de-preau',
                'auth.adminpassword' => 'essai-de-preau', 'technicalcontact_email' => 'na@example.org', 'timezone' => 'UTC',
                'logging.handler' => 'errorlog', 'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true],
                'store.type' => 'phpsession', 'session.phpsession.savepath' => '{at}/sessions', 'session.cookie.secure' => false,
                'session.phpsession.cookiename' => 'Essai', 'metadata.sources' => [['type' => 'flatfile']]];"
            ),
        );
        put(
            "config/authsources.php",
            "<?php $config = ['essai' => ['exampleauth:UserPass',
             'paul:essai' => ['FrEduCtRefId' => ['{AAF}25|0750001T|1001', '{ECT}1|x|y']],
             'deux:essai' => ['FrEduCtRefId' => ['{AAF}25|0750001T|1001', '{AAF}25|0750001T|1002']],
             'personne:essai' => ['FrEduCtRefId' => ['{AAF}25|0750001T|9999']]]];",
        );
        put(
            "metadata/saml20-idp-hosted.php",
            &format!(
                "<?php $metadata['http://127.0.0.1:{port}/idp'] = ['host' => '__DEFAULT__', 'privatekey' => 'key.pem',
                'certificate' => 'cert.pem', 'auth' => 'essai', 'sign.logout' => true, 'validate.logout' => true,
                'redirect.validate' => true];"
            ),
        );
        let certificate: String = pem().1.lines().filter(|line| !line.contains("-----")).collect();
        put(
            "metadata/saml20-sp-remote.php",
            &format!(
                "<?php $metadata['{US}/metadata'] = ['AssertionConsumerService' => '{US}/retour',
                'SingleLogoutService' => '{US}/deconnexion', 'certData' => '{certificate}'];"
            ),
        );
        let log = std::fs::File::create(folder.path().join("php.log")).expect("a file");
        let process = Command::new("php")
            .args(["-S", &format!("127.0.0.1:{port}"), "-t", PROGRAM])
            .env("SIMPLESAMLPHP_CONFIG_DIR", folder.path().join("config"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("php (`cargo xtask setup` installs php-cli)");
        let this = Self { port, process, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "php does not listen");
            std::thread::yield_now();
        }
        this
    }
}

/// A browser at the provider: cookies and no script.
struct Browser<'a> {
    provider: &'a Provider,
    cookies: BTreeMap<String, String>,
}

/// What the provider answered.
struct Page {
    location: Option<String>,
    body: String,
}

impl Browser<'_> {
    /// One request in the plainest HTTP, so that the answer ends with its connection.
    fn ask(&mut self, address: &str, form: Option<&str>) -> Page {
        let root = format!("http://127.0.0.1:{}", self.provider.port);
        let path = address.strip_prefix(&root).unwrap_or_else(|| panic!("{address} is not the provider's"));
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let method = if form.is_some() { "POST" } else { "GET" };
        let mut request = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nCookie: {}\r\n",
            self.provider.port,
            jar.join("; ")
        );
        if let Some(form) = form {
            let _ = write!(
                request,
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
                form.len()
            );
        }
        let _ = write!(request, "\r\n{}", form.unwrap_or_default());
        let mut socket = TcpStream::connect(("127.0.0.1", self.provider.port)).expect("the provider");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) =
            answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {answer}"));
        let mut location = None;
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("location") {
                location = Some(value.to_owned());
            }
            if name.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('='))
            {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { location, body: body.to_owned() }
    }

    /// Follows redirections within the provider.
    fn follow(&mut self, address: &str) -> (String, Page) {
        let mut address = address.to_owned();
        for _ in 0..10 {
            let page = self.ask(&address, None);
            match page.location.clone() {
                Some(next) if !next.starts_with(US) => address = next,
                _ => return (address, page),
            }
        }
        panic!("the provider redirects without end");
    }

    /// Types a name and a password into the provider's form.
    fn sign_in(&mut self, departure: &Answer, name: &str, password: &str) -> Page {
        let (at, page) = self.follow(departure.header("location").expect("a departure"));
        let Some(state) = field(&page.body, "AuthState") else { return page };
        let (at, _) = at.split_once('?').expect("the form's address has a query");
        let form = format!("username={name}&password={password}&AuthState={}", escape(&state));
        let page = self.ask(&format!("{at}?"), Some(&form));
        match &page.location {
            Some(next) if !next.starts_with(US) => self.follow(&next.clone()).1,
            _ => page,
        }
    }
}

/// The value of a hidden field.
fn field(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\""))?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#039;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = if byte.is_ascii_alphanumeric() {
            write!(out, "{}", char::from(byte))
        } else {
            write!(out, "%{byte:02X}")
        };
        out
    })
}

async fn post_back(node: &Node, departure: &Answer, page: &Page) -> Answer {
    let response = field(&page.body, "SAMLResponse").unwrap_or_else(|| panic!("no answer in {}", page.body));
    let fields = [("SAMLResponse", response.as_str())];
    post_form(node, "/federation/essai/retour", "http://127.0.0.1", &jar(departure), &fields).await
}

async fn is_in(node: &Node, cookies: &str) -> bool {
    node.stranger().with("cookie", cookies).get("/api/v1/home").await.status == 200
}

#[test]
fn a_real_provider_lets_people_in_and_out() {
    play(async |stage| {
        // The provider tells the machine's time.
        stage.set(&Clock::system().now().to_rfc3339());
        let provider = Provider::start();
        let keys = tempfile::tempdir().expect("a folder");
        std::fs::write(keys.path().join("key.pem"), &pem().0).expect("a file");
        std::fs::write(keys.path().join("cert.pem"), &pem().1).expect("a file");
        let node = stage
            .node_with(|config| {
                config.federation.signing_key_file = keys.path().join("key.pem").display().to_string();
                config.federation.certificate_file = keys.path().join("cert.pem").display().to_string();
            })
            .await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège Rosa-Parks").await;
        let pupil = school.class("6e B").await.pupil("Lina Martin").await;
        let paul = school.guardian_of(&pupil, "Paul Martin").await;
        let other = territory.person("Paul Second").await;
        school.enrol(&other, Role::Guardian).await;
        for (who, key) in [(&paul, "1001"), (&other, "1002")] {
            stage
                .sql(&format!(
                    "INSERT INTO join_key (territory_id, academy, join_key, person_id) VALUES ('{}', '25', '{key}', '{}')",
                    territory.id, who.id
                ))
                .await;
        }

        // Trusted by its own metadata, through our own API.
        let root = format!("http://127.0.0.1:{}", provider.port);
        let mut setup = Browser { provider: &provider, cookies: BTreeMap::new() };
        let metadata = setup.ask(&format!("{root}/saml2/idp/metadata.php"), None).body;
        let admin = node.proven(&territory.admin().await).await;
        admin
            .with("idempotency-key", &stage.clock().mint::<Uuid>().to_string())
            .post(
                &format!("/api/v1/territories/{}/federation-providers", territory.id),
                &json!({ "slug": "essai", "kind": "educonnect", "name": "ÉduConnect", "metadata": metadata, "enabled": true }),
            )
            .await
            .expect(201);

        let depart = async || node.stranger().get("/federation/essai/depart").await.expect(303);

        // In; and the same answer again is refused.
        let mut browser = Browser { provider: &provider, cookies: BTreeMap::new() };
        let departure = depart().await;
        let page = browser.sign_in(&departure, "paul", "essai");
        let inside = post_back(&node, &departure, &page).await.expect(303);
        assert!(is_in(&node, &jar(&inside)).await);
        assert_eq!(post_back(&node, &departure, &page).await.status, 401, "replayed");
        let mine = format!("SELECT count(*) FROM session_family WHERE person_id = '{}'", paul.id);
        assert_eq!(stage.count(&mine).await, 1);

        // A wrong password never leaves the provider; somebody whom no directory knows is told what to do.
        let mut stranger = Browser { provider: &provider, cookies: BTreeMap::new() };
        let departure = depart().await;
        assert_eq!(field(&stranger.sign_in(&departure, "paul", "faux").body, "SAMLResponse"), None);
        let page = stranger.sign_in(&departure, "personne", "essai");
        let told = post_back(&node, &departure, &page).await.expect(200);
        assert!(String::from_utf8_lossy(&told.body).contains("code sur papier"));

        // Several accounts.
        let mut family = Browser { provider: &provider, cookies: BTreeMap::new() };
        let departure = depart().await;
        let page = family.sign_in(&departure, "deux", "essai");
        let offered = post_back(&node, &departure, &page).await.expect(200);
        let choice = [("account", "1")];
        let chosen =
            post_form(&node, "/federation/essai/choix", "http://localhost:8080", &jar(&offered), &choice)
                .await;
        assert!(is_in(&node, &jar(&chosen.expect(303))).await);

        // Out here, then there: the provider checks our signature, forgets the person, and says so to us.
        let left =
            post_form(&node, "/deconnexion", "http://localhost:8080", &jar(&inside), &[]).await.expect(303);
        assert!(!is_in(&node, &jar(&inside)).await);
        let leaving = node
            .stranger()
            .with("cookie", &jar(&left))
            .get("/federation/essai/deconnexion?suite")
            .await
            .expect(303);
        let (_, page) = browser.follow(leaving.header("location").expect("to the provider"));
        let back = page.location.expect("back to us");
        let done =
            node.stranger().get(back.strip_prefix("http://localhost:8080").expect("ours")).await.expect(303);
        assert_eq!(done.header("location"), Some("/connexion?sortie"));
        let (_, page) = browser.follow(depart().await.header("location").expect("a departure"));
        assert!(field(&page.body, "AuthState").is_some(), "the provider asks who it is again");

        // Out there: it asks us, and we close the session that it names.
        let mut again = Browser { provider: &provider, cookies: BTreeMap::new() };
        let departure = depart().await;
        let page = again.sign_in(&departure, "paul", "essai");
        let inside = post_back(&node, &departure, &page).await.expect(303);
        assert!(is_in(&node, &jar(&inside)).await);
        let logout = format!(
            "{root}/saml2/idp/SingleLogoutService.php?ReturnTo={}",
            escape(&format!("{root}/index.php"))
        );
        let (_, page) = again.follow(&logout);
        let asked = page.location.expect("the provider asks us");
        let answered =
            node.stranger().get(asked.strip_prefix("http://localhost:8080").expect("ours")).await.expect(303);
        assert!(!is_in(&node, &jar(&inside)).await);
        assert!(
            answered
                .header("location")
                .expect("back")
                .starts_with(&format!("{root}/saml2/idp/SingleLogoutService.php?SAMLResponse="))
        );
    });
}
