//! Which school is one's own, asked by whoever waits and is known by no device: name, town or code (UAI). Public facts, the
//! same for everybody, kept in memory: a question costs no statement.

mod index;
mod queries;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use parking_lot::RwLock;
use preau_db::{Db, DbError};
use preau_http::{Problem, Reply, ValidQuery};
use preau_kernel::SchoolId;
use serde::{Deserialize, Serialize};

use crate::Identity;
use index::Index;

/// Schools come with imports, a few times a year.
const KEPT: Duration = Duration::from_secs(600);
/// As many as fit on the small page of the line.
const MOST: usize = 8;

/// The schools of the installation, as this node knows them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Schools(Arc<Inner>);

struct Inner {
    db: Db,
    held: RwLock<Option<Held>>,
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    index: Arc<Index>,
    since: Instant,
}

impl Schools {
    pub(crate) fn new(db: Db) -> Self {
        Self(Arc::new(Inner { db, held: RwLock::new(None), reading: tokio::sync::Mutex::new(()) }))
    }

    /// What is known. One reader reads for all; meanwhile, and while PostgreSQL is away, what was known counts.
    async fn index(&self) -> Result<Arc<Index>, DbError> {
        let held = self.0.held.read().clone();
        let fresh = |held: &Held| held.since.elapsed() < KEPT;
        if let Some(held) = held.as_ref().filter(|held| fresh(held)) {
            return Ok(Arc::clone(&held.index));
        }
        let _reading = match (self.0.reading.try_lock(), &held) {
            (Ok(reading), _) => reading,
            (Err(_), Some(held)) => return Ok(Arc::clone(&held.index)),
            (Err(_), None) => self.0.reading.lock().await,
        };
        if let Some(held) = self.0.held.read().as_ref().filter(|held| fresh(held)) {
            return Ok(Arc::clone(&held.index));
        }
        let read = async {
            let rows = queries::all(&self.0.db).await?;
            // Sixty thousand schools are a fifth of a second to sort.
            let sorted = tokio::task::spawn_blocking(|| Index::of(rows)).await;
            sorted.map(Arc::new).map_err(|_| DbError::Corrupt("the schools could not be sorted"))
        };
        match (read.await, held) {
            (Ok(index), _) => {
                *self.0.held.write() = Some(Held { index: Arc::clone(&index), since: Instant::now() });
                Ok(index)
            }
            (Err(_), Some(held)) => Ok(held.index),
            (Err(error), None) => Err(error),
        }
    }
}

/// What one looks for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchoolSearch {
    /// Beginnings of words of the name or the town, or the code (UAI); sixty letters count.
    #[serde(default)]
    q: String,
}

/// A school, as everybody may know it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FoundSchool {
    id: SchoolId,
    uai: String,
    name: String,
    city: String,
}

/// Schools found, by town and name: eight at most.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FoundSchools {
    items: Vec<FoundSchool>,
    /// Whether more words would find others.
    more: bool,
}

/// Find one's school, to say where one is from while one waits. The same for everybody.
#[utoipa::path(
    get, path = "/api/v1/queue/schools", tag = "queue", operation_id = "list_queue_schools",
    params(SchoolSearch),
    responses((status = OK, body = FoundSchools)),
)]
#[tracing::instrument(level = "debug", name = "queue.schools", skip_all)]
pub(crate) async fn list_queue_schools(
    State(identity): State<Identity>,
    ValidQuery(asked): ValidQuery<SchoolSearch>,
) -> Result<Response, Problem> {
    let index = identity.doorway().schools().index().await?;
    let found = index.search(&asked.q, MOST);
    let items = found.schools.into_iter().map(|row| FoundSchool {
        id: row.school_id,
        uai: row.uai.clone(),
        name: row.name.clone(),
        city: row.city.clone(),
    });
    let mut response = Reply(FoundSchools { items: items.collect(), more: found.more }).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}
