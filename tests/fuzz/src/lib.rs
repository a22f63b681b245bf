//! Fuzzing. [`targets`] holds what is fuzzed; [`mutate`] makes input from input. The programs in
//! `fuzz_targets` run the same targets under libFuzzer.

pub mod mutate;
pub mod targets;

/// One parser, and what it is fed first.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    /// Panics when a rule is broken. True when the input was taken for good.
    pub run: fn(&[u8]) -> bool,
    pub seeds: &'static [&'static [u8]],
}

/// Every target.
pub const ALL: &[Target] = &[
    Target { name: "stream", run: targets::stream, seeds: targets::STREAMS },
    Target { name: "element", run: targets::element, seeds: targets::ELEMENTS },
    Target { name: "address", run: targets::address, seeds: targets::ADDRESSES },
    Target { name: "sasl", run: targets::sasl, seeds: targets::MESSAGES },
    Target { name: "proxy", run: targets::proxy, seeds: targets::PROXY_HEADERS },
    Target { name: "envelope", run: targets::envelope, seeds: targets::ENVELOPES },
    Target { name: "signature", run: targets::signature, seeds: targets::FILES },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutate::Pool;

    /// Few rounds: it keeps the targets true. Whoever wants to find something runs the program.
    #[test]
    fn every_target_bears_its_seeds_and_what_becomes_of_them() {
        for target in ALL {
            assert!(target.seeds.iter().any(|seed| (target.run)(seed)), "{}", target.name);
            let mut pool = Pool::new(target.seeds, 1);
            for _ in 0..1000 {
                let input = pool.draw();
                let is_taken = (target.run)(&input);
                pool.learn(input, is_taken);
            }
        }
    }
}
