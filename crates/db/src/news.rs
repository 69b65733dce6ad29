//! Which outboxes have work, told after the commit that gave it to them. A hint: what it loses is found by the slow sweep.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use preau_kernel::SchoolId;
use smallvec::SmallVec;
use tokio::sync::Notify;

/// Schools whose outbox was given work by transactions of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<Shared>);

#[derive(Default)]
struct Shared {
    schools: Mutex<BTreeSet<SchoolId>>,
    told: Notify,
    pace: OnceLock<Box<dyn Fn(Duration) + Send + Sync>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("schools", &self.schools).finish_non_exhaustive()
    }
}

impl News {
    /// Waits until a school has work, and takes all that have.
    pub async fn next(&self) -> BTreeSet<SchoolId> {
        loop {
            let told = self.0.told.notified();
            let schools = std::mem::take(&mut *self.0.schools.lock());
            if !schools.is_empty() {
                return schools;
            }
            told.await;
        }
    }

    pub(crate) fn noted(&self) -> Noted {
        Noted { news: self.clone(), schools: SmallVec::new(), began: Instant::now() }
    }

    /// Has `hear` told how long each transaction held its connection. Once; later calls change nothing.
    pub fn watch_pace(&self, hear: impl Fn(Duration) + Send + Sync + 'static) {
        drop(self.0.pace.set(Box::new(hear)));
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let Some(hear) = self.news.0.pace.get() {
            hear(self.began.elapsed());
        }
    }
}

/// What one transaction will tell.
#[derive(Debug)]
pub(crate) struct Noted {
    news: News,
    schools: SmallVec<[SchoolId; 1]>,
    began: Instant,
}

impl Noted {
    pub(crate) fn add(&mut self, school: SchoolId) {
        self.schools.push(school);
    }

    pub(crate) fn tell(mut self) {
        if self.schools.is_empty() {
            return;
        }
        self.news.0.schools.lock().extend(std::mem::take(&mut self.schools));
        self.news.0.told.notify_one();
    }
}
