//! Merkle tree heads of RFC 6962, kept up as leaves are added.
//!
//! A log that only grows needs no tree in memory: the roots of the perfect subtrees that its size in binary stands for
//! are enough to add a leaf and to compute the head, at most 64 hashes.

use crate::crypto::{SHA256_LEN, sha256};

/// A node's hash.
pub type Hash = [u8; SHA256_LEN];

/// Domain separation of leaves and inner nodes (RFC 6962 section 2.1).
const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

/// The perfect subtrees of a tree of so many leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots from the largest subtree to the smallest: one for each bit of `size` that is set.
    roots: Vec<Hash>,
}

/// Other hashes than a tree of that size has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} perfect subtrees, not {actual}")]
pub struct WrongFrontier {
    /// Leaves.
    pub size: u64,
    /// Bits of the size that are set.
    pub expected: usize,
    /// Hashes given.
    pub actual: usize,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves, as [`Frontier::roots`] showed it.
    ///
    /// # Errors
    /// When there are more or fewer hashes than such a tree has.
    pub fn new(size: u64, roots: Vec<Hash>) -> Result<Self, WrongFrontier> {
        let expected = size.count_ones() as usize;
        if roots.len() == expected {
            Ok(Self { size, roots })
        } else {
            Err(WrongFrontier { size, expected, actual: roots.len() })
        }
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees, from the largest to the smallest.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf: the hash of `00 ‖ leaf`, merged with the subtrees of its size.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut hash = sha256(&[LEAF, leaf]);
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().unwrap_or_default();
            hash = sha256(&[NODE, &left, &hash]);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The tree's head: MTH of RFC 6962 section 2.1.
    pub fn root(&self) -> Hash {
        let smallest_first = self.roots.iter().rev();
        smallest_first
            .copied()
            .reduce(|right, left| sha256(&[NODE, &left, &right]))
            .unwrap_or_else(|| sha256(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MTH as RFC 6962 section 2.1 defines it.
    fn defined(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => sha256(&[LEAF, leaf]),
            leaves => {
                let split = leaves.len().next_power_of_two() / 2;
                sha256(&[NODE, &defined(&leaves[..split]), &defined(&leaves[split..])])
            }
        }
    }

    #[test]
    fn heads_are_those_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..300_u32).map(|number| number.to_be_bytes().to_vec()).collect();
        let mut frontier = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), defined(&leaves[..size]), "{size} leaves");
            assert_eq!(frontier.size(), size as u64);
            let again = Frontier::new(size as u64, frontier.roots().to_vec()).unwrap();
            assert_eq!(again, frontier);
            frontier.push(&leaves[size]);
        }
    }

    /// Heads that Google's certificate-transparency implementation publishes for its eight test leaves.
    #[test]
    fn heads_are_those_that_others_compute() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(
            hex::encode(frontier.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let heads = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (leaf, head) in leaves.iter().zip(heads) {
            frontier.push(&hex::decode(leaf).unwrap());
            assert_eq!(hex::encode(frontier.root()), head);
        }
    }

    #[test]
    fn a_frontier_of_another_size_is_refused() {
        assert_eq!(
            Frontier::new(6, vec![[0; SHA256_LEN]]),
            Err(WrongFrontier { size: 6, expected: 2, actual: 1 })
        );
    }
}
