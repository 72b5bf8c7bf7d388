//! The chain that runs through a log's records.
//!
//! Each record has a member `chain`, which the writer adds at the end of its line:
//!
//! | member | in | says |
//! |---|---|---|
//! | `sequence` | every record | its number, from 0 without a gap |
//! | `previousHash` | all but record 0 | SHA-256 of the line before, its line end included, in hex |
//! | `log` | the first record of each file | which log, the origin of its checkpoints |
//! | `tree` | the first record of each file | roots of the perfect subtrees over all records before, see [`Frontier`] |
//! | `setApart` | a record that does not follow the one before at once | number and SHA-256 of the bytes in between |
//!
//! What lies between records is what a crash left of a line, or lines from before there was a chain.

use serde::{Deserialize, Serialize};

use crate::crypto::{SHA256_LEN, Sha256, sha256};
use crate::merkle::{Frontier, Hash};

/// Bytes that the member `chain` adds to a line at most: a tree has 64 perfect subtrees, each 67 bytes here.
pub const MAX_LINK_BYTES: usize = 8 * 1024;

/// What a record says of its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// Its number.
    pub sequence: u64,
    /// The hash of the line before.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_hash")]
    pub previous_hash: Option<Hash>,
    /// Which log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The tree over all records before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Vec<HexHash>>,
    /// What lies between this line and the record before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_apart: Option<SetApart>,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetApart {
    /// How many.
    pub bytes: u64,
    /// Their hash.
    #[serde(with = "hash")]
    pub sha256: Hash,
}

/// A hash that reads and writes as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HexHash(#[serde(with = "hash")] pub Hash);

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Which log.
    pub log: String,
    /// The tree over all records; its size is the next record's number.
    pub tree: Frontier,
    /// The hash of the last line; `None` before the first.
    pub last_hash: Option<Hash>,
}

/// What the next record has to say beside its number and the hash of the line before.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkTerms {
    /// It is the first of a file.
    pub starts_file: bool,
    /// What it is set apart by from the record before.
    pub set_apart: Option<SetApart>,
}

impl ChainHead {
    /// The head of a log without records.
    pub fn of_new_log(log: &str) -> Self {
        Self { log: log.to_owned(), tree: Frontier::default(), last_hash: None }
    }

    /// The next record's number, which is also how many there are.
    pub fn next_sequence(&self) -> u64 {
        self.tree.size()
    }

    /// Adds the member `chain` to a line that is a JSON object and a line end, and goes on to it.
    ///
    /// # Errors
    /// Never as the types are now; there would be no record to write.
    pub fn link(&mut self, line: &[u8], terms: LinkTerms) -> Result<Vec<u8>, serde_json::Error> {
        let starts_file = terms.starts_file || self.last_hash.is_none();
        let link = Link {
            sequence: self.next_sequence(),
            previous_hash: self.last_hash,
            log: starts_file.then(|| self.log.clone()),
            tree: starts_file.then(|| self.tree.roots().iter().copied().map(HexHash).collect()),
            set_apart: terms.set_apart,
        };
        let object = line.strip_suffix(b"}\n").unwrap_or(line);
        let separator: &[u8] = if object.ends_with(b"{") { b"\"chain\":" } else { b",\"chain\":" };
        let mut linked = Vec::with_capacity(line.len() + separator.len() + 128);
        linked.extend_from_slice(object);
        linked.extend_from_slice(separator);
        serde_json::to_writer(&mut linked, &link)?;
        linked.extend_from_slice(b"}\n");
        self.advance(&linked);
        Ok(linked)
    }

    /// Goes on to a line that is known to be the next record.
    pub fn advance(&mut self, line: &[u8]) {
        self.tree.push(line);
        self.last_hash = Some(sha256(&[line]));
    }
}

/// Follows a chain line by line.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    /// `None` before the first record.
    head: Option<ChainHead>,
    begin: Begin,
    apart: Apart,
}

/// Where a chain may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With record 0.
    AtRecord0,
    /// With the first record of any file, whose word on what came before is taken.
    AtAnyFile,
}

