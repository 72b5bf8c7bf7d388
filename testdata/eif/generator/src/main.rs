//! `eif-vectors OUT CERTIFICATE KEY`: writes images with AWS's builder, and beside each what the builder and AWS's reader
//! measure of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use aws_nitro_enclaves_image_format::defs::{EifBuildInfo, EifIdentityInfo};
use aws_nitro_enclaves_image_format::utils::eif_reader::EifReader;
use aws_nitro_enclaves_image_format::utils::eif_signer::SignKeyData;
use aws_nitro_enclaves_image_format::utils::{EifBuilder, PcrSignatureChecker, get_pcrs};
use sha2::{Digest, Sha384};

const CMDLINE: &str = "reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on root=/dev/ram0";

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [out, certificate, key] = &arguments[..] else { panic!("usage: eif-vectors OUT CERTIFICATE KEY") };
    let mut index = String::new();
    for (name, ramdisks, is_signed, flags) in [
        ("one_ramdisk", 1, false, 0),
        ("three_ramdisks", 3, false, 0),
        ("aarch64", 2, false, 1),
        ("signed", 2, true, 0),
    ] {
        let signer = is_signed.then(|| SignKeyData::new(key.to_str().unwrap(), certificate).unwrap());
        let image = out.join(format!("{name}.eif"));
        let measured = build(&image, ramdisks, signer, flags);
        let read = read(&image, is_signed);
        assert_eq!(measured, read, "the builder and the reader differ");
        if is_signed {
            PcrSignatureChecker::from_eif(image.to_str().unwrap()).unwrap().verify().unwrap();
        }
        writeln!(index, "[{name}]").unwrap();
        for (register, value) in read.iter().filter(|(register, _)| register.starts_with("PCR")) {
            writeln!(index, "{register} = \"{value}\"").unwrap();
        }
    }
    fs::write(out.join("measured.toml"), index).unwrap();
}

fn build(image: &Path, ramdisks: usize, signer: Option<SignKeyData>, flags: u16) -> BTreeMap<String, String> {
    let folder = image.with_extension("parts");
    fs::create_dir_all(&folder).unwrap();
    let part = |name: &str, length: usize, step: usize| {
        let path = folder.join(name);
        fs::write(&path, (0..length).map(|at| (at * step % 251) as u8).collect::<Vec<_>>()).unwrap();
        path
    };
    let info = EifIdentityInfo {
        img_name: "vector".into(),
        img_version: "1".into(),
        build_info: EifBuildInfo {
            build_time: "1970-01-01T00:00:00+00:00".into(),
            build_tool: "eif-vectors".into(),
            build_tool_version: "0".into(),
            img_os: "Linux".into(),
            img_kernel: "6.12".into(),
        },
        docker_info: serde_json::json!({}),
        custom_info: serde_json::json!({"vector": true}),
    };
    let mut builder =
        EifBuilder::new(&part("kernel", 4099, 3), CMDLINE.into(), signer, Sha384::new(), flags, info);
    for number in 0..ramdisks {
        builder.add_ramdisk(&part(&format!("ramdisk{number}"), 701 + 600 * number, 5 + number));
    }
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(image).unwrap();
    let measured = builder.write_to(&mut file);
    drop::<File>(file);
    fs::remove_dir_all(folder).unwrap();
    measured
}

fn read(image: &Path, is_signed: bool) -> BTreeMap<String, String> {
    let mut reader = EifReader::from_eif(image.to_str().unwrap().into()).unwrap();
    assert!(reader.check_crc());
    get_pcrs(
        &mut reader.image_hasher,
        &mut reader.bootstrap_hasher,
        &mut reader.app_hasher,
        &mut reader.cert_hasher,
        Sha384::new(),
        is_signed,
    )
    .unwrap()
}
