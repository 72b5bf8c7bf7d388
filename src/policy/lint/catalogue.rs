//! Every rule.

use super::finding::Rule;
use super::{
    access, administration, attestation, conditions, duplicates, overlap, refused, register_values,
    registers, ways_around,
};

static FAMILIES: [&[&Rule]; 10] = [
    &refused::RULES,
    &register_values::RULES,
    &registers::RULES,
    &attestation::RULES,
    &ways_around::RULES,
    &administration::RULES,
    &access::RULES,
    &conditions::RULES,
    &duplicates::RULES,
    &overlap::RULES,
];

/// Every rule, in the order of their codes.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.into_iter().flatten().copied()
}

/// The rule of a code or a name, in any case.
pub fn rule(code_or_name: &str) -> Option<&'static Rule> {
    rules().find(|rule| [rule.code, rule.name].iter().any(|known| known.eq_ignore_ascii_case(code_or_name)))
}

#[cfg(test)]
mod tests {
    use super::{rule, rules};

    #[test]
    fn codes_ascend_and_names_are_unique() {
        let codes: Vec<&str> = rules().map(|rule| rule.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        let mut names: Vec<&str> = rules().map(|rule| rule.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for of in rules() {
            assert_eq!(rule(of.code), Some(of));
            assert_eq!(rule(&of.name.to_uppercase()), Some(of));
            let is_code = of.code.strip_prefix("NKB").is_some_and(|digits| digits.parse::<u16>().is_ok());
            assert!(
                is_code && of.summary.ends_with('.') && of.why.ends_with('.') && !of.fix.ends_with('.'),
                "{of:?}"
            );
        }
        assert_eq!(rule("NKB999"), None);
    }
}
