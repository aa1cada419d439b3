//! Choices that look random and are always the same: SplitMix64, keyed by seed, stream and number.

/// What is being decided, so that two decisions about one number do not follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    /// Who a person is.
    Person,
    /// What one record says of that person.
    Record,
    /// Whether a record is a ticket of the person before.
    Kinship,
    /// What a record's version changes.
    Version,
    /// Which records a change touches.
    Touch,
}

/// A sequence of choices.
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, stream: Stream, number: u64) -> Self {
        let keyed = mix(seed ^ mix(stream as u64 + 1));
        Self(mix(keyed ^ mix(number)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `sides`; 0 when `sides` is 0.
    pub fn roll(&mut self, sides: u32) -> u32 {
        let high = self.next() >> 32;
        // A product of two 32-bit numbers, shifted back to less than 32 bits: nothing is cut.
        ((high * u64::from(sides)) >> 32) as u32
    }

    /// One of `items`, which must not be empty: they are tables of this module, never input.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len() as u32) as usize]
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.roll(1_000) < per_mille
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_rolls_and_another_key_others() {
        let rolls = |seed, stream, number| {
            let mut dice = Dice::new(seed, stream, number);
            [dice.roll(1_000_000), dice.roll(1_000_000), dice.roll(1_000_000)]
        };
        let one = rolls(1, Stream::Person, 7);
        assert_eq!(one, rolls(1, Stream::Person, 7));
        for other in [rolls(2, Stream::Person, 7), rolls(1, Stream::Record, 7), rolls(1, Stream::Person, 8)] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn rolls_stay_below_the_sides_and_reach_them_all() {
        let mut dice = Dice::new(1, Stream::Touch, 0);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[dice.roll(6) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
        assert_eq!(dice.roll(0), 0);
    }
}
