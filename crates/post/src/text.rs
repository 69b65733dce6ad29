//! Text messages: to an HTTP gateway, or to files.

use std::path::PathBuf;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::{PostConfig, PostError, Refused, Text, TextGateway, Transport, mail::write_whole};

pub(crate) fn gateway(config: &PostConfig) -> Result<Option<Box<dyn TextGateway>>, PostError> {
    if config.transport == Transport::File {
        return Ok(Some(Box::new(Files { folder: config.folder.clone() })));
    }
    if config.sms_url.is_empty() {
        return Ok(None);
    }
    let url: Uri =
        config.sms_url.parse().map_err(|_| PostError::Setting("sms_url", "must be an address".to_owned()))?;
    let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    Ok(Some(Box::new(HttpGateway {
        client: Client::builder(TokioExecutor::new()).build(connector),
        url,
        token: config.sms_token.clone(),
        sender: config.sms_sender.clone(),
    })))
}

struct Files {
    folder: PathBuf,
}

impl TextGateway for Files {
    fn send<'a>(&'a self, id: Uuid, text: &'a Text) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move {
            let body = json!({ "id": id, "to": text.to, "text": text.text }).to_string();
            write_whole(&self.folder, &format!("{id}.sms.json"), body.as_bytes()).await
        })
    }
}

struct HttpGateway {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    token: SecretString,
    sender: String,
}

impl TextGateway for HttpGateway {
    fn send<'a>(&'a self, id: Uuid, text: &'a Text) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move {
            let body =
                json!({ "id": id, "to": text.to, "text": text.text, "sender": self.sender }).to_string();
            let request = Request::post(self.url.clone())
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose_secret()))
                .body(Full::new(Bytes::from(body)))
                .map_err(|_| Refused::ForGood("token is no header".to_owned()))?;
            let response = self
                .client
                .request(request)
                .await
                .map_err(|_| Refused::ForNow("the gateway cannot be reached".to_owned()))?;
            judge(response.status())
        })
    }
}

/// What a gateway's status means.
fn judge(status: StatusCode) -> Result<(), Refused> {
    let why = || status.as_u16().to_string();
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Refused::ForNow(why())),
        _ if status.is_client_error() => Err(Refused::ForGood(why())),
        _ => Err(Refused::ForNow(why())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_may_recover_is_asked_again() {
        for (status, again) in
            [(408, true), (429, true), (500, true), (302, true), (400, false), (403, false)]
        {
            let outcome = judge(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(matches!(outcome, Refused::ForNow(_)), again, "{status}");
        }
        assert!(judge(StatusCode::ACCEPTED).is_ok());
    }
}
