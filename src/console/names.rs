//! Keys and principals by names that people know.

use std::collections::HashMap;

use maud::{Markup, html};

use super::Visit;
use crate::store::StoreError;

/// Aliases that are looked up at most; keys beyond go by their ids.
const MAX_ALIASES: u32 = 1000;
/// Digits of a key's id that are shown where there is no alias: its first group.
const SHOWN_ID: usize = 8;

/// The first alias of each key, by its id.
pub(super) struct KeyNames(HashMap<String, String>);

impl Visit<'_> {
    /// The names of keys as they are now.
    pub(super) async fn key_names(&self) -> Result<KeyNames, StoreError> {
        let mut names = HashMap::new();
        for alias in self.console.store.list_aliases(None, None, MAX_ALIASES).await? {
            names.entry(alias.key.to_string()).or_insert_with(|| alias.name.as_str().to_owned());
        }
        Ok(KeyNames(names))
    }

    /// A principal, without what all principals of this account have in common.
    pub(super) fn principal(&self, text: &str) -> Markup {
        let short = short_principal(text, self.console.realm.account());
        html! { @if short == text { (text) } @else { span title=(text) { (short) } } }
    }
}

impl KeyNames {
    /// A link to the key that an ARN names, by its alias or the start of its id.
    pub(super) fn link(&self, arn: &str) -> Markup {
        let id = arn.rsplit_once(":key/").map(|(_, id)| id);
        let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')) else {
            return html! { code { (arn) } };
        };
        html! {
            a href={ "/keys/" (id) } title=(id) {
                @match (self.0.get(id), id.get(..SHOWN_ID)) {
                    (Some(alias), _) => { (alias) }
                    (None, Some(start)) => { code { (start) "…" } }
                    (None, None) => { code { (id) } }
                }
            }
        }
    }
}

/// `role/parent` of `arn:aws:iam::111122223333:role/parent`, where that is the account.
fn short_principal<'t>(text: &'t str, account: &str) -> &'t str {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", "aws", "iam" | "sts", "", found, rest] if *found == account => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_principals_of_the_account_are_shortened() {
        let short = |text| short_principal(text, "111122223333");
        assert_eq!(short("arn:aws:iam::111122223333:role/path/parent"), "role/path/parent");
        assert_eq!(short("arn:aws:sts::111122223333:assumed-role/r/s:x"), "assumed-role/r/s:x");
        for whole in ["arn:aws:iam::444455556666:role/parent", "anonymous", "arn:aws:iam::111122223333", ""] {
            assert_eq!(short(whole), whole);
        }
    }

    #[test]
    fn keys_go_by_alias_or_start() {
        let id = "11111111-2222-3333-4444-555555555555";
        let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{id}");
        let named = KeyNames(HashMap::from([(id.to_owned(), "alias/app".to_owned())]));
        assert!(named.link(&arn).into_string().contains(">alias/app</a>"));
        assert!(KeyNames(HashMap::new()).link(&arn).into_string().contains(">11111111…<"));
        assert_eq!(named.link("x:key/<b>").into_string(), "<code>x:key/&lt;b&gt;</code>");
    }
}
