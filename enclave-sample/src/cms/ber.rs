//! A bounded reader of BER (X.690, section 8), of which DER is a part.
//!
//! An element's contents come out the same whether its length was definite or indefinite, so that the structure above
//! is written once.

use super::error::{BerError, CmsError};

/// The deepest nesting that is read. The deepest field of the structures read here is the hash algorithm's identifier
/// inside the OAEP parameters, at level 11; a constructed OCTET STRING may add a few.
const MAX_DEPTH: u8 = 16;

/// The most octets of a tag number above 30. Four express every number that is registered anywhere.
const MAX_TAG_NUMBER_OCTETS: usize = 4;

const CONSTRUCTED: u8 = 0x20;
const CLASS_AND_NUMBER: u8 = !CONSTRUCTED;
const TAG_NUMBER: u8 = 0x1f;
const INDEFINITE: u8 = 0x80;
/// The initial octet of a length that X.690, section 8.1.3.5, reserves.
const RESERVED: u8 = 0xff;

/// Identifier octets as they usually stand: SEQUENCE and SET constructed, the others primitive.
pub(super) mod identifier {
    pub(in crate::cms) const INTEGER: u8 = 0x02;
    pub(in crate::cms) const OCTET_STRING: u8 = 0x04;
    pub(in crate::cms) const NULL: u8 = 0x05;
    pub(in crate::cms) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in crate::cms) const SEQUENCE: u8 = 0x30;
    pub(in crate::cms) const SET: u8 = 0x31;

    /// `[number]`, constructed.
    pub(in crate::cms) const fn context(number: u8) -> u8 {
        0xa0 | number
    }
}

/// One element: identifier octet and contents octets, without the end-of-contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    field: &'static str,
    identifier: u8,
    contents: &'a [u8],
    depth: u8,
}

impl<'a> Element<'a> {
    /// Whether class and tag number are those of `identifier`; primitive and constructed forms are alike.
    pub(super) fn is(&self, identifier: u8) -> bool {
        self.identifier & CLASS_AND_NUMBER == identifier & CLASS_AND_NUMBER
    }

    /// The elements inside a SEQUENCE, a SET or an explicit tag.
    pub(super) fn children(&self) -> Result<Reader<'a>, CmsError> {
        if !self.is_constructed() {
            return Err(self.problem(BerError::NotConstructed));
        }
        if self.depth >= MAX_DEPTH {
            return Err(self.problem(BerError::TooDeep { limit: MAX_DEPTH }));
        }
        Ok(Reader { parent: self.field, rest: self.contents, depth: self.depth + 1 })
    }

    /// The contents of a type that has no constructed form.
    pub(super) fn primitive(&self) -> Result<&'a [u8], CmsError> {
        if self.is_constructed() { Err(self.problem(BerError::NotPrimitive)) } else { Ok(self.contents) }
    }

    /// The value of an OCTET STRING, or of an implicit tag on one: the contents, or the concatenation of the segments
    /// (X.690, section 8.7).
    pub(super) fn octet_string(&self) -> Result<Vec<u8>, CmsError> {
        let mut octets = Vec::with_capacity(self.contents.len());
        self.append_segments(&mut octets)?;
        Ok(octets)
    }

    fn append_segments(&self, octets: &mut Vec<u8>) -> Result<(), CmsError> {
        if !self.is_constructed() {
            octets.extend_from_slice(self.contents);
            return Ok(());
        }
        let mut segments = self.children()?;
        while let Some(segment) = segments.optional(self.field)? {
            segment.expect(identifier::OCTET_STRING)?.append_segments(octets)?;
        }
        Ok(())
    }

    /// Checks that everything inside is well-formed, for parts that are not otherwise looked at.
    pub(super) fn check_well_formed(&self) -> Result<(), CmsError> {
        if self.is_constructed() {
            let mut children = self.children()?;
            while let Some(child) = children.optional(self.field)? {
                child.check_well_formed()?;
            }
        }
        Ok(())
    }

    /// An error about this element's encoding.
    pub(super) fn problem(&self, problem: BerError) -> CmsError {
        CmsError::Ber { field: self.field, problem }
    }

    fn expect(self, identifier: u8) -> Result<Self, CmsError> {
        if self.is(identifier) {
            Ok(self)
        } else {
            Err(CmsError::Identifier { field: self.field, expected: identifier, found: self.identifier })
        }
    }

    fn is_constructed(&self) -> bool {
        self.identifier & CONSTRUCTED != 0
    }
}

/// Reads a run of elements.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    parent: &'static str,
    rest: &'a [u8],
    depth: u8,
}

impl<'a> Reader<'a> {
    pub(super) fn new(parent: &'static str, input: &'a [u8]) -> Self {
        Self { parent, rest: input, depth: 0 }
    }

