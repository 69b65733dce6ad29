//! What is printed for people: activation sheets by class, cards for young pupils; and what a school lets teachers do.

mod queries;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use preau_admission::Lane;
use preau_db::{DbError, SchoolTx, journal};
use preau_http::spreadsheet;
use preau_kernel::{ClassId, Member, PersonId, Role};
use preau_session::Why;
use serde::{Deserialize, Serialize};

use super::{Accounts, Error, passphrase};
use crate::{ActivationCode, queries as door};

pub(super) use queries::rule as rule_of;

/// What a school lets the teachers of a class do to its accounts. Administrators always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRule {
    /// Add people to the class.
    pub add_users: bool,
    /// Make codes, sheets and cards.
    pub reset_passwords: bool,
    /// Block a pupil.
    pub block: bool,
    /// Delete a pupil.
    pub delete_users: bool,
    /// Take a pupil out of the class.
    pub unlink: bool,
    /// Import the class from a file.
    pub import_csv: bool,
    /// Whether a young pupil's lost password goes to the teachers of the class, not to the address in the file.
    pub young_resets_to_teacher: bool,
}

impl Default for AccountRule {
    fn default() -> Self {
        Self {
            add_users: true,
            reset_passwords: true,
            block: true,
            delete_users: true,
            unlink: true,
            import_csv: true,
            young_resets_to_teacher: false,
        }
    }
}

/// Who is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The pupils of a class.
    Pupils(ClassId),
    /// The guardians of a class's pupils. Administrators only.
    Guardians(ClassId),
    /// Everybody who works in the school. Administrators only.
    Adults,
    /// Its guests. Administrators only.
    Guests,
    /// These people, 200 at most. Administrators only.
    People(Vec<PersonId>),
}

/// One person's sheet.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Who.
    pub person: PersonId,
    /// Last name.
    pub last_name: String,
    /// First name.
    pub first_name: String,
    /// The class, or empty.
    pub class: String,
    /// Login name; empty for somebody without an account.
    pub login: String,
    /// `imported`: the code activates. Any other state: there is no code.
    pub state: String,
    /// The code. `None` for an account that is active already, and where nothing was made.
    pub code: Option<ActivationCode>,
    /// Until when the code on paper is good.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The sheets of a class.
#[derive(Clone, Debug)]
pub struct Sheets {
    /// The school's name.
    pub school: String,
    /// Where to activate.
    pub url: String,
    /// In the order of names.
    pub items: Vec<Sheet>,
}

/// A young pupil's card.
#[derive(Clone, Debug)]
pub struct Card {
    /// Who.
    pub person: PersonId,
    /// Last name.
    pub last_name: String,
    /// First name.
    pub first_name: String,
    /// Login name.
    pub login: String,
    /// The passphrase. It is shown once.
    pub passphrase: String,
}

/// A code on paper is good for this long (the national notice's three months).
const CODE_DAYS: i64 = 90;
const MOST_PEOPLE: usize = 200;

impl Accounts {
    /// What the school lets teachers do.
    ///
    /// # Errors
    /// Any database error.
    pub async fn account_rule(&self, member: &Member) -> Result<AccountRule, Error> {
        let mut tx = self.in_school(member).await?;
        let rule = queries::rule(&mut tx).await?;
        tx.commit().await?;
        Ok(rule)
    }

    pub(super) async fn rule(&self, school: preau_kernel::SchoolId) -> Result<AccountRule, Error> {
        let mut tx = self.db.in_school_for_work(school).await?;
        let rule = queries::rule(&mut tx).await?;
        tx.commit().await?;
        Ok(rule)
    }

