//! The parts of a delivery: XML files in a folder, or entries of a zip archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::record::Category;
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;
use crate::report::Report;

/// One part of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name without folders.
    pub name: String,
    /// The kind of objects it holds, by its name.
    pub category: Category,
    /// A delta, by its name; else a *complet*.
    pub delta: bool,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Folder(PathBuf),
    Archive(usize),
}

/// A folder or an archive whose parts have been found and sorted so that what others refer to comes first.
pub struct Delivery {
    name: String,
    parts: Vec<Part>,
    archive: Option<ZipArchive<BufReader<File>>>,
    limits: Limits,
}

impl Delivery {
    /// Looks for parts in a folder, or in a zip archive when `path` is a file. Files of other names are counted.
    ///
    /// # Errors
    /// Unreadable or damaged, an archive that unpacks to more than its size allows, or nothing of AAF inside.
    pub fn open(path: &Path, limits: &Limits, report: &mut Report) -> Result<Self, Fault> {
        let name =
            path.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned());
        let meta = fs::metadata(path).map_err(|err| Fault::from_io(&name, &err))?;
        let mut delivery = Self { name, parts: Vec::new(), archive: None, limits: limits.clone() };
        if meta.is_dir() {
            delivery.list_folder(path, report)?;
        } else {
            delivery.list_archive(path, report)?;
        }
        if delivery.parts.is_empty() {
            let what = "no file is named like a part of an AAF delivery (…_Eleve_0000.xml)";
            return Err(Fault::new(Code::Empty, Place::file(&delivery.name), what));
        }
        delivery.parts.sort_by(|a, b| (a.category, &a.name).cmp(&(b.category, &b.name)));
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
        match (&part.at, &mut self.archive) {
            (At::Folder(path), _) => {
                let file = File::open(path).map_err(|err| Fault::from_io(&part.name, &err))?;
                Ok(Box::new(file))
            }
            (At::Archive(index), Some(archive)) => {
                let entry = archive.by_index(*index).map_err(|_| damaged(&part.name))?;
                let left = allowed(entry.compressed_size(), &self.limits);
                Ok(Box::new(Bounded { inner: entry, left, name: part.name.clone() }))
            }
            (At::Archive(_), None) => Err(damaged(&part.name)),
        }
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
            if let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) {
                self.add(name, At::Folder(path), report);
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
            drop(entry);
            self.add(name, At::Archive(index), report);
        }
        self.archive = Some(archive);
        Ok(())
    }

    fn add(&mut self, name: String, at: At, report: &mut Report) {
        match category(&name) {
            Some(category) => {
                let delta = name.to_ascii_lowercase().contains("delta");
                self.parts.push(Part { name, category, delta, at });
            }
            None => report.warn("aaf-file-ignored", Place::file(&name), ""),
        }
    }

    /// Parts by kind, for progress.
    pub fn parts_by_category(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for part in &self.parts {
            *counts.entry(part.category.name()).or_default() += 1;
        }
        counts
    }
}

/// The kind of objects in a file named `…_<Type>_<four digits>.xml`, by any prefix.
fn category(name: &str) -> Option<Category> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !extension.eq_ignore_ascii_case("xml") {
        return None;
    }
    let (rest, number) = stem.rsplit_once('_')?;
    if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kind = rest.rsplit('_').next()?;
    Category::ALL.into_iter().find(|category| category.suffix().eq_ignore_ascii_case(kind))
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
        let found: Vec<_> = delivery.parts().iter().map(|part| (part.category, part.delta)).collect();
        use Category::{Pupil, Relative, School, Staff};
        assert_eq!(
            found,
            [(School, false), (Staff, true), (Relative, false), (Pupil, false), (Pupil, false)]
        );
        assert_eq!(report.warned("aaf-file-ignored"), 2);
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
                    super::super::Reader::new(delivery.read(&part)?, &part.name, &Limits::default())?;
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
