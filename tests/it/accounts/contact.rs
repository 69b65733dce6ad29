//! Addresses and numbers: confirmed by whoever reads them, and what carries the post.

use super::*;

#[test]
fn an_address_counts_once_its_owner_has_shown_to_read_it() {
    play(async |stage| {
        let server = SmtpServer::start(&[]).await;
        let port = server.port;
        let node = stage
            .node_with(|config| {
                config.post.transport = Transport::Smtp;
                config.post.smtp_host = "127.0.0.1".to_owned();
                config.post.smtp_port = port;
                config.post.smtp_security = Security::None;
                config.post.from = "Préau <ne-pas-repondre@ent.example>".to_owned();
            })
            .await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let me = node.proven(&durand).await;
        for bad in ["claire", "claire@", "a@b.fr\r\nBcc: c@d.fr", &"a".repeat(300)] {
            me.put("/api/v1/account/email", &json!({ "email": bad })).await.refused(422, "against-the-rules");
        }
        me.put("/api/v1/account/email", &json!({ "email": " Claire@Example.org " })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let sent = server.taken().pop().expect("a mail");
        assert_eq!(sent.to, "claire@example.org");
        assert!(server.raw()[0].contains("Message-ID: <"), "{:?}", server.raw());
        assert_eq!(stage.count("SELECT count(*) FROM post_message").await, 0);
        let before = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!(
            (&before["email"], &before["email_waiting"]),
            (&Value::Null, &json!("claire@example.org"))
        );
        me.post("/api/v1/account/email/confirmation", &json!({ "code": "000000" }))
            .await
            .refused(422, "bad-code");
        me.post("/api/v1/account/email/confirmation", &json!({ "code": sent.code(6) })).await.expect(204);
        let after = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!((&after["email"], &after["email_by_hand"]), (&json!("claire@example.org"), &json!(true)));
        me.post("/api/v1/account/email/confirmation", &json!({ "code": sent.code(6) }))
            .await
            .refused(422, "bad-code");

        // By the link, from any device; and five wrong codes void what waits.
        me.put("/api/v1/account/email", &json!({ "email": "durand@example.org" })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let link = server.taken().pop().unwrap();
        let token = link.token("compte/confirmation");
        for _ in 0..6 {
            me.post("/api/v1/account/email/confirmation", &json!({ "code": "111112" }))
                .await
                .refused(422, "bad-code");
        }
        me.post("/api/v1/account/email/confirmation", &json!({ "code": link.code(6) }))
            .await
            .refused(422, "bad-code");
        let confirm = async |token: &str| {
            node.stranger().post("/api/v1/email-confirmations", &json!({ "token": token })).await
        };
        confirm("v1.x.y").await.refused(422, "bad-code");
        confirm(&token).await.expect(204);
        confirm(&token).await.refused(422, "bad-code");
        // A code is good for an hour.
        me.put("/api/v1/account/email", &json!({ "email": "tard@example.org" })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let late = server.taken().pop().unwrap();
        stage.advance(Duration::minutes(61));
        confirm(&late.token("compte/confirmation")).await.refused(422, "bad-code");
        assert_eq!(
            stage
                .count(
                    "SELECT count(*) FROM person WHERE email = 'durand@example.org' AND email_origin = 'hand'"
                )
                .await,
            1
        );
    });
}

#[test]
fn a_mobile_is_confirmed_by_a_text_message() {
    play(async |stage| {
        let node = stage.node().await;
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let me = node.proven(&durand).await;
        me.put("/api/v1/account/mobile", &json!({ "mobile": "01 42 00 00 00" }))
            .await
            .refused(422, "against-the-rules");
        me.put("/api/v1/account/mobile", &json!({ "mobile": "06 12 34 56 78" })).await.expect(202);
        node.app.accounts.work().await.unwrap();
        let sent = stage.sent_to("+33612345678").pop().expect("a text message");
        me.post("/api/v1/account/mobile/confirmation", &json!({ "code": sent.code(6) })).await.expect(204);
        let standing = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!(
            (&standing["mobile"], &standing["mobile_by_hand"]),
            (&json!("+33612345678"), &json!(true))
        );
        me.delete("/api/v1/account/mobile").await.expect(204);
        let standing = me.get("/api/v1/account").await.expect(200).json();
        assert_eq!((&standing["mobile"], &standing["mobile_by_hand"]), (&Value::Null, &json!(true)));
    });
}

#[test]
fn a_server_that_hesitates_is_asked_again_and_nothing_travels_in_the_clear_unless_told() {
    play(async |stage| {
        let server = SmtpServer::start(&["451 greylisted", "451 greylisted", "550 never"]).await;
        let smtp = |security| {
            let port = server.port;
            move |config: &mut preau_server::Config| {
                config.post.transport = Transport::Smtp;
                config.post.smtp_host = "127.0.0.1".to_owned();
                config.post.smtp_port = port;
                config.post.smtp_security = security;
            }
        };
        let (plain, guarded) =
            (stage.node_with(smtp(Security::None)).await, stage.node_with(smtp(Security::Starttls)).await);
        let durand = class(&stage).await.teacher("Claire Durand").await;
        let me = plain.proven(&durand).await;
        let change =
            async |email: &str| me.put("/api/v1/account/email", &json!({ "email": email })).await.expect(202);
        change("un@example.org").await;
        let deliver = async |node: &Node| node.app.post.deliver_due().await.unwrap();
        for waited in [30, 60] {
            let did = deliver(&plain).await;
            assert_eq!((did.sent, did.put_off), (0, 1));
            assert_eq!(deliver(&plain).await, preau_post::Delivered::default(), "not before it is due");
            stage.advance(Duration::seconds(waited));
        }
        // This time it says never.
        assert_eq!(deliver(&plain).await.dropped, 1);
        change("deux@example.org").await;
        assert_eq!(deliver(&plain).await.sent, 1);
        assert_eq!(server.taken().pop().unwrap().to, "deux@example.org");

        change("trois@example.org").await;
        let (came, taken) = (server.connections(), server.taken().len());
        assert_eq!(deliver(&guarded).await.put_off, 1, "a server without STARTTLS is given nothing");
        assert!(server.connections() > came && server.taken().len() == taken);
        // What waits holds no address, and is not sent any more once it has run out.
        let waiting: Vec<u8> =
            sqlx::query_scalar("SELECT sealed FROM post_message").fetch_one(stage.owner()).await.unwrap();
        assert!(!waiting.windows(5).any(|bytes| bytes == b"trois"));
        stage.advance(Duration::hours(2));
        assert_eq!(deliver(&plain).await.dropped, 1);
    });
}
