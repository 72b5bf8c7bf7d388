//! SigV4 against others: what `aws-sigv4`, the signer inside AWS's SDK for Rust, signs is accepted and a change of it is
//! not; and the verifier `scratchstack-aws-signature` says the same, but for the differences in
//! `testdata/sigv4/differences.toml`. `make peers` builds both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod change;
mod differences;
mod program;
mod request;

use std::cell::Cell;
use std::io::{self, Write as _};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use change::Change;
use program::Program;
use request::{Place, Request, requests};

/// Requests of each form.
const CASES: u32 = 1024;

#[test]
fn what_aws_signs_is_accepted_and_a_change_of_it_is_not() {
    let program = Program::start();
    for form in ["header", "query"] {
        let places = match form {
            "header" => Just(Place::Header).boxed(),
            _ => (1..=604_800_u64).prop_map(Place::Query).boxed(),
        };
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new(config);
        let changes = Cell::new(0);
        let result = runner.run(&(requests(), places, any::<Change>()), |(request, place, change)| {
            let signed = program.sign(&request, place);
            prop_assert_eq!(signed.verify(), Ok(()));
            // The differences say why not the rest.
            if matches!(place, Place::Header) && request.path == "/" && request.query.len() < 2 {
                prop_assert_eq!(program.verify(&signed), Ok(()));
            }
            if let Some(changed) = change.of(&signed) {
                changes.set(changes.get() + 1);
                prop_assert!(changed.verify().is_err(), "{changed:?}");
                prop_assert!(program.verify(&changed).is_err(), "{changed:?}");
            }
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{form}: {error}"));
        let changes = changes.get();
        assert!(changes > CASES / 2, "{form}: {changes} changes only");
        let summary =
            format!("{form} form: {CASES} signed by aws-sigv4 accepted, {changes} changed ones refused\n");
        io::stderr().write_all(summary.as_bytes()).unwrap();
    }
}

#[test]
fn no_verdict_differs_from_scratchstacks_without_a_known_reason() {
    let program = Program::start();
    let base = Request::generate_data_key();
    let of_header = program.sign(&base, Place::Header);
    let of_query = |expires_secs| program.sign(&base, Place::Query(expires_secs));
    let mut unsigned_payload = base.clone();
    unsigned_payload.headers.push(("x-amz-content-sha256".into(), "UNSIGNED-PAYLOAD".into()));
    let above_the_root = Request { path: "/..".into(), ..base.clone() };
    let ordered = base.with_parameter("a", "1").with_parameter("a-b", "2");
    let mut untargeted = base.clone();
    untargeted.headers.retain(|(name, _)| name != "x-amz-target");
    let targeted_later = |place| {
        let signed = program.sign(&untargeted, place);
        signed.with_header("x-amz-target", "TrentService.ScheduleKeyDeletion")
    };
    let authorization = of_header.header("authorization").to_owned();
    let (claim, _) = authorization.split_once("SignedHeaders=").unwrap();
    let cases = [
        ("header_signed", of_header.clone()),
        ("header_after_15_minutes", of_header.clone().later(900)),
        ("header_after_more_than_15_minutes", of_header.clone().later(901)),
        ("header_signed_twice", of_header.with_header("authorization", &authorization)),
        (
            "header_signed_headers_out_of_order",
            of_header.with_changed_header("authorization", |text| {
                text.replace("content-type;host;", "host;content-type;")
            }),
        ),
        (
            "header_repeated_field",
            of_header.with_changed_header("authorization", |text| format!("Signature=00, {text}")),
        ),
        (
            "header_unknown_field",
            of_header.with_changed_header("authorization", |text| format!("{text}, Other=1")),
        ),
        ("header_claim_cut_off", of_header.with_changed_header("authorization", |_| claim.to_owned())),
        ("header_target_added_later", targeted_later(Place::Header)),
        ("header_unsigned_payload", program.sign(&unsigned_payload, Place::Header)),
        ("header_and_query_parameter", of_header.with_parameter("X-Amz-Expires", "60")),
        ("header_path_above_the_root", program.sign(&above_the_root, Place::Header)),
        ("header_one_parameter_begins_like_another", program.sign(&ordered, Place::Header)),
        ("both_forms", of_query(60).with_header("authorization", &authorization)),
        ("query_signed", of_query(60)),
        ("query_expired", of_query(60).later(61)),
        ("query_after_more_than_15_minutes", of_query(3600).later(901)),
        ("query_signature_twice", of_query(60).with_parameter("X-Amz-Signature", "00")),
        ("query_target_added_later", targeted_later(Place::Query(60))),
        ("query_unsigned_payload", program.sign(&unsigned_payload, Place::Query(60))),
    ];
    differences::compare(&program, &cases);
}
