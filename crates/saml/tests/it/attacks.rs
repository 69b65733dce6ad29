//! What an attacker sends.

use crate::support::{ASKED, DESK, HERE, US, expected, keys, now, says, trusted, verdict, xmlsec1_signs};
use chrono::Duration;
use preau_saml::{
    Certificate, Desk, Expected, LogoutRequest, NameId, Refused, Service, SignatureFault, Strict,
    XmlSignatures, accept,
    redirect::{self, Carried},
    stand_in::Says,
    xml::XmlFault,
};

fn code(document: &str) -> &'static str {
    verdict(document).map_or_else(Refused::code, |_| "accepted")
}

fn valid() -> String {
    says().response(&keys().0.signing()).unwrap()
}

/// The part of `document` from `from` to `to`, both kept.
fn part<'a>(document: &'a str, from: &str, to: &str) -> &'a str {
    let start = document.find(from).unwrap();
    let end = document[start..].find(to).unwrap() + start + to.len();
    &document[start..end]
}

fn assertion_of(document: &str) -> &str {
    part(document, "<saml:Assertion", "</saml:Assertion>")
}

fn signature_of(document: &str) -> &str {
    part(document, "<ds:Signature ", "</ds:Signature>")
}

#[test]
fn an_honest_answer_is_believed_whatever_is_signed() {
    let key = keys().0.signing();
    let both = Strict.sign(&says().response(&key).unwrap(), &key).unwrap();
    for answer in [valid(), says().signed_response(&key).unwrap(), both] {
        let who = verdict(&answer).unwrap();
        assert_eq!(who.values("FrEduCtRefId").collect::<Vec<_>>(), ["{AAF}07|x|1234567", "{ECT}9|y|z"]);
        assert_eq!(who.name_id.unwrap().value, "_transient42");
        assert_eq!(who.session_index.unwrap(), "_session42");
        assert_eq!(who.assertion_id, "a_r1");
    }
}

#[test]
fn wrapping_is_refused_in_every_arrangement() {
    let signed = valid();
    let (assertion, signature) = (assertion_of(&signed).to_owned(), signature_of(&signed).to_owned());
    let bare = assertion.replace(&signature, "");
    // What the attacker wants to be: another child of the same academy.
    let evil = |id: &str| bare.replace("1234567", "7654321").replace("ID=\"a_r1\"", &format!("ID=\"{id}\""));
    let around = |inside: &str| says().response_around(inside);
    let into =
        |outer: &str, inside: &str| outer.replace("</saml:Issuer>", &format!("</saml:Issuer>{inside}"));
    let key = keys().0.signing();
    let whole = says().signed_response(&key).unwrap();
    let whole_signature = signature_of(&whole).to_owned();
    let whole_bare = whole.replace(&whole_signature, "");
    let forged_response = |id: &str, inside: &str| {
        whole_bare.replace("1234567", "7654321").replacen("ID=\"_r1\"", &format!("ID=\"{id}\""), 1).replacen(
            "</saml:Issuer>",
            &format!("</saml:Issuer>{inside}"),
            1,
        )
    };
    let object = |inside: &str| {
        whole_signature.replace("</ds:Signature>", &format!("<ds:Object>{inside}</ds:Object></ds:Signature>"))
    };
    let wrapped = [
        // XSW1, XSW2: the signed response inside the forged one's signature, or beside it.
        forged_response("_evil", &object(&whole_bare)),
        forged_response("_evil", &format!("{whole_bare}{whole_signature}")),
        // XSW3: the forged assertion before the signed one. And after.
        around(&format!("{}{assertion}", evil("_evil"))),
        around(&format!("{assertion}{}", evil("_evil"))),
        // XSW4: the signed one inside the forged one.
        around(&evil("_evil").replace("</saml:Assertion>", &format!("{assertion}</saml:Assertion>"))),
        // XSW5: the forged one carries the signature; the signed one, bare, at the end.
        around(&format!("{}{bare}", into(&evil("_evil"), &signature))),
        // XSW6: the same, the bare one inside the signature.
        around(&into(
            &evil("_evil"),
            &signature.replace("</ds:Signature>", &format!("<ds:Object>{bare}</ds:Object></ds:Signature>")),
        )),
        // XSW7: the forged one inside extensions, before the signed one.
        around(&format!("<samlp:Extensions>{}</samlp:Extensions>{assertion}", evil("_evil"))),
        // XSW8: the signed one as an object of the forged one's signature.
        around(&into(
            &evil("_evil"),
            &signature
                .replace("</ds:Signature>", &format!("<ds:Object>{assertion}</ds:Object></ds:Signature>")),
        )),
        // The same identifier twice.
        around(&format!("{}{assertion}", evil("a_r1"))),
        around(&format!("{assertion}{}", evil("a_r1"))),
        // A signed assertion in an extension, a forged one with no signature where it is read.
        around(&format!("{}<samlp:Extensions>{assertion}</samlp:Extensions>", evil("_evil"))),
        // The signature moved out of the assertion.
        around(&format!("{signature}{bare}")),
        around(&format!("{bare}{signature}")),
        around(&format!("{signature}{}", evil("_evil"))),
        // Another element of the same response signed, the assertion not.
        around(&format!("<samlp:Extensions ID=\"_x\">{signature}</samlp:Extensions>{bare}")),
    ];
    for (at, document) in wrapped.iter().enumerate() {
        let said = code(document);
        let structural = [
            "not-one-assertion",
            "stray-signature",
            "xml-duplicate-id",
            "signature-of-another-element",
            "signature-shape",
        ];
        assert!(structural.contains(&said), "arrangement {at}: {said}");
    }
}

