//! The edge of deploy/, run by HAProxy itself, in front of nodes of two releases.

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use parking_lot::Mutex;
use preau_server::{Patience, accept};
use preau_tests::workspace;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_util::sync::CancellationToken;

const OLD: &str = "/assets/app-OLDOLD01.js";
/// How long whoever shows a place is told to wait, in seconds.
const TOLD: &str = "x-told";
/// The place in the answer.
const PLACE: &str = "x-place";
/// How many times over a file is answered.
const TIMES: &str = "x-times";
const FOREVER: &str = "public, max-age=31536000, immutable";

/// A file that only the new release has.
fn new(number: usize) -> String {
    format!("/assets/app-NEWNEW{number:02}.js")
}

/// What answers like a node's files: those named ([`TIMES`] over), and 404 for the rest; and a sign-in or a draw with a 202 that tells the time in
/// [`TOLD`] and the place in [`PLACE`]. Tells what it was asked.
struct Files {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Files {
    async fn of(names: BTreeSet<String>, stop: CancellationToken) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let mut answer = Response::new(Body::empty());
            if names.contains(&path) {
                let headers = answer.headers_mut();
                headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static(FOREVER));
                headers.insert(header::VARY, header::HeaderValue::from_static("Accept-Encoding"));
                let times = request.headers().get(TIMES).and_then(|times| times.to_str().ok()?.parse().ok());
                *answer.body_mut() = Body::from(path.repeat(times.unwrap_or(1)));
            } else if let Some(told) = request.headers().get(TOLD) {
                *answer.status_mut() = StatusCode::ACCEPTED;
                answer.headers_mut().insert(header::RETRY_AFTER, told.clone());
                let place =
                    request.headers().get(PLACE).map_or(b"".as_slice(), header::HeaderValue::as_bytes);
                let place = serde_json::json!({ "position": 7, "ticket": String::from_utf8_lossy(place) });
                *answer.body_mut() = Body::from(place.to_string());
            } else if path != "/readyz" {
                *answer.status_mut() = StatusCode::NOT_FOUND;
            }
            seen.lock().push(path);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "the stand-in's own router and task: no product, no policy"
        )]
        tokio::spawn(async move {
            let router = Router::new().fallback_service(service);
            accept(listener, router, 64, Patience::default(), stop).await;
        });
        Self { port, asked }
    }

    fn times(&self, path: &str) -> usize {
        self.asked.lock().iter().filter(|asked| *asked == path).count()
    }
}

/// HAProxy, until it is dropped.
struct Edge {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Edge {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Edge {
    /// The configuration as it ships, but for addresses: those of `nodes`, and ports that are free here.
    fn start(file: &str, nodes: [u16; 2]) -> Self {
        let shipped = std::fs::read_to_string(workspace().join(file)).expect("the edge's configuration");
        let port = free_port();
        let mut backends = 0;
        let mut lines = Vec::new();
        for line in shipped.lines() {
            let word = line.trim_start();
            if word.starts_with("server-template ") {
                for node in nodes {
                    backends += 1;
                    lines.push(format!("    server node{backends} 127.0.0.1:{node}"));
                }
            } else if word == "bind :8080" {
                lines.push(format!("    bind 127.0.0.1:{port}"));
            } else if word.starts_with("bind ") {
                lines.push(format!("    bind 127.0.0.1:{}", free_port()));
            } else if word.starts_with("default-server ") {
                lines.push("    default-server check inter 100ms fall 2 rise 2".to_owned());
            } else {
                lines.push(line.to_owned());
            }
        }
        assert!(backends >= 4, "{file}: two kinds of servers at least");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("haproxy.cfg");
        std::fs::write(&config, lines.join("\n") + "\n").expect("written");
        let process = Command::new("haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy (`cargo xtask setup` installs it)");
        Self { process, port, _folder: folder }
    }

    async fn get(&self, path: &str) -> std::io::Result<(u16, String, String)> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
    }

    /// Shows a place to the door, which tells to wait for so many seconds.
    async fn show(&self, ticket: &str, told_s: u32) -> (u16, String) {
        let body = serde_json::json!({ "login": "alice.martin", "password": "x", "ticket": ticket });
        self.post("/api/v1/sessions", &body, ticket, told_s).await
    }

