//! Properties of parsing and evaluation over generated input.

use super::*;

/// JSON made of the words of the policy language, most of it wrong.
fn json_of_policy_words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "Version",
        "2012-10-17",
        "2008-10-17",
        "Statement",
        "Sid",
        "Effect",
        "Allow",
        "Deny",
        "Principal",
        "NotPrincipal",
        "AWS",
        "*",
        "Action",
        "kms:*",
        "kms:D?crypt",
        "Resource",
        "NotResource",
        "arn:aws:kms:*:*:key/*",
        "arn:aws:iam::111122223333:root",
        "Condition",
        "StringEquals",
        "Null",
        "ForAllValues:StringLikeIfExists",
        "kms:EncryptionContextKeys",
        "kms:EncryptionContext:é",
        "Bool",
        "IpAddress",
        "aws:SourceIp",
        "10.0.0.0/8",
        "DateLessThan",
        "aws:CurrentTime",
        "2026-01-03",
        "true",
        "",
        "${a}",
    ]);
    let leaf = prop_oneof![
        4 => word.clone().prop_map(|word| format!("{word:?}")),
        1 => prop::sample::select(vec!["null", "true", "1", "-2.5", "[]", "{}"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn parsing_any_text_ends_without_a_panic(text in "\\PC*") {
        let _ = KeyPolicy::parse(&text);
    }

    #[test]
    fn parsing_any_bytes_ends_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = KeyPolicy::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn parsing_policy_like_json_ends_without_a_panic(text in json_of_policy_words()) {
        if let Err(error) = KeyPolicy::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
        if let Err(error) = IdentityPolicy::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_damaged_policy_never_allows_more(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let policy = document(&[statement("Allow", &condition("StringEquals", "kms:RecipientAttestation:PCR0", &format!("{PCR0:?}")))]);
        let other_image = Context::default().with_text("kms:RecipientAttestation:PCR0", UNRELATED_PCR0);
        let mut bytes = policy.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(policy) = KeyPolicy::parse(&String::from_utf8_lossy(&bytes)) {
            let request = PolicyRequest {
                caller: &Caller::Anonymous,
                action: "kms:Decrypt",
                resource: KEY_ARN,
                context: &other_image,
            };
            prop_assert!(!policy.evaluate(&request).is_allowed());
        }
    }

    /// The condition holds for exactly one value out of all those at distance one from it.
    #[test]
    fn one_changed_digit_of_a_pcr_denies(at in 0usize..96, digit in 0u32..16) {
        let mut pcr0: Vec<char> = PCR0.chars().collect();
        pcr0[at] = char::from_digit(digit, 16).unwrap();
        let changed: String = pcr0.into_iter().collect();
        let context = Context::default().with("kms:RecipientAttestation:PCR0", ContextValues::One(ContextValue::Text(Cow::Owned(changed.clone()))));
        let held = holds("StringEquals", "kms:RecipientAttestation:PCR0", &format!("{PCR0:?}"), &context);
        prop_assert_eq!(held, changed == PCR0);
    }
}
