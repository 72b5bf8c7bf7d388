//! Whoever is allowed something by any request is told to be, by itself or under conditions.

use nitro_key_broker::analysis::{AccessRow, KnownParties, access};
use nitro_key_broker::policy::{Policies, judge_access};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nobody_who_is_allowed_is_passed_over(
        (key, identity, grants) in policies(),
        described in generated_policies::described(),
    ) {
        let described = Described { resource: generated_policies::KEY_ARN, ..described };
        let policies = Policies { key: &key, identity: &identity, grants: &grants };
        let facts = described.facts();
        let is_allowed = judge_access(&policies, &facts.inquiry()).is_ok();

        let registers: BTreeMap<u8, String> = described
            .values
            .iter()
            .filter_map(|(key, values)| {
                let index = key.strip_prefix("kms:RecipientAttestation:PCR")?;
                Some((index.parse().unwrap(), values[0].clone()))
            })
            .collect();
        let mut parties = KnownParties::default();
        parties.add_principal(described.caller());
        if let Some(image) = registers.get(&0) {
            parties.add_image(image.clone(), registers.clone());
        }
        // What is known of the key, and nothing of the request.
        let fixed = ["kms:KeySpec", "kms:KeyUsage", "kms:ResourceAliases", "aws:RequestedRegion"];
        let of_key = Described {
            values: described.values.iter().filter(|(key, _)| fixed.contains(key)).cloned().collect(),
            encryption_context: vec![],
            ..described.clone()
        };
        let found = access(&of_key.facts(), &parties, |_| policies).unwrap();
        let row = found.rows.iter().find(|row| row.image.as_ref() == registers.get(&0)).unwrap();
        prop_assert!(!is_allowed || may(row, described.action), "{:?} {:#?}", described, row);
        // And each action is told once.
        let told = row.allowed.iter().chain(&row.conditional).flat_map(|by| &by.actions).chain(&row.not_allowed);
        let mut told: Vec<&str> = told.copied().collect();
        told.sort_unstable();
        let count = told.len();
        told.dedup();
        prop_assert_eq!(told.len(), count);
    }
}

fn may(row: &AccessRow, action: &str) -> bool {
    row.allowed.iter().chain(&row.conditional).any(|by| by.actions.contains(&action))
}
