//! Passkeys (WebAuthn), through webauthn-rs: as a second factor, and instead of a password.
//!
//! What must be remembered between the question and the answer is small and sealed in the challenge that the client holds.
//! Single use is the challenge's own affair.

use std::sync::Arc;

use preau_db::DbError;
use preau_kernel::PersonId;
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

/// The relying party that we are. `None` inside where browsers would refuse (a site without a domain name).
#[derive(Clone)]
pub struct Passkeys(Option<Arc<Webauthn>>);

/// An answer that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Wrong origin, challenge, key, signature or shape: never told apart.
    Wrong,
    /// The signature is right and its counter is not ahead of the last one: the key may have been copied.
    Cloned,
}

impl From<WebauthnError> for Refused {
    fn from(err: WebauthnError) -> Self {
        match err {
            WebauthnError::CredentialPossibleCompromise => Self::Cloned,
            other => {
                tracing::debug!(reason = %other, "a passkey's answer was refused");
                Self::Wrong
            }
        }
    }
}

/// A question for a passkey, and what must be remembered until its answer.
pub struct Question<S> {
    /// For `PublicKeyCredential.parse…OptionsFromJSON`.
    pub options: Value,
    /// To be given back with the answer, whole and unread.
    pub state: S,
}

impl Passkeys {
    /// For pages under `public_url`, and the other origins given (an application's).
    ///
    /// # Errors
    /// Words that name the fault of an origin.
    pub fn new(public_url: &str, origins: &[String]) -> Result<Self, String> {
        let url = |text: &str| Url::parse(text).map_err(|err| format!("{text}: {err}"));
        let home = url(public_url)?;
        let Some(domain) = home.domain() else {
            tracing::warn!(public_url, "passkeys need a domain name: none are offered");
            return Ok(Self(None));
        };
        let mut builder =
            WebauthnBuilder::new(domain, &home).map_err(|err| err.to_string())?.rp_name("Préau");
        for origin in origins {
            builder = builder.append_allowed_origin(&url(origin)?);
        }
        Ok(Self(Some(Arc::new(builder.build().map_err(|err| err.to_string())?))))
    }

    /// Whether this site can have any.
    pub fn are_possible(&self) -> bool {
        self.0.is_some()
    }

    /// A question that makes a passkey, for somebody who has those `known` already. It is asked to be one that finds its
    /// person without a name. `None` where the site can have none.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when it cannot be asked.
    pub fn ask_new(
        &self,
        person: PersonId,
        login: &str,
        name: &str,
        known: Vec<Vec<u8>>,
    ) -> Result<Option<Question<PasskeyRegistration>>, DbError> {
        let Some(webauthn) = &self.0 else { return Ok(None) };
        let (options, state) = webauthn
            .start_passkey_registration(person.uuid(), login, name, Some(known))
            .map_err(|_| DbError::Corrupt("a passkey could not be asked for"))?;
        let mut options = to_json(&options)?;
        if let Some(wanted) = options.pointer_mut("/publicKey/authenticatorSelection") {
            wanted["residentKey"] = json!("required");
            wanted["requireResidentKey"] = json!(true);
        }
        Ok(Some(Question { options, state }))
    }

    /// The passkey of an answer to [`Self::ask_new`].
    ///
    /// # Errors
    /// [`Refused::Wrong`].
    pub fn made(&self, answer: &Value, state: &PasskeyRegistration) -> Result<Passkey, Refused> {
        let webauthn = self.0.as_ref().ok_or(Refused::Wrong)?;
        let answer: RegisterPublicKeyCredential = read(answer)?;
        Ok(webauthn.finish_passkey_registration(&answer, state)?)
    }

    /// A question for one of these credentials, or for whichever the person has (none given). `None` where the site can
    /// have none.
    ///
    /// # Errors
    /// [`DbError::Corrupt`] when it cannot be asked.
    pub fn ask(
        &self,
        credentials: &[Vec<u8>],
    ) -> Result<Option<Question<DiscoverableAuthentication>>, DbError> {
        let Some(webauthn) = &self.0 else { return Ok(None) };
        let (mut options, state) = webauthn
            .start_discoverable_authentication()
            .map_err(|_| DbError::Corrupt("a passkey could not be asked for"))?;
        options.mediation = None;
        let mut options = to_json(&options)?;
        if !credentials.is_empty() {
            let allowed: Vec<Value> = credentials
                .iter()
                .map(|id| json!({ "type": "public-key", "id": CredentialID::from(id.clone()) }))
                .collect();
            if let Some(public_key) = options.get_mut("publicKey").and_then(Value::as_object_mut) {
                public_key.insert("allowCredentials".to_owned(), Value::Array(allowed));
            }
        }
        Ok(Some(Question { options, state }))
    }

    /// The passkey after its answer: its counter has moved on.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(
        &self,
        answer: &Answer,
        state: DiscoverableAuthentication,
        mut passkey: Passkey,
    ) -> Result<Passkey, Refused> {
        let webauthn = self.0.as_ref().ok_or(Refused::Wrong)?;
        let result = webauthn.finish_discoverable_authentication_v2(&answer.0, state, &passkey)?;
        if !result.user_verified() {
            return Err(Refused::Wrong);
        }
        passkey.update_credential(&result);
        Ok(passkey)
    }
}

/// What a browser's passkey answered.
pub struct Answer(PublicKeyCredential);

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Refused::Wrong`] for what is none.
    pub fn read(answer: &Value) -> Result<Self, Refused> {
        read(answer).map(Self)
    }

    /// Which key says that it answers.
    pub fn credential_id(&self) -> &[u8] {
        self.0.get_credential_id()
    }

    /// Whose key says that it answers; a claim until the signature is verified with that person's key.
    pub fn person(&self) -> Option<PersonId> {
        uuid::Uuid::from_slice(self.0.get_user_unique_id()?).ok().map(PersonId::from)
    }
}

fn read<T: serde::de::DeserializeOwned>(answer: &Value) -> Result<T, Refused> {
    T::deserialize(answer).map_err(|_| Refused::Wrong)
}

fn to_json(options: &impl serde::Serialize) -> Result<Value, DbError> {
    serde_json::to_value(options).map_err(|_| DbError::Corrupt("options have no JSON"))
}
