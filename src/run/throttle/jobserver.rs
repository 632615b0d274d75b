//! Tokens of a jobserver (make(1)): the one that prun inherited, or its own.
//!
//! A task beside the first needs a token. If the pool becomes smaller than the number of tokens of prun's own jobserver,
//! the surplus is taken out of it as tokens come back.

use std::io;

use crate::os;
use crate::os::jobserver::{Client, MAX_TOKENS, Offer, Server};
use crate::os::poller::{Interest, Poller};
use crate::plan::{Jobserver, Plan, UNLIMITED};
use crate::run::token::Token;

/// The client of a jobserver.
pub struct Tokens {
    client: Client,
    /// `None` if prun inherited the jobserver.
    own: Option<OwnServer>,
    /// The number of tokens that the scheduler waits for.
    wanted: usize,
    /// True while the poller reports when tokens may be had.
    watched: bool,
    /// True if the jobserver has failed, and no more tokens can be had.
    failed: bool,
}

/// A jobserver of prun's own.
struct OwnServer {
    server: Server,
    /// The number of tokens that should exist: one fewer than slots.
    size: usize,
    /// The number of tokens beyond `size`, which are to be taken out when they can be had.
    surplus: usize,
}

/// Opens the jobserver that the plan asks for. Also returns a warning for people.
///
/// # Errors
/// When the jobserver can't be had. For people.
pub fn open(plan: &mut Plan, verbose: bool) -> Result<(Option<Tokens>, Option<String>), String> {
    if matches!(plan.jobserver, Jobserver::Server { .. }) && plan.pool == UNLIMITED {
        plan.jobserver = Jobserver::None;
        let why = "there is no jobserver, because nothing limits how many tasks run at once: say `-j N`, too";
        return Ok((None, Some(why.to_owned())));
    }
    let wrong = |why: io::Error| match plan.jobserver {
        Jobserver::Server { fifo: true } => {
            let (folder, why) = (os::jobserver::folder(), os::errors::reason(&why));
            format!(
                "no jobserver can be made in `{}`: {why}; `TMPDIR` names another folder",
                folder.display()
            )
        }
        Jobserver::Server { fifo: false } => {
            format!("no jobserver can be made: {}", os::errors::reason(&why))
        }
        _ => format!("make's jobserver can't be used: {}", os::errors::reason(&why)),
    };
    let (client, own) = match plan.jobserver {
        Jobserver::Client => (Client::connect().map_err(wrong)?, None),
        Jobserver::Server { fifo } => {
            let size = tokens_of(plan.pool);
            let (server, client) = Server::open(fifo, size).map_err(wrong)?;
            (client, Some(OwnServer { server, size, surplus: 0 }))
        }
        Jobserver::None => {
            let why = "make's jobserver is out of reach, and prun starts tasks as it does without: the recipe that \
                       runs prun needs a `+` before it";
            let told = verbose && os::jobserver::offer() == Offer::OutOfReach;
            return Ok((None, told.then(|| why.to_owned())));
        }
    };
    client.return_on_death();
    Ok((Some(Tokens { client, own, wanted: 0, watched: false, failed: false }), None))
}

/// Returns the number of tokens for a pool of this size. One task needs none.
fn tokens_of(pool: usize) -> usize {
    pool.saturating_sub(1).min(MAX_TOKENS)
}

impl Tokens {
    /// Notes how many tokens are wanted. Returns whether some may be had that the poller does not watch for.
    pub fn ask(&mut self, wanted: usize) -> bool {
        self.wanted = wanted;
        wanted > 0 && !self.watched
    }

    /// True if no more tokens can be had.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Gives the jobserver up. Returns `true` the first time.
    pub fn fail(&mut self, poller: &Poller) -> bool {
        let first = !std::mem::replace(&mut self.failed, true);
        if first {
            let _ = self.watch(poller);
        }
        first
    }

    /// Returns prun's own jobserver.
    pub fn server(&self) -> Option<&Server> {
        self.own.as_ref().map(|own| &own.server)
    }

    fn surplus(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.surplus)
    }

    /// Takes the tokens that are wanted, as far as they can be had now. Returns how many of them are for the scheduler.
    ///
    /// # Errors
    /// When the jobserver has failed.
    pub fn take(&mut self) -> io::Result<usize> {
        let got = self.client.take(self.wanted + self.surplus())?;
        let kept = got - self.retire(got);
        self.wanted -= kept;
        Ok(kept)
    }

    /// Takes up to `most` tokens that prun holds out of existence, as far as there are too many. Returns how many.
    fn retire(&mut self, most: usize) -> usize {
        let Some(own) = &mut self.own else { return 0 };
        let retired = own.surplus.min(most);
        own.surplus -= retired;
        self.client.discard(retired);
        retired
    }

    /// Gives tokens back, except those of which there are too many.
    ///
    /// # Errors
    /// When the jobserver has failed.
    pub fn give(&mut self, count: usize) -> io::Result<()> {
        let count = count - self.retire(count);
        self.client.give(count)
    }

    /// Adapts prun's own jobserver to another size of the pool.
    ///
    /// # Errors
    /// When the jobserver has failed.
    pub fn resize(&mut self, pool: usize) -> io::Result<()> {
        let Some(own) = &mut self.own else { return Ok(()) };
        let (before, size) = (std::mem::replace(&mut own.size, tokens_of(pool)), tokens_of(pool));
        own.surplus += before.saturating_sub(size);
        let more = size.saturating_sub(before);
        let kept = own.surplus.min(more);
        own.surplus -= kept;
        self.client.add(more - kept)
    }

    /// Adds the jobserver to the poller, or removes it, so that it is watched exactly while tokens are wanted.
    ///
    /// # Errors
    /// When the poller refuses.
    pub fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let wanted = self.wanted + self.surplus() > 0 && !self.failed;
        if wanted && !self.watched {
            poller.add(self.client.fd(), Token::Tokens.pack(), Interest::Read)?;
        } else if !wanted && self.watched {
            poller.remove(self.client.fd())?;
        }
        self.watched = wanted;
        Ok(())
    }
}