    /// Says what the school lets teachers do. Written in the journal.
    ///
    /// # Errors
    /// Any database error.
    pub async fn set_account_rule(&self, member: &Member, rule: AccountRule) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.in_school(member).await?;
        queries::set_rule(&mut tx, &rule, member.person(), now).await?;
        let act = journal::Act {
            actor: Some(member.person()),
            act: "identity.set-class-rights",
            subject: None,
            detail: serde_json::to_value(rule).unwrap_or_default(),
        };
        journal::append(&mut tx, now, act).await?;
        Ok(tx.commit().await?)
    }

    /// Whom the sheets would be for, and where each account stands, without making anything.
    ///
    /// # Errors
    /// As [`Self::make_sheets`].
    pub async fn list_sheets(&self, member: &Member, audience: &Audience) -> Result<Sheets, Error> {
        self.sheets(member, audience, false).await
    }

    /// Makes a fresh code for everybody of the audience who has not activated yet; their codes before are void. A class is
    /// four statements, whatever its size, and one line of the journal.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a class that is not there or not the teacher's; [`Error::Withheld`]; [`Error::Field`] for
    /// more than 200 people.
    pub async fn make_sheets(&self, member: &Member, audience: &Audience) -> Result<Sheets, Error> {
        self.sheets(member, audience, true).await
    }

    async fn sheets(&self, member: &Member, audience: &Audience, make: bool) -> Result<Sheets, Error> {
        let school = self.school(member).await?;
        let mut tx = self.in_school(member).await?;
        let people = self.people(&mut tx, member, audience).await?;
        if make {
            let act = journal::Act {
                actor: Some(member.person()),
                act: "identity.make-sheets",
                subject: class_of(audience).map(ClassId::uuid),
                detail: serde_json::json!({ "people": people.len() }),
            };
            journal::append(&mut tx, self.clock.now(), act).await?;
        }
        tx.commit().await?;
        let ids: Vec<_> = people.iter().map(|person| person.id.uuid()).collect();
        let mut tx = self.beside_people(member).await?;
        let accounts: HashMap<PersonId, queries::AccountRow> = queries::accounts(&mut tx, &ids, school.id)
            .await?
            .into_iter()
            .map(|account| (account.id, account))
            .collect();
        let expires_at = self.clock.now() + TimeDelta::days(CODE_DAYS);
        let mut items = Vec::with_capacity(people.len());
        let (mut made_for, mut hashes) = (Vec::new(), Vec::new());
        for person in people {
            let account = accounts.get(&person.id);
            // Who could reach further than the member through this account is left out, as if absent.
            if account.is_some_and(|account| account.protected) {
                continue;
            }
            let waits = account.is_some_and(|account| account.state == "imported");
            let code = match make && waits {
                true => Some(
                    ActivationCode::generate()
                        .ok_or(DbError::Corrupt("the system has no randomness to give"))?,
                ),
                false => None,
            };
            if let Some(code) = &code {
                made_for.push(person.id.uuid());
                hashes.push(code.hash().to_vec());
            }
            items.push(Sheet {
                person: person.id,
                last_name: person.last_name,
                first_name: person.first_name,
                class: person.class,
                login: account.map(|account| account.login.clone()).unwrap_or_default(),
                state: account.map(|account| account.state.clone()).unwrap_or_default(),
                expires_at: match &code {
                    Some(_) => Some(expires_at),
                    None => account.and_then(|account| account.code_expires_at),
                },
                code,
            });
        }
        queries::put_codes(&mut tx, &made_for, &hashes, member.person(), expires_at).await?;
        tx.commit().await?;
        Ok(Sheets { school: school.name.to_string(), url: format!("{}/activation", self.public_url), items })
    }

    /// Who is in the audience, if the member may print it.
    async fn people(
        &self,
        tx: &mut SchoolTx,
        member: &Member,
        audience: &Audience,
    ) -> Result<Vec<queries::PersonRow>, Error> {
        if !member.is(Role::SchoolAdmin) {
            let Audience::Pupils(class) = audience else { return Err(Error::NotFound) };
            if !queries::teaches(tx, member.person(), *class).await? {
                return Err(Error::NotFound);
            }
            if !queries::rule(tx).await?.reset_passwords {
                return Err(Error::Withheld);
            }
        }
        if let Some(class) = class_of(audience)
            && !queries::class_exists(tx, class).await?
        {
            return Err(Error::NotFound);
        }
        Ok(match audience {
            Audience::Pupils(class) => queries::pupils(tx, *class).await?,
            Audience::Guardians(class) => queries::guardians(tx, *class).await?,
            Audience::Adults => queries::adults(tx).await?,
            Audience::Guests => queries::guests(tx).await?,
            Audience::People(ids) if ids.len() > MOST_PEOPLE => {
                return Err(Error::Field("person_ids", "too-many"));
            }
            Audience::People(ids) => {
                let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
                queries::people(tx, &ids).await?
            }
        })
    }

    /// Gives every pupil of a class of a primary school a new passphrase, to be printed on a card. Their devices are signed
    /// out; an account that was never activated is active from here on, and meets the terms at its first sign-in.
    ///
    /// # Errors
    /// [`Error::NoCards`] elsewhere than in a primary school; as [`Self::make_sheets`] for the rest.
    pub async fn make_cards(&self, member: &Member, class: ClassId) -> Result<Vec<Card>, Error> {
        let school = self.school(member).await?;
        let mut tx = self.in_school(member).await?;
        let people = self.people(&mut tx, member, &Audience::Pupils(class)).await?;
        if !queries::is_primary(&mut tx).await? {
            return Err(Error::NoCards);
        }
        let act = journal::Act {
            actor: Some(member.person()),
            act: "identity.make-cards",
            subject: Some(class.uuid()),
            detail: serde_json::json!({ "people": people.len() }),
        };
        journal::append(&mut tx, self.clock.now(), act).await?;
        tx.commit().await?;
        let ids: Vec<_> = people.iter().map(|person| person.id.uuid()).collect();
        let mut tx = self.beside_people(member).await?;
        let accounts = queries::accounts(&mut tx, &ids, school.id).await?;
        tx.commit().await?;
        let mut cards = Vec::with_capacity(people.len());
        for person in people {
            let Some(account) = accounts.iter().find(|account| account.id == person.id) else { continue };
            let usable = matches!(account.state.as_str(), "imported" | "active");
            if account.protected || !account.only_pupil || !usable {
                continue;
            }
            let phrase = passphrase::young_passphrase()
                .ok_or(DbError::Corrupt("the system has no randomness to give"))?;
            let phc = self.hashes.hash(Lane::Lesson, &phrase).await.map_err(crate::Error::from)?;
            let now = self.clock.now();
            // A secret is written by its own person's transaction and by no other.
            let mut tx = self.db.as_person(person.id).await?;
            door::set_password(&mut tx, &phc, now).await?;
            queries::activate_by_card(&mut tx, now).await?;
            let closed = self.sessions.close_in(&mut tx, None, None, Why::PasswordChanged).await?;
            tx.commit().await?;
            self.sessions.spread(person.id, &closed).await;
            cards.push(Card {
                person: person.id,
                last_name: person.last_name,
                first_name: person.first_name,
                login: account.login.clone(),
                passphrase: phrase,
            });
        }
        Ok(cards)
    }
}

fn class_of(audience: &Audience) -> Option<ClassId> {
    match audience {
        Audience::Pupils(class) | Audience::Guardians(class) => Some(*class),
        Audience::Adults | Audience::Guests | Audience::People(_) => None,
    }
}

/// The sheets as CSV for a French spreadsheet: UTF-8 with a mark, semicolons, no cell that is a formula.
pub fn csv(sheets: &Sheets) -> String {
    let mut text = spreadsheet::MARK.to_owned();
    text.push_str("Nom;Prénom;Classe;Identifiant;Code d'activation;Valable jusqu'au\r\n");
    for sheet in &sheets.items {
        let until = sheet.expires_at.filter(|_| sheet.code.is_some());
        text.push_str(&spreadsheet::line(&[
            sheet.last_name.clone(),
            sheet.first_name.clone(),
            sheet.class.clone(),
            sheet.login.clone(),
            sheet.code.as_ref().map(ActivationCode::printed).unwrap_or_default(),
            until.map(|at| at.format("%d/%m/%Y").to_string()).unwrap_or_default(),
        ]));
    }
    text
}
