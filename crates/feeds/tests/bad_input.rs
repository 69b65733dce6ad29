//! Hostile files: refused within 2 seconds and 64 MB, with a stable code and the place. A process of its own, so that its
//! peak memory is what reading took.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::time::Duration;

use preau_feeds::aaf::Reader;
use preau_feeds::fault::Fault;
use preau_feeds::ical::{self, Window};
use preau_feeds::intake::{self, Delivery, Intake};
use preau_feeds::limits::Limits;
use preau_feeds::report::Report;

const HUGE: u64 = 2 << 30;
/// The promise is two seconds of the product as it ships. A debug build is several times slower, and shares its cores with
/// the other tests: here the bound only tells what ends from what does not.
const TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 12 } else { 2 });
const MEMORY_KB: u64 = 64 << 10;
/// Pieces of eight bytes that make more than any cap of a file allows.
const MANY: usize = 1 << 19;

/// Reads a part to its end, or to its refusal.
fn aaf(source: impl Read) -> Option<Fault> {
    let mut report = Report::default();
    let read = || -> Result<(), Fault> {
        let mut reader = Reader::new(source, "x_Eleve_0000.xml", &Limits::default())?;
        while reader.next(&mut report)?.is_some() {}
        Ok(())
    };
    read().err()
}

/// Reads a file of any format to its end, or to its refusal.
fn any(write: impl Fn(&mut dyn Write) -> std::io::Result<()>) -> Option<Fault> {
    let file = tempfile::NamedTempFile::new().ok()?;
    let mut out = std::io::BufWriter::new(file.as_file());
    write(&mut out).ok()?;
    out.flush().ok()?;
    drop(out);
    let name = Some("x.csv".to_owned());
    let intake = Intake { school: Some("0750001A".to_owned()), name, ..Intake::of(file.path()) };
    intake::read::<Fault>(&intake, &Limits::default(), &mut Report::default(), &mut |_, _, _| Ok(())).err()
}

/// The same, of a file that is there.
fn there(path: &std::path::Path) -> Option<Fault> {
    let intake = Intake { school: Some("0750001A".to_owned()), ..Intake::of(path) };
    intake::read::<Fault>(&intake, &Limits::default(), &mut Report::default(), &mut |_, _, _| Ok(())).err()
}

/// A head, then one piece so many times.
fn again(head: &str, piece: &'static [u8], times: usize) -> impl Fn(&mut dyn Write) -> std::io::Result<()> {
    let head = head.to_owned();
    move |out| {
        out.write_all(head.as_bytes())?;
        (0..times).try_for_each(|_| out.write_all(piece))
    }
}

fn ics(source: impl Read) -> Option<Fault> {
    let day = |text: &str| text.parse().unwrap_or_default();
    let window = Window { from: day("2026-07-01"), until: day("2027-09-01") };
    let (limits, mut report) = (Limits::default(), Report::default());
    ical::read(source, "x.ics", chrono_tz::Tz::Europe__Paris, window, &limits, &mut report).err()
}

/// A head, and then one piece again and again.
fn endless(head: &str, piece: &'static [u8]) -> impl Read {
    struct Again(&'static [u8], usize);
    impl Read for Again {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            for byte in buf.iter_mut() {
                *byte = self.0.get(self.1).copied().unwrap_or_default();
                self.1 = (self.1 + 1) % self.0.len();
            }
            Ok(buf.len())
        }
    }
    Cursor::new(head.as_bytes().to_vec()).chain(Again(piece, 0).take(HUGE))
}

/// Peak resident memory in kB since [`forget_peak`].
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// CPU time of this process, in steps of 10 ms: a busy machine makes nothing slower.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |at: usize| -> u64 {
        stat.split_whitespace().nth(at).and_then(|it| it.parse().ok()).unwrap_or_default()
    };
    Duration::from_millis((ticks(13) + ticks(14)) * 10)
}

fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn archive(names: &[&str], head: &str, size: usize) -> Option<tempfile::TempPath> {
    let mut file = tempfile::Builder::new().suffix(".zip").tempfile().ok()?;
    let mut zip = zip::ZipWriter::new(file.as_file_mut());
    let blanks = vec![b' '; 1 << 20];
    for name in names {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).ok()?;
        zip.write_all(head.as_bytes()).ok()?;
        for _ in 0..size >> 20 {
            zip.write_all(&blanks).ok()?;
        }
    }
    zip.finish().ok()?;
    Some(file.into_temp_path())
}

