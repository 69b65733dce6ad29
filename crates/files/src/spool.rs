//! Bytes on their way, in a temporary file of this node: counted, hashed, and gone when nobody holds them.

use std::{path::Path, pin::pin, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt},
    time::timeout,
};

use crate::Error;

/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of this node that exists while this does.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    place: NamedTempFile,
    hash: Sha256,
    sha256: [u8; 32],
    size_bytes: u64,
}

impl Spooled {
    pub(crate) async fn new() -> Result<Self, Error> {
        let place = NamedTempFile::new()?;
        let file = File::from_std(place.reopen()?);
        Ok(Self { file, place, hash: Sha256::new(), sha256: [0; 32], size_bytes: 0 })
    }

    /// Writes a body to its end, or to `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limit, [`Error::Cut`] when the client stops, the disk's.
    pub async fn receive<E>(body: impl Stream<Item = Result<Bytes, E>>, limit: u64) -> Result<Self, Error> {
        let mut spooled = Self::new().await?;
        let mut body = pin!(body);
        while let Some(bytes) = timeout(PATIENCE, body.next()).await.map_err(|_| Error::Cut)? {
            let bytes = bytes.map_err(|_| Error::Cut)?;
            if spooled.size_bytes + u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                return Err(Error::TooLarge { limit });
            }
            spooled.write(&bytes).await?;
        }
        spooled.close().await?;
        Ok(spooled)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// How many bytes it holds.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Their SHA-256.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).await?;
        self.hash.update(bytes);
        self.size_bytes += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Result<(), Error> {
        self.file.flush().await?;
        self.file.rewind().await?;
        self.sha256 = self.hash.finalize_reset().into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn body(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, ()>> + use<> {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn a_body_is_counted_hashed_and_gone_afterwards() {
        let spooled = Spooled::receive(body(&["ab", "c"]), 3).await.unwrap();
        assert_eq!(spooled.size_bytes(), 3);
        assert_eq!(
            hex::encode(spooled.sha256()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let path = spooled.path().to_owned();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        drop(spooled);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_body_stops_at_the_limit_or_when_it_is_cut() {
        assert!(matches!(Spooled::receive(body(&["ab", "c"]), 2).await, Err(Error::TooLarge { limit: 2 })));
        let cut = stream::iter([Ok(Bytes::from_static(b"ab")), Err(())]);
        assert!(matches!(Spooled::receive(cut, 9).await, Err(Error::Cut)));
    }
}