    /// Draws a place, which is to be shown after so many seconds.
    async fn draw(&self, ticket: &str, told_s: u32) -> (u16, String) {
        let body = serde_json::json!({ "profile": "pupil" });
        self.post("/api/v1/queue/tickets", &body, ticket, told_s).await
    }

    async fn post(&self, path: &str, body: &serde_json::Value, ticket: &str, told_s: u32) -> (u16, String) {
        let body = body.to_string();
        let length = body.len();
        let (status, head, _) = self
            .ask(&format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{TOLD}: {told_s}\r\n{PLACE}: {ticket}\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await
            .expect("an answer");
        (status, head)
    }

    /// Comes to the page of the queue with some headers, which shows this place and tells to wait for so many seconds.
    async fn page(&self, path: &str, headers: &str, ticket: &str, told_s: u32) -> (u16, String, String) {
        let (method, path) = path.split_once(' ').unwrap_or(("GET", path));
        self.ask(&format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n{TOLD}: {told_s}\r\n\
             {PLACE}: {ticket}\r\n{headers}\r\n"
        ))
        .await
        .expect("an answer")
    }

    /// Status, headers and body, over a connection of its own.
    async fn ask(&self, request: &str) -> std::io::Result<(u16, String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Ok((status, head.to_lowercase(), body.to_owned()))
    }

    async fn until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !matches!(self.get("/readyz").await, Ok((200, ..))) {
            assert!(Instant::now() < deadline, "the edge never answered");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The edge in front of two nodes that have these files.
async fn before_two(file: &str, names: BTreeSet<String>, stop: &CancellationToken) -> (Edge, [Files; 2]) {
    let nodes = [Files::of(names.clone(), stop.clone()).await, Files::of(names, stop.clone()).await];
    let edge = Edge::start(file, [nodes[0].port, nodes[1].port]);
    edge.until_it_answers().await;
    (edge, nodes)
}

/// Free a moment ago: HAProxy opens its port itself.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// While a release rolls out, a page of either finds its files whichever node is asked: the new nodes hold the files of the
/// release before, and what an old node cannot know is asked of another.
#[test]
fn a_page_of_either_release_finds_its_files() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for file in ["deploy/haproxy.cfg", "deploy/k8s/base/haproxy.cfg"] {
            let stop = CancellationToken::new();
            let before = Files::of(BTreeSet::from([OLD.to_owned()]), stop.clone()).await;
            let mut names: BTreeSet<String> = (0..12).map(new).collect();
            names.insert(OLD.to_owned());
            let after = Files::of(names, stop.clone()).await;
            let edge = Edge::start(file, [before.port, after.port]);
            edge.until_it_answers().await;

            let mut turned_down = 0;
            for number in 0..12 {
                let path = new(number);
                let (status, head, body) = edge.get(&path).await.unwrap();
                assert_eq!((status, &body), (200, &path), "{file}");
                assert!(head.contains(&format!("cache-control: {FOREVER}")), "{file}: {head}");
                turned_down += before.times(&path);
            }
            assert!(turned_down > 0, "{file}: the old node was never asked, so nothing was shown");
            assert_eq!(edge.get(OLD).await.unwrap().0, 200, "{file}");

            // Found once, it is at the edge: whoever comes next costs no node, nor depends on which one is asked.
            let asked = after.times(&new(3)) + before.times(&new(3));
            for _ in 0..8 {
                assert_eq!(edge.get(&new(3)).await.unwrap().0, 200, "{file}");
            }
            assert_eq!(after.times(&new(3)) + before.times(&new(3)), asked, "{file}");

            // What nobody has is asked of both, and is absent.
            assert_eq!(edge.get("/assets/absent.js").await.unwrap().0, 404, "{file}");
            assert!(before.times("/assets/absent.js") > 0 && after.times("/assets/absent.js") > 0, "{file}");
            // Nothing but files is asked twice.
            assert_eq!(edge.get("/absent").await.unwrap().0, 404, "{file}");
            assert_eq!(before.times("/absent") + after.times("/absent"), 1, "{file}");
            stop.cancel();
        }
    });
}

