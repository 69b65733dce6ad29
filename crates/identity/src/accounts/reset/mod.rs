//! Lost logins and passwords.
//!
//! What is asked for at the door is written down and answered for, without looking anybody up: the same statement, the same
//! answer, in the same time, whether there is anybody or not. A worker finds out later and writes the mail.

mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use preau_db::{DbError, journal};
use preau_kernel::{Member, PersonId, Power, Role, SchoolId};
use preau_post::{Mail, Text};
use preau_session::{Device, Why, load_profile};
use serde::{Deserialize, Serialize};

use super::{Accounts, Error, REQUEST_LIVES, rules, secret};
use crate::{
    ActivationCode, Coming, MadeCode, doorway::Entry, queries as door, rules::login_name,
    service::check_password,
};

pub(crate) use queries::behind;

/// How a way back in is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A link by e-mail.
    Mail,
    /// A code by text message.
    Sms,
}

/// What shows that somebody may choose a new password.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The link that was mailed.
    Link(String),
    /// A code that was sent or handed over, with the login name that it goes with.
    Code {
        /// Login name, as typed.
        login: String,
        /// Code, as typed.
        code: String,
    },
}

/// What is asked for at the door, sealed until a worker reads it.
#[derive(Serialize, Deserialize)]
enum Asked {
    Logins { email: String },
    Password { identifier: String, channel: Channel },
}

/// A link or a code that was sent is good for this long.
const LIVES: TimeDelta = TimeDelta::hours(1);
/// Ways back in that may be open at once, of each kind: as many as a recipient is sent within the hour.
const MOST_OPEN: i64 = 3;
/// Digits of a code by text message: with five tries at three codes an hour, a year of attack finds one account in 700.
const SMS_DIGITS: usize = 8;
const MOST_TRIES: i32 = 5;
/// People behind one address that a mail names.
const MOST_PEOPLE: i64 = 12;
const BATCH: i64 = 20;
const MOST_ATTEMPTS: i32 = 6;

impl Accounts {
    /// Asks for the login names of the people behind an address, to be mailed there.
    ///
    /// # Errors
    /// [`Error::Field`] for what is no address; [`Error::NoPost`].
    pub async fn ask_for_logins(&self, email: &str) -> Result<(), Error> {
        let email = rules::email(email).ok_or(Error::Field("email", "not-an-address"))?;
        if !self.post.carries_mail() {
            return Err(Error::NoPost);
        }
        let name = format!("ask:logins:{email}");
        self.ask(&name, &Asked::Logins { email }).await
    }

    /// Asks for a way back in, for a login name or an e-mail address.
    ///
    /// # Errors
    /// [`Error::Field`] for what is neither; [`Error::NoPost`].
    pub async fn ask_for_password(&self, identifier: &str, channel: Channel) -> Result<(), Error> {
        let carried = match channel {
            Channel::Mail => self.post.carries_mail(),
            Channel::Sms => self.post.carries_texts(),
        };
        if !carried {
            return Err(Error::NoPost);
        }
        let identifier = rules::email(identifier)
            .or_else(|| login_name(identifier))
            .ok_or(Error::Field("identifier", "not-an-identifier"))?;
        let name = format!("ask:{channel:?}:{identifier}");
        self.ask(&name, &Asked::Password { identifier, channel }).await
    }

    /// One statement. Who asks again before a worker has come has asked once.
    async fn ask(&self, name: &str, asked: &Asked) -> Result<(), Error> {
        let hash = self.backoff.hash(name);
        let plain = serde_json::to_vec(asked).map_err(|_| DbError::Corrupt("a request is not JSON"))?;
        let sealed = self.post.seal(&hash, &plain)?;
        let mut tx = self.db.lookup().await?;
        queries::ask(&mut tx, &hash, &sealed, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Answers what was asked for, until nothing is left. Workers of several nodes may do so at once.
    ///
    /// # Errors
    /// Any [`DbError`] of taking requests; one that cannot be answered is tried again later, a few times.
    pub async fn answer_requests(&self) -> Result<usize, DbError> {
        let mut answered = 0;
        loop {
            let now = self.clock.now();
            let mut tx = self.db.lookup().await?;
            let requests = queries::claim(&mut tx, now, BATCH).await?;
            tx.commit().await?;
            if requests.is_empty() {
                return Ok(answered);
            }
            for request in requests {
                let age = (now - request.created_at).to_std().unwrap_or_default();
                let over = age > REQUEST_LIVES || request.attempts > MOST_ATTEMPTS;
                let outcome = if over { Ok(()) } else { self.answer(&request).await };
                match outcome {
                    Ok(()) => {
                        let mut tx = self.db.lookup().await?;
                        queries::answered(&mut tx, &request.identifier_hash).await?;
                        tx.commit().await?;
                        answered += 1;
                    }
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            error,
                            attempts = request.attempts,
                            "a request from the door was put off"
                        );
                    }
                }
            }
        }
    }

