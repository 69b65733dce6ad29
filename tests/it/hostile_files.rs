//! Files that are broken, or meant to break: refused with a code and a place, quickly, in little memory, and nothing of
//! them is believed.

use std::{
    fs,
    io::{Cursor, Write as _},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use preau_feeds::demo::{DemoPlan, generate};
use preau_jobs::run_one;
use preau_tests::{Client, Node, School, Stage, Territory, play};
use serde_json::{Value, json};
use uuid::Uuid;
use zip::{ZipWriter, write::SimpleFileOptions};

const QUICKLY: Duration = Duration::from_secs(2);
const LITTLE_KIB: u64 = 64 * 1024;

struct Desk {
    stage: Stage,
    node: Node,
    territory: Territory,
    school: School,
    admin: Client,
}

impl Desk {
    async fn new(stage: Stage) -> Self {
        let node = stage.node().await;
        let territory = stage.territory("test").await;
        let school = territory.school("Collège").await;
        let admin = node.signed_in(&territory.admin().await).await;
        Self { stage, node, territory, school, admin }
    }

    async fn upload(&self, media: &str, bytes: Vec<u8>) -> Value {
        let url = format!("/api/v1/territories/{}/uploads", self.territory.id);
        let body = Some((media, Bytes::from(bytes)));
        self.admin.send(Method::POST, &url, body).await.expect(201).json()["id"].clone()
    }

    /// Has it imported as REST and the worker do, and returns the job.
    async fn import(&self, what: &str, kind: &str, body: &Value) -> Value {
        let app = &self.node.app;
        let url = format!("/api/v1/territories/{}", self.territory.id);
        let key = self.stage.clock().mint::<Uuid>().to_string();
        let asked =
            self.admin.clone().with("idempotency-key", &key).post(&format!("{url}/{kind}"), body).await;
        let id = asked.expect(202).json()["id"].as_str().expect("a job").to_owned();
        let handlers = preau_feeds::import::handlers(preau_server::write_lessons);
        let (before, begun) = (memory_now(), work_now());
        assert!(
            run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, self.territory.id).await.unwrap()
        );
        let (took, peak) = (work_now() - begun, memory_peak());
        assert!(took < QUICKLY, "{what}: {took:?} of work");
        assert!(peak < before + LITTLE_KIB, "{what}: {} KiB more", peak - before);
        self.admin.get(&format!("{url}/jobs/{id}")).await.expect(200).json()
    }

    /// What is believed: everything but the paperwork of imports.
    async fn believed(&self) -> Vec<(String, i64, String)> {
        let paperwork = [
            "job",
            "upload",
            "upload_chunk",
            "journal",
            "journal_head",
            "idempotency",
            "feed_delivery",
            "feed_school",
        ];
        let mut tables = self.stage.fingerprint().await;
        tables.retain(|(table, ..)| !paperwork.contains(&table.as_str()));
        tables
    }
}

/// Processor time of this process so far, which is the test's own: however busy the machine is, hostile files cost little.
fn work_now() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // Behind the name, which may hold anything: `utime` and `stime`, in hundredths of a second.
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// KiB of memory in use; and the peak begins again from there.
fn memory_now() -> u64 {
    // 5: "reset the peak". Where the kernel does not know it, the peak since the start is only larger.
    drop(fs::write("/proc/self/clear_refs", "5"));
    status("VmRSS:")
}

fn memory_peak() -> u64 {
    status("VmHWM:")
}

fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect(field);
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A small delivery that is right, as names and texts.
fn delivery() -> Vec<(String, String)> {
    let out = tempfile::tempdir().unwrap();
    let plan = DemoPlan { schools: 1, pupils: 20, ..DemoPlan::small("2026-11-23".parse().unwrap()) };
    let demo = generate(&plan, out.path(), &mut |_| {}).unwrap();
    let mut files: Vec<(String, String)> = fs::read_dir(out.path().join(demo.aaf))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn zipped<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The delivery with the file of the pupils changed.
fn spoilt(files: &[(String, String)], change: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let changed: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, text)| {
            let pupils = name.contains("_Eleve_");
            (name.as_str(), if pupils { change(text) } else { text.clone().into_bytes() })
        })
        .collect();
    assert!(files.iter().any(|(name, _)| name.contains("_Eleve_")), "{files:?}");
    zipped(changed.iter().map(|(name, bytes)| (*name, bytes.as_slice())))
}

fn with_doctype(text: &str, subset: &str, reference: &str) -> Vec<u8> {
    let root = text.find("<ficAlimMENESR").expect("the root");
    let body = text[root..].replacen("<value>", &format!("<value>{reference}"), 1);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE ficAlimMENESR {subset}>\n{body}")
        .into_bytes()
}

