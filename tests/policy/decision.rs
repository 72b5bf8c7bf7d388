//! The decision with all its evidence: what a permit carries, what a denial says and to whom.

use std::collections::BTreeMap;

use nitro_key_broker::attestation::{self, AttestedRecipient, Requirements, TrustAnchors};
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::policy::{
    Algorithms, AllowedBy, Denial, GrantConstraint, GrantOperation, GrantTerms, Permit, Policies, Question,
    decide,
};

use super::*;

const ALIASES: [&str; 2] = ["alias/app", "alias/old"];

/// An enclave's document with an RSA key, recorded on real hardware, verified at its own time.
fn recipient() -> AttestedRecipient {
    let document = include_bytes!("../../testdata/recorded/eu-central-1_2025-01-06_rsa_2048_recipient.bin");
    attestation::verify(document, &TrustAnchors::aws().unwrap(), now(), &Requirements::default())
        .and_then(attestation::VerifiedEvidence::into_recipient)
        .unwrap()
}

/// What the request would make, were it a CreateGrant.
fn new_grant() -> GrantTerms {
    GrantTerms {
        grantee: PrincipalArn::parse("arn:aws:iam::111122223333:role/worker").unwrap(),
        retiring: Some(PrincipalArn::parse("arn:aws:iam::111122223333:user/bob").unwrap()),
        operations: [GrantOperation::Sign, GrantOperation::Decrypt].into_iter().collect(),
        constraint: Some(GrantConstraint::EncryptionContextSubset(EncryptionContext::EMPTY)),
    }
}

fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2025-01-06T16:07:10Z").unwrap()
}

/// Asks for `kms:Decrypt`, over TLS from 203.0.113.9, with the encryption context `App=wallet`.
fn decide_for(policy: &str, recipient: Option<&AttestedRecipient>) -> Result<Permit, Box<Denial>> {
    let encryption_context =
        EncryptionContext::new(BTreeMap::from([("App".to_owned(), "wallet".to_owned())])).unwrap();
    let question = Question {
        caller: &principal("arn:aws:iam::111122223333:user/alice"),
        action: "kms:Decrypt",
        resource: KEY_ARN,
        key_spec: "RSA_2048",
        key_usage: "SIGN_VERIFY",
        key_origin: "EXTERNAL",
        resource_aliases: &ALIASES.map(str::to_owned),
        request_alias: Some("alias/app"),
        recipient,
        encryption_context: &encryption_context,
        encryption_algorithm: Some("RSAES_OAEP_SHA_256"),
        data_key_pair_spec: Some("ECC_NIST_P256"),
        new_grant: Some(&new_grant()),
        algorithms: Algorithms {
            signing: Some("ECDSA_SHA_256"),
            message_type: Some("DIGEST"),
            mac: Some("HMAC_SHA_384"),
            key_agreement: Some("ECDH"),
        },
        source_ip: Some("203.0.113.9".parse().unwrap()),
        secure_transport: true,
        now: now(),
    };
    decide(&Policies { key: &KeyPolicy::parse(policy).unwrap(), grants: &[] }, &question)
}

