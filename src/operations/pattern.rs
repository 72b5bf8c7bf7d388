//! The patterns of the service model, as functions: each is small, and stays beside the text that errors quote.

/// A pattern that the service model gives to a member.
pub(super) struct TextPattern {
    /// The regular expression in the model's words.
    pub(super) regex: &'static str,
    /// Whether a whole text is of it.
    pub(super) matches: fn(&str) -> bool,
}

/// `AliasNameType`.
pub(super) const ALIAS_NAME: TextPattern = TextPattern {
    regex: "^[a-zA-Z0-9:/_-]+$",
    matches: |text| is_some_of(text, |byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte)),
};

/// `MarkerType`.
pub(super) const MARKER: TextPattern = TextPattern {
    regex: "[\\u0020-\\u00FF]*",
    matches: |text| text.chars().all(|one| ('\u{20}'..='\u{ff}').contains(&one)),
};

/// `GrantNameType`.
pub(super) const GRANT_NAME: TextPattern = ALIAS_NAME;

/// `PrincipalIdType`.
pub(super) const PRINCIPAL_ID: TextPattern = TextPattern {
    regex: "^[\\w+=,.@:/-]+$",
    matches: |text| is_some_of(text, |byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte)),
};

/// `ServicePrincipalType`.
pub(super) const SERVICE_PRINCIPAL: TextPattern = TextPattern {
    regex: "^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$",
    matches: |text| {
        let is_label = |label| is_some_of(label, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        text.split('.').count() >= 3 && text.split('.').all(is_label)
    },
};

/// `GrantConstraintSourceArnType`.
pub(super) const SOURCE_ARN: TextPattern = TextPattern {
    regex: "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$",
    matches: |text| {
        let is_of = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else { return false };
        partition.strip_prefix("aws").is_some_and(is_of)
            && !service.is_empty()
            && is_of(service)
            && is_of(region)
            && (ACCOUNT_ID.matches)(account)
            && !resource.is_empty()
    },
};

/// `PolicyType`.
pub(super) const POLICY: TextPattern = TextPattern {
    regex: "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    matches: |text| {
        let is_allowed = |one| matches!(one, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
        !text.is_empty() && text.chars().all(is_allowed)
    },
};

/// `PolicyNameType`.
pub(super) const POLICY_NAME: TextPattern = TextPattern {
    regex: "[\\w]+",
    matches: |text| is_some_of(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_'),
};

/// `BackingKeyIdType`.
pub(super) const KEY_MATERIAL_ID: TextPattern = TextPattern {
    regex: "^[a-f0-9]+$",
    matches: |text| is_some_of(text, |byte| matches!(byte, b'a'..=b'f' | b'0'..=b'9')),
};

/// `KeyMaterialDescriptionType`.
pub(super) const KEY_MATERIAL_DESCRIPTION: TextPattern = TextPattern {
    regex: "^[a-zA-Z0-9:/_\\s.-]+$",
    matches: |text| {
        is_some_of(text, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'\t'..=b'\r') || b":/_.-".contains(&byte)
        })
    },
};

/// `RegionType`.
pub(super) const REGION: TextPattern =
    TextPattern { regex: "^([a-z]+-){2,3}\\d+$", matches: |text| is_region(text) };

/// `CloudHsmClusterIdType`.
pub(super) const CLOUD_HSM_CLUSTER_ID: TextPattern = TextPattern {
    regex: "cluster-[2-7a-zA-Z]{11,16}",
    matches: |text| {
        text.strip_prefix("cluster-").is_some_and(|id| {
            (11..=16).contains(&id.len()) && is_some_of(id, |byte| is_base32(byte.to_ascii_uppercase()))
        })
    },
};