#[test]
fn a_signature_must_be_there_and_be_the_desks() {
    let signed = valid();
    let (mine, theirs) = (keys().0.signing(), keys().1.signing());
    let signature = signature_of(&signed).to_owned();
    let digest = part(&signed, "<ds:DigestValue>", "</ds:DigestValue>").to_owned();
    let value = part(&signed, "<ds:SignatureValue>", "</ds:SignatureValue>").to_owned();
    let other = says().response(&theirs).unwrap();
    for (document, expected) in [
        (signed.replace(&signature, ""), "unsigned"),
        (other.clone(), "signed-by-another"),
        // The attacker's certificate in KeyInfo, or the desk's: never looked at.
        (other.replace(&theirs.certificate().base64(), &mine.certificate().base64()), "signed-by-another"),
        (signed.replace("1234567", "7654321"), "signed-then-changed"),
        (signed.replace(&digest, "<ds:DigestValue>AAAA</ds:DigestValue>"), "signed-by-another"),
        (signed.replace(&value, "<ds:SignatureValue></ds:SignatureValue>"), "signed-by-another"),
        (signed.replace(&value, "<ds:SignatureValue>*</ds:SignatureValue>"), "signature-shape"),
        (signed.replace(&value, &format!("{value}{value}")), "signature-shape"),
        (signed.replace(&signature, &format!("{signature}{signature}")), "signature-shape"),
        (signed.replace("rsa-sha256", "hmac-sha256"), "signature-algorithm"),
        (
            signed.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1"),
            "signature-algorithm",
        ),
        (
            signed.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1"),
            "signature-algorithm",
        ),
        (signed.replace("xmldsig#enveloped-signature", "xmldsig#base64"), "signed-by-another"),
        (signed.replace("URI=\"#a_r1\"", "URI=\"\""), "signed-by-another"),
    ] {
        assert_eq!(code(&document), expected);
    }
}