#[test]
fn a_permit_names_key_statement_and_the_attested_recipient() {
    let recipient = recipient();
    let policy = document(&[statement("Allow", r#""Sid":"Everyone","#)]);
    let permit = decide_for(&policy, Some(&recipient)).unwrap();
    assert_eq!(permit.resource(), KEY_ARN);
    let statement = StatementRef { index: 0, sid: Some(Arc::from("Everyone")) };
    assert_eq!(permit.allowed_by(), &AllowedBy::Statement(statement));
    assert_eq!(permit.recipient().unwrap().spki_sha256(), recipient.key().spki_sha256());
    assert!(decide_for(&policy, None).unwrap().recipient().is_none());
}

/// Each condition key holds the question's value and no other.
#[test]
fn every_condition_key_sees_the_question() {
    let recipient = recipient();
    let pcr = |index| format!("{:?}", recipient.evidence().pcrs().get(index).unwrap().to_hex());
    for (operator, key, value) in [
        ("StringEquals", "kms:RecipientAttestation:ImageSha384", pcr(0)),
        ("StringEquals", "kms:RecipientAttestation:PCR4", pcr(4)),
        ("StringEquals", "kms:EncryptionContext:App", r#""wallet""#.to_owned()),
        ("ForAllValues:StringEquals", KEYS, r#""App""#.to_owned()),
        ("StringEquals", "kms:CallerAccount", r#""111122223333""#.to_owned()),
        ("StringEquals", "kms:KeySpec", r#""RSA_2048""#.to_owned()),
        ("StringEquals", "kms:KeyUsage", r#""SIGN_VERIFY""#.to_owned()),
        ("StringEquals", "kms:KeyOrigin", r#""EXTERNAL""#.to_owned()),
        ("StringEquals", "kms:DataKeyPairSpec", r#""ECC_NIST_P256""#.to_owned()),
        ("StringEquals", "kms:EncryptionAlgorithm", r#""RSAES_OAEP_SHA_256""#.to_owned()),
        ("StringEquals", "kms:SigningAlgorithm", r#""ECDSA_SHA_256""#.to_owned()),
        ("StringEquals", "kms:MessageType", r#""DIGEST""#.to_owned()),
        ("StringEquals", "kms:MacAlgorithm", r#""HMAC_SHA_384""#.to_owned()),
        ("StringEquals", "kms:KeyAgreementAlgorithm", r#""ECDH""#.to_owned()),
        ("StringEquals", "kms:RequestAlias", r#""alias/app""#.to_owned()),
        ("ForAllValues:StringEquals", "kms:ResourceAliases", r#"["alias/app","alias/old"]"#.to_owned()),
        ("ForAllValues:StringEquals", "kms:GrantOperations", r#"["Decrypt","Sign"]"#.to_owned()),
        ("StringEquals", "kms:GranteePrincipal", r#""arn:aws:iam::111122223333:role/worker""#.to_owned()),
        ("StringLike", "kms:RetiringPrincipal", r#""*:user/bob""#.to_owned()),
        ("StringEquals", "kms:GrantConstraintType", r#""EncryptionContextSubset""#.to_owned()),
        ("ArnEquals", "aws:PrincipalArn", r#""arn:aws:iam::111122223333:user/alice""#.to_owned()),
        ("DateEquals", "aws:CurrentTime", r#""2025-01-06T16:07:10Z""#.to_owned()),
        ("IpAddress", "aws:SourceIp", r#""203.0.113.9""#.to_owned()),
        ("Bool", "aws:SecureTransport", "true".to_owned()),
    ] {
        // ForAllValues: alone would also hold for no values at all.
        let present =
            format!(r#""Condition":{{"{operator}":{{"{key}":{value}}},"Null":{{"{key}":"false"}}}},"#);
        let held = decide_for(&document(&[statement("Allow", &present)]), Some(&recipient));
        assert!(held.is_ok(), "{key} {value}: {:?}", held.unwrap_err().reasons());
    }
    for key in ["kms:RecipientAttestation:ImageSha384", "kms:RecipientAttestation:PCR4"] {
        let absent = document(&[statement("Allow", &condition("Null", key, r#""true""#))]);
        assert!(decide_for(&absent, None).is_ok(), "{key}");
        assert!(decide_for(&absent, Some(&recipient)).is_err(), "{key}");
    }
}

#[test]
fn a_denial_tells_the_caller_less_than_the_log() {
    let asked = format!(
        "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: kms:Decrypt on resource: {KEY_ARN}"
    );
    let denial = |policy: &str| decide_for(policy, None).unwrap_err();

    let not_allowed = denial(&document(&[statement("Allow", &condition("Null", CONTEXT, "true"))]));
    let public = format!("{asked} because no resource-based policy allows the kms:Decrypt action");
    assert_eq!(not_allowed.to_string(), public);
    let reason =
        "Statement[0] (Allow) Condition.Null.kms:EncryptionContext:App: expected absent, found present";
    assert_eq!(not_allowed.reasons(), [reason]);
    assert!(matches!(not_allowed.verdict(), Verdict::NotAllowed { .. }));

    let denied = denial(&document(&[statement("Allow", ""), statement("Deny", r#""Sid":"Stop","#)]));
    let public = format!("{asked} with an explicit deny in a resource-based policy");
    assert_eq!(denied.to_string(), public);
    assert_eq!(denied.reasons(), ["Statement[1] \"Stop\" denies"]);
}

/// How the reasons of a denial write what a condition asks for and what the request holds.
#[test]
fn reasons_show_every_kind_of_value() {
    let found_address = r#""203.0.113.9""#;
    let found_time = r#""2025-01-06T16:07:10Z""#;
    for (operator, key, values, expected, found) in [
        ("IpAddress", "aws:SourceIp", r#""10.0.0.0/8""#, "10.0.0.0/8", found_address),
        ("NotIpAddress", "aws:SourceIp", r#""203.0.113.9""#, "none of 203.0.113.9/32", found_address),
        ("Bool", "aws:SecureTransport", "false", "false", r#""true""#),
        ("DateEquals", "aws:CurrentTime", r#""2025-01-06""#, "2025-01-06T00:00:00Z", found_time),
        ("DateLessThan", "aws:CurrentTime", r#""2025-01-06""#, "before 2025-01-06T00:00:00Z", found_time),
        (
            "DateLessThanEquals",
            "aws:CurrentTime",
            r#""2025-01-06""#,
            "at or before 2025-01-06T00:00:00Z",
            found_time,
        ),
        ("DateGreaterThan", "aws:CurrentTime", r#""2025-01-07""#, "after 2025-01-07T00:00:00Z", found_time),
        (
            "DateGreaterThanEquals",
            "aws:CurrentTime",
            r#""2025-01-07""#,
            "at or after 2025-01-07T00:00:00Z",
            found_time,
        ),
        (
            "ForAllValues:StringLike",
            "kms:ResourceAliases",
            r#"["alias/a?p","alias/new"]"#,
            r#"one of "alias/a?p", "alias/new""#,
            r#""alias/app", "alias/old""#,
        ),
        (
            "ArnLike",
            "aws:PrincipalArn",
            r#""arn:aws:iam::*:role/*""#,
            "arn:aws:iam::*:role/*",
            r#""arn:aws:iam::111122223333:user/alice""#,
        ),
        ("Null", "kms:RecipientAttestation:PCR0", "false", "present", "absent"),
    ] {
        let policy = document(&[statement("Allow", &condition(operator, key, values))]);
        let reason =
            format!("Statement[0] (Allow) Condition.{operator}.{key}: expected {expected}, found {found}");
        assert_eq!(decide_for(&policy, None).unwrap_err().reasons(), [reason]);
    }
    let role = r#"{"AWS":"arn:aws:iam::111122223333:role/worker"}"#;
    let policy =
        document(&[statement("Allow", "").replace(r#""Principal":"*""#, &format!(r#""Principal":{role}"#))]);
    let reason = "Statement[0] (Allow) Principal: expected arn:aws:iam::111122223333:role/worker, found \
                  arn:aws:iam::111122223333:user/alice";
    assert_eq!(decide_for(&policy, None).unwrap_err().reasons(), [reason]);
}
