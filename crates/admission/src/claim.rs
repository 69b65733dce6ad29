//! What a trusted device remembers of the person who last signed in on it: enough to choose a lane, nothing to sign in
//! with, and unreadable outside (DESIGN §6.3). Set only when the person said "this device is mine".

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use chrono::{DateTime, Duration, Utc};
use preau_kernel::{ClassId, SchoolId, TerritoryId};
use uuid::Uuid;

use crate::{
    lane::Profile,
    mef::Mef,
    ticket::{SKEW, instant, stamp, take},
};

/// How long it is believed.
pub const LIFE: Duration = Duration::days(30);
/// Brothers and sisters remembered at most.
pub const SIBLINGS: usize = 3;

/// The claim. It names nobody: an id of the device, half of which is a keyed hash of its person, and what lanes and slots ask
/// about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceClaim {
    /// Made when the device was first trusted: eight random bytes, and a keyed hash of the person.
    pub device: [u8; 16],
    /// What the person was.
    pub profile: Profile,
    /// The territory.
    pub territory: TerritoryId,
    /// The school.
    pub school: Option<SchoolId>,
    /// What the pupil studies (for a primary guardian, the child).
    pub mef: Option<Mef>,
    /// What brothers and sisters of the same household study: their slots are one's own too.
    pub siblings: Vec<Mef>,
    /// The class, for lessons live or soon.
    pub class: Option<ClassId>,
    /// Whether the school is a primary one: a guardian's sign-in is the child's.
    pub primary: bool,
    /// When it was sealed, to the second.
    pub issued: DateTime<Utc>,
    /// When the person signed out, to the second, if that was the last thing they did here: see
    /// [`returner`](crate::seats::returner).
    pub left: Option<DateTime<Utc>>,
}

/// The key that seals claims, derived from the installation's master key.
pub struct ClaimKey(ChaCha20Poly1305);

impl std::fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClaimKey")
    }
}

const VERSION: u8 = 1;
/// Beside the profile in its byte.
const PRIMARY: u8 = 1 << 7;
/// The instant of leaving follows that of sealing. No version of its own: a node of the release before takes a claim of
/// somebody who has just left for none, and every other claim for what it is.
const LEFT: u8 = 1 << 6;

impl ClaimKey {
    /// From 32 derived bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(ChaCha20Poly1305::new(Key::from_slice(&key)))
    }

    /// Seals a claim as a cookie value. `nonce` is random, used once.
    pub fn seal(&self, claim: &DeviceClaim, nonce: [u8; 12]) -> Option<String> {
        let siblings: Vec<Mef> = claim.siblings.iter().copied().take(SIBLINGS).collect();
        let mut body = [
            claim.device.as_slice(),
            &[claim.profile.index()
                | if claim.primary { PRIMARY } else { 0 }
                | if claim.left.is_some() { LEFT } else { 0 }],
            claim.territory.uuid().as_bytes(),
            claim.school.map_or(Uuid::nil(), SchoolId::uuid).as_bytes(),
            claim.class.map_or(Uuid::nil(), ClassId::uuid).as_bytes(),
            &stamp(claim.issued),
        ]
        .concat();
        body.extend(claim.left.map(stamp).iter().flatten());
        for mef in claim
            .mef
            .map_or_else(|| vec![None], |mef| vec![Some(mef)])
            .into_iter()
            .chain(siblings.into_iter().map(Some))
        {
            let (digits, len) = mef.map_or(([0; 11], 0), |mef| mef.packed());
            body.push(len);
            body.extend(digits);
        }
        let sealed =
            self.0.encrypt(Nonce::from_slice(&nonce), Payload { msg: &body, aad: &[VERSION] }).ok()?;
        Some(URL_SAFE_NO_PAD.encode([[VERSION].as_slice(), &nonce, &sealed].concat()))
    }

    /// Opens a claim; nothing for one that is forged, foreign or too old.
    pub fn open(&self, text: &str, now: DateTime<Utc>) -> Option<DeviceClaim> {
        if text.len() > 256 {
            return None;
        }
        let raw = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut rest = raw.as_slice();
        let [version] = take(&mut rest).ok()?;
        let nonce: [u8; 12] = take(&mut rest).ok()?;
        let body = self.0.decrypt(Nonce::from_slice(&nonce), Payload { msg: rest, aad: &[version] }).ok()?;
        let claim = read(&body)?;
        let age = now - claim.issued;
        (version == VERSION && age <= LIFE && age >= -SKEW).then_some(claim)
    }
}