/// Correctly signed by the desk's own key, and yet outside of the profile.
#[test]
fn a_right_signature_of_another_shape_is_refused() {
    let bare = says().assertion();
    let sign = |transforms: &str, uri: &str, method: &str, digest: &str| {
        let template = format!(
            "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo><ds:CanonicalizationMethod \
             Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/><ds:SignatureMethod Algorithm=\"{method}\"/>\
             <ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod Algorithm=\"{digest}\"/>\
             <ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>"
        );
        let with = bare.replacen("</saml:Issuer>", &format!("</saml:Issuer>{template}"), 1);
        let signed = xmlsec1_signs(&says().response_around(&with), &keys().0);
        signed.replacen("<?xml version=\"1.0\"?>\n", "", 1)
    };
    const ENVELOPED: &str =
        "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
    const EXCLUSIVE: &str = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
    const INCLUSIVE: &str = "<ds:Transform Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"/>";
    const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
    const RSA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    let both = format!("{ENVELOPED}{EXCLUSIVE}");
    assert_eq!(code(&sign(&both, "#a_r1", RSA256, SHA256)), "accepted");
    let sha1 = "http://www.w3.org/2000/09/xmldsig#sha1";
    assert_eq!(
        code(&sign(&both, "#a_r1", "http://www.w3.org/2000/09/xmldsig#rsa-sha1", SHA256)),
        "signature-algorithm"
    );
    assert_eq!(code(&sign(&both, "#a_r1", RSA256, sha1)), "signature-algorithm");
    assert_eq!(code(&sign(&format!("{ENVELOPED}{INCLUSIVE}"), "#a_r1", RSA256, SHA256)), "signature-shape");
    assert_eq!(code(&sign(ENVELOPED, "#a_r1", RSA256, SHA256)), "signature-shape");
    assert_eq!(code(&sign(&both, "", RSA256, SHA256)), "signature-of-another-element");
    assert_eq!(code(&sign(&both, "#_r1", RSA256, SHA256)), "signature-of-another-element");
}

#[test]
fn an_answer_is_for_us_now_and_for_this_browser() {
    let key = keys().0.signing();
    let told = |change: &dyn Fn(&mut Says<'static>)| {
        let mut says = says();
        change(&mut says);
        code(&says.response(&key).unwrap())
    };
    assert_eq!(told(&|it| it.audience = "https://other.test/"), "other-audience");
    assert_eq!(told(&|it| it.issuer = "https://other.test/"), "other-issuer");
    assert_eq!(told(&|it| it.recipient = "https://ent.test/federation/autre/retour"), "other-recipient");
    assert_eq!(told(&|it| it.request_id = "_of_another_browser"), "not-our-request");
    assert_eq!(told(&|it| it.request_id = ""), "not-our-request", "unsolicited");
    assert_eq!(told(&|it| it.now = now() - Duration::minutes(7)), "expired");
    assert_eq!(told(&|it| it.now = now() + Duration::minutes(7)), "not-yet-valid");
    assert_eq!(told(&|it| it.now = now() - Duration::seconds(345)), "accepted", "45 s of skew");
    assert_eq!(told(&|it| it.now = now() + Duration::seconds(80)), "accepted", "50 s of skew");
    assert_eq!(told(&|it| it.now = now() + Duration::seconds(95)), "not-yet-valid", "65 s is too much");

    // The envelope is nobody's word, but it may not contradict.
    let signed = valid();
    for (from, to, said) in [
        ("status:Success", "status:AuthnFailed", "desk-refused"),
        ("status:Success", "status:Responder", "nobody-identified"),
        (
            " Destination=\"https://ent.test/federation/essai/retour\"",
            " Destination=\"https://x.test/\"",
            "other-recipient",
        ),
        ("ID=\"_r1\" Version=\"2.0\"", "ID=\"_r1\" Version=\"1.1\"", "not-a-response"),
    ] {
        assert_eq!(code(&signed.replacen(from, to, 1)), said);
    }
    let elsewhere = Expected { recipient: "https://ent.test/federation/autre/retour", ..expected() };
    assert_eq!(accept(&signed, &elsewhere, &trusted(), &Strict), Err(Refused::Recipient));
}

/// Each signed by the desk: what the assertion itself may not lack.
#[test]
fn an_assertion_is_whole() {
    let key = keys().0.signing();
    let with = |from: &str, to: &str| {
        let changed = says().assertion().replace(from, to);
        assert_ne!(changed, says().assertion(), "{from}");
        code(&says().response_around(&Strict.sign(&changed, &key).unwrap()))
    };
    assert_eq!(with("cm:bearer", "cm:holder-of-key"), "incomplete");
    assert_eq!(with("<saml:AudienceRestriction>", "<saml:Unknown/><saml:AudienceRestriction>"), "incomplete");
    assert_eq!(
        with(
            &format!(
                "<saml:AudienceRestriction><saml:Audience>{US}</saml:Audience></saml:AudienceRestriction>"
            ),
            ""
        ),
        "other-audience"
    );
    assert_eq!(
        with("<saml:AudienceRestriction>", "<saml:OneTimeUse/><saml:AudienceRestriction>"),
        "accepted"
    );
    assert_eq!(with(&format!(" Recipient=\"{HERE}\""), ""), "other-recipient");
    assert_eq!(with(&format!(" InResponseTo=\"{ASKED}\""), ""), "not-our-request");
    assert_eq!(
        with(
            "<saml:SubjectConfirmationData ",
            "<saml:SubjectConfirmationData NotBefore=\"2020-01-01T00:00:00Z\" "
        ),
        "incomplete"
    );
    assert_eq!(with("T08:10:00.000Z\" Recipient", "T08:10:00+00:00\" Recipient"), "incomplete", "UTC only");
    assert_eq!(
        with("SessionIndex=", "SessionNotOnOrAfter=\"2026-11-23T07:00:00Z\" SessionIndex="),
        "expired"
    );
}