    /// The next element, which must have this class and tag number.
    pub(super) fn expect(&mut self, identifier: u8, field: &'static str) -> Result<Element<'a>, CmsError> {
        self.optional(field)?.ok_or(CmsError::Missing { field })?.expect(identifier)
    }

    /// The next element if it has this class and tag number; otherwise nothing is consumed.
    pub(super) fn optional_if(
        &mut self,
        identifier: u8,
        field: &'static str,
    ) -> Result<Option<Element<'a>>, CmsError> {
        let next = self.rest.first();
        if next.is_some_and(|found| found & CLASS_AND_NUMBER == identifier & CLASS_AND_NUMBER) {
            self.optional(field)
        } else {
            Ok(None)
        }
    }

    /// The next element, whatever it is, or `None` at the end.
    pub(super) fn optional(&mut self, field: &'static str) -> Result<Option<Element<'a>>, CmsError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (identifier, contents, rest) =
            split_element(self.rest, self.depth).map_err(|problem| CmsError::Ber { field, problem })?;
        self.rest = rest;
        Ok(Some(Element { field, identifier, contents, depth: self.depth }))
    }

    /// Checks that nothing is left.
    pub(super) fn finish(self) -> Result<(), CmsError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(CmsError::TrailingBytes { field: self.parent, count }),
        }
    }
}

/// Splits the first element off: its identifier octet, its contents and what follows it.
fn split_element(input: &[u8], depth: u8) -> Result<(u8, &[u8], &[u8]), BerError> {
    if depth > MAX_DEPTH {
        return Err(BerError::TooDeep { limit: MAX_DEPTH });
    }
    let (&identifier, input) = input.split_first().ok_or(BerError::Truncated)?;
    let input = if identifier & TAG_NUMBER == TAG_NUMBER { skip_tag_number(input)? } else { input };
    let (&initial, input) = input.split_first().ok_or(BerError::Truncated)?;
    if identifier & CLASS_AND_NUMBER == 0 {
        return Err(BerError::UnexpectedEndOfContents);
    }
    if initial == INDEFINITE {
        if identifier & CONSTRUCTED == 0 {
            return Err(BerError::IndefinitePrimitive);
        }
        let (contents, rest) = split_at_end_of_contents(input, depth)?;
        return Ok((identifier, contents, rest));
    }
    let (length, input) = definite_length(initial, input)?;
    let (contents, rest) = input.split_at_checked(length).ok_or(BerError::Truncated)?;
    Ok((identifier, contents, rest))
}

/// Finds the end-of-contents octets that close an indefinite length by stepping over the elements before them.
///
/// This passes over every octet once, and again for each level that is then descended into, which [`MAX_DEPTH`] bounds.
fn split_at_end_of_contents(input: &[u8], depth: u8) -> Result<(&[u8], &[u8]), BerError> {
    let mut rest = input;
    loop {
        if let Some(after) = rest.strip_prefix(&[0, 0]) {
            let (contents, _) =
                input.split_at_checked(input.len() - rest.len()).ok_or(BerError::Truncated)?;
            return Ok((contents, after));
        }
        (_, _, rest) = split_element(rest, depth + 1)?;
    }
}

fn definite_length(initial: u8, input: &[u8]) -> Result<(usize, &[u8]), BerError> {
    if initial & INDEFINITE == 0 {
        return Ok((usize::from(initial), input));
    }
    if initial == RESERVED {
        return Err(BerError::LengthForm);
    }
    // Up to 126 octets, of which the first may be zero in BER.
    let (octets, rest) =
        input.split_at_checked(usize::from(initial & !INDEFINITE)).ok_or(BerError::Truncated)?;
    let mut length = 0_usize;
    for &octet in octets {
        length = length.checked_mul(256).ok_or(BerError::Truncated)? | usize::from(octet);
    }
    Ok((length, rest))
}