    async fn answer(&self, request: &queries::Request) -> Result<(), Error> {
        let plain = self.post.unseal(&request.identifier_hash, &request.sealed);
        // Sealed under another master key: nobody can answer it.
        let Some(asked) = plain.ok().and_then(|plain| serde_json::from_slice(&plain).ok()) else {
            return Ok(());
        };
        match asked {
            Asked::Logins { email } => self.mail_logins(email).await,
            Asked::Password { identifier, channel } => {
                let address = identifier.contains('@').then_some(identifier.as_str());
                let people = match address {
                    Some(address) => self.behind_address(address).await?,
                    None => {
                        let mut tx = self.db.lookup().await?;
                        let person = door::person_of_login(&mut tx, &identifier).await?;
                        tx.commit().await?;
                        person.into_iter().collect()
                    }
                };
                match channel {
                    Channel::Mail => self.mail_ways_back(&people, address).await,
                    Channel::Sms => {
                        for person in people {
                            self.text_way_back(person).await?;
                        }
                        Ok(())
                    }
                }
            }
        }
    }

    /// The people behind an address, each once: a record that was merged stands for the one that was kept.
    async fn behind_address(&self, address: &str) -> Result<Vec<PersonId>, Error> {
        let mut tx = self.db.lookup_email(address).await?;
        let found = behind(&mut tx, address, MOST_PEOPLE).await?;
        tx.commit().await?;
        let mut people = Vec::with_capacity(found.len());
        for person in found {
            let person = self.identity.kept(person).await?;
            if !people.contains(&person) {
                people.push(person);
            }
        }
        Ok(people)
    }

    async fn mail_logins(&self, email: String) -> Result<(), Error> {
        let people = self.behind_address(&email).await?;
        let mut lines = Vec::new();
        let mut school = None;
        for person in people {
            let mut tx = self.db.as_person(person).await?;
            let found = queries::target(&mut tx).await?;
            tx.commit().await?;
            let Some(found) = found.filter(|found| found.state == "imported" || found.state == "active")
            else {
                continue;
            };
            school = school.or(found.school);
            lines.push(format!("- {} {} : {}", found.first_name, found.last_name, found.login));
        }
        if lines.is_empty() {
            return Ok(());
        }
        let text = format!(
            "Bonjour,\n\nVoici les identifiants liés à cette adresse :\n\n{}\n\nPour vous connecter : {}/connexion\n\nSi vous \
             n'avez rien demandé, ignorez ce message.\n",
            lines.join("\n"),
            self.public_url
        );
        let subject = "Vos identifiants".to_owned();
        let mut tx = self.db.lookup().await?;
        let expires_at = self.clock.now() + LIVES;
        self.post.mail(&mut tx, Mail { to: email, subject, text }, school, expires_at).await?;
        Ok(tx.commit().await?)
    }

