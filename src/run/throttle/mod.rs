//! Limits of starts beside the pool: the load, free memory, a file that gives the size of the pool, and tokens of make's
//! jobserver.
//!
//! [`Throttle`] owns the room. The scheduler says what it wants to know and how many tokens it needs; out go events
//! (`Reading`, `Pool`, `Tokens`) and warnings. A gauge is read only while the scheduler asks, at most once a second, and
//! a jobserver is watched only while tokens are wanted, so that a run without these options pays nothing.

use std::collections::VecDeque;
use std::io;

use crate::os;
use crate::os::jobserver::Server;
use crate::os::poller::Poller;
use crate::plan::Plan;
use crate::sched::Event;

pub mod gauges;
pub mod jobserver;

use gauges::Gauges;
use jobserver::Tokens;

/// The gauges and the tokens of a run.
pub struct Throttle {
    pub gauges: Gauges,
    /// `None` without a jobserver: the slots are not shared with other programs.
    tokens: Option<Tokens>,
}

impl Throttle {
    /// Opens the jobserver that the plan asks for. Also returns a warning for people.
    ///
    /// # Errors
    /// When the jobserver can't be had. For people.
    pub fn open(plan: &mut Plan, verbose: bool) -> Result<(Throttle, Option<String>), String> {
        let (tokens, warning) = jobserver::open(plan, verbose)?;
        Ok((Throttle { gauges: Gauges::new(plan), tokens }, warning))
    }

    /// Returns a throttle that holds nothing back.
    pub fn none(plan: &Plan) -> Throttle {
        Throttle { gauges: Gauges::new(plan), tokens: None }
    }

    /// Returns prun's own jobserver, if there is one.
    pub fn server(&self) -> Option<&Server> {
        self.tokens.as_ref().and_then(Tokens::server)
    }

    /// Asks for so many tokens in place of what was asked for before. Returns a warning if the jobserver fails.
    pub fn ask_tokens(
        &mut self,
        wanted: usize,
        poller: &Poller,
        events: &mut VecDeque<Event>,
    ) -> Option<String> {
        let tokens = self.tokens.as_mut()?;
        if tokens.ask(wanted) {
            return self.take_tokens(poller, events);
        }
        let watched = tokens.watch(poller);
        self.check(watched, poller)
    }

    /// Takes the tokens that can be had. Another program may have been faster. Returns a warning if the jobserver fails.
    pub fn take_tokens(&mut self, poller: &Poller, events: &mut VecDeque<Event>) -> Option<String> {
        let tokens = self.tokens.as_mut().filter(|tokens| !tokens.has_failed())?;
        let taken = tokens.take();
        if let Ok(count @ 1..) = taken {
            events.push_back(Event::Tokens(count));
        }
        // After some have come, the scheduler says how many more it wants.
        let watched = match taken {
            Ok(0) => tokens.watch(poller),
            other => other.map(drop),
        };
        self.check(watched, poller)
    }

    /// Gives tokens back. Returns a warning if the jobserver fails.
    pub fn give_tokens(&mut self, count: usize, poller: &Poller) -> Option<String> {
        let given = self.tokens.as_mut()?.give(count);
        self.check(given, poller)
    }

    /// Adapts prun's own jobserver to another size of the pool. Returns a warning if the jobserver fails.
    pub fn resize(&mut self, pool: usize, poller: &Poller) -> Option<String> {
        let tokens = self.tokens.as_mut()?;
        let resized = tokens.resize(pool).and_then(|()| tokens.watch(poller));
        self.check(resized, poller)
    }

    /// Gives up a jobserver that has failed, and returns the warning once. Tasks that run have their tokens, and one task
    /// at a time needs none.
    fn check(&mut self, result: io::Result<()>, poller: &Poller) -> Option<String> {
        let (Err(why), Some(tokens)) = (result, &mut self.tokens) else { return None };
        tokens.fail(poller).then(|| {
            let why = os::errors::reason(&why);
            format!("the jobserver has failed ({why}): from now on one task runs at a time, or few")
        })
    }
}