/// Lines since the last record that are none.
#[derive(Clone, Debug, Default)]
struct Apart {
    bytes: u64,
    /// Whether the last of them has no end.
    is_unfinished: bool,
    lines: u64,
    hash: Sha256,
    first_fault: Option<String>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The record that comes next.
    Record {
        /// Its number.
        sequence: u64,
        /// What it is set apart by from the one before.
        set_apart: Option<SetApart>,
    },
    /// No record; it is well only if the next record says so.
    SetApart,
}

/// Which rule of the chain a line breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// No record, and the record behind it does not say that it is set apart.
    #[error("it is no record ({0}), and no record says that it is set apart")]
    NoRecord(String),
    /// Another number than the next.
    #[error("its number is {actual}, expected {expected}: {}", sequence_story(*.expected, *.actual))]
    Sequence {
        /// The next number.
        expected: u64,
        /// The record's.
        actual: u64,
    },
    /// The line before is not the one that the record followed.
    #[error(
        "the record behind it, {follower}, says that this line has the SHA-256 {stated}, and it has {actual}"
    )]
    Hash {
        /// The number of the record behind.
        follower: u64,
        /// What that record says; `none` where it says nothing.
        stated: String,
        /// What the line has.
        actual: String,
    },
    /// The record says that other bytes than these lie between it and the record before.
    #[error("it says that {stated} lie between it and the record before, and there are {actual}")]
    SetApart {
        /// What the record says.
        stated: String,
        /// What is there.
        actual: String,
    },
    /// The record begins a file and disagrees on what came before.
    #[error("its {member} is not that of the records before it")]
    Start {
        /// `log` or `tree`.
        member: &'static str,
    },
    /// The first record is not one that a log can begin with.
    #[error("the log begins with it, and it is not the first record of a file")]
    Begin,
}

fn sequence_story(expected: u64, actual: u64) -> String {
    match actual.checked_sub(expected) {
        None | Some(0) => "a record stands twice, or in another place than its own".to_owned(),
        Some(1) => format!("record {expected} is missing"),
        Some(_) => format!("records {expected} to {} are missing", actual.saturating_sub(1)),
    }
}

impl ChainVerifier {
    /// Before the first line.
    pub fn new(begin: Begin) -> Self {
        Self { head: None, begin, apart: Apart::default() }
    }

    /// After the last record of a chain.
    pub fn at(head: ChainHead) -> Self {
        Self { head: Some(head), begin: Begin::AtRecord0, apart: Apart::default() }
    }

    /// Where the chain ends so far; `None` before the first record.
    pub fn head(&self) -> Option<&ChainHead> {
        self.head.as_ref()
    }

    /// What lies behind the last record and is none.
    pub fn set_apart(&self) -> Option<SetApart> {
        self.apart.stated()
    }

    /// The next line, its end included.
    ///
    /// # Errors
    /// With the rule that is broken. The chain is then followed no further.
    pub fn line(&mut self, line: &[u8]) -> Result<Step, ChainFault> {
        let link = match read_link(line) {
            Ok(link) => link,
            Err(fault) => {
                self.apart.add(line, fault);
                return Ok(Step::SetApart);
            }
        };
        let set_apart = self.check_set_apart(&link)?;
        match &self.head {
            Some(head) => check_follows(head, &link)?,
            None => self.head = Some(self.begin_with(&link)?),
        }
        if let Some(head) = &mut self.head {
            head.advance(line);
        }
        self.apart = Apart::default();
        Ok(Step::Record { sequence: link.sequence, set_apart })
    }

    /// At the end of all lines: bytes of an unfinished line, as a writer at work or a crash leaves it.
    ///
    /// # Errors
    /// When whole lines at the end are no records.
    pub fn finish(&self) -> Result<u64, ChainFault> {
        match &self.apart.first_fault {
            Some(fault) if self.apart.lines > 1 || !self.apart.is_unfinished => {
                Err(ChainFault::NoRecord(fault.clone()))
            }
            _ => Ok(self.apart.bytes),
        }
    }

