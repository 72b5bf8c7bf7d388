//! A producer of EnvelopedData in any encoding, written from RFC 5652 and X.690 and sharing nothing with the reader.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

/// How elements are encoded.
#[derive(Clone, Debug)]
pub enum Encoding {
    /// As key services do: indefinite outer layers and content, the content in segments of 1,000 bytes.
    KeyService,
    /// Definite minimal lengths, strings primitive.
    Der,
    /// As key services do, but the content in one primitive [0].
    PrimitiveContent,
    /// As key services do, but the content in a [0] of definite length.
    DefiniteContent,
    /// For each element in turn, one of the valid forms, chosen by the next byte: definite or indefinite, primitive or
    /// in segments, segments of segments, lengths with zeros before them.
    Mixed(Vec<u8>),
}

pub enum Rid {
    SubjectKeyIdentifier(Vec<u8>),
    IssuerAndSerialNumber,
}

/// What goes into an envelope; a test changes what it is about.
pub struct Emitter<'a> {
    spki: &'a [u8],
    encoding: Encoding,
    pub content_type: &'static str,
    pub rid: Rid,
    pub recipient_version: Option<u8>,
    pub key_encryption: &'static str,
    pub oaep_parameters: bool,
    pub hash: &'static str,
    pub mask_hash: &'static str,
    pub null_parameters: bool,
    pub label: Option<&'static [u8]>,
    pub content_encryption: &'static str,
    pub content_encryption_key: Vec<u8>,
    pub iv: [u8; 16],
    pub raw_content: Option<Vec<u8>>,
    pub foreign_recipients: usize,
}

impl<'a> Emitter<'a> {
    /// To the key with this SubjectPublicKeyInfo.
    pub fn new(spki: &'a [u8], encoding: Encoding) -> Self {
        Self {
            spki,
            encoding,
            content_type: "1.2.840.113549.1.7.3",
            rid: Rid::SubjectKeyIdentifier(digest(&SHA256, spki).as_ref().to_vec()),
            recipient_version: None,
            key_encryption: "1.2.840.113549.1.1.7",
            oaep_parameters: true,
            hash: "2.16.840.1.101.3.4.2.1",
            mask_hash: "2.16.840.1.101.3.4.2.1",
            null_parameters: true,
            label: None,
            content_encryption: "2.16.840.1.101.3.4.1.42",
            content_encryption_key: (0..32).collect(),
            iv: *b"initial vector 0",
            raw_content: None,
            foreign_recipients: 0,
        }
    }

    pub fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let content = self.raw_content.clone().unwrap_or_else(|| self.encrypt(plaintext));
        let mut recipients: Vec<Node> = (0..self.foreign_recipients)
            .map(|number| {
                let rid = Rid::SubjectKeyIdentifier(vec![number as u8; 32]);
                self.recipient(&rid, 2, &[number as u8; 256])
            })
            .collect();
        let version = self.recipient_version.unwrap_or(match self.rid {
            Rid::SubjectKeyIdentifier(_) => 2,
            Rid::IssuerAndSerialNumber => 0,
        });
        recipients.push(self.recipient(&self.rid, version, &self.wrap()));

