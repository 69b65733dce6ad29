//! Yesterday: the devices on which people said « c'est mon appareil », and what these keep.
//!
//! Everybody signs in once with the cheapest hash there is; passwords are then what they were. A claim is sealed by the
//! laboratory's own key, so it is made here or nowhere.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::bail;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{desk::jar, user::Device, world::World};
use crate::{
    client::{Ask, Client},
    progress::say,
};

/// Where a browser holds the claim, and the refresh token.
const CLAIM: &str = "__Host-preau-place";
const REFRESH: &str = "__Host-preau-refresh";

/// Signs `people` in at `url`.
pub(super) async fn devices(
    url: &str,
    world: &World,
    people: &[usize],
    password: &str,
) -> anyhow::Result<HashMap<usize, Device>> {
    let client = Arc::new(Client::new(&[url.to_owned()], 32, Duration::from_secs(20))?);
    let room = Arc::new(Semaphore::new(16));
    let tracker = TaskTracker::new();
    let mut signing = Vec::with_capacity(people.len());
    for &at in people {
        let Some(person) = world.people.get(at) else { continue };
        let body = json!({ "login": person.login, "password": password, "trusted_device": true });
        let ask = Ask::post("/api/v1/sessions", body.to_string().into());
        let (client, room) = (Arc::clone(&client), Arc::clone(&room));
        signing.push(tracker.spawn(async move {
            let _turn = room.acquire().await.ok()?;
            for _ in 0..20 {
                match client.send(&ask).await {
                    Ok(answer) if answer.status == 201 => {
                        let cookies = jar(&answer);
                        let of = |name: &str| {
                            cookies
                                .split("; ")
                                .find(|one| one.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
                        };
                        let refresh = of(REFRESH)
                            .and_then(|one| one.split_once('='))
                            .map(|(_, value)| value.to_owned());
                        return Some((at, Device { claim: of(CLAIM).map(str::to_owned), refresh }));
                    }
                    Ok(answer) if matches!(answer.status, 202 | 429 | 503) => {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    _ => return None,
                }
            }
            None
        }));
    }
    let mut devices = HashMap::new();
    for one in signing {
        devices.extend(one.await?);
    }
    if devices.len() < people.len() {
        bail!("{} of {} people could not sign in yesterday", people.len() - devices.len(), people.len());
    }
    if devices.values().all(|device| device.claim.is_none()) && !devices.is_empty() {
        say("  this Préau gives devices no claim: people will say what they are");
    }
    Ok(devices)
}
