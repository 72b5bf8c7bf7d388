//! What hardware measures of an image.

use super::SectionKind;
use crate::crypto::{Sha384, sha384};

/// Bytes of a register.
pub const MEASUREMENT_LEN: usize = 48;

/// The value of a register.
pub type Measurement = [u8; MEASUREMENT_LEN];

/// The registers that an image determines. Each was zero and was extended once, by a SHA-384 digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurements {
    /// The whole image: kernel, command line and every ramdisk.
    pub pcr0: Measurement,
    /// What boots: kernel, command line and the first ramdisk.
    pub pcr1: Measurement,
    /// The application: the ramdisks behind the first, which may be none.
    pub pcr2: Measurement,
    /// The certificate (DER) of whoever signed the image. Hardware leaves the register zero where nobody did.
    pub pcr8: Option<Measurement>,
}

/// Digests of what was read so far.
pub(super) struct Measurer {
    image: Sha384,
    boot: Sha384,
    application: Sha384,
    ramdisks: usize,
}

impl Measurer {
    pub(super) fn new() -> Self {
        Self { image: Sha384::new(), boot: Sha384::new(), application: Sha384::new(), ramdisks: 0 }
    }

    /// The next ramdisk begins.
    pub(super) fn begin_ramdisk(&mut self) {
        self.ramdisks = self.ramdisks.saturating_add(1);
    }

    /// The next bytes of a kernel, command line or ramdisk.
    pub(super) fn update(&mut self, kind: SectionKind, content: &[u8]) {
        self.image.update(content);
        if kind == SectionKind::Ramdisk && self.ramdisks > 1 {
            self.application.update(content);
        } else {
            self.boot.update(content);
        }
    }

    /// The registers, PCR8 still open.
    pub(super) fn finish(self) -> Measurements {
        let Self { image, boot, application, ramdisks: _ } = self;
        Measurements {
            pcr0: extend_zero(&image.finish()),
            pcr1: extend_zero(&boot.finish()),
            pcr2: extend_zero(&application.finish()),
            pcr8: None,
        }
    }
}

/// PCR8 for this certificate in DER.
pub(super) fn of_certificate(der: &[u8]) -> Measurement {
    extend_zero(&sha384(&[der]))
}

/// A register that was zero, extended by `digest`.
fn extend_zero(digest: &[u8; MEASUREMENT_LEN]) -> Measurement {
    sha384(&[&[0; MEASUREMENT_LEN], digest])
}
