//! Whether somebody must leave the view. Every member judges by the same rules from the same rows; the
//! compare-and-swap of the view lets one of them act.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Member, View};

/// A node that has not renewed its row for this time, by the database's clock, is gone. It has
/// fenced itself before.
pub const SILENT: Duration = Duration::from_millis(2800);
/// A link that stays down for this time between two living ends costs one of them its place.
pub const CUT: Duration = Duration::from_secs(2);
/// A process that has ended has not renewed its row for this time: one that lives would have. So a
/// firewall that answers in its place costs it nothing.
pub const MISSED: Duration = Duration::from_millis(700);

/// What is known of a member.
#[derive(Clone, Debug)]
pub struct Seen {
    pub member: Member,
    /// Since it renewed its row, by the database's clock.
    pub silent_for: Duration,
    /// Members to which it says it has a link.
    pub links: BTreeSet<Member>,
    pub mine: Link,
}

/// The judging node's own link to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Up,
    /// Down for this time; the machine may be gone, or the way to it.
    Down(Duration),
    /// The machine answers that nothing listens there: the process has ended.
    Refused,
}

/// Who must leave, and why; for the membership log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sentence {
    #[error("its process has ended")]
    Ended(Member),
    #[error("it has not renewed its row in the database")]
    Silent(Member),
    #[error("it has no link to all other members")]
    CutOff(Member),
}

impl Sentence {
    pub fn member(&self) -> Member {
        let (Sentence::Ended(member) | Sentence::Silent(member) | Sentence::CutOff(member)) = self;
        *member
    }
}

/// The first who must leave, if anybody. `others` are all members but `me`; `links` are mine.
pub fn judge(view: &View, me: Member, others: &[Seen]) -> Option<Sentence> {
    let ended = others.iter().find(|seen| seen.mine == Link::Refused && seen.silent_for >= MISSED);
    let silent = others.iter().find(|seen| seen.silent_for >= SILENT);
    if let Some(seen) = ended {
        return Some(Sentence::Ended(seen.member));
    }
    if let Some(seen) = silent {
        return Some(Sentence::Silent(seen.member));
    }
    let is_cut = |seen: &Seen| matches!(seen.mine, Link::Down(time) if time >= CUT);
    // Who has all its own links leaves the quarrel of others to them.
    others.iter().any(is_cut).then(|| weakest(view, me, others)).flatten().map(Sentence::CutOff)
}