    fn check_set_apart(&self, link: &Link) -> Result<Option<SetApart>, ChainFault> {
        let actual = self.apart.stated();
        match (&self.apart.first_fault, link.set_apart) {
            (Some(fault), None) => Err(ChainFault::NoRecord(fault.clone())),
            (_, stated) if stated == actual => Ok(stated),
            (_, stated) => Err(ChainFault::SetApart { stated: show(stated), actual: show(actual) }),
        }
    }

    fn begin_with(&self, link: &Link) -> Result<ChainHead, ChainFault> {
        if self.begin == Begin::AtRecord0 && link.sequence != 0 {
            return Err(ChainFault::Sequence { expected: 0, actual: link.sequence });
        }
        let (Some(log), Some(tree)) = (&link.log, &link.tree) else { return Err(ChainFault::Begin) };
        let tree = Frontier::new(link.sequence, tree.iter().map(|hash| hash.0).collect());
        let tree = tree.map_err(|_| ChainFault::Start { member: "tree" })?;
        if (link.sequence == 0) != link.previous_hash.is_none() {
            return Err(ChainFault::Begin);
        }
        Ok(ChainHead { log: log.clone(), tree, last_hash: link.previous_hash })
    }
}

fn check_follows(head: &ChainHead, link: &Link) -> Result<(), ChainFault> {
    if link.sequence != head.next_sequence() {
        return Err(ChainFault::Sequence { expected: head.next_sequence(), actual: link.sequence });
    }
    if link.previous_hash != head.last_hash {
        let show = |hash: Option<Hash>| hash.map_or_else(|| "none".to_owned(), hex::encode);
        return Err(ChainFault::Hash {
            follower: link.sequence,
            stated: show(link.previous_hash),
            actual: show(head.last_hash),
        });
    }
    if link.log.as_ref().is_some_and(|log| *log != head.log) {
        return Err(ChainFault::Start { member: "log" });
    }
    let is_tree = |tree: &Vec<HexHash>| tree.iter().map(|hash| &hash.0).eq(head.tree.roots());
    if link.tree.as_ref().is_some_and(|tree| !is_tree(tree)) {
        return Err(ChainFault::Start { member: "tree" });
    }
    Ok(())
}

impl Apart {
    fn add(&mut self, line: &[u8], fault: String) {
        self.bytes += line.len() as u64;
        self.lines += 1;
        self.is_unfinished = !line.ends_with(b"\n");
        self.hash.update(line);
        self.first_fault.get_or_insert(fault);
    }

    fn stated(&self) -> Option<SetApart> {
        (self.bytes > 0).then(|| SetApart { bytes: self.bytes, sha256: self.hash.clone().finish() })
    }
}

/// What a line says of its place, or why it is no record of the chain.
///
/// # Errors
/// When it has no line end, is no JSON object, or has no such member.
pub fn read_link(line: &[u8]) -> Result<Link, String> {
    #[derive(Deserialize)]
    struct Linked {
        chain: Link,
    }
    let object = line.strip_suffix(b"\n").ok_or("it has no line end")?;
    serde_json::from_slice::<Linked>(object).map(|linked| linked.chain).map_err(|error| error.to_string())
}

fn show(set_apart: Option<SetApart>) -> String {
    set_apart.map_or_else(
        || "no bytes".to_owned(),
        |apart| format!("{} bytes with the SHA-256 {}", apart.bytes, hex::encode(apart.sha256)),
    )
}

mod hash {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Hash, SHA256_LEN};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
        hex::encode(hash).serialize(serializer)
    }

    /// Lower-case digits only, so that a hash has one text.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut hash = [0; SHA256_LEN];
        let is_hash = hex::decode_to_slice(&text, &mut hash).is_ok() && hex::encode(hash) == text;
        if is_hash { Ok(hash) } else { Err(D::Error::custom("a hash is not 64 lower-case hex digits")) }
    }
}

mod optional_hash {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Hash, HexHash};

    pub(super) fn serialize<S: Serializer>(hash: &Option<Hash>, serializer: S) -> Result<S::Ok, S::Error> {
        hash.map(HexHash).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hash>, D::Error> {
        Ok(Option::<HexHash>::deserialize(deserializer)?.map(|hash| hash.0))
    }
}