#[test]
fn a_comment_does_not_shorten_a_name() {
    let key = keys().0.signing();
    // The attacker registers as another with the desk, then splits the text after it was signed.
    let says = Says {
        name_id: "admin@x.test.evil.test",
        attributes: &[("mail", &["admin@x.test.evil.test"])],
        ..says()
    };
    let signed = says.response(&key).unwrap();
    let split = signed.replace("admin@x.test.evil.test", "admin@x.test<!-- -->.evil.test");
    let who = verdict(&split).unwrap();
    assert_eq!(who.values("mail").collect::<Vec<_>>(), ["admin@x.test.evil.test"]);
    assert_eq!(who.name_id.unwrap().value, "admin@x.test.evil.test");
}

#[test]
fn hostile_xml_is_refused_before_anything_else() {
    let signed = valid();
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    assert_eq!(code(&format!("{bomb}{signed}")), "xml-document-type");
    assert_eq!(code(&format!("<!DOCTYPE x SYSTEM \"file:///etc/passwd\">{signed}")), "xml-document-type");
    assert_eq!(code(&signed.replace("_transient42", "&b;")), "xml-malformed");
    assert_eq!(code(&format!("<?xml-stylesheet href='x'?>{signed}")), "xml-instruction");
    assert_eq!(code(&signed.replace("_transient42", &"x".repeat(1 << 20))), "xml-too-large");
    let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
    assert_eq!(code(&signed.replace("_transient42", &deep)), "xml-too-large");
    let wide = (0..100).map(|n| format!(" a{n}=\"\"")).collect::<String>();
    assert_eq!(
        code(&signed.replacen("<saml:Conditions", &format!("<saml:Conditions{wide}"), 1)),
        "xml-too-large"
    );
    assert_eq!(code(&signed.replacen("<samlp:Status>", "<samlp:Status ID=\"a_r1\">", 1)), "xml-duplicate-id");
    let many = "<a/>".repeat(5000);
    assert_eq!(code(&signed.replace("_transient42", &many)), "xml-too-large");
    let encrypted = says().response_around("<saml:EncryptedAssertion></saml:EncryptedAssertion>");
    assert_eq!(code(&encrypted), "encrypted-assertion");
    assert_eq!(code(&says().response_around("")), "not-one-assertion");
    assert_eq!(code(assertion_of(&signed)), "not-a-response");
}

