//! What a client remembers of its messages, so that it can repeat them. However long it posts, that
//! is a limited number.

use std::collections::VecDeque;

use super::Sent;

/// How many of its latest messages a client considers for a repeat.
const LATEST_MAX: usize = 256;

/// How many older ones it does; which of them stay is left to chance.
const OLDER_MAX: usize = 1024;

/// How many messages of unknown outcome a client has at once before it repeats them rather than post
/// new ones. They are all remembered.
pub(super) const OPEN_MAX: usize = 128;

/// The messages of a client.
#[derive(Debug, Default)]
pub(super) struct Memory {
    latest: VecDeque<Sent>,
    older: Vec<Sent>,
    passed_over: usize,
    open: usize,
}

/// One of them: its place among the older ones and, behind them, the latest. It is valid until the next
/// one is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(usize);

impl Memory {
    /// Remembers one more, and forgets another one if there are too many.
    pub(super) fn remember(&mut self, sent: Sent, rng: &mut fastrand::Rng) {
        self.open += usize::from(sent.is_open());
        self.latest.push_back(sent);
        if self.latest.len() <= LATEST_MAX {
            return;
        }
        let Some(old) = self.latest.pop_front() else { return };
        if old.is_open() || self.older.len() < OLDER_MAX {
            self.older.push(old);
            return;
        }
        // So that each had the same chance to stay, however long ago it was.
        self.passed_over += 1;
        let place = rng.usize(..OLDER_MAX + self.passed_over);
        if place < self.older.len() && !self.older[place].is_open() {
            self.older[place] = old;
        }
    }

    pub(super) fn get(&self, At(place): At) -> &Sent {
        self.older.get(place).unwrap_or_else(|| &self.latest[place - self.older.len()])
    }

    /// Notes what has become of it.
    pub(super) fn set(&mut self, At(place): At, sent: Sent) {
        let older = self.older.len();
        let place = self.older.get_mut(place).unwrap_or_else(|| &mut self.latest[place - older]);
        self.open -= usize::from(place.is_open());
        self.open += usize::from(sent.is_open());
        *place = sent;
    }

    /// One that can be repeated and is `wanted`: any old one may be, too.
    pub(super) fn pick(
        &self,
        rng: &mut fastrand::Rng,
        wanted: impl Fn(&Sent) -> bool,
    ) -> Option<At> {
        let older = self.older.len();
        let places =
            if older == 0 || rng.bool() { older..older + self.latest.len() } else { 0..older };
        let is_wanted = |at: &At| self.get(*at).key.is_some() && wanted(self.get(*at));
        rng.choice(places.map(At).filter(is_wanted).collect::<Vec<_>>())
    }

    /// How many have no receipt and can be repeated.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    /// Those, oldest first.
    pub(super) fn into_open(self) -> impl Iterator<Item = Sent> {
        self.older.into_iter().chain(self.latest).filter(Sent::is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(number: usize, settled: bool) -> Sent {
        let message = number.to_string();
        let key = Some(message.clone());
        Sent { key, message, uuid: None, settled, uncertain: false, trusting: false }
    }

    #[test]
    fn a_trusted_refusal_is_not_repeated_unless_one_is_uncertain() {
        let trusting = Sent { trusting: true, ..sent(1, false) };
        assert!(!trusting.is_open());
        assert!(Sent { uncertain: true, ..trusting }.is_open());
        assert!(sent(1, false).is_open());
    }

    #[test]
    fn a_long_run_keeps_some_messages_and_every_open_one() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut memory = Memory::default();
        for number in 0..20_000 {
            memory.remember(sent(number, number % 1000 != 0), &mut rng);
        }
        assert_eq!(memory.open(), 20);
        assert!(memory.latest.len() + memory.older.len() <= LATEST_MAX + OLDER_MAX + 20);
        let mut old = 0;
        for _ in 0..1000 {
            let at = memory.pick(&mut rng, |sent| sent.settled).unwrap();
            old += usize::from(memory.get(at).message.parse::<usize>().unwrap() < 10_000);
        }
        assert!(old > 0, "nothing old is ever repeated");
        let at = memory.pick(&mut rng, |sent| sent.is_open()).unwrap();
        let settled = Sent { settled: true, ..memory.get(at).clone() };
        memory.set(at, settled);
        assert_eq!(memory.open(), 19);
        assert_eq!(memory.into_open().count(), 19);
    }
}