/// Places that their holders show before the time that they were told cost the nodes nothing: the edge sends them to the
/// snapshot. Each place has its own time; whoever was told a second is never held up.
#[test]
fn a_place_shown_too_early_is_answered_by_the_edge() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for file in ["deploy/haproxy.cfg", "deploy/k8s/base/haproxy.cfg"] {
            let stop = CancellationToken::new();
            let (edge, nodes) = before_two(file, BTreeSet::new(), &stop).await;
            let asked = || nodes.iter().map(|node| node.times("/api/v1/sessions")).sum::<usize>();
            let ticket = |name: &str| format!("AQIDBA{name:A<116}");

            let (mine, other) = (ticket("mine"), ticket("other"));
            assert_eq!(edge.show(&mine, 3600).await.0, 202, "{file}");
            for _ in 0..3 {
                let (status, head) = edge.show(&mine, 3600).await;
                assert_eq!(status, 303, "{file}");
                assert!(head.contains("location: /api/v1/queue/now"), "{file}: {head}");
                assert!(head.contains("retry-after: 3"), "{file}: {head}");
            }
            assert_eq!(asked(), 1, "{file}: the nodes heard of it once");
            assert_eq!(edge.show(&other, 3600).await.0, 202, "{file}: another place has a time of its own");

            // Whoever draws a place is told as well; a draw itself is never held up.
            let drawn = ticket("drawn");
            for _ in 0..2 {
                assert_eq!(edge.draw(&drawn, 3600).await.0, 202, "{file}");
                assert_eq!(edge.show(&drawn, 3600).await.0, 303, "{file}");
            }

            for told_s in [1, 0] {
                let soon = ticket(&format!("soon{told_s}"));
                for _ in 0..3 {
                    assert_eq!(edge.show(&soon, told_s).await.0, 202, "{file}: {told_s} s");
                }
            }
            // Whoever has no place, or none of ours, is the nodes' affair.
            for none in ["", "short"] {
                for _ in 0..2 {
                    assert_eq!(edge.show(none, 3600).await.0, 202, "{file}: {none:?}");
                }
            }
            assert_eq!(asked(), 12, "{file}");
            stop.cancel();
        }
    });
}

/// Whoever reloads the page of the queue before the time that it told costs the nodes nothing: the edge shows the place that
/// was shown last. What asks for more than that page is the nodes' affair.
#[test]
fn a_page_of_the_queue_that_is_reloaded_is_answered_by_the_edge() {
    const NAVIGATES: &str = "sec-fetch-mode: navigate\r\n";
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for file in ["deploy/haproxy.cfg", "deploy/k8s/base/haproxy.cfg"] {
            let stop = CancellationToken::new();
            let (edge, nodes) = before_two(file, BTreeSet::new(), &stop).await;
            let asked = |path: &str| nodes.iter().map(|node| node.times(path)).sum::<usize>();
            let ticket = |name: &str| format!("AQIDBA{name:A<116}");
            let holds = |name: &str, rank: &str| {
                let ticket = ticket(name);
                format!(
                    "{NAVIGATES}cookie: __Host-preau-ticket={ticket}.e30; __Host-preau-rang=99.{rank}\r\n"
                )
            };

            // The form draws it, or a lane that one declares; from then on the page may be reloaded.
            for (from, name) in [("POST /connexion", "typed"), ("POST /connexion/file", "declared")] {
                assert_eq!(edge.page(from, NAVIGATES, &ticket(name), 3600).await.0, 202, "{file}");
                let before = asked("/connexion");
                for path in ["/connexion", "/connexion?vers=%2Fagenda", "/connexion?ecole=1"] {
                    let (status, head, page) = edge.page(path, &holds(name, "123"), "", 0).await;
                    assert_eq!(status, 202, "{file}");
                    assert!(head.contains("retry-after: 3") && head.contains("no-store"), "{file}: {head}");
                    assert!(page.contains("Votre place est gardée") && page.contains("<b>123</b>"), "{page}");
                    assert!(
                        page.contains("http-equiv=refresh") && page.contains(";url=/connexion\""),
                        "{page}"
                    );
                }
                for rank in ["", "<b>", "1<script>", "12345678901"] {
                    let (_, _, page) = edge.page("/connexion", &holds(name, rank), "", 0).await;
                    assert!(page.contains("Votre place est gardée") && !page.contains("affichée"), "{page}");
                }
                assert_eq!(asked("/connexion"), before, "{file}: no node heard of it");
            }

            // A page that a script fetches, another page, a form that is sent, another place, or none.
            let cookie = holds("typed", "123");
            let fetches = cookie.replace("navigate", "cors");
            for (path, headers) in [
                ("/connexion", fetches.as_str()),
                ("/connexion?autre", &cookie),
                ("/connexion?sortie=1", &cookie),
                ("POST /connexion", &cookie),
                ("/connexion", &holds("another", "123")),
                ("/connexion", NAVIGATES),
            ] {
                let before = asked("/connexion");
                assert_eq!(edge.page(path, headers, &ticket("soon"), 1).await.0, 202, "{file}: {path}");
                assert_eq!(asked("/connexion"), before + 1, "{file}: {path} {headers}");
            }
            // Whoever was told a second is never held up.
            let (before, soon) = (asked("/connexion"), holds("soon", "1"));
            assert_eq!(edge.page("/connexion", &soon, &ticket("soon"), 1).await.0, 202, "{file}");
            assert_eq!(asked("/connexion"), before + 1, "{file}");
            stop.cancel();
        }
    });
}