fn read(mut body: &[u8]) -> Option<DeviceClaim> {
    let rest = &mut body;
    let device = take(rest).ok()?;
    let [profile] = take(rest).ok()?;
    let territory = Uuid::from_bytes(take(rest).ok()?);
    let school = Uuid::from_bytes(take(rest).ok()?);
    let class = Uuid::from_bytes(take(rest).ok()?);
    let issued = instant(u32::from_be_bytes(take(rest).ok()?))?;
    let left = match profile & LEFT {
        0 => None,
        _ => Some(instant(u32::from_be_bytes(take(rest).ok()?))?),
    };
    let mut mefs = Vec::new();
    while !rest.is_empty() {
        let [len] = take(rest).ok()?;
        let digits: [u8; 11] = take(rest).ok()?;
        let text = std::str::from_utf8(digits.get(..usize::from(len))?).ok()?;
        mefs.push(text.parse::<Mef>().ok());
    }
    let mut mefs = mefs.into_iter();
    Some(DeviceClaim {
        device,
        profile: Profile::from_index(profile & !(PRIMARY | LEFT))?,
        territory: territory.into(),
        school: (!school.is_nil()).then(|| school.into()),
        mef: mefs.next().flatten(),
        siblings: mefs.flatten().collect(),
        class: (!class.is_nil()).then(|| class.into()),
        primary: profile & PRIMARY != 0,
        issued,
        left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> DeviceClaim {
        DeviceClaim {
            device: [7; 16],
            profile: Profile::Guardian,
            territory: Uuid::from_u128(1).into(),
            school: Some(Uuid::from_u128(2).into()),
            mef: Some("10010012110".parse().unwrap()),
            siblings: vec!["20010018110".parse().unwrap(), "101".parse().unwrap()],
            class: Some(Uuid::from_u128(3).into()),
            primary: true,
            issued: "2026-11-23T08:00:00Z".parse().unwrap(),
            left: None,
        }
    }

    #[test]
    fn a_claim_opens_as_it_was_sealed_for_thirty_days() {
        let key = ClaimKey::new([5; 32]);
        let text = key.seal(&claim(), [9; 12]).unwrap();
        assert!(text.len() <= 256, "{}", text.len());
        assert_eq!(key.open(&text, claim().issued), Some(claim()));
        assert_eq!(key.open(&text, claim().issued + LIFE), Some(claim()));
        assert_eq!(key.open(&text, claim().issued + LIFE + Duration::seconds(1)), None);
        assert_eq!(key.open(&text, claim().issued - Duration::seconds(31)), None);
        assert_eq!(ClaimKey::new([6; 32]).open(&text, claim().issued), None);
        assert_eq!(key.open(&text[1..], claim().issued), None);
        let bare = DeviceClaim {
            mef: None,
            siblings: Vec::new(),
            class: None,
            school: None,
            primary: false,
            ..claim()
        };
        assert_eq!(key.open(&key.seal(&bare, [1; 12]).unwrap(), bare.issued), Some(bare));
    }

    #[test]
    fn the_instant_of_leaving_is_under_the_seal() {
        let key = ClaimKey::new([5; 32]);
        let left = DeviceClaim { left: Some(claim().issued + Duration::hours(2)), ..claim() };
        let text = key.seal(&left, [9; 12]).unwrap();
        assert!(text.len() <= 256, "{}", text.len());
        assert_eq!(key.open(&text, claim().issued + Duration::hours(3)), Some(left.clone()));
        for primary in [true, false] {
            for profile in Profile::ALL {
                let claim = DeviceClaim { primary, profile, ..left.clone() };
                assert_eq!(key.open(&key.seal(&claim, [2; 12]).unwrap(), claim.issued), Some(claim));
            }
        }
        // No letter of it may be changed: neither the instant nor the bit that says that it is there.
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open(std::str::from_utf8(&changed).unwrap(), claim().issued), None, "{at}");
        }
    }
}