    /// Mails a link for each of these people to the address that was typed, or to the person's own: one mail, for people who
    /// share an address would spend its budget on each other. A young pupil's teachers are told instead.
    async fn mail_ways_back(&self, people: &[PersonId], address: Option<&str>) -> Result<(), Error> {
        let now = self.clock.now();
        let expires_at = now + LIVES;
        let (mut links, mut to, mut school) = (Vec::new(), address.map(str::to_owned), None);
        for person in people.iter().copied() {
            let mut tx = self.db.as_person(person).await?;
            let Some(target) = queries::target(&mut tx).await?.filter(queries::Target::may_come_back) else {
                continue;
            };
            if let Some(young_in) = target.young_in {
                tx.commit().await?;
                if self.rule(young_in).await?.young_resets_to_teacher {
                    self.tell_teachers(young_in, person, &target).await?;
                    continue;
                }
                tx = self.db.as_person(person).await?;
            }
            if to.is_none() {
                to.clone_from(&target.email);
            }
            if to.is_none() || queries::open(&mut tx, "mail", now).await? >= MOST_OPEN {
                continue;
            }
            let token = secret::LinkToken::new(person)?;
            queries::put(&mut tx, "mail", &token.hash(), None, now, expires_at).await?;
            tx.commit().await?;
            school = school.or(target.school);
            links.push((target, self.link("reinitialisation", &token.reveal())));
        }
        let (Some(to), Some((first, link))) = (to, links.first()) else { return Ok(()) };
        let text = if links.len() == 1 {
            format!(
                "Bonjour {},\n\nPour choisir un nouveau mot de passe pour l'identifiant {}, ouvrez cette adresse dans \
                 l'heure :\n\n{link}\n\nElle ne sert qu'une fois. Si vous n'avez rien demandé, ignorez ce message : votre \
                 mot de passe ne change pas.\n",
                first.first_name, first.login
            )
        } else {
            let each: Vec<String> = links
                .iter()
                .map(|(one, link)| {
                    format!("{} {}, identifiant {} :\n{link}", one.first_name, one.last_name, one.login)
                })
                .collect();
            format!(
                "Bonjour,\n\nPlusieurs personnes ont cette adresse. Pour choisir un nouveau mot de passe, ouvrez dans \
                 l'heure l'adresse de la personne concernée :\n\n{}\n\nChacune ne sert qu'une fois. Si vous n'avez rien \
                 demandé, ignorez ce message : aucun mot de passe ne change.\n",
                each.join("\n\n")
            )
        };
        let subject = "Choisir un nouveau mot de passe".to_owned();
        let mut tx = self.db.lookup().await?;
        self.post.mail(&mut tx, Mail { to, subject, text }, school, expires_at).await?;
        Ok(tx.commit().await?)
    }

