//! Yesterday: the devices on which people said « c'est mon appareil », and what these keep.
//!
//! Everybody signs in once with the cheapest hash there is; passwords are then what they were. A claim is sealed by the
//! laboratory's own key, so it is made here or nowhere.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::bail;
use serde_json::{Value, json};
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
/// Half a second apart.
const TRIES: u32 = 60;

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
        let wish = json!({ "login": person.login, "password": password, "trusted_device": true });
        let (client, room) = (Arc::clone(&client), Arc::clone(&room));
        signing.push(tracker.spawn(async move {
            let _turn = room.acquire().await.ok();
            (at, device(&client, wish).await)
        }));
    }
    let (mut devices, mut last) = (HashMap::new(), None);
    for one in signing {
        match one.await? {
            (at, Ok(device)) => drop(devices.insert(at, device)),
            (_, Err(why)) => last = Some(why),
        }
    }
    if let Some(why) = last {
        let missing = people.len() - devices.len();
        return Err(why.context(format!("{missing} of {} people could not sign in yesterday", people.len())));
    }
    if devices.values().all(|device| device.claim.is_none()) && !devices.is_empty() {
        say("  this Préau gives devices no claim: people will say what they are");
    }
    Ok(devices)
}

/// Signs one person in, by the place they are given where they have to wait.
async fn device(client: &Client, mut wish: Value) -> anyhow::Result<Device> {
    let mut said = String::from("no answer");
    for _ in 0..TRIES {
        match client.send(&Ask::post("/api/v1/sessions", wish.to_string().into())).await {
            Ok(answer) if answer.status == 201 => {
                let cookies = jar(&answer);
                let of = |name: &str| {
                    cookies
                        .split("; ")
                        .find(|one| one.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
                };
                let refresh =
                    of(REFRESH).and_then(|one| one.split_once('=')).map(|(_, value)| value.to_owned());
                return Ok(Device { claim: of(CLAIM).map(str::to_owned), refresh });
            }
            Ok(answer) if matches!(answer.status, 202 | 429 | 503) => {
                said = format!("{} after {TRIES} tries", answer.status);
                let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
                let ticket = told.as_ref().and_then(|told| told.get("ticket"));
                if let (Some(ticket), Some(wish)) = (ticket, wish.as_object_mut()) {
                    wish.insert("ticket".to_owned(), ticket.clone());
                }
            }
            Ok(answer) => bail!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(failure) => said = format!("{failure:?}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!(said)
}
