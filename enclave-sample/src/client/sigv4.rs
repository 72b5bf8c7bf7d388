//! AWS Signature Version 4 for requests to `/` without a query, in the header form.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>

use std::env;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use zeroize::Zeroizing;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AMZ_DATE: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// AWS credentials and the region they are used in.
#[derive(Clone)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
    region: String,
}

impl Credentials {
    /// Long-term credentials.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        region: impl Into<String>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Zeroizing::new(secret_access_key.into()),
            session_token: None,
            region: region.into(),
        }
    }

    /// The same with a session token, which makes them temporary credentials.
    pub fn with_session_token(mut self, session_token: impl Into<String>) -> Self {
        self.session_token = Some(Zeroizing::new(session_token.into()));
        self
    }

    /// The same for another region.
    pub fn in_region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` if set, and `AWS_REGION` or
    /// `AWS_DEFAULT_REGION`, else `us-east-1`.
    ///
    /// # Errors
    /// When one of the first two is unset, empty or not UTF-8.
    pub fn from_env() -> Result<Self, MissingCredential> {
        let require = |name| variable(name).ok_or(MissingCredential(name));
        let credentials =
            Self::new(require("AWS_ACCESS_KEY_ID")?, require("AWS_SECRET_ACCESS_KEY")?, region_from_env());
        Ok(match variable("AWS_SESSION_TOKEN") {
            Some(token) => credentials.with_session_token(token),
            None => credentials,
        })
    }
}

/// The region of `AWS_REGION` or `AWS_DEFAULT_REGION`, else `us-east-1`.
pub fn region_from_env() -> String {
    variable("AWS_REGION")
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .unwrap_or_else(|| "us-east-1".to_owned())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The access key id and region.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// An environment variable that signing needs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("signing needs the environment variable {0}")]
pub struct MissingCredential(&'static str);

/// The moment of signing lies outside the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the clock shows a time that no request can be signed at")]
pub struct UnsignableTime;

/// The headers to add to a request whose `headers` (lower-case names) and `body` are these.
pub(super) fn sign(
    credentials: &Credentials,
    service: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    at: SystemTime,
) -> Result<Vec<(&'static str, String)>, UnsignableTime> {
    let amz_date = format_amz_date(at)?;
    let (date, _) = amz_date.split_once('T').ok_or(UnsignableTime)?;
    let mut signed: Vec<(&str, &str)> = headers.to_vec();
    signed.push(("x-amz-date", &amz_date));
    if let Some(token) = &credentials.session_token {
        signed.push(("x-amz-security-token", token));
    }
    signed.sort_unstable();

    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut canonical = String::from("POST\n/\n\n");
    for (name, value) in &signed {
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let _ = write!(canonical, "\n{names}\n{}", sha256_hex(body));

    let scope = format!("{date}/{}/{service}/aws4_request", credentials.region);
    let to_sign = format!("{ALGORITHM}\n{amz_date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    let key = signing_key(credentials, date, service);
    let signature = hex::encode(hmac::sign(&key, to_sign.as_bytes()));

    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.access_key_id
    );
    let mut added = vec![("authorization", authorization), ("x-amz-date", amz_date.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token", token.to_string()));
    }
    Ok(added)
}

fn format_amz_date(at: SystemTime) -> Result<String, UnsignableTime> {
    let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| UnsignableTime)?;
    let secs = i64::try_from(since_epoch.as_secs()).map_err(|_| UnsignableTime)?;
    let moment = OffsetDateTime::from_unix_timestamp(secs).map_err(|_| UnsignableTime)?;
    moment.format(AMZ_DATE).map_err(|_| UnsignableTime)
}

fn signing_key(credentials: &Credentials, date: &str, service: &str) -> hmac::Key {
    let initial = Zeroizing::new(format!("AWS4{}", *credentials.secret_access_key));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, initial.as_bytes());
    for part in [date, &credentials.region, service, "aws4_request"] {
        let tag = hmac::sign(&key, part.as_bytes());
        key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
    }
    key
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// 2015-08-30T12:36:00Z, the moment of AWS's published vectors.
    fn moment() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_440_938_160)
    }

    fn credentials() -> Credentials {
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1")
    }

    #[test]
    fn the_published_vector_post_vanilla() {
        let added =
            sign(&credentials(), "service", &[("host", "example.amazonaws.com")], b"", moment()).unwrap();
        assert_eq!(
            added,
            [
                (
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, \
                     Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
                        .to_owned()
                ),
                ("x-amz-date", "20150830T123600Z".to_owned()),
            ]
        );
    }

    /// The signature is what botocore 1.43.11 computes for the same request.
    #[test]
    fn a_kms_request_with_a_session_token_as_botocore_signs_it() {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "127.0.0.1:8000"),
            ("x-amz-target", "TrentService.GenerateDataKey"),
        ];
        let credentials = credentials().with_session_token("session/token==");
        let added = sign(&credentials, "kms", &headers, br#"{"KeyId":"alias/k"}"#, moment()).unwrap();
        assert_eq!(
            added[0].1,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
             Signature=103b913a3c140cb1db4287b8b254ad7c2da563d209470d02a0c610a5f8a219c8"
        );
        assert_eq!(added[2], ("x-amz-security-token", "session/token==".to_owned()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", credentials().with_session_token("token"));
        assert_eq!(shown, "Credentials { access_key_id: \"AKIDEXAMPLE\", region: \"us-east-1\", .. }");
    }
}
