//! Which outboxes have work, told after the commit that gave it to them. A hint: what it loses is found by the slow sweep.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use preau_kernel::SchoolId;
use smallvec::SmallVec;
use tokio::sync::Notify;

/// Schools whose outbox was given work by transactions of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    schools: Mutex<BTreeSet<SchoolId>>,
    told: Notify,
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
        Noted { news: self.clone(), schools: SmallVec::new() }
    }
}

/// What one transaction will tell.
#[derive(Debug)]
pub(crate) struct Noted {
    news: News,
    schools: SmallVec<[SchoolId; 1]>,
}

impl Noted {
    pub(crate) fn add(&mut self, school: SchoolId) {
        self.schools.push(school);
    }

    pub(crate) fn tell(self) {
        if self.schools.is_empty() {
            return;
        }
        self.news.0.schools.lock().extend(self.schools);
        self.news.0.told.notify_one();
    }
}