/// Steps over a tag number above 30 (X.690, section 8.1.2.4). No field of the structures read here has one, but what
/// stands in attributes that nobody looks at may.
fn skip_tag_number(input: &[u8]) -> Result<&[u8], BerError> {
    let mut rest = input;
    for position in 0..MAX_TAG_NUMBER_OCTETS {
        let (&octet, after) = rest.split_first().ok_or(BerError::Truncated)?;
        if position == 0 && octet & 0x7f == 0 {
            return Err(BerError::TagNumber);
        }
        rest = after;
        if octet & 0x80 == 0 {
            return Ok(rest);
        }
    }
    Err(BerError::TagNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Element<'_>, CmsError> {
        let mut reader = Reader::new("input", input);
        let element = reader.optional("element")?.ok_or(CmsError::Missing { field: "element" })?;
        reader.finish()?;
        Ok(element)
    }

    fn problem(input: &[u8]) -> BerError {
        match read(input).and_then(|element| element.check_well_formed()) {
            Err(CmsError::Ber { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn definite_and_indefinite_lengths_have_the_same_contents() {
        let expected = [4, 1, 7];
        for input in [
            &[0x30, 3, 4, 1, 7][..],
            &[0x30, 0x81, 3, 4, 1, 7],
            &[0x30, 0x84, 0, 0, 0, 3, 4, 1, 7],
            &[&[0x30, 0xfe][..], &[0; 125], &[3, 4, 1, 7]].concat(),
            &[0x30, 0x80, 4, 1, 7, 0, 0],
        ] {
            assert_eq!(read(input).unwrap().contents, expected, "{input:02x?}");
        }
    }

    #[test]
    fn an_octet_string_is_the_concatenation_of_its_segments() {
        for input in [
            &[4, 3, 1, 2, 3][..],
            &[0x24, 7, 4, 1, 1, 4, 2, 2, 3],
            &[0x24, 0x80, 4, 2, 1, 2, 4, 0, 4, 1, 3, 0, 0],
            &[0x24, 0x80, 0x24, 0x80, 4, 1, 1, 0, 0, 0x24, 4, 4, 2, 2, 3, 0, 0],
            &[0x80, 3, 1, 2, 3],
            &[0xa0, 0x80, 4, 3, 1, 2, 3, 0, 0],
        ] {
            assert_eq!(read(input).unwrap().octet_string().unwrap(), [1, 2, 3], "{input:02x?}");
        }
        assert_eq!(
            read(&[0x24, 3, 2, 1, 1]).unwrap().octet_string(),
            Err(CmsError::Identifier { field: "element", expected: 4, found: 2 })
        );
    }

    #[test]
    fn each_fault_of_encoding_has_its_name() {
        assert_eq!(problem(&[0x30]), BerError::Truncated);
        assert_eq!(problem(&[0x30, 1]), BerError::Truncated);
        assert_eq!(problem(&[0x30, 0x82, 1]), BerError::Truncated);
        assert_eq!(problem(&[0x30, 0x80, 4, 1, 7]), BerError::Truncated);
        assert_eq!(problem(&[0x30, 0x80, 4, 1, 7, 0]), BerError::Truncated);
        assert_eq!(problem(&[0x1f, 0x80, 0x01, 0]), BerError::TagNumber);
        assert_eq!(problem(&[0x1f, 0x81, 0x81, 0x81, 0x81, 0x01, 0]), BerError::TagNumber);
        assert_eq!(problem(&[0x1f, 0x81]), BerError::Truncated);
        assert_eq!(problem(&[0x30, 0xff]), BerError::LengthForm);
        assert_eq!(problem(&[&[0x30, 0xfe][..], &[0xff; 126]].concat()), BerError::Truncated);
        assert_eq!(problem(&[0x04, 0x80, 0, 0]), BerError::IndefinitePrimitive);
        assert_eq!(problem(&[0x30, 2, 0, 0]), BerError::UnexpectedEndOfContents);
        let trailing = read(&[0x30, 0, 0, 0]).unwrap_err();
        assert_eq!(trailing, CmsError::TrailingBytes { field: "input", count: 2 });
    }

    #[test]
    fn a_high_tag_number_is_stepped_over_and_is_never_that_of_a_field() {
        let element = read(&[0xbf, 0x81, 0x01, 3, 4, 1, 7]).unwrap();
        element.check_well_formed().unwrap();
        assert_eq!(element.contents, [4, 1, 7]);
        for identifier in (0..=u8::MAX).filter(|identifier| identifier & TAG_NUMBER != TAG_NUMBER) {
            assert!(!element.is(identifier));
        }
    }

    #[test]
    fn nesting_is_bounded_in_both_forms() {
        let limit = usize::from(MAX_DEPTH);
        let definite = |levels: usize| {
            (0..levels).fold(vec![4, 0], |inner, _| {
                let mut outer = vec![0x30, inner.len() as u8];
                outer.extend(inner);
                outer
            })
        };
        let indefinite = |levels: usize| {
            let mut input = [0x30, 0x80].repeat(levels);
            input.extend([4, 0]);
            input.extend([0, 0].repeat(levels));
            input
        };
        for form in [&definite as &dyn Fn(usize) -> Vec<u8>, &indefinite] {
            read(&form(limit)).unwrap().check_well_formed().unwrap();
            assert_eq!(problem(&form(limit + 1)), BerError::TooDeep { limit: MAX_DEPTH });
        }
        assert_eq!(problem(&indefinite(100_000)), BerError::TooDeep { limit: MAX_DEPTH });
    }
}
