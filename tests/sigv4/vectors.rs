//! The signed requests of AWS's published test suites; `testdata/sigv4/README.md` says where they are from.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nitro_key_broker::auth::sigv4::{Scope, SigV4Error};
use nitro_key_broker::time::UnixTime;
use serde::Deserialize;

use crate::message::{Message, SECRET};

/// The secret of the access key `ANOTREAL`; all others have [`SECRET`].
const SECRET_OF_ANOTREAL: &[u8] = b"notrealrnrELgWzOk3IfjzDKtFBhDby";

/// As many files as each folder holds.
const SUITES: [(&str, usize); 3] = [("header", 40), ("query", 38), ("older", 31)];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviations {
    deviation: Vec<Deviation>,
}

/// A vector that is refused, why, and what is left out for the rest of it to verify.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    vector: String,
    error: String,
    why: String,
    verifies_without: Option<String>,
}

#[test]
fn published_signatures_verify_but_for_known_deviations() {
    let text = fs::read_to_string(folder().join("deviations.toml")).unwrap();
    let deviations: Deviations = toml::from_str(&text).unwrap();
    let mut deviations: BTreeMap<String, Deviation> =
        deviations.deviation.into_iter().map(|deviation| (deviation.vector.clone(), deviation)).collect();
    let (mut verified, mut refused, mut problems) = (0, 0, Vec::new());
    for (suite, count) in SUITES {
        let files = files(&folder().join(suite));
        assert_eq!(files.len(), count, "{suite}");
        for file in files {
            let name = format!("{suite}/{}", file.file_stem().unwrap().to_str().unwrap());
            let vector = Vector::read(&file);
            match (vector.verify(&vector.message), deviations.remove(&name)) {
                (Ok(()), None) => verified += 1,
                (Err(error), Some(deviation)) => {
                    assert_eq!(error.to_string(), deviation.error, "{name}");
                    assert!(!deviation.why.is_empty(), "{name}");
                    if let Some(part) = deviation.verifies_without {
                        vector.verify(&vector.without(&part)).unwrap();
                    }
                    refused += 1;
                }
                (Ok(()), Some(_)) => problems.push(format!("{name} verifies, against its row")),
                (Err(error), None) => problems.push(format!("{name}: {error}")),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(deviations.is_empty(), "rows without a vector: {:?}", deviations.keys());
    let summary =
        format!("{verified} published signatures verify, {refused} are refused for a known reason\n");
    io::stderr().write_all(summary.as_bytes()).unwrap();
}

/// A request with what it says of itself.
struct Vector {
    message: Message,
    secret: &'static [u8],
    region: String,
    service: String,
    signed_at: UnixTime,
}

impl Vector {
    fn read(file: &Path) -> Self {
        let message = Message::parse(&fs::read_to_string(file).unwrap());
        let authorization = message.headers.get("authorization").map(|value| value.to_str().unwrap());
        let credential = match authorization {
            Some(authorization) => between(authorization, "Credential=", ","),
            None => between(&message.query, "X-Amz-Credential=", "&").replace("%2F", "/"),
        };
        let date = match authorization {
            Some(_) => message.headers["x-amz-date"].to_str().unwrap().trim().to_owned(),
            None => between(&message.query, "X-Amz-Date=", "&"),
        };
        let parts: Vec<&str> = credential.split('/').collect();
        let secret = if parts[0] == "ANOTREAL" { SECRET_OF_ANOTREAL } else { SECRET };
        let (region, service) = (parts[2].to_owned(), parts[3].to_owned());
        let (day, clock) = date.trim_end_matches('Z').split_once('T').unwrap();
        let signed_at = format!(
            "{}-{}-{}T{}:{}:{}Z",
            &day[..4],
            &day[4..6],
            &day[6..],
            &clock[..2],
            &clock[2..4],
            &clock[4..]
        );
        Self { message, secret, region, service, signed_at: UnixTime::parse_rfc3339(&signed_at).unwrap() }
    }

    /// Verifies with the secret that signed, and not with another.
    fn verify(&self, message: &Message) -> Result<(), SigV4Error> {
        let scope = Scope { region: &self.region, service: &self.service };
        let verified = message.verify(self.secret, &scope, self.signed_at)?;
        assert_eq!(verified.signed_at(), self.signed_at);
        assert_eq!(
            message.verify(b"another secret", &scope, self.signed_at).unwrap_err(),
            SigV4Error::SignatureMismatch
        );
        Ok(())
    }

    fn without(&self, part: &str) -> Message {
        let mut message = self.message.without_parameter(part);
        message.headers.remove(part);
        message
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sigv4")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split(after).next().unwrap().to_owned()
}
