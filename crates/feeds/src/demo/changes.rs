//! A day's changes of an invented académie, as a delta: one pupil in so many has another name, one in ten times as many leaves.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// Writes the delta that follows from a delivery of [`super::generate`] into `out`, which is created: of each `every` pupils one
/// changes, and of each ten times as many one leaves. Reads a line at a time. Answers how many requests that is.
///
/// # Errors
/// What the file system answers.
pub fn changes(delivery: &Path, out: &Path, every: u64) -> io::Result<u64> {
    fs::create_dir_all(out)?;
    let mut parts: Vec<_> = fs::read_dir(delivery)?
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("_Eleve_"))
        .collect();
    parts.sort();
    let mut file = BufWriter::new(File::create(out.join("ENT2DVA-DEMO_Delta_20260101_Eleve_0000.xml"))?);
    let academy = super::ACADEMY;
    write!(
        file,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ficAlimMENESR>\n<!-- codeAcademieExport=\"{academy}\" -->\n"
    )?;
    let (mut seen, mut written) = (0_u64, 0_u64);
    let mut key = String::new();
    for part in parts {
        for line in BufReader::new(File::open(part)?).lines() {
            let line = line?;
            if let Some(rest) = line.strip_prefix("<identifier><id>") {
                key = rest.split('<').next().unwrap_or_default().to_owned();
                seen += 1;
            }
            let Some(rest) = line.strip_prefix("<attr name=\"sn\"><value>") else { continue };
            if !seen.is_multiple_of(every.max(1)) {
                continue;
            }
            let name = rest.split('<').next().unwrap_or_default();
            let head = "<operationalAttributes><attr name=\"categoriePersonne\"><value>Eleve</value></attr></operationalAttributes>";
            if seen.is_multiple_of(every.max(1) * 10) {
                write!(
                    file,
                    "<deleteRequest>\n{head}\n<identifier><id>{key}</id></identifier>\n</deleteRequest>\n"
                )?;
            } else {
                write!(
                    file,
                    "<modifyRequest>\n{head}\n<identifier><id>{key}</id></identifier>\n<modifications>\n\
                     <modification name=\"sn\" operation=\"replace\"><value>{name}-Neuf</value></modification>\n\
                     </modifications>\n</modifyRequest>\n"
                )?;
            }
            written += 1;
        }
    }
    file.write_all(b"</ficAlimMENESR>\n")?;
    file.flush()?;
    Ok(written)
}