#[test]
fn deliveries_that_are_broken_or_hostile() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let files = delivery();
        let bomb = "[<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]";
        let passwd = "[<!ENTITY e SYSTEM \"file:///etc/passwd\">]";
        let whole = spoilt(&files, |text| text.as_bytes().to_vec());
        let cases: Vec<(&str, Vec<u8>, bool)> = vec![
            ("an entity bomb", spoilt(&files, |text| with_doctype(text, bomb, "&c;")), true),
            ("an external entity", spoilt(&files, |text| with_doctype(text, passwd, "&e;")), true),
            (
                "an entity nobody declared",
                spoilt(&files, |text| text.replacen("<value>", "<value>&secret;", 1).into_bytes()),
                true,
            ),
            ("half a file", spoilt(&files, |text| text.as_bytes()[..text.len() / 2].to_vec()), true),
            (
                "bytes that are no text",
                spoilt(&files, |text| {
                    [&text.as_bytes()[..600], b"\xff\xfe\xc3\x28", &text.as_bytes()[600..]].concat()
                }),
                true,
            ),
            (
                "a value of forty megabytes",
                spoilt(&files, |text| {
                    text.replacen("<value>", &format!("<value>{}", "a".repeat(40 << 20)), 1).into_bytes()
                }),
                true,
            ),
            (
                "ten thousand elements deep",
                spoilt(&files, |text| text.replacen("<value>", &"<value>".repeat(10_000), 1).into_bytes()),
                true,
            ),
            ("another root", spoilt(&files, |text| text.replace("ficAlimMENESR", "rss").into_bytes()), true),
            ("an empty file", spoilt(&files, |_| Vec::new()), true),
            (
                "a bomb in a zip",
                spoilt(&files, |text| [text.as_bytes(), &vec![b' '; 30 << 20]].concat()),
                true,
            ),
            ("no zip at all", b"MZ this is a program".to_vec(), false),
            ("half a zip", whole[..whole.len() / 2].to_vec(), false),
            ("a zip of nothing", zipped([]), false),
            (
                "a zip that climbs",
                zipped([("../../../../etc/cron.d/preau", b"* * * * * root true".as_slice())]),
                false,
            ),
        ];
        let before = desk.believed().await;
        for (what, bytes, has_place) in cases {
            let upload = desk.upload("application/zip", bytes).await;
            let job = desk.import(what, "directory-imports", &json!({ "upload_id": upload })).await;
            assert_eq!(job["state"], "failed", "{what}: {job}");
            let code = job["report"]["code"].as_str().unwrap_or_default();
            assert!(code.starts_with("feed-"), "{what}: {job}");
            let place = job["report"]["place"].to_string();
            assert!(!has_place || place.contains("_Eleve_"), "{what}: {job}");
            assert!(!job.to_string().contains("root:"), "{what}: {job}");
            assert!(desk.believed().await == before, "{what} was half believed");
        }
        // The same delivery, unspoilt, is believed.
        let upload = desk.upload("application/zip", whole).await;
        let job = desk.import("a good one", "directory-imports", &json!({ "upload_id": upload })).await;
        assert_eq!(job["state"], "succeeded", "{job}");
        assert!(desk.stage.count("SELECT count(*) FROM pupil").await >= 20);
    });
}

#[test]
fn calendars_without_end() {
    play(async |stage| {
        let desk = Desk::new(stage).await;
        let event = |lines: &str| {
            format!(
                "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//FR\r\nBEGIN:VEVENT\r\nUID:1@x\r\nSUMMARY:Maths\r\n\
                 DTSTART:20261123T080000Z\r\nDTEND:20261123T090000Z\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            )
        };
        let cases = [
            ("every second to the year 9999", event("RRULE:FREQ=SECONDLY;UNTIL=99991231T235959Z")),
            ("every minute for ever", event("RRULE:FREQ=MINUTELY")),
            ("every day to the year 9999", event("RRULE:FREQ=DAILY;UNTIL=99991231T235959Z")),
            ("a billion times", event("RRULE:FREQ=DAILY;COUNT=1000000000")),
            ("a rule that never comes true", event("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")),
            ("a rule that is none", event("RRULE:FREQ=SOMETIMES")),
            ("half a calendar", event("").split("END:VEVENT").next().unwrap().to_owned()),
            ("a line of ten megabytes", event(&format!("DESCRIPTION:{}", "x".repeat(10 << 20)))),
            ("no calendar", "<html></html>".to_owned()),
        ];
        for (what, text) in cases {
            let upload = desk.upload("text/calendar", text.into_bytes()).await;
            let body = json!({ "school_id": desk.school.id, "format": "ical", "upload_ids": [upload] });
            let job = desk.import(what, "timetable-imports", &body).await;
            let lessons = desk.stage.count("SELECT count(*) FROM lesson").await;
            match job["state"].as_str() {
                // A daily rule without an end is cut at the end of the school year: a lesson a day is no attack.
                Some("succeeded") => assert!(lessons <= 400, "{what}: {lessons} lessons"),
                _ => {
                    assert!(
                        job["report"]["code"].as_str().is_some_and(|code| code.starts_with("feed-")),
                        "{what}: {job}"
                    );
                    assert_eq!(lessons, 0, "{what} was half believed");
                }
            }
            desk.stage.sql("DELETE FROM lesson").await;
        }
        let pair = desk
            .upload(
                "application/xml",
                b"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>"
                    .to_vec(),
            )
            .await;
        let body =
            json!({ "school_id": desk.school.id, "format": "sts", "upload_ids": [pair.clone(), pair] });
        let job = desk.import("a pair that is none", "timetable-imports", &body).await;
        assert!(job["state"] == "failed" && !job.to_string().contains("root:"), "{job}");
        assert_eq!(desk.stage.count("SELECT count(*) FROM lesson").await, 0);
    });
}
