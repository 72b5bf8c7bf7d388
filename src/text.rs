//! Words for messages.

/// Longest part of a policy or a request repeated in a message, in bytes.
const MAX_SHOWN_BYTES: usize = 256;

/// `text`, cut for a message where it is longer than 256 bytes; a cut one ends in `…`.
pub fn shorten(text: &str) -> String {
    if text.len() <= MAX_SHOWN_BYTES {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(MAX_SHOWN_BYTES);
    format!("{}…", text.get(..cut).unwrap_or_default())
}

/// Whether a terminal obeys a character instead of showing it: control characters, and those that change the direction of
/// text or hide (Unicode Technical Report 36, *Bidirectional text spoofing*).
pub fn is_obeyed_by_terminals(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