#[test]
fn hostile_files_cost_next_to_nothing() {
    let laughs: String =
        (1..=40).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let laughs = format!("<!DOCTYPE x [<!ENTITY l0 \"ha\">{laughs}]><ficAlimMENESR>&l40;</ficAlimMENESR>");
    let open = "<ficAlimMENESR><addRequest><attributes>";
    let rule = |rule: &str| {
        format!(
            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20260901T080000\r\nDURATION:PT1H\r\nRRULE:{rule}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
    };
    // Each alone is harmless; together they would be followed for minutes.
    let never = rule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30").replace("END:VCALENDAR\r\n", "");
    let event = never.trim_start_matches("BEGIN:VCALENDAR\r\n").repeat(20_000);
    let never = format!("{never}{event}END:VCALENDAR\r\n");
    let daily = never.replace(";BYMONTH=2;BYMONTHDAY=30", "");
    let pack = |names: &[&str], head| {
        archive(names, head, 32 << 20).unwrap_or_else(|| panic!("no archive was written"))
    };
    let bomb = pack(&["x_Eleve_0000.xml", "x_Eleve_0001.xml"], "");
    let (siecle_bomb, table_bomb) =
        (pack(&["e.xml"], "<BEE_ELEVES>"), pack(&["e.csv"], "Nom;Prénom;Classe\r\n"));
    let zip = |path: &std::path::Path| Delivery::open(path, &Limits::default(), &mut Report::default()).err();
    let not_text = [b"<ficAlimMENESR>\n<a>".as_slice(), &[0xe9, 0x80], b"</a></ficAlimMENESR>"].concat();
    let siecle_laughs =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><BEE_ELEVES>&b;</BEE_ELEVES>";
    let siecle = |inside: &str| {
        format!(
            "<BEE_ELEVES><PARAMETRES><UAJ>0750001A</UAJ></PARAMETRES><DONNEES><ELEVES><ELEVE ELEVE_ID='1'>{inside}"
        )
    };
    let table = "Nom;Prénom;Classe\r\n";
    type Case<'a> = (&'a str, &'a str, Box<dyn Fn() -> Option<Fault> + 'a>);
    let cases: Vec<Case<'_>> = vec![
        ("billion laughs", "feed-doctype-internal-subset", Box::new(|| aaf(laughs.as_bytes()))),
        (
            "parameter entity",
            "feed-doctype-internal-subset",
            Box::new(|| {
                aaf(&b"<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1/'> %p;]><ficAlimMENESR/>"[..])
            }),
        ),
        (
            "external entity",
            "feed-entity",
            Box::new(|| {
                aaf(&b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><ficAlimMENESR>&x;</ficAlimMENESR>"[..])
            }),
        ),
        (
            "2 GB attribute",
            "feed-value-too-long",
            Box::new(move || aaf(endless("<ficAlimMENESR a=\"", b"x"))),
        ),
        (
            "2 GB value",
            "feed-value-too-long",
            Box::new(move || aaf(endless(&format!("{open}<attr name=\"sn\"><value>"), b"x"))),
        ),
        (
            "2 GB of references",
            "feed-value-too-long",
            Box::new(move || aaf(endless(&format!("{open}<attr name=\"sn\"><value>"), b"&amp;"))),
        ),
        ("2 GB comment", "feed-value-too-long", Box::new(|| aaf(endless("<!--", b"-x")))),
        ("2 GB DOCTYPE", "feed-value-too-long", Box::new(|| aaf(endless("<!DOCTYPE ", b"x")))),
        ("2 GB name", "feed-value-too-long", Box::new(|| aaf(endless("<", b"x")))),
        (
            "2 GB of values",
            "feed-too-many-values",
            Box::new(move || aaf(endless(&format!("{open}<attr name=\"sn\">"), b"<value>x</value>"))),
        ),
        (
            "2 GB of attributes",
            "feed-record-too-large",
            Box::new(move || aaf(endless(open, b"<attr name=\"street\"><value>x</value></attr>"))),
        ),
        ("2 GB deep", "feed-too-deep", Box::new(|| aaf(endless("<ficAlimMENESR>", b"<a>")))),
        ("not the declared text", "feed-bad-encoding", Box::new(|| aaf(&not_text[..]))),
        ("cut short", "feed-truncated", Box::new(|| aaf(&b"<ficAlimMENESR><addRequest>"[..]))),
        ("zip bomb", "feed-zip-bomb", Box::new(|| zip(&bomb))),
        ("SIECLE, laughs", "feed-doctype-internal-subset", Box::new(|| any(again(siecle_laughs, b"", 0)))),
        (
            "SIECLE, long value",
            "feed-value-too-long",
            Box::new(|| any(again(&siecle("<PRENOM>"), b"xxxxxxxx", MANY))),
        ),
        (
            "SIECLE, long attribute",
            "feed-value-too-long",
            Box::new(|| any(again("<BEE_ELEVES a=\"", b"xxxxxxxx", MANY))),
        ),
        (
            "SIECLE, many values",
            "feed-too-many-values",
            Box::new(|| any(again(&siecle(""), b"<PRENOM>x</PRENOM>", MANY))),
        ),
        ("SIECLE, deep", "feed-too-deep", Box::new(|| any(again("<BEE_ELEVES>", b"<a>", MANY)))),
        ("SIECLE, cut", "feed-truncated", Box::new(|| any(again(&siecle("<PRENOM>"), b"", 0)))),
        (
            "SIECLE, not the declared text",
            "feed-bad-encoding",
            Box::new(|| any(again(&siecle("<PRENOM>"), b"\xe9\x80", 2))),
        ),
        ("SIECLE, bomb", "feed-zip-bomb", Box::new(|| there(&siecle_bomb))),
        (
            "table, open quote",
            "feed-value-too-long",
            Box::new(|| any(again(&format!("{table}\""), b"x;y;z\r\n ", MANY))),
        ),
        ("table, one long row", "feed-value-too-long", Box::new(|| any(again(table, b"xxxxxxxx", MANY)))),
        (
            "table, long header",
            "feed-value-too-long",
            Box::new(|| any(again("Nom;Classe;", b"xxxxxxxx", MANY))),
        ),
        ("table, many columns", "feed-too-many-values", Box::new(|| any(again(table, b";;;;;;;;", 4_000)))),
        ("table, many rows", "feed-too-many", Box::new(|| any(again(table, b"A;B;C\r\n ", MANY)))),
        ("table, two encodings", "feed-bad-encoding", Box::new(|| any(again(table, b"A;B;\xe9\r\n", 2)))),
        ("table, bomb", "feed-zip-bomb", Box::new(|| there(&table_bomb))),
        ("table, NUL", "feed-bad-character", Box::new(|| any(again(table, b"A;\0;C\r\n", 2)))),
        (
            "rule to the year 9999, each second",
            "feed-rule-too-dense",
            Box::new(|| ics(rule("FREQ=SECONDLY;UNTIL=99991231T235959Z").as_bytes())),
        ),
        ("20,000 rules that never come", "feed-rule-too-dense", Box::new(|| ics(never.as_bytes()))),
        ("20,000 daily rules for ever", "feed-too-many", Box::new(|| ics(daily.as_bytes()))),
        ("2 GB line", "feed-value-too-long", Box::new(|| ics(endless("BEGIN:VCALENDAR\r\nX:", b"x")))),
        ("2 GB folded", "feed-value-too-long", Box::new(|| ics(endless("BEGIN:VCALENDAR\r\nX:", b"x\r\n ")))),
        (
            "2 GB of events",
            "feed-too-many",
            Box::new(|| ics(endless("BEGIN:VCALENDAR\r\n", b"BEGIN:VEVENT\r\nEND:VEVENT\r\n"))),
        ),
    ];
    for (what, code, read) in cases {
        forget_peak();
        let (before, begun) = (peak_kb(), cpu());
        let fault = read();
        let (took, grew) = (cpu().saturating_sub(begun), peak_kb().saturating_sub(before));
        let found = fault.as_ref().map(|fault| fault.code.as_str());
        assert_eq!(found, Some(code), "{what}: {fault:?}");
        assert!(fault.is_some_and(|fault| !fault.place.file.is_empty()), "{what}: no place");
        assert!(took < TIME, "{what}: {took:?}");
        assert!(grew < MEMORY_KB, "{what}: {grew} kB");
    }
}
