//! Copies of what this node sent and nobody has told of yet.

use slab::Slab;

/// Bits of a ticket that name its place; no memory holds more copies. The number above them lasts for three
/// years of 10,000 copies a second.
const PLACE: u32 = 24;

/// Copies by their tickets, which grow. The place that came free last is filled first: it is in the
/// processor's cache still, where a table that was large once is not.
pub(super) struct Copies<C> {
    places: Slab<(u64, C)>,
    /// The number of the last one.
    last: u64,
}

impl<C> Default for Copies<C> {
    fn default() -> Self {
        Copies { places: Slab::new(), last: 0 }
    }
}

impl<C> Copies<C> {
    /// Gives it a ticket, which is greater than all before.
    pub fn keep(&mut self, copy: C) -> u64 {
        self.last += 1;
        let place = self.places.vacant_entry();
        let ticket = self.last << PLACE | place.key() as u64;
        place.insert((ticket, copy));
        ticket
    }

    pub fn take(&mut self, ticket: u64) -> Option<C> {
        let place = (ticket & ((1 << PLACE) - 1)) as usize;
        // Another copy may have the place by now.
        self.places.get(place).filter(|(of, _)| *of == ticket)?;
        Some(self.places.remove(place).1)
    }

    /// Those for which `gone` holds, the oldest first.
    pub fn take_if(&mut self, gone: impl Fn(u64, &C) -> bool) -> Vec<C> {
        let found = self.places.iter().filter(|(_, (ticket, copy))| gone(*ticket, copy));
        let mut tickets: Vec<_> = found.map(|(_, (ticket, _))| *ticket).collect();
        tickets.sort_unstable();
        tickets.into_iter().filter_map(|ticket| self.take(ticket)).collect()
    }

    /// No ticket that was given is greater.
    pub fn last(&self) -> u64 {
        ((self.last + 1) << PLACE) - 1
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_stands_for_one_copy() {
        let mut copies = Copies::default();
        let tickets = ["a", "b", "c"].map(|copy| copies.keep(copy));
        assert!(tickets.is_sorted() && tickets[0] > 0);
        assert_eq!((copies.take(tickets[1]), copies.take(tickets[1])), (Some("b"), None));
        // In its place there is another one now.
        let last = copies.keep("d");
        assert_eq!((copies.take(tickets[1]), copies.len()), (None, 3));
        assert!(last > tickets[2]);
        assert_eq!((copies.take(0), copies.take(u64::MAX)), (None, None));
    }

    #[test]
    fn the_oldest_come_first() {
        let mut copies = Copies::default();
        let first = copies.keep(1);
        copies.keep(2);
        copies.keep(3);
        copies.take(first);
        let last = copies.last();
        // It gets the first place.
        copies.keep(4);
        assert_eq!(copies.take_if(|ticket, _| ticket <= last), [2, 3]);
        copies.keep(5);
        assert_eq!(copies.take_if(|_, copy| *copy > 3), [4, 5]);
    }
}
