//! The simulated module as AWS's own client library sees it: requests that it writes, responses that it reads, and the
//! document judged by the broker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use enclave_sample::nsm::simulated::{DevelopmentRoot, SimulatedClock, SimulatedEnclave, SimulatedNsm};
use nitro_key_broker::attestation::{Requirements, TrustAnchors, verify};
use nitro_key_broker::time::UnixTime;
use nsm_simulator::nsm::SimulatedModule;
use proptest::prelude::*;

fn module() -> (Arc<DevelopmentRoot>, SimulatedModule) {
    let root = DevelopmentRoot::generate(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    let root = Arc::new(root);
    let enclave = SimulatedEnclave::default().with_pcr(0, [7; 48]);
    let signer = SimulatedNsm::new(Arc::clone(&root), enclave, SimulatedClock::System).unwrap();
    (root, SimulatedModule::new(signer))
}

fn ask(module: &mut SimulatedModule, request: &Request) -> Response {
    serde_cbor::from_slice(&module.respond(&serde_cbor::to_vec(request).unwrap())).unwrap()
}

#[test]
fn it_describes_itself_as_hardware_does() {
    let (_, mut module) = module();
    let Response::DescribeNSM { version_major, module_id, max_pcrs, locked_pcrs, digest, .. } =
        ask(&mut module, &Request::DescribeNSM)
    else {
        panic!("another response")
    };
    assert_eq!((version_major, max_pcrs, digest), (1, 32, Digest::SHA384));
    assert_eq!(module_id, "i-0123456789abcdef0-enc0123456789abcdef");
    assert_eq!(locked_pcrs, (0..16).collect());
}

#[test]
fn registers_are_described_extended_and_locked() {
    let (_, mut module) = module();
    let zero = ask(&mut module, &Request::DescribePCR { index: 0 });
    assert!(matches!(zero, Response::DescribePCR { lock: true, data } if data == [7; 48]));
    let Response::ExtendPCR { data: extended } =
        ask(&mut module, &Request::ExtendPCR { index: 16, data: b"state".to_vec() })
    else {
        panic!("another response")
    };
    let described = ask(&mut module, &Request::DescribePCR { index: 16 });
    assert!(matches!(described, Response::DescribePCR { lock: false, data } if data == extended));
    assert!(matches!(ask(&mut module, &Request::LockPCR { index: 16 }), Response::LockPCR));
    assert!(matches!(ask(&mut module, &Request::LockPCRs { range: 20 }), Response::LockPCRs));
    for (request, expected) in [
        (Request::ExtendPCR { index: 16, data: vec![1] }, ErrorCode::ReadOnlyIndex),
        (Request::ExtendPCR { index: 0, data: vec![1] }, ErrorCode::ReadOnlyIndex),
        (Request::LockPCR { index: 0 }, ErrorCode::ReadOnlyIndex),
        (Request::DescribePCR { index: 32 }, ErrorCode::InvalidIndex),
        (Request::LockPCRs { range: 33 }, ErrorCode::InvalidIndex),
    ] {
        let response = ask(&mut module, &request);
        let Response::Error(code) = response else { panic!("{request:?}: {response:?}") };
        assert_eq!(format!("{code:?}"), format!("{expected:?}"), "{request:?}");
    }
}

#[test]
fn documents_show_the_locked_registers_and_verify_under_the_root_alone() {
    let (root, mut module) = module();
    ask(&mut module, &Request::ExtendPCR { index: 16, data: b"state".to_vec() });
    let request = Request::Attestation {
        user_data: Some(b"data".to_vec().into()),
        nonce: None,
        public_key: Some(vec![1; 64].into()),
    };
    let attest = |module: &mut SimulatedModule| match ask(module, &request) {
        Response::Attestation { document } => document,
        other => panic!("{other:?}"),
    };
    let before = attest(&mut module);
    ask(&mut module, &Request::LockPCR { index: 16 });
    let after = attest(&mut module);

    let anchors =
        TrustAnchors::only_configured(root.certificate_pem().as_bytes(), Path::new("root.pem")).unwrap();
    let now = UnixTime::now();
    let judge = |document: &[u8], anchors| verify(document, anchors, now, &Requirements::default());
    let (before, after) = (judge(&before, &anchors).unwrap(), judge(&after, &anchors).unwrap());
    assert_eq!((before.pcrs().count(), after.pcrs().count()), (16, 17));
    assert_eq!(after.pcrs().get(0).unwrap().to_hex(), "07".repeat(48));
    assert_eq!((after.user_data(), after.nonce()), (Some(&b"data"[..]), None));
    let error = judge(&attest(&mut module), &TrustAnchors::aws().unwrap()).unwrap_err();
    assert_eq!(error.code(), "path_untrusted_root");
}

#[test]
fn entropy_is_not_repeated() {
    let (_, mut module) = module();
    let mut random = || match ask(&mut module, &Request::GetRandom) {
        Response::GetRandom { random } => random,
        other => panic!("{other:?}"),
    };
    let (first, second) = (random(), random());
    assert_eq!((first.len(), second.len()), (256, 256));
    assert_ne!(first, second);
}

#[test]
fn what_is_no_request_has_an_error_code() {
    let (_, mut module) = module();
    let too_long =
        Request::Attestation { user_data: Some(vec![0; 513].into()), nonce: None, public_key: None };
    let too_long = serde_cbor::to_vec(&too_long).unwrap();
    let describe = serde_cbor::to_vec(&Request::DescribePCR { index: 1 }).unwrap();
    for (request, expected) in [
        (&b""[..], "InvalidOperation"),
        (b"\xff", "InvalidOperation"),
        (b"\x67Shudder", "InvalidOperation"),
        (b"\xa1\x67Shudder\xa0", "InvalidOperation"),
        (b"\xa2\x67LockPCR\xa1\x65index\x01", "InvalidOperation"),
        (b"\xa1\x67LockPCR\xa0", "InvalidArgument"),
        (b"\xa1\x67LockPCR\xa1\x65range\x01", "InvalidArgument"),
        (b"\xa1\x67LockPCR\xa1\x65index\xf6", "InvalidArgument"),
        (b"\xa1\x67LockPCR\xa1\x65index\x1a\x00\x01\x00\x00", "InvalidArgument"),
        (b"\xa1\x69ExtendPCR\xa2\x65index\x10\x65index\x10", "InvalidArgument"),
        (b"\xa1\x69ExtendPCR\xa2\x65index\x10\x64data\x5a\xff\xff\xff\xff", "InvalidArgument"),
        (&[&describe[..], b"\x00"].concat(), "InvalidArgument"),
        (&describe[..describe.len() - 1], "InvalidArgument"),
        (&too_long, "InputTooLarge"),
    ] {
        let response: Response = serde_cbor::from_slice(&module.respond(request)).unwrap();
        let Response::Error(code) = response else { panic!("{}: {response:?}", hex::encode(request)) };
        assert_eq!(format!("{code:?}"), expected, "{}", hex::encode(request));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn arbitrary_requests_never_panic_and_always_have_a_response(
        name in prop_oneof![Just("DescribePCR"), Just("ExtendPCR"), Just("LockPCRs"), Just("Attestation"), Just("x")],
        rest in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (_, mut module) = {
            use std::sync::{Mutex, LazyLock};
            static ROOT: LazyLock<Mutex<Arc<DevelopmentRoot>>> =
                LazyLock::new(|| Mutex::new(Arc::new(DevelopmentRoot::generate(SystemTime::now()).unwrap())));
            let root = Arc::clone(&ROOT.lock().unwrap());
            let signer = SimulatedNsm::new(Arc::clone(&root), SimulatedEnclave::default(), SimulatedClock::System);
            (root, SimulatedModule::new(signer.unwrap()))
        };
        for request in [rest.clone(), [&[0xa1, 0x60 + u8::try_from(name.len()).unwrap()], name.as_bytes(), &rest].concat()] {
            let response = module.respond(&request);
            prop_assert!(serde_cbor::from_slice::<Response>(&response).is_ok());
        }
    }
}