        let content_info = Node::outer(
            0x30,
            vec![
                oid(self.content_type),
                Node::outer(
                    0xa0,
                    vec![Node::outer(
                        0x30,
                        vec![
                            Node::primitive(0x02, &[2]),
                            Node::inner(0x31, recipients),
                            Node::outer(
                                0x30,
                                vec![
                                    oid("1.2.840.113549.1.7.1"),
                                    Node::inner(
                                        0x30,
                                        vec![oid(self.content_encryption), Node::string(0x04, &self.iv)],
                                    ),
                                    Node::Content(content),
                                ],
                            ),
                        ],
                    )],
                ),
            ],
        );
        let mut choices = Choices { encoding: &self.encoding, taken: 0 };
        let mut envelope = Vec::new();
        content_info.encode(&mut choices, &mut envelope);
        envelope
    }

    fn recipient(&self, rid: &Rid, version: u8, encrypted_key: &[u8]) -> Node {
        let null = || self.null_parameters.then(|| Node::primitive(0x05, &[]));
        let hash = |id| Node::inner(0x30, [Some(oid(id)), null()].into_iter().flatten().collect());
        let mut parameters = vec![
            Node::inner(0xa0, vec![hash(self.hash)]),
            Node::inner(
                0xa1,
                vec![Node::inner(0x30, vec![oid("1.2.840.113549.1.1.8"), hash(self.mask_hash)])],
            ),
        ];
        if let Some(label) = self.label {
            let source = vec![oid("1.2.840.113549.1.1.9"), Node::string(0x04, label)];
            parameters.push(Node::inner(0xa2, vec![Node::inner(0x30, source)]));
        }
        let mut algorithm = vec![oid(self.key_encryption)];
        if self.oaep_parameters {
            algorithm.push(Node::inner(0x30, parameters));
        }
        let rid = match rid {
            Rid::SubjectKeyIdentifier(identifier) => Node::string(0x80, identifier),
            Rid::IssuerAndSerialNumber => {
                let common_name = vec![oid("2.5.4.3"), Node::primitive(0x0c, b"recipient")];
                let name = vec![Node::inner(0x31, vec![Node::inner(0x30, common_name)])];
                Node::inner(0x30, vec![Node::inner(0x30, name), Node::primitive(0x02, &[0x12, 0x34])])
            }
        };
        Node::inner(
            0x30,
            vec![
                Node::primitive(0x02, &[version]),
                rid,
                Node::inner(0x30, algorithm),
                Node::string(0x04, encrypted_key),
            ],
        )
    }

    fn wrap(&self) -> Vec<u8> {
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(self.spki).unwrap()).unwrap();
        let mut encrypted = vec![0; key.ciphertext_size()];
        key.encrypt(&OAEP_SHA256_MGF1SHA256, &self.content_encryption_key, &mut encrypted, None).unwrap();
        encrypted
    }

    fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut content = plaintext.to_vec();
        let mut key = self.content_encryption_key.clone();
        key.resize(32, 0);
        let key = UnboundCipherKey::new(&AES_256, &key).unwrap();
        let iv = EncryptionContext::Iv128(FixedLength::from(self.iv));
        PaddedBlockEncryptingKey::cbc_pkcs7(key).unwrap().less_safe_encrypt(&mut content, iv).unwrap();
        content
    }
}

enum Node {
    Primitive(u8, Vec<u8>),
    /// An OCTET STRING or an implicit tag on one: primitive or in segments.
    String(u8, Vec<u8>),
    /// Definite in the form of key services.
    Inner(u8, Vec<Node>),
    /// Indefinite in the form of key services.
    Outer(u8, Vec<Node>),
    /// encryptedContent.
    Content(Vec<u8>),
}

impl Node {
    fn primitive(identifier: u8, contents: &[u8]) -> Self {
        Self::Primitive(identifier, contents.to_vec())
    }

    fn string(identifier: u8, octets: &[u8]) -> Self {
        Self::String(identifier, octets.to_vec())
    }

    fn inner(identifier: u8, children: Vec<Self>) -> Self {
        Self::Inner(identifier, children)
    }

    fn outer(identifier: u8, children: Vec<Self>) -> Self {
        Self::Outer(identifier, children)
    }