#[test]
fn an_address_carries_a_message_and_its_signature() {
    let (mine, theirs) = (keys().0.signing(), keys().1.signing());
    let request = LogoutRequest {
        id: "_q1".to_owned(),
        name_id: NameId {
            value: "a&b".to_owned(),
            format: "f".to_owned(),
            qualifier: DESK.to_owned(),
            service: US.to_owned(),
        },
        session_indexes: vec!["_s1".to_owned()],
    };
    let message = request.xml(now(), HERE, DESK);
    let sent = |key| redirect::address(HERE, Carried::Request, &message, Some("x y"), Some(key)).unwrap();
    let address = sent(&mine);
    let query = address.split_once('?').unwrap().1;
    let (kind, read, relay) = redirect::read(query, &trusted()).unwrap();
    assert_eq!((kind, relay.as_deref()), (Carried::Request, Some("x y")));
    assert_eq!(LogoutRequest::read(&read, DESK, HERE, now()).unwrap(), request);
    assert!(LogoutRequest::read(&read, "https://other.test/", HERE, now()).is_err());
    assert!(LogoutRequest::read(&read, DESK, "https://other.test/", now()).is_err());
    assert!(LogoutRequest::read(&read, DESK, HERE, now() + Duration::minutes(6)).is_err());

    let refused = |query: &str| redirect::read(query, &trusted()).unwrap_err();
    let stolen = sent(&theirs);
    assert_eq!(refused(stolen.split_once('?').unwrap().1), SignatureFault::Key);
    assert_eq!(refused(&query.replace("x%20y", "x%20z")), SignatureFault::Key);
    assert_eq!(refused(query.split_once("&SigAlg").unwrap().0), SignatureFault::Missing);
    assert_eq!(refused(&format!("{query}&SAMLRequest=x")), SignatureFault::Shape);
    assert_eq!(refused(&query.replace("rsa-sha256", "rsa-sha1")), SignatureFault::Algorithm);
    // A megabyte of nothing in a short address.
    let bomb = redirect::address(HERE, Carried::Request, &" ".repeat(1 << 20), None, Some(&mine)).unwrap();
    assert_eq!(refused(bomb.split_once('?').unwrap().1), SignatureFault::Shape);
}

#[test]
fn metadata_is_read_and_written() {
    let (mine, theirs) = (keys().0.signing(), keys().1.signing());
    let ours =
        Service { entity_id: US, answer_to: HERE, logout: HERE, certificate: Some(mine.certificate()) };
    assert!(ours.xml().contains(&mine.certificate().base64()));
    assert_eq!(Desk::read(&ours.xml(), None, now()).unwrap_err().code(), "metadata-no-desk");

    let key = |certificate: &Certificate, usage: &str| {
        format!(
            "<KeyDescriptor{usage}><d:KeyInfo xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"><d:X509Data><d:X509Certificate>\n{}\n\
             </d:X509Certificate></d:X509Data></d:KeyInfo></KeyDescriptor>",
            certificate.base64()
        )
    };
    let entity = |id: &str, until: &str, keys: &str| {
        format!(
            "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{id}\"{until}><IDPSSODescriptor>{keys}\
             <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{id}/sso\"/>\
             </IDPSSODescriptor></EntityDescriptor>"
        )
    };
    let two = format!("{}{}", key(mine.certificate(), ""), key(theirs.certificate(), " use=\"signing\""));
    let until = " validUntil=\"2026-12-01T00:00:00Z\"";
    let desk = Desk::read(&entity(DESK, until, &two), None, now()).unwrap();
    assert_eq!((desk.entity_id.as_str(), desk.certificates.len()), (DESK, 2));
    assert_eq!(desk.sign_in, format!("{DESK}/sso"));
    assert_eq!(desk.valid_until.unwrap().to_rfc3339(), "2026-12-01T00:00:00+00:00");
    // While a desk changes keys both are believed; an encryption key never signs.
    let signed_by_new = says().response(&theirs).unwrap();
    assert!(accept(&signed_by_new, &expected(), &desk.certificates, &Strict).is_ok());
    let to_encrypt = entity(DESK, "", &key(mine.certificate(), " use=\"encryption\""));
    assert_eq!(Desk::read(&to_encrypt, None, now()).unwrap_err().code(), "metadata-no-certificate");
    let old = entity(DESK, " validUntil=\"2026-11-01T00:00:00Z\"", &two);
    assert_eq!(Desk::read(&old, None, now()).unwrap_err().code(), "metadata-out-of-date");
    let several = format!(
        "<EntitiesDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\">{}{}</EntitiesDescriptor>",
        entity(DESK, "", &two),
        entity("https://other.test", "", &two)
    );
    assert_eq!(Desk::read(&several, None, now()).unwrap_err().code(), "metadata-no-desk");
    assert_eq!(Desk::read(&several, Some(DESK), now()).unwrap().entity_id, DESK);
}

#[test]
fn every_fault_of_a_signature_has_its_word() {
    assert_eq!(Refused::from(XmlFault::Malformed).code(), "xml-malformed");
    assert_eq!(Refused::from(SignatureFault::Xml(XmlFault::TooLarge)).code(), "xml-too-large");
}
