//! The recorded documents: those of `testdata/recorded`, and the ones of a folder outside the repository.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{env, fs, io};

use nitro_key_broker::time::UnixTime;

/// Names the folder of fixtures that the repository does not carry.
pub const EXTRA_FIXTURES_ENV: &str = "NITRO_KEY_BROKER_FIXTURES";

/// A document and what its index says of it.
pub struct Recorded {
    pub name: String,
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// `accepted`, or the code of the error at the document's own time.
    pub expected: String,
    /// Absent where the index has no time for it.
    pub timestamp: Option<UnixTime>,
    pub module_id: String,
    pub region: String,
    pub pcr_count: usize,
    pub nonzero_pcrs: Vec<u8>,
    /// Whether `public_key` is an RSA SubjectPublicKeyInfo.
    pub is_recipient: bool,
    pub indefinite_map: bool,
}

impl Recorded {
    /// Signed by AWS for an enclave, in debug mode or not.
    pub fn is_genuine(&self) -> bool {
        matches!(self.expected.as_str(), "accepted" | "debug_mode")
    }
}

/// The documents of `testdata/recorded`, in the order of its index.
pub fn in_repository() -> Vec<Recorded> {
    let folder = repository_path("testdata/recorded");
    let index: toml::Table = fs::read_to_string(folder.join("index.toml")).unwrap().parse().unwrap();
    let text = |entry: &toml::Value, key: &str| entry[key].as_str().unwrap().to_owned();
    index["document"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| Recorded {
            name: text(entry, "file"),
            bytes: fs::read(folder.join(text(entry, "file"))).unwrap(),
            sha256: text(entry, "sha256"),
            expected: text(entry, "expected"),
            timestamp: Some(
                UnixTime::parse_rfc3339(&entry["timestamp"].as_datetime().unwrap().to_string()).unwrap(),
            ),
            module_id: text(entry, "module_id"),
            region: text(entry, "region"),
            pcr_count: entry["pcr_count"].as_integer().unwrap().try_into().unwrap(),
            nonzero_pcrs: entry["nonzero_pcrs"].clone().try_into().unwrap(),
            is_recipient: !text(entry, "recipient_key").is_empty(),
            indefinite_map: text(entry, "map") == "indefinite",
        })
        .collect()
}

/// The documents of the extra fixtures; none when the environment does not name their folder, which CI must.
pub fn extra() -> Vec<Recorded> {
    let Some(folder) = env::var_os(EXTRA_FIXTURES_ENV) else {
        assert!(env::var_os("CI").is_none(), "{EXTRA_FIXTURES_ENV} must name the extra fixtures in CI");
        announce_absence();
        return Vec::new();
    };
    let folder = PathBuf::from(folder).join("attestation");
    let refused: HashMap<String, String> =
        toml::from_str(&fs::read_to_string(repository_path("testdata/extra_fixtures.toml")).unwrap())
            .unwrap();
    let documents: Vec<Recorded> = csv_rows(&fs::read_to_string(folder.join("index.csv")).unwrap())
        .into_iter()
        .map(|row| from_csv(&row, &folder, &refused))
        .collect();
    let named = |name: &String| documents.iter().any(|document| document.name == *name);
    assert!(refused.keys().all(named), "extra_fixtures.toml names a document that is not there");
    documents
}

/// Says once, past the test runner's capture, that less was tested than could have been.
fn announce_absence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let notice = format!("NOT TESTED: the extra fixtures, {EXTRA_FIXTURES_ENV} is not set\n");
        io::stderr().write_all(notice.as_bytes()).unwrap();
    });
}

pub fn repository_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn from_csv(row: &HashMap<String, String>, folder: &Path, refused: &HashMap<String, String>) -> Recorded {
    let name = &row["name"];
    let expected = match (row["verifies"].as_str(), row["debug_pcr0_zero"].as_str()) {
        ("True", "True") => "debug_mode",
        ("True", _) => "accepted",
        _ => refused.get(name).unwrap_or_else(|| panic!("extra_fixtures.toml has no verdict on {name}")),
    };
    let nonzero_pcrs = row["nonzero_pcrs"].trim_matches(['[', ']']);
    Recorded {
        name: name.clone(),
        bytes: fs::read(folder.join(format!("{name}.bin"))).unwrap(),
        sha256: row["sha256"].clone(),
        expected: expected.to_owned(),
        timestamp: UnixTime::parse_rfc3339(&row["timestamp"]).ok(),
        module_id: row["module_id"].clone(),
        region: row["region"].clone(),
        pcr_count: row["pcr_count"].parse().unwrap_or(0),
        nonzero_pcrs: nonzero_pcrs.split_terminator(", ").map(|index| index.parse().unwrap()).collect(),
        is_recipient: row["public_key"].contains(" SPKI RSA-"),
        indefinite_map: row["map_head"] == "bf",
    }
}

/// The rows of a CSV file (RFC 4180, no line breaks within fields), each by the names of the first.
fn csv_rows(text: &str) -> Vec<HashMap<String, String>> {
    let mut lines = text.lines().map(csv_fields);
    let header = lines.next().unwrap();
    lines
        .map(|fields| {
            assert_eq!(fields.len(), header.len(), "{fields:?}");
            header.iter().cloned().zip(fields).collect()
        })
        .collect()
}

fn csv_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().unwrap();
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}
