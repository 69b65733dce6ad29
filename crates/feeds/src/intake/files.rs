//! The parts of a delivery: files of a folder, entries of a zip archive, or one file by itself; what each is, its content says.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::sniff::{self, Kind};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::report::Report;

/// Bytes looked at to know what a file is. Headers of AAF come before the first record, those of CSV in the first line.
const HEAD: u64 = 16 << 10;

/// One part of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name without folders.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// A delta, by its name; a *complet* says nothing or says so.
    pub delta: bool,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    File(PathBuf),
    Archive(usize),
}

/// A folder, an archive or a file whose parts have been found and sorted so that what others refer to comes first.
pub struct Delivery {
    name: String,
    parts: Vec<Part>,
    archive: Option<ZipArchive<BufReader<File>>>,
    limits: Limits,
}

impl Delivery {
    /// Looks for parts in a folder, in a zip archive, or in the one file that `path` is. Files of no known kind are counted.
    ///
    /// # Errors
    /// Unreadable or damaged, an archive that unpacks to more than its size allows, or nothing known inside.
    pub fn open(path: &Path, limits: &Limits, report: &mut Report) -> Result<Self, Fault> {
        Self::open_as(path, None, limits, report)
    }

    /// The same, of an upload whose own file has lost its `name`.
    ///
    /// # Errors
    /// As [`Delivery::open`].
    pub fn open_as(
        path: &Path,
        name: Option<&str>,
        limits: &Limits,
        report: &mut Report,
    ) -> Result<Self, Fault> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                path.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned())
            }
        };
        let meta = fs::metadata(path).map_err(|err| Fault::from_io(&name, &err))?;
        let mut delivery = Self { name, parts: Vec::new(), archive: None, limits: limits.clone() };
        if meta.is_dir() {
            delivery.list_folder(path, report)?;
        } else if delivery.is_archive(path)? {
            delivery.list_archive(path, report)?;
        } else {
            let name = delivery.name.clone();
            delivery.add(name, At::File(path.to_owned()), report)?;
        }
        if delivery.parts.is_empty() {
            let what = "nothing here is a directory file of a known format (AAF, SIECLE, ONDE, CSV)";
            return Err(Fault::new(Code::Empty, Place::file(&delivery.name), what));
        }
        delivery.parts.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(delivery)
    }

    /// The parts, in reading order.
    pub fn parts(&self) -> Vec<Part> {
        self.parts.clone()
    }

    /// The bytes of a part. Those of an archive entry stop with a refusal when it unpacks beyond the limits.
    ///
    /// # Errors
    /// The file has gone, or the entry is damaged or encrypted.
    pub fn read(&mut self, part: &Part) -> Result<Box<dyn Read + Send + '_>, Fault> {
        self.bytes(&part.at, &part.name)
    }

    fn bytes(&mut self, at: &At, name: &str) -> Result<Box<dyn Read + Send + '_>, Fault> {
        match (at, &mut self.archive) {
            (At::File(path), _) => {
                let file = File::open(path).map_err(|err| Fault::from_io(name, &err))?;
                Ok(Box::new(file))
            }
            (At::Archive(index), Some(archive)) => {
                let entry = archive.by_index(*index).map_err(|_| damaged(name))?;
                let left = allowed(entry.compressed_size(), &self.limits);
                Ok(Box::new(Bounded { inner: entry, left, name: name.to_owned() }))
            }
            (At::Archive(_), None) => Err(damaged(name)),
        }
    }

    fn is_archive(&self, path: &Path) -> Result<bool, Fault> {
        let unreadable = |err: &io::Error| Fault::from_io(&self.name, err);
        let mut head = Vec::new();
        let file = File::open(path).map_err(|err| unreadable(&err))?;
        file.take(4).read_to_end(&mut head).map_err(|err| unreadable(&err))?;
        Ok(head.starts_with(b"PK"))
    }

    fn list_folder(&mut self, path: &Path, report: &mut Report) -> Result<(), Fault> {
        let entries = fs::read_dir(path).map_err(|err| Fault::from_io(&self.name, &err))?;
        for (count, entry) in entries.enumerate() {
            if count >= self.limits.entries {
                return Err(Fault::new(
                    Code::TooMany,
                    Place::file(&self.name),
                    "more files than a delivery has",
                ));
            }
            let path = entry.map_err(|err| Fault::from_io(&self.name, &err))?.path();
            if let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned())
                && path.is_file()
            {
                self.add(name, At::File(path), report)?;
            }
        }
        Ok(())
    }

    fn list_archive(&mut self, path: &Path, report: &mut Report) -> Result<(), Fault> {
        let file = File::open(path).map_err(|err| Fault::from_io(&self.name, &err))?;
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|_| damaged(&self.name))?;
        if archive.len() > self.limits.entries {
            return Err(Fault::new(
                Code::TooMany,
                Place::file(&self.name),
                "more entries than a delivery has",
            ));
        }
        // Overlapping entries are how a small archive claims the same bytes a thousand times.
        if archive.has_overlapping_files().map_err(|_| damaged(&self.name))? {
            return Err(Fault::new(Code::ZipBomb, Place::file(&self.name), "entries of the archive overlap"));
        }
        let mut total = 0_u64;
        let mut found = Vec::new();
        for index in 0..archive.len() {
            // Sizes here are only what the archive declares; reading enforces them.
            let entry = archive.by_index_raw(index).map_err(|_| damaged(&self.name))?;
            if !entry.is_file() {
                continue;
            }
            let name = entry.name().rsplit('/').next().unwrap_or_default().to_owned();
            total = total.saturating_add(entry.size());
            if entry.size() > allowed(entry.compressed_size(), &self.limits)
                || total > self.limits.unpacked_bytes
            {
                return Err(bomb(&name));
            }
            found.push((name, index));
        }
        self.archive = Some(archive);
        for (name, index) in found {
            self.add(name, At::Archive(index), report)?;
        }
        Ok(())
    }

    fn add(&mut self, name: String, at: At, report: &mut Report) -> Result<(), Fault> {
        let mut head = Vec::new();
        // A file that breaks off while it is looked at is refused when it is read, with its line.
        let read = self.bytes(&at, &name)?.take(HEAD).read_to_end(&mut head);
        if let Err(err) = read
            && head.is_empty()
        {
            return Err(Fault::from_io(&name, &err));
        }
        match sniff::kind(&name, &head) {
            Some(kind) => {
                let delta = name.to_ascii_lowercase().contains("delta");
                self.parts.push(Part { name, kind, delta, at });
            }
            None => report.warn("feed-file-ignored", Place::file(&name), ""),
        }
        Ok(())
    }
}