/// `XksProxyUriEndpointType`.
pub(super) const XKS_PROXY_URI_ENDPOINT: TextPattern = TextPattern {
    regex: "^https://[a-zA-Z0-9.-]+$",
    matches: |text| {
        let is_host = |host| is_some_of(host, |byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        text.strip_prefix("https://").is_some_and(is_host)
    },
};

/// `XksProxyUriPathType`.
pub(super) const XKS_PROXY_URI_PATH: TextPattern = TextPattern {
    regex: "^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$",
    matches: |text| {
        let Some((prefix, version)) = text.rsplit_once("/kms/xks/v") else { return false };
        let is_version = matches!(version.len(), 1 | 2) && version.bytes().all(|byte| byte.is_ascii_digit());
        let is_prefix = prefix.is_empty()
            || prefix.strip_prefix('/').is_some_and(|rest| {
                is_some_of(rest, |byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
            });
        is_version && is_prefix
    },
};

/// `XksKeyIdType`.
pub(super) const XKS_KEY_ID: TextPattern = TextPattern {
    regex: "^[a-zA-Z0-9-_.]+$",
    matches: |text| is_some_of(text, |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
};

/// `XksProxyVpcEndpointServiceNameType`.
pub(super) const XKS_VPC_SERVICE_NAME: TextPattern = TextPattern {
    regex: "^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$",
    matches: |text| {
        let rest =
            ["com.amazonaws.vpce.", "eu.amazonaws.vpce."].iter().find_map(|one| text.strip_prefix(one));
        let Some((region, service)) = rest.and_then(|rest| rest.split_once(".vpce-svc-")) else {
            return false;
        };
        is_region(region) && is_some_of(service, |byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    },
};

/// `AccountIdType`.
pub(super) const ACCOUNT_ID: TextPattern = TextPattern {
    regex: "[0-9]{12}",
    matches: |text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()),
};

/// `XksProxyAuthenticationAccessKeyIdType`.
pub(super) const XKS_ACCESS_KEY_ID: TextPattern =
    TextPattern { regex: "^[A-Z2-7]+$", matches: |text| is_some_of(text, is_base32) };

/// `XksProxyAuthenticationRawSecretAccessKeyType`.
pub(super) const XKS_SECRET_ACCESS_KEY: TextPattern = TextPattern {
    regex: "^[a-zA-Z0-9\\/+=]+$",
    matches: |text| is_some_of(text, |byte| byte.is_ascii_alphanumeric() || b"/+=".contains(&byte)),
};

fn is_some_of(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn is_base32(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'2'..=b'7')
}

/// Two or three words and a number, joined by hyphens.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| is_some_of(word, |byte| byte.is_ascii_lowercase());
    matches!(words.split('-').count(), 2 | 3)
        && words.split('-').all(is_word)
        && is_some_of(number, |byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_its_regular_expression_takes() {
        let cases: [(&TextPattern, &[&str], &[&str]); 18] = [
            (&XKS_KEY_ID, &["a-B_9."], &["", "a b", "a/b"]),
            (&ALIAS_NAME, &["alias/a:b_c-9"], &["", "a b", "ä"]),
            (&MARKER, &["", " ÿ"], &["\n", "Ā"]),
            (&PRINCIPAL_ID, &["arn:aws:iam::1:role/a_b+=,.@-"], &["", "a b", "*"]),
            (
                &SERVICE_PRINCIPAL,
                &["s3.amazonaws.com", "a.b.c-1.d"],
                &["", "a.b", "a..c", "a.b.c.", "a_.b.c"],
            ),
            (
                &SOURCE_ARN,
                &["arn:aws:s3::111122223333:a:b", "arn:aws-cn:ec2:cn-north-1:111122223333:x"],
                &[
                    "arn:aws:s3::1:a",
                    "arn:aws:s3::111122223333:",
                    "arn:gcp:s3::111122223333:a",
                    "arn:aws::",
                    "x",
                ],
            ),
            (&POLICY, &["{\t\r\n}", "ÿ"], &["", "\u{b}", "€"]),
            (&KEY_MATERIAL_ID, &["0af9"], &["", "0A", "g"]),
            (&KEY_MATERIAL_DESCRIPTION, &["a b\u{b}c:/_.-"], &["", "a,b", "ß"]),
            (&POLICY_NAME, &["a_9"], &["", "a-b"]),
            (
                &REGION,
                &["us-east-1", "us-gov-west-12"],
                &["", "us-1", "a-b-c-d-1", "us-east-", "us--1", "US-east-1"],
            ),
            (
                &CLOUD_HSM_CLUSTER_ID,
                &["cluster-abcDEF23456"],
                &["cluster-", "cluster-abcDEF2345", "cluster-abcDEF23451"],
            ),
            (
                &XKS_PROXY_URI_ENDPOINT,
                &["https://a.example"],
                &["http://a.example", "https://", "https://a/b"],
            ),
            (
                &XKS_PROXY_URI_PATH,
                &["/kms/xks/v1", "/a/b_c/kms/xks/v12"],
                &["/kms/xks/v", "//kms/xks/v1x", "a/kms/xks/v1", "/kms/xks/v123"],
            ),
            (
                &XKS_VPC_SERVICE_NAME,
                &["com.amazonaws.vpce.us-east-1.vpce-svc-0a", "eu.amazonaws.vpce.eu-west-1.vpce-svc-0a"],
                &[
                    "org.amazonaws.vpce.us-east-1.vpce-svc-0a",
                    "com.amazonaws.vpce.us.vpce-svc-0a",
                    "com.amazonaws.vpce.us-east-1.vpce-svc-",
                ],
            ),
            (&ACCOUNT_ID, &["111122223333"], &["", "11112222333", "11112222333a"]),
            (&XKS_ACCESS_KEY_ID, &["ABC234"], &["", "ABC1", "abc"]),
            (&XKS_SECRET_ACCESS_KEY, &["aA0/+="], &["", "a b"]),
        ];
        for (pattern, taken, refused) in cases {
            for text in taken {
                assert!((pattern.matches)(text), "{text:?} is {}", pattern.regex);
            }
            for text in refused {
                assert!(!(pattern.matches)(text), "{text:?} is not {}", pattern.regex);
            }
        }
    }
}