/// Of the members that lack a link, the one with the fewest; of equals the youngest.
fn weakest(view: &View, me: Member, others: &[Seen]) -> Option<Member> {
    let mine: BTreeSet<_> =
        others.iter().filter(|seen| seen.mine == Link::Up).map(|seen| seen.member).collect();
    let claimed = |member: Member| match member == me {
        true => Some(&mine),
        false => others.iter().find(|seen| seen.member == member).map(|seen| &seen.links),
    };
    // A link is what both ends say is one.
    let is_linked = |a: Member, b: Member| {
        claimed(a).is_some_and(|links| links.contains(&b))
            && claimed(b).is_some_and(|links| links.contains(&a))
    };
    let count =
        |member: Member| view.members.iter().filter(|other| is_linked(member, **other)).count();
    let all = view.members.len().saturating_sub(1);
    let lacking = view.members.iter().copied().filter(|member| count(*member) < all);
    // The youngest first: of equals the first is taken.
    lacking.rev().min_by_key(|member| count(*member))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn member(node: u32) -> Member {
        Member { node, incarnation: 7 }
    }

    fn view(nodes: u32) -> View {
        View { epoch: 1, members: (1..=nodes).map(member).collect() }
    }

    /// What `me` sees when these pairs have no link; all rows are fresh.
    fn seen(me: u32, nodes: u32, cut: &[(u32, u32)]) -> Vec<Seen> {
        let is_cut = |a, b| cut.contains(&(a, b)) || cut.contains(&(b, a));
        let all = 1..=nodes;
        let see = |node: u32| Seen {
            member: member(node),
            silent_for: 300 * MS,
            links: all.clone().filter(|b| *b != node && !is_cut(node, *b)).map(member).collect(),
            mine: if is_cut(me, node) { Link::Down(CUT) } else { Link::Up },
        };
        all.clone().filter(|node| *node != me).map(see).collect()
    }

    /// Who is left when every member judges until nobody has anything to say.
    fn survivors(nodes: u32, cut: &[(u32, u32)]) -> Vec<u32> {
        let mut view = view(nodes);
        loop {
            let sentence = view.members.iter().find_map(|me| {
                let mut others = seen(me.node, nodes, cut);
                others.retain(|seen| view.contains(seen.member));
                judge(&view, *me, &others)
            });
            match sentence {
                Some(sentence) => view = view.without(sentence.member()),
                None => return view.members.iter().map(|member| member.node).collect(),
            }
        }
    }

    #[test]
    fn nobody_leaves_a_healthy_cluster() {
        for me in 1..=3 {
            assert_eq!(judge(&view(3), member(me), &seen(me, 3, &[])), None);
        }
        assert_eq!(judge(&view(1), member(1), &[]), None);
    }

    #[test]
    fn who_ended_or_is_silent_leaves() {
        let mut others = seen(1, 3, &[]);
        others[1].silent_for = SILENT;
        assert_eq!(judge(&view(3), member(1), &others), Some(Sentence::Silent(member(3))));
        others[0].mine = Link::Refused;
        assert_eq!(judge(&view(3), member(1), &others), Some(Sentence::Silent(member(3))));
        others[0].silent_for = MISSED;
        assert_eq!(judge(&view(3), member(1), &others), Some(Sentence::Ended(member(2))));
    }

    #[test]
    fn a_link_that_comes_back_soon_costs_nothing() {
        let mut others = seen(1, 3, &[(1, 2)]);
        others[0].mine = Link::Down(CUT - MS);
        assert_eq!(judge(&view(3), member(1), &others), None);
    }

    #[test]
    fn cut_links_leave_one_complete_cluster() {
        type Case = (u32, &'static [(u32, u32)], &'static [u32]);
        let table: &[Case] = &[
            // Two nodes: the younger goes.
            (2, &[(1, 2)], &[1]),
            // One link of three: both ends have one, the younger goes.
            (3, &[(1, 2)], &[1, 3]),
            // The senior is cut off from everybody: the many stay.
            (3, &[(1, 2), (1, 3)], &[2, 3]),
            // Two against three.
            (5, &[(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)], &[3, 4, 5]),
            // Two against two: the seniors stay.
            (4, &[(1, 3), (1, 4), (2, 3), (2, 4)], &[1, 2]),
            // Everybody for himself: the senior stays.
            (3, &[(1, 2), (1, 3), (2, 3)], &[1]),
        ];
        for (nodes, cut, left) in table {
            assert_eq!(survivors(*nodes, cut), *left, "{cut:?}");
        }
    }

    #[test]
    fn all_judges_agree_on_a_cut() {
        let cut = [(1, 3), (2, 3)];
        let sentences = [1, 2, 3].map(|me| judge(&view(3), member(me), &seen(me, 3, &cut)));
        assert_eq!(sentences, [Some(Sentence::CutOff(member(3))); 3]);
    }

    #[test]
    fn a_link_is_what_both_ends_call_one() {
        let mut others = seen(1, 3, &[(1, 2)]);
        // Node 3 has lost node 2, which has not noticed.
        others[1].links.remove(&member(2));
        assert_eq!(judge(&view(3), member(1), &others), Some(Sentence::CutOff(member(2))));
    }

    #[test]
    fn views_grow_by_epochs() {
        let view = view(2);
        let again = Member { node: 1, incarnation: 8 };
        assert_eq!(view.with(again).members, [member(2), again]);
        assert_eq!(view.with(again).epoch, 2);
        assert_eq!(view.without(member(1)).senior(), Some(member(2)));
    }
}
