//! E-mail: to an SMTP server, or to files.

use std::{path::PathBuf, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{Mail, PostConfig, PostError, Refused, Security, Transport};

pub(crate) struct MailDoor {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    File(PathBuf),
}

pub(crate) fn door(config: &PostConfig, deadline: Duration) -> Result<Option<MailDoor>, PostError> {
    let way = match config.transport {
        Transport::None => return Ok(None),
        Transport::File => {
            if config.folder.as_os_str().is_empty() {
                return Err(PostError::Setting(
                    "folder",
                    "must name a folder for the file transport".to_owned(),
                ));
            }
            Way::File(config.folder.clone())
        }
        Transport::Smtp => Way::Smtp(Box::new(smtp(config, deadline)?)),
    };
    let from = config.from.parse().map_err(|err| PostError::Setting("from", format!("{err}")))?;
    Ok(Some(MailDoor { from, way }))
}

fn smtp(config: &PostConfig, deadline: Duration) -> Result<AsyncSmtpTransport<Tokio1Executor>, PostError> {
    let security = |err: String| PostError::Setting("smtp_security", err);
    let parameters = || -> Result<TlsParameters, PostError> {
        let mut builder = TlsParameters::builder(config.smtp_host.clone());
        if !config.smtp_authority.as_os_str().is_empty() {
            let wrong = |err: String| PostError::Setting("smtp_authority", err);
            let pem = std::fs::read(&config.smtp_authority).map_err(|err| wrong(err.to_string()))?;
            builder = builder
                .add_root_certificate(Certificate::from_pem(&pem).map_err(|err| wrong(err.to_string()))?);
        }
        builder.build_rustls().map_err(|err| security(err.to_string()))
    };
    let tls = match config.smtp_security {
        Security::Starttls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
        Security::None => Tls::None,
    };
    // "Dangerous" is lettre's word for a builder without TLS of its own: it is given just below.
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.smtp_host)
        .port(config.smtp_port)
        .tls(tls)
        .timeout(Some(deadline));
    if !config.smtp_user.is_empty() {
        builder = builder.credentials(Credentials::new(
            config.smtp_user.clone(),
            config.smtp_password.expose_secret().to_owned(),
        ));
    }
    Ok(builder.build())
}

impl MailDoor {
    pub(crate) async fn send(&self, id: Uuid, mail: &Mail) -> Result<(), Refused> {
        let message = self.message(id, mail)?;
        match &self.way {
            Way::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                // The server's own words may repeat the address: only their class is kept.
                Err(err) if err.is_permanent() => Err(Refused::ForGood(
                    err.status().map_or("permanent".to_owned(), |code| code.to_string()),
                )),
                Err(err) => {
                    Err(Refused::ForNow(err.status().map_or("no answer".to_owned(), |code| code.to_string())))
                }
            },
            Way::File(folder) => write_whole(folder, &format!("{id}.eml"), &message.formatted()).await,
        }
    }

    fn message(&self, id: Uuid, mail: &Mail) -> Result<Message, Refused> {
        let unusable = |what: &str| Refused::ForGood(what.to_owned());
        let to: Mailbox = mail.to.parse().map_err(|_| unusable("address"))?;
        Message::builder()
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(to)
            .subject(mail.subject.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|_| unusable("message"))
    }
}

/// Writes a file aside and renames it: who watches the folder sees whole files, the same message once.
pub(crate) async fn write_whole(folder: &std::path::Path, name: &str, bytes: &[u8]) -> Result<(), Refused> {
    let write = async {
        tokio::fs::create_dir_all(folder).await?;
        let aside = folder.join(format!(".{name}"));
        tokio::fs::write(&aside, bytes).await?;
        tokio::fs::rename(&aside, folder.join(name)).await
    };
    write.await.map_err(|err: std::io::Error| Refused::ForNow(err.kind().to_string()))
}