    async fn text_way_back(&self, person: PersonId) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.as_person(person).await?;
        let Some(target) = queries::target(&mut tx).await?.filter(queries::Target::may_come_back) else {
            return Ok(());
        };
        let Some(to) = target.mobile else { return Ok(()) };
        if queries::open(&mut tx, "sms", now).await? >= MOST_OPEN {
            return Ok(());
        }
        let expires_at = now + LIVES;
        let code = secret::digits(SMS_DIGITS)?;
        queries::put(&mut tx, "sms", &self.sms_hash(person, &code), None, now, expires_at).await?;
        let text = format!(
            "Préau : code {code} pour choisir un nouveau mot de passe, valable une heure. Ne le donnez à personne."
        );
        self.post.text(&mut tx, Text { to, text }, target.school, expires_at).await?;
        Ok(tx.commit().await?)
    }

    /// A young pupil's teachers are told, and make a code or a card. Nothing in the mail lets anybody in.
    async fn tell_teachers(
        &self,
        school: SchoolId,
        pupil: PersonId,
        target: &queries::Target,
    ) -> Result<(), Error> {
        let mut tx = self.db.in_school_for_work(school).await?;
        let teachers = queries::teachers_of(&mut tx, pupil).await?;
        tx.commit().await?;
        let expires_at = self.clock.now() + TimeDelta::hours(24);
        for teacher in teachers {
            let mut tx = self.db.as_person(teacher).await?;
            if let Some(to) = queries::target(&mut tx).await?.and_then(|teacher| teacher.email) {
                let text = format!(
                    "Bonjour,\n\n{} {} a perdu son mot de passe. Vous pouvez imprimer une nouvelle carte : {}/fiches\n",
                    target.first_name, target.last_name, self.public_url
                );
                let subject = "Un élève de votre classe a perdu son mot de passe".to_owned();
                self.post.mail(&mut tx, Mail { to, subject, text }, Some(school), expires_at).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Makes a code that a teacher or an administrator hands over, good for 1 to 24 hours; the one before it is void.
    /// Written in the journal.
    ///
    /// # Errors
    /// [`Error::NotFound`] for whoever the member may not do this for; [`Error::Withheld`]; [`Error::NotActivated`];
    /// [`Error::Field`] for another number of hours.
    pub async fn make_reset_code(
        &self,
        member: &Member,
        person: PersonId,
        hours: i64,
    ) -> Result<MadeCode, Error> {
        if !(1..=24).contains(&hours) {
            return Err(Error::Field("hours", "out-of-range"));
        }
        self.check_may(member, person, Some(Power::ResetPasswords), |rule| rule.reset_passwords).await?;
        let code =
            ActivationCode::generate().ok_or(DbError::Corrupt("the system has no randomness to give"))?;
        let now = self.clock.now();
        let mut tx = self.db.as_person(person).await?;
        let target = queries::target(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        if target.state != "active" {
            return Err(Error::NotActivated);
        }
        let mut tx = self.in_school(member).await?;
        let act = journal::Act {
            actor: Some(member.person()),
            act: "identity.make-reset-code",
            subject: Some(person.uuid()),
            detail: serde_json::json!({ "hours": hours }),
        };
        journal::append(&mut tx, now, act).await?;
        tx.commit().await?;
        let expires_at = now + TimeDelta::hours(hours);
        let mut tx = self.db.as_person(person).await?;
        queries::forget(&mut tx, Some("handed")).await?;
        queries::put(&mut tx, "handed", &code.hash(), Some(member.person()), now, expires_at).await?;
        tx.commit().await?;
        Ok(MadeCode { login: target.login, code, expires_at })
    }

    /// Makes an activation code; the one before it is void. Written in the journal.
    ///
    /// # Errors
    /// As [`Self::make_reset_code`]; [`crate::Error::AlreadyActive`] where there is a password to reset.
    pub async fn make_activation_code(&self, member: &Member, person: PersonId) -> Result<MadeCode, Error> {
        self.check_may(member, person, Some(Power::ResetPasswords), |rule| rule.reset_passwords).await?;
        let mut tx = self.in_school(member).await?;
        let act = journal::Act {
            actor: Some(member.person()),
            act: "identity.make-activation-code",
            subject: Some(person.uuid()),
            detail: serde_json::json!({}),
        };
        journal::append(&mut tx, self.clock.now(), act).await?;
        tx.commit().await?;
        Ok(self.identity.put_code(person, Some(member.person())).await?)
    }

    /// Whether the member may do to this person what the right is about: an administrator to anybody of the school, a
    /// teacher to the pupils of a class taught where the school gives the right, whoever holds `power` to those who
    /// administer nothing.
    pub(super) async fn check_may(
        &self,
        member: &Member,
        person: PersonId,
        power: Option<Power>,
        right: impl Fn(&super::AccountRule) -> bool,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.in_school(member).await?;
        let reach = door::reach(&mut tx, member.person(), person, now).await?;
        let rule = super::sheets::rule_of(&mut tx).await?;
        tx.commit().await?;
        if !reach.here {
            return Err(Error::NotFound);
        }
        let by = match member.is(Role::SchoolAdmin) {
            true => rules::By::Office,
            false if reach.taught && right(&rule) => rules::By::Class,
            false => match power {
                Some(power) if member.may(power) || self.db.has_power(member, power, now).await? => {
                    rules::By::Power
                }
                _ if reach.taught => return Err(Error::Withheld),
                _ => return Err(Error::NotFound),
            },
        };
        let mut tx = self.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::NotFound)?;
        tx.commit().await?;
        // A code for somebody who holds a power would hand the power on.
        let hands_on = by == rules::By::Power && reach.empowered;
        if !hands_on && rules::may_touch(member.school(), by, &profile) {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Chooses a new password. Every device is signed out, ways back in are void, and a second factor stays what it was:
    /// nobody is let in by this alone. It waits in the same line as a sign-in; a proof is not used up before the end.
    ///
    /// # Errors
    /// [`crate::Error::Wait`] while it is not their turn; [`Error::BadReset`], whatever is wrong with the proof;
    /// [`crate::Error::PasswordRefused`] once it is right; [`crate::Error::TooManyAttempts`].
    pub async fn reset_password(
        &self,
        proof: Proof,
        password: &str,
        coming: &Coming,
        device: &Device,
    ) -> Result<(), Error> {
        let identifier = match &proof {
            Proof::Link(token) => self.backoff.hash(&format!("link:{token}")),
            Proof::Code { login, .. } => {
                self.backoff.hash(&format!("reset:{}", login_name(login).unwrap_or_default()))
            }
        };
        let mut entry = None;
        let error = match self.reset(proof, password, (coming, device, &identifier), &mut entry).await {
            Err(Error::Door(error)) => error,
            Err(Error::Db(error)) => error.into(),
            other => return other,
        };
        let doorway = self.identity.doorway();
        Err(doorway.turn_back_from_code((coming, device, &identifier), entry, error).await.into())
    }

    async fn reset(
        &self,
        proof: Proof,
        password: &str,
        (coming, device, identifier): (&Coming, &Device, &[u8; 32]),
        entry: &mut Option<Entry>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let (person, found) = match proof {
            Proof::Link(token) => {
                let token = secret::LinkToken::parse(&token).ok_or(Error::BadReset)?;
                let mut tx = self.db.as_person(token.person).await?;
                let found = queries::find(&mut tx, &["mail"], &[token.hash().to_vec()], now).await?;
                tx.commit().await?;
                (token.person, found)
            }
            Proof::Code { login, code } => self.find_by_code(&login, &code, now).await?,
        };
        let found = found.ok_or(Error::BadReset)?;
        let mut tx = self.db.as_person(person).await?;
        let profile = load_profile(&mut tx).await?.ok_or(Error::BadReset)?;
        let target = queries::target(&mut tx).await?.ok_or(Error::BadReset)?;
        tx.commit().await?;
        if target.state != "active" || target.blocked {
            return Err(Error::BadReset);
        }
        check_password(password, &profile, &[&target.login, &target.first_name, &target.last_name])?;
        let doorway = self.identity.doorway();
        let turn = entry.insert(doorway.ask_for(coming, device, identifier, (person, &profile)).await?);
        doorway.redeem(&turn.pass, device, person, &profile).await?;
        let phc = self.hashes.hash(turn.pass.turn(), password).await.map_err(crate::Error::from)?;
        let mut tx = self.db.as_person(person).await?;
        // Used up here and not before: a refused password must not cost the link.
        if !queries::use_up(&mut tx, &found, now).await? {
            return Err(Error::BadReset);
        }
        queries::forget(&mut tx, None).await?;
        door::set_password(&mut tx, &phc, now).await?;
        let closed = self.sessions.close_in(&mut tx, None, None, Why::PasswordChanged).await?;
        tx.commit().await?;
        self.sessions.spread(person, &closed).await;
        // Whoever made the account wait by guessing must not keep its owner out.
        self.backoff.forget(&self.backoff.hash(&target.login)).await;
        Ok(())
    }

    /// The same statements run for a login name that nobody has.
    async fn find_by_code(
        &self,
        login: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<(PersonId, Option<Vec<u8>>), Error> {
        let name = login_name(login).unwrap_or_default();
        let identifier = self.backoff.hash(&format!("reset:{name}"));
        let handed = ActivationCode::parse(code);
        if handed.is_none() {
            // Eight digits are few: waiting is what makes them safe. 65 bits need none, and nobody can be kept from using
            // a code by somebody else who guesses.
            self.backoff.begin(&identifier).await?;
        }
        let mut tx = self.db.lookup().await?;
        let person =
            door::person_of_login(&mut tx, &name).await?.unwrap_or(PersonId::from(uuid::Uuid::nil()));
        tx.commit().await?;
        let mut tx = self.db.as_person(person).await?;
        let mut hashes = Vec::with_capacity(2);
        hashes.extend(handed.map(|code| code.hash().to_vec()));
        hashes.extend(
            secret::typed_digits(code, SMS_DIGITS..=SMS_DIGITS)
                .map(|digits| self.sms_hash(person, &digits).to_vec()),
        );
        queries::count_try(&mut tx, now).await?;
        let found = queries::find(&mut tx, &["sms", "handed"], &hashes, now).await?;
        tx.commit().await?;
        if found.is_some() {
            self.backoff.forget(&identifier).await;
        }
        Ok((person, found))
    }

    fn sms_hash(&self, person: PersonId, code: &str) -> secret::Hash {
        self.keys.hash("reset", &[person.uuid().as_bytes(), code.as_bytes()])
    }
}
