//! make's jobserver: slots that are shared with others. Pure.
//!
//! One slot prun has anyway; each further one needs a token. What a start lacks is asked for, and comes when somebody
//! gives it back; what no start needs goes back at once. A task that needs several slots waits until it has tokens for
//! all of them, but not if nothing else of prun's runs: two pruns that each have some, and wait for the rest, would
//! wait for ever. It begins with what there is, and the rest is taken as it comes.

use super::{Action, Mode, Supervisor};

#[derive(Debug, Default)]
pub struct Tokens {
    owned: usize,
    /// So many more were asked for; `None`: some came since, which may be fewer.
    asked: Option<usize>,
    /// The slots that a start needs for which there are too few; 0: none was held back.
    need: usize,
}

impl Tokens {
    pub fn new() -> Tokens {
        Tokens { asked: Some(0), ..Tokens::default() }
    }

    /// Forgets what was held back: it is tried again.
    pub fn reset(&mut self) {
        self.need = 0;
    }

    /// Whether so many slots may be taken. If not, that is held back.
    pub fn allow(&mut self, taken: usize, slots: usize) -> bool {
        let enough = taken == 0 || taken + slots <= self.owned + 1;
        if !enough {
            self.need = slots;
        }
        enough
    }

    /// Something was held back.
    pub fn is_lacking(&self) -> bool {
        self.need > 0
    }

    #[cfg(test)]
    pub fn owned(&self) -> usize {
        self.owned
    }
}

impl Supervisor {
    pub(super) fn lacks_tokens(&self) -> bool {
        self.tokens.as_ref().is_some_and(Tokens::is_lacking)
    }

    /// What was asked for, or a part of it, was there.
    pub(super) fn tokens_came(&mut self, count: usize) {
        if let Some(tokens) = &mut self.tokens {
            tokens.owned += count;
            tokens.asked = None;
        }
    }

    /// To be called when everything that may start has started.
    pub(super) fn adjust_tokens(&mut self, actions: &mut Vec<Action>) {
        let Some(tokens) = &mut self.tokens else { return };
        let wanted = (self.slots.in_use() + tokens.need).saturating_sub(1);
        let surplus = tokens.owned.saturating_sub(wanted);
        // An item that comes at once has use for what the last task leaves.
        let one_comes = self.mode == Mode::Going && !self.backpressure && self.jobs.is_pulling();
        if surplus > 0 && !one_comes {
            tokens.owned = wanted;
            actions.push(Action::GiveTokens(surplus));
        }
        let lacking = wanted.saturating_sub(tokens.owned);
        if tokens.asked != Some(lacking) {
            tokens.asked = Some(lacking);
            actions.push(Action::AskTokens(lacking));
        }
    }
}
