//! The decision with all its evidence: what a permit carries, what a denial says and to whom.

use std::collections::BTreeMap;

use nitro_key_broker::attestation::{self, AttestedRecipient, Requirements, TrustAnchors};
use nitro_key_broker::encryption_context::EncryptionContext;
use nitro_key_broker::policy::{
    Algorithms, AllowedBy, Denial, GrantConstraint, GrantOperation, GrantTerms, Particulars, Permit,
    Policies, Question, Refusal, Side, decide,
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

fn tags(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// Asks for `kms:Decrypt`, over TLS from 203.0.113.9, with the encryption context `App=wallet`.
fn decide_for(policy: &str, recipient: Option<&AttestedRecipient>) -> Result<Permit, Box<Denial>> {
    let encryption_context =
        EncryptionContext::new(BTreeMap::from([("App".to_owned(), "wallet".to_owned())])).unwrap();
    let question = Question {
        caller: &principal("arn:aws:iam::111122223333:user/alice"),
        action: "kms:Decrypt",
        resource: KEY_ARN,
        resource_account: "111122223333",
        key_spec: Some("RSA_2048"),
        key_usage: Some("SIGN_VERIFY"),
        key_origin: Some("EXTERNAL"),
        tags: &tags("Team", "blue"),
        particulars: Particulars {
            bypasses_lockout_check: Some(true),
            rotation_period_days: Some(180),
            pending_window_days: Some(7),
            re_encrypts_on_same_key: Some(false),
            expiration_model: Some("KEY_MATERIAL_EXPIRES"),
            valid_to: Some(now()),
            wrapping_algorithm: Some("RSAES_OAEP_SHA_256"),
            wrapping_key_spec: Some("RSA_4096"),
            request_tags: Some(&tags("Cost", "1")),
            tag_keys: &["Old".to_owned()],
        },
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
        user_agent: Some("aws-cli/1.0"),
        region: "eu-central-1",
        now: now(),
    };
    decide(&Policies { key: &KeyPolicy::parse(policy).unwrap(), identity: &[], grants: &[] }, &question)
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
        ("StringEquals", "kms:CustomerMasterKeySpec", r#""RSA_2048""#.to_owned()),
        ("StringEquals", "kms:CustomerMasterKeyUsage", r#""SIGN_VERIFY""#.to_owned()),
        ("Bool", "kms:MultiRegion", "false".to_owned()),
        ("Bool", "kms:BypassPolicyLockoutSafetyCheck", "true".to_owned()),
        ("NumericEquals", "kms:RotationPeriodInDays", r#""180""#.to_owned()),
        ("NumericEquals", "kms:ScheduleKeyDeletionPendingWindowInDays", "7".to_owned()),
        ("Bool", "kms:ReEncryptOnSameKey", "false".to_owned()),
        ("StringEquals", "kms:ExpirationModel", r#""KEY_MATERIAL_EXPIRES""#.to_owned()),
        ("DateEquals", "kms:ValidTo", r#""2025-01-06T16:07:10Z""#.to_owned()),
        ("StringEquals", "kms:WrappingAlgorithm", r#""RSAES_OAEP_SHA_256""#.to_owned()),
        ("StringEquals", "kms:WrappingKeySpec", r#""RSA_4096""#.to_owned()),
        ("StringEquals", "aws:ResourceTag/Team", r#""blue""#.to_owned()),
        ("StringEquals", "aws:RequestTag/Cost", r#""1""#.to_owned()),
        ("ForAllValues:StringEquals", "aws:TagKeys", r#"["Cost","Old"]"#.to_owned()),
        ("StringEquals", "aws:PrincipalAccount", r#""111122223333""#.to_owned()),
        ("StringEquals", "aws:PrincipalType", r#""User""#.to_owned()),
        ("Bool", "aws:PrincipalIsAWSService", "false".to_owned()),
        ("Bool", "aws:ViaAWSService", "false".to_owned()),
        ("StringEquals", "aws:username", r#""alice""#.to_owned()),
        ("NumericEquals", "aws:EpochTime", "1736179630".to_owned()),
        ("DateEquals", "aws:EpochTime", r#""2025-01-06T16:07:10Z""#.to_owned()),
        ("StringEquals", "aws:EpochTime", r#""1736179630""#.to_owned()),
        ("StringLike", "aws:UserAgent", r#""aws-cli/*""#.to_owned()),
        ("StringEquals", "aws:RequestedRegion", r#""eu-central-1""#.to_owned()),
        ("StringEquals", "aws:ResourceAccount", r#""111122223333""#.to_owned()),
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

/// Keys of AWS that have no value here: a positive operator is false, a negated one true.
#[test]
fn what_no_request_has_is_absent() {
    for (operator, key, value) in [
        ("StringEquals", "kms:ViaService", "ec2.us-east-1.amazonaws.com"),
        ("StringEquals", "kms:PrimaryRegion", "us-east-1"),
        ("StringEquals", "aws:SourceVpc", "vpc-0a"),
        ("StringEquals", "aws:PrincipalOrgID", "o-a"),
        ("StringEquals", "aws:PrincipalTag/Team", "blue"),
        ("StringEquals", "aws:ResourceTag/team", "blue"),
        ("StringEquals", "aws:RequestTag/Team", "blue"),
        ("ForAnyValue:StringEquals", "aws:CalledVia", "athena.amazonaws.com"),
        ("Bool", "aws:MultiFactorAuthPresent", "true"),
        ("NumericLessThan", "aws:MultiFactorAuthAge", "3600"),
        ("ArnLike", "aws:SourceArn", "arn:aws:s3:::bucket"),
        ("IpAddress", "aws:VpcSourceIp", "10.0.0.0/8"),
    ] {
        let values = format!("{value:?}");
        let with = |operator: &str, values: &str| {
            decide_for(&document(&[statement("Allow", &condition(operator, key, values))]), None).is_ok()
        };
        assert!(!with(operator, &values), "{key}");
        assert!(with(&format!("{operator}IfExists"), &values), "{key}");
        assert!(with("Null", "true") && !with("Null", "false"), "{key}");
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
    assert_eq!(not_allowed.refusal(), Refusal::NotAllowed(Side::Resource));

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
        ("NumericEquals", "kms:RotationPeriodInDays", "90", "90", r#""180""#),
        ("NumericNotEquals", "kms:RotationPeriodInDays", "180", "none of 180", r#""180""#),
        ("NumericLessThan", "kms:RotationPeriodInDays", "180", "less than 180", r#""180""#),
        ("NumericLessThanEquals", "kms:RotationPeriodInDays", "179", "at most 179", r#""180""#),
        ("NumericGreaterThan", "kms:RotationPeriodInDays", "180", "more than 180", r#""180""#),
        ("NumericGreaterThanEquals", "kms:RotationPeriodInDays", "181", "at least 181", r#""180""#),
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
