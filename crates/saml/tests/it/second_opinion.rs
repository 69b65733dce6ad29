//! Every verdict on a signature is compared with xmlsec1's, and every canonical form with libxml2's.

use std::process::Command;

use crate::support::{ON_ASSERTION, ON_RESPONSE, keys, says, trusted, xmlsec1_believes, xmlsec1_signs};
use preau_saml::{Certificate, Strict, XmlSignatures, xml};

/// Both implementations on one document.
fn both(document: &str, id: &str, xpath: &str) -> (bool, bool) {
    (
        Strict.verify(document, id, &trusted()).is_ok(),
        xmlsec1_believes(document, xpath, &keys().0.certificate),
    )
}

#[test]
fn what_we_sign_xmlsec1_believes() {
    let key = keys().0.signing();
    assert_eq!(both(&says().response(&key).unwrap(), "a_r1", ON_ASSERTION), (true, true));
    assert_eq!(both(&says().signed_response(&key).unwrap(), "_r1", ON_RESPONSE), (true, true));
    let nested = Strict.sign(&says().response(&key).unwrap(), &key).unwrap();
    assert_eq!(both(&nested, "_r1", ON_RESPONSE), (true, true));
    assert_eq!(both(&nested, "a_r1", ON_ASSERTION), (true, true));
}

#[test]
fn what_xmlsec1_signs_we_believe() {
    let more = "http://www.w3.org/2001/04/xmldsig-more#";
    for (method, digest, prefixes) in [
        ("rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", ""),
        ("rsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#sha384", ""),
        ("rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512", ""),
        ("rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha512", "xs"),
        ("rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", "xs xsi #default samlp"),
    ] {
        let inclusive = match prefixes {
            "" => String::new(),
            list => format!(
                "<ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{list}\"/>"
            ),
        };
        let template = format!(
            "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">\n <SignedInfo><CanonicalizationMethod \
             Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">{inclusive}</CanonicalizationMethod>\n<SignatureMethod \
             Algorithm=\"{more}{method}\"/><Reference URI=\"#a_r1\"><Transforms><Transform \
             Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/><Transform \
             Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">{inclusive}</Transform></Transforms><DigestMethod \
             Algorithm=\"{digest}\"/><DigestValue/></Reference></SignedInfo><SignatureValue/></Signature>"
        );
        let with = says().assertion().replacen("</saml:Issuer>", &format!("</saml:Issuer>{template}"), 1);
        let document =
            says().response_around(&with).replacen("<samlp:Response ", "<samlp:Response xmlns=\"urn:x\" ", 1);
        let signed = xmlsec1_signs(&document, &keys().0);
        assert_eq!(both(&signed, "a_r1", ON_ASSERTION), (true, true), "{method} {digest} {prefixes}");
        let changed = signed.replace("1234567", "7654321");
        assert_eq!(both(&changed, "a_r1", ON_ASSERTION), (false, false), "{method} {digest} {prefixes}");
    }
}

#[test]
fn both_refuse_what_was_changed() {
    let signed = says().response(&keys().0.signing()).unwrap();
    for (from, to) in [
        ("1234567", "1234568"),
        ("_transient42", "_transient43"),
        ("xs:string\">{ECT}", "xs:strung\">{ECT}"),
        ("</saml:Subject>", "</saml:Subject><saml:Advice/>"),
        ("<ds:DigestValue>", "<ds:DigestValue>AA"),
        ("<ds:SignatureValue>", "<ds:SignatureValue>AAAA"),
        ("<saml:Conditions ", "<saml:Conditions xmlns:x=\"urn:y\" x:a=\"\" "),
        ("#rsa-sha256", "#rsa-sha512"),
    ] {
        let changed = signed.replace(from, to);
        assert_ne!(changed, signed);
        assert_eq!(both(&changed, "a_r1", ON_ASSERTION), (false, false), "{from} → {to}");
    }
    let other = says().response(&keys().1.signing()).unwrap();
    assert_eq!(both(&other, "a_r1", ON_ASSERTION), (false, false));
    // Neither is disturbed by what a canonical form takes away.
    for (from, to) in [
        ("_transient42", "_trans<!-- x -->ient42"),
        ("_transient42", "_trans<![CDATA[ient]]>42"),
        ("_transient42", "_trans&#105;ent42"),
        ("<saml:Subject>", "<saml:Subject\n  >"),
    ] {
        assert_eq!(both(&signed.replace(from, to), "a_r1", ON_ASSERTION), (true, true), "{from} → {to}");
    }
}

#[test]
fn the_canonical_form_is_libxml2s() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.xml");
    for document in [
        r#"<a xmlns="urn:u" xmlns:p="urn:v"><p:b c='1' p:c="2" d="&#9;&#xD;&quot;&apos;&lt;>"/><b xmlns=""><c/></b></a>"#,
        r#"<p:a xmlns:p="urn:u"><q:b xmlns:q="urn:u"><p:c xmlns:p="urn:w" q:x="1" p:x="2"/></q:b><p:d/></p:a>"#,
        "<a>\r\n x\ty <b>é&amp;&gt;]] &gt;</b><![CDATA[<x>&y;]]>\u{10348}</a>",
        r#"<a xml:lang="fr" xml:space="preserve"><b xml:lang="en"/></a>"#,
        r#"<a z="1" b="2" xmlns:y="urn:b" xmlns:x="urn:a" y:a="3" x:b="4" x:a="5"/>"#,
        r#"<a xmlns="urn:u"><b xmlns=""><c xmlns="urn:u"/><d xmlns=""/></b></a>"#,
        "<a b='x\ny\tz'  >  </a>",
        &says().response_around(&says().assertion()),
        &says().signed_response(&keys().0.signing()).unwrap(),
    ] {
        std::fs::write(&file, document).unwrap();
        let done = Command::new("xmllint")
            .arg("--exc-c14n")
            .arg(&file)
            .output()
            .expect("xmllint (`cargo xtask setup`)");
        let theirs = String::from_utf8(done.stdout).unwrap();
        assert_eq!(
            xml::canonical(&xml::parse(document).unwrap(), None, &[]),
            theirs.trim_end_matches('\n'),
            "{document}"
        );
    }
}

#[test]
fn other_keys_are_not_taken_for_certificates() {
    assert!(Certificate::parse("").is_err());
    assert!(Certificate::parse("AAAA").is_err());
    assert!(Certificate::parse(&keys().0.key).is_err());
}