    fn encode(&self, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Primitive(identifier, contents) => choices.definite(*identifier, contents, out),
            Self::String(identifier, octets) => {
                if choices.segmented() {
                    choices.segments(*identifier | 0x20, octets, 7, out);
                } else {
                    choices.definite(*identifier, octets, out);
                }
            }
            Self::Inner(identifier, children) => {
                let indefinite = choices.indefinite(false);
                choices.constructed(*identifier, indefinite, children, out);
            }
            Self::Outer(identifier, children) => {
                let indefinite = choices.indefinite(true);
                choices.constructed(*identifier, indefinite, children, out);
            }
            Self::Content(content) => match choices.encoding {
                Encoding::KeyService => choices.segments(0xa0, content, 1000, out),
                Encoding::Der | Encoding::PrimitiveContent => choices.definite(0x80, content, out),
                Encoding::DefiniteContent => {
                    let mut segments = Vec::new();
                    for segment in content.chunks(1000) {
                        choices.definite(0x04, segment, &mut segments);
                    }
                    choices.definite(0xa0, &segments, out);
                }
                Encoding::Mixed(_) => Self::string(0x80, content).encode(choices, out),
            },
        }
    }
}

struct Choices<'a> {
    encoding: &'a Encoding,
    taken: usize,
}

impl Choices<'_> {
    fn next(&mut self) -> Option<u8> {
        let Encoding::Mixed(choices) = self.encoding else { return None };
        self.taken += 1;
        Some(choices[self.taken % choices.len()])
    }

    fn indefinite(&mut self, in_key_service_form: bool) -> bool {
        match self.next() {
            Some(choice) => choice & 1 != 0,
            None => in_key_service_form && !matches!(self.encoding, Encoding::Der),
        }
    }

    fn segmented(&mut self) -> bool {
        self.next().is_some_and(|choice| choice & 2 != 0)
    }

    fn constructed(&mut self, identifier: u8, indefinite: bool, children: &[Node], out: &mut Vec<u8>) {
        let mut contents = Vec::new();
        for child in children {
            child.encode(self, &mut contents);
        }
        self.wrap(identifier, indefinite, &contents, out);
    }

    fn segments(&mut self, identifier: u8, octets: &[u8], segment: usize, out: &mut Vec<u8>) {
        let mut contents = Vec::new();
        let nested = self.next().is_some_and(|choice| choice & 8 != 0);
        for part in octets.chunks(if octets.len() > 512 { 1000 } else { segment }) {
            if nested {
                // A segment may be constructed itself, and one may be empty.
                let mut inner = Vec::new();
                self.definite(0x04, &[], &mut inner);
                self.definite(0x04, part, &mut inner);
                let indefinite = self.indefinite(true);
                self.wrap(0x24, indefinite, &inner, &mut contents);
            } else {
                self.definite(0x04, part, &mut contents);
            }
        }
        let indefinite = self.indefinite(true);
        self.wrap(identifier, indefinite, &contents, out);
    }

    fn wrap(&mut self, identifier: u8, indefinite: bool, contents: &[u8], out: &mut Vec<u8>) {
        if indefinite {
            out.extend([identifier, 0x80]);
            out.extend(contents);
            out.extend([0, 0]);
        } else {
            self.definite(identifier, contents, out);
        }
    }

    fn definite(&mut self, identifier: u8, contents: &[u8], out: &mut Vec<u8>) {
        out.push(identifier);
        let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
        let padding = self.next().filter(|choice| choice & 4 != 0).map(|choice| usize::from(choice >> 4));
        match (padding, contents.len()) {
            (Some(zeros), _) => {
                out.push(0x84 + zeros as u8);
                out.extend(std::iter::repeat_n(0, zeros));
                out.extend(length);
            }
            (None, 0..=0x7f) => out.push(length[3]),
            (None, 0x80..=0xff) => out.extend([0x81, length[3]]),
            (None, _) => out.extend([0x82, length[2], length[3]]),
        }
        out.extend(contents);
    }
}

/// OBJECT IDENTIFIER from its dotted form.
fn oid(dotted: &str) -> Node {
    let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut contents = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let septets = (0..5).rev().map(|position| (arc >> (7 * position) & 0x7f) as u8);
        let significant: Vec<u8> = septets.skip_while(|septet| *septet == 0).collect();
        let (last, leading) =
            significant.split_last().map_or((0, &[][..]), |(last, leading)| (*last, leading));
        contents.extend(leading.iter().map(|septet| septet | 0x80));
        contents.push(last);
    }
    Node::Primitive(0x06, contents)
}
