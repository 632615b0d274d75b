//! make's jobserver: slots that are shared with other programs (the GNU make manual, "Sharing Job Slots with
//! GNU make"). Pure.
//!
//! prun has one slot anyway, and needs a token for each further one. Tokens that a start lacks are asked for,
//! and come when another program gives them back; tokens that no start needs are given back at once. A task
//! that needs several slots waits until there are tokens for all of them, unless nothing else of prun's runs:
//! two pruns that each hold some and wait for the rest would wait for ever. In that case the task begins with
//! the tokens that there are, and the rest is taken as it comes.

use super::{Action, Mode, Supervisor};

#[derive(Debug, Default)]
pub struct Tokens {
    owned: usize,
    /// How many more were asked for; `None` if some have come since, which may be fewer.
    asked: Option<usize>,
    /// How many slots a start needs, if it was held back for lack of tokens; else 0.
    need: usize,
}

impl Tokens {
    pub fn new() -> Tokens {
        Tokens { asked: Some(0), ..Tokens::default() }
    }

    /// Forgets that a start was held back, before starts are tried again.
    pub fn reset(&mut self) {
        self.need = 0;
    }

    /// True if this many more slots may be taken. If not, notes that a start is held back.
    pub fn allow(&mut self, taken: usize, slots: usize) -> bool {
        let enough = taken == 0 || taken + slots <= self.owned + 1;
        if !enough {
            self.need = slots;
        }
        enough
    }

    /// True if a start was held back.
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

    /// Tokens have come: all that were asked for, or some.
    pub(super) fn tokens_came(&mut self, count: usize) {
        if let Some(tokens) = &mut self.tokens {
            tokens.owned += count;
            tokens.asked = None;
        }
    }

    /// Asks for the tokens that are lacking, or gives back those that are not needed. Call it when everything
    /// that may start has started.
    pub(super) fn adjust_tokens(&mut self, actions: &mut Vec<Action>) {
        let Some(tokens) = &mut self.tokens else { return };
        let wanted = (self.slots.in_use() + tokens.need).saturating_sub(1);
        let surplus = tokens.owned.saturating_sub(wanted);
        // An item that comes at once needs the token that the last task leaves.
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
