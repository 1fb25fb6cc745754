//! Small damages to known inputs, the same in every run.

/// Numbers that only look random (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}

/// Characters that mean something to one parser or another.
const SPECIAL: &[u8] =
    b"\x00\x01\x02\x03\x05\x06\n\r\t ,;.:=/?&%+-*~\"\\{}[]()@#'0159aAfFgzZ_\x7f\x80\xc3\xff";

/// One of the inputs with one to four damages.
pub(crate) fn mutant(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = at + random.below(bytes.len() - at + 1);
        let special = SPECIAL[random.below(SPECIAL.len())];
        match random.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = special,
            2 if at < bytes.len() => {
                bytes[at] = bytes[at].wrapping_add(if special & 1 == 0 { 1 } else { 255 });
            }
            3 => bytes.insert(at, special),
            4 => drop(bytes.drain(at..end)),
            5 => bytes.truncate(at),
            6 => {
                let piece = bytes[at..end.min(at + 64)].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            7 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                bytes.splice(at..end, other[from..].iter().copied());
            }
            _ => bytes.push(special),
        }
    }
    bytes
}