/// What both edges do alike is written once, and copied to the cluster's edge as it is.
#[test]
fn both_edges_do_it_in_the_same_words() {
    let paragraph = |file: &str, begins: &str| {
        let text = std::fs::read_to_string(workspace().join(file)).expect("the edge's configuration");
        let from = text.find(begins).expect("the paragraph");
        text[from..].split("\n\n").next().unwrap_or_default().to_owned()
    };
    for begins in ["# What a client does not read", "# A place shown before", "# What asks for a password"] {
        assert_eq!(paragraph("deploy/haproxy.cfg", begins), paragraph("deploy/k8s/base/haproxy.cfg", begins));
    }
}

/// Somebody who asks for a page `asked` times, each of it `times` over, and reads nothing as long as this is held; once the edge
/// has had enough of it.
async fn who_reads_nothing(
    edge: &Edge,
    page: &str,
    (asked, times): (usize, usize),
    drawn: impl Fn() -> usize,
) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut stream = socket.connect(([127, 0, 0, 1], edge.port).into()).await.unwrap();
    let requests =
        format!("GET {page} HTTP/1.1\r\nhost: localhost\r\n{TIMES}: {times}\r\n\r\n").repeat(asked);
    // What the other side does not take is not waited for.
    drop(tokio::time::timeout(Duration::from_secs(2), stream.write_all(requests.as_bytes())).await);
    let mut before = 0;
    while before == 0 || before < drawn() {
        before = drawn();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stream
}

/// Whoever asks for page after page and reads none has a few drawn: what is not read stays undrawn, and is no memory of ours.
/// And whoever reads nothing of a long one keeps nobody from the node that draws it.
#[test]
fn who_reads_nothing_has_few_pages_drawn_and_keeps_nobody_from_a_node() {
    const ASKED: usize = 256;
    const FEW: usize = 64;
    const OTHERS: usize = 100;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for file in ["deploy/haproxy.cfg", "deploy/k8s/base/haproxy.cfg"] {
            let stop = CancellationToken::new();
            let page = format!("/{}", "a".repeat(4000));
            let (edge, nodes) = before_two(file, BTreeSet::from([page.clone()]), &stop).await;
            let drawn = || nodes.iter().map(|node| node.times(&page)).sum::<usize>();
            drop(who_reads_nothing(&edge, &page, (ASKED, 1), drawn).await);
            assert!(drawn() < FEW, "{file}: {} of {ASKED} were drawn for somebody who reads none", drawn());

            let stuck = who_reads_nothing(&edge, &page, (1, 1000), drawn).await;
            for _ in 0..OTHERS {
                assert_eq!(edge.get("/absent").await.unwrap().0, 404, "{file}");
            }
            for node in &nodes {
                assert!(node.times("/absent") > 0, "{file}: nobody came to one of the nodes");
            }
            drop(stuck);
            stop.cancel();
        }
    });
}
