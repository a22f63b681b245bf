//! Copies of what this node sent and nobody has told of yet.

use slab::Slab;

/// Bits of a ticket that name a letter of the envelope.
const LETTER: u32 = 6;
/// Bits that name the envelope's place; no memory holds more copies. The number above them comes again after
/// weeks.
const PLACE: u32 = 24;
/// Stands for an envelope as a whole: no ticket is 0.
const WHOLE: u64 = (1 << LETTER) - 1;

/// Letters that one envelope may hold.
pub(super) const LETTERS: usize = WHOLE as usize;

/// The ticket of one letter of an envelope, from the envelope's.
pub(super) fn of_letter(ticket: u64, letter: usize) -> u64 {
    ticket & !WHOLE | letter as u64
}

/// Which letter of its envelope a ticket stands for; `None` for all.
pub(super) fn letter(ticket: u64) -> Option<usize> {
    Some(ticket & WHOLE).filter(|letter| *letter != WHOLE).map(|letter| letter as usize)
}

/// Copies by their tickets. The place that came free last is filled first: it is in the processor's cache
/// still, where a table that was large once is not.
pub(super) struct Copies<C> {
    /// With their numbers, which grow.
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
    /// Gives it a ticket.
    pub fn keep(&mut self, copy: C) -> u64 {
        self.last += 1;
        let place = self.places.vacant_entry();
        let ticket = ticket(self.last, place.key());
        place.insert((self.last, copy));
        ticket
    }

    /// The copy for which a ticket stands, or one of its letters.
    pub fn get_mut(&mut self, ticket: u64) -> Option<&mut C> {
        let place = self.place(ticket)?;
        self.places.get_mut(place).map(|(_, copy)| copy)
    }

    pub fn take(&mut self, ticket: u64) -> Option<C> {
        let place = self.place(ticket)?;
        Some(self.places.remove(place).1)
    }

    /// Another copy may have the place by now.
    fn place(&self, of: u64) -> Option<usize> {
        let place = (of >> LETTER & ((1 << PLACE) - 1)) as usize;
        let (number, _) = self.places.get(place)?;
        (ticket(*number, place) == of | WHOLE).then_some(place)
    }

    /// Those for which `gone` holds, the oldest first.
    pub fn take_if(&mut self, gone: impl Fn(u64, &C) -> bool) -> Vec<C> {
        let found = self.places.iter().filter(|(_, (number, copy))| gone(*number, copy));
        let mut found: Vec<_> = found.map(|(place, (number, _))| (*number, place)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, place)| self.places.remove(place).1).collect()
    }

    /// No number is greater.
    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn iter(&self) -> impl Iterator<Item = &C> {
        self.places.iter().map(|(_, (_, copy))| copy)
    }
}

fn ticket(number: u64, place: usize) -> u64 {
    number << (PLACE + LETTER) | (place as u64) << LETTER | WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_stands_for_one_copy() {
        let mut copies = Copies::default();
        let tickets = ["a", "b", "c"].map(|copy| copies.keep(copy));
        assert_eq!((copies.take(tickets[1]), copies.take(tickets[1])), (Some("b"), None));
        // In its place there is another one now.
        copies.keep("d");
        assert_eq!((copies.take(tickets[1]), copies.iter().count()), (None, 3));
        assert_eq!((copies.take(0), copies.take(u64::MAX)), (None, None));
    }

    #[test]
    fn a_ticket_has_one_for_each_letter() {
        let mut copies = Copies::default();
        let whole = copies.keep("a");
        assert_eq!(letter(whole), None);
        for at in 0..LETTERS {
            let ticket = of_letter(whole, at);
            assert_eq!((letter(ticket), copies.get_mut(ticket)), (Some(at), Some(&mut "a")));
        }
        assert_eq!(copies.take(of_letter(whole, 3)), Some("a"));
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
        assert_eq!(copies.take_if(|number, _| number <= last), [2, 3]);
        copies.keep(5);
        assert_eq!(copies.take_if(|_, copy| *copy > 3), [4, 5]);
    }

    #[test]
    fn numbers_may_come_again() {
        let mut copies = Copies { places: Slab::new(), last: (1 << (64 - PLACE - LETTER)) - 1 };
        let tickets = [1, 2].map(|copy| copies.keep(copy));
        assert!(tickets.iter().all(|ticket| *ticket != 0));
        assert_eq!(copies.take_if(|_, _| true), [1, 2]);
    }
}