fn allowed(packed: u64, limits: &Limits) -> u64 {
    packed.saturating_mul(limits.ratio).max(limits.ratio_free_bytes)
}

fn damaged(name: &str) -> Fault {
    Fault::new(Code::BadArchive, Place::file(name), "not a zip archive that can be read")
}

fn bomb(name: &str) -> Fault {
    Fault::new(Code::ZipBomb, Place::file(name), "unpacks to more than its size allows")
}

/// An archive entry that may not yield more than its packed size allows, whatever its header declares.
struct Bounded<R> {
    inner: R,
    left: u64,
    name: String,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        match self.left.checked_sub(u64::try_from(read).unwrap_or(u64::MAX)) {
            Some(left) => self.left = left,
            None => return Err(bomb(&self.name).into_io()),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> tempfile::TempPath {
        let mut file = tempfile::Builder::new().suffix(".zip").tempfile().unwrap();
        let mut zip = zip::ZipWriter::new(file.as_file_mut());
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
        file.into_temp_path()
    }

    #[test]
    fn parts_come_in_the_order_of_their_references() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "ENT2DVA_Complet_20240916_Eleve_0001.xml",
            "ENT2DVA_Complet_20240916_Eleve_0000.xml",
            "ENT_Delta_1_PersEducNat_0000.xml",
            "ENT2DVA_Complet_20240916_PersRelEleve_0000.XML",
            "x_EtabEducNat_0000.xml",
            "ficAlimMENESR.dtd",
            "notes_Eleve_1.xml",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut report = Report::default();
        let delivery = Delivery::open(folder.path(), &Limits::default(), &mut report).unwrap();
        let found: Vec<_> = delivery.parts().iter().map(|part| (part.kind, part.delta)).collect();
        use crate::record::Category::{Pupil, Relative, School, Staff};
        assert_eq!(
            found,
            [(School, false), (Staff, true), (Relative, false), (Pupil, false), (Pupil, false)]
                .map(|(category, delta)| (Kind::Aaf(category), delta))
        );
        assert_eq!(report.warned("feed-file-ignored"), 2);
    }

    #[test]
    fn an_archive_reads_like_a_folder() {
        let path = archive(&[("2024/a_EtabEducNat_0000.xml", b"<ficAlimMENESR/>"), ("a.dtd", b"")]);
        let mut delivery = Delivery::open(&path, &Limits::default(), &mut Report::default()).unwrap();
        let part = delivery.parts().remove(0);
        let mut text = String::new();
        delivery.read(&part).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "<ficAlimMENESR/>");
    }

    #[test]
    fn bombs_are_refused_before_and_while_unpacking() {
        let zeros = vec![b' '; 20 << 20];
        let path = archive(&[("a_Eleve_0000.xml", &zeros)]);
        let fault = Delivery::open(&path, &Limits::default(), &mut Report::default()).err().unwrap();
        assert_eq!((fault.code, fault.place.file.as_str()), (Code::ZipBomb, "a_Eleve_0000.xml"));
        // The same archive, whose directory declares one byte instead of 20 MB.
        let mut bytes = fs::read(&path).unwrap();
        let declared = u32::try_from(zeros.len()).unwrap().to_le_bytes();
        while let Some(at) = memchr::memmem::find(&bytes, &declared) {
            bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
        }
        fs::write(&path, bytes).unwrap();
        let read =
            Delivery::open(&path, &Limits::default(), &mut Report::default()).and_then(|mut delivery| {
                let part = delivery.parts().remove(0);
                let mut reader =
                    crate::aaf::Reader::new(delivery.read(&part)?, &part.name, &Limits::default())?;
                reader.next(&mut Report::default())
            });
        assert!(matches!(
            read.unwrap_err().code,
            Code::ZipBomb | Code::BadArchive | Code::Unreadable | Code::Truncated | Code::ValueTooLong
        ));
        fs::write(&path, b"PK no").unwrap();
        assert_eq!(
            Delivery::open(&path, &Limits::default(), &mut Report::default()).err().unwrap().code,
            Code::BadArchive
        );
    }
}
