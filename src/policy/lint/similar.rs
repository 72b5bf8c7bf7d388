//! What a misspelt name was meant to be.

/// Longest name that is compared, in characters: no known name is longer, and the work is its square.
const MAX_NAME_CHARACTERS: usize = 64;

/// The known name that is nearest, if one is near enough to be meant: with a third of its characters changed at most.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(MAX_NAME_CHARACTERS + 1).collect();
    if wanted.len() > MAX_NAME_CHARACTERS {
        return None;
    }
    let distances = known.into_iter().map(|known| {
        let lower: Vec<char> = known.to_lowercase().chars().collect();
        (distance(&wanted, &lower), known)
    });
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= nearest.len() / 3).then_some(nearest)
}

/// Insertions, deletions and replacements that lead from one to the other (Levenshtein), neighbours that changed places
/// counted as two.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (deleted, from) in (1..).zip(from) {
        let mut diagonal = deleted - 1;
        let mut left = deleted;
        let mut next = vec![deleted];
        for (above, to) in row.iter().skip(1).zip(to) {
            let replaced = diagonal + usize::from(from != to);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_far() {
        let known = ["Decrypt", "DescribeKey", "GenerateDataKey", "GenerateDataKeyPair"];
        for (name, meant) in [
            ("decrypt", Some("Decrypt")),
            ("Decyrpt", Some("Decrypt")),
            ("GenerateDatakeys", Some("GenerateDataKey")),
            ("Decrypt ", Some("Decrypt")),
            ("GetObject", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(nearest(&"a".repeat(1000), known), None);
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        let distance = |a: &str, b: &str| {
            super::distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("flaw", "lawn"), 2);
    }
}
