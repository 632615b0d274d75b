//! Tokens of make's jobserver, which the scheduler asks for: of the one that prun was given, or of its own.

use std::io;

use crate::os;
use crate::os::jobserver::{Client, MAX_TOKENS, Offer, Server};
use crate::os::poller::{Interest, Poller};
use crate::plan::{Jobserver, Plan, UNLIMITED};
use crate::run::token::Token;

pub struct Tokens {
    client: Client,
    own: Option<Own>,
    /// The scheduler waits for so many.
    wanted: usize,
    /// The poller looks for them.
    watched: bool,
    /// No more can be had.
    gone: bool,
}

/// The jobserver is prun's own.
struct Own {
    server: Server,
    /// So many tokens there should be in the world: one fewer than slots.
    size: usize,
    /// So many there are too many: they are taken out of it when they are there.
    surplus: usize,
}

/// The jobserver that the plan asks for; and what else is to be said of it.
///
/// # Errors
/// When there is none. For people.
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
            (client, Some(Own { server, size, surplus: 0 }))
        }
        Jobserver::None => {
            let why = "make's jobserver is out of reach, and prun starts tasks as it does without: the recipe that \
                       runs prun needs a `+` before it";
            let told = verbose && os::jobserver::offer() == Offer::OutOfReach;
            return Ok((None, told.then(|| why.to_owned())));
        }
    };
    client.return_on_death();
    Ok((Some(Tokens { client, own, wanted: 0, watched: false, gone: false }), None))
}

/// One task needs none.
fn tokens_of(pool: usize) -> usize {
    pool.saturating_sub(1).min(MAX_TOKENS)
}

impl Tokens {
    /// Notes how many tokens are wanted. Returns whether some may be there that nobody watches for.
    pub fn ask(&mut self, wanted: usize) -> bool {
        self.wanted = wanted;
        wanted > 0 && !self.watched
    }

    /// True if no more tokens can be had.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Gives the jobserver up. Returns `true` the first time.
    pub fn fail(&mut self, poller: &Poller) -> bool {
        let first = !std::mem::replace(&mut self.gone, true);
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

    /// Takes what is there of what is wanted; how many of them are for the scheduler.
    pub fn take(&mut self) -> io::Result<usize> {
        let got = self.client.take(self.wanted + self.surplus())?;
        let kept = got - self.pay(got);
        self.wanted -= kept;
        Ok(kept)
    }

    /// Takes so many out of the world, as far as there are too many; how many they are.
    fn pay(&mut self, most: usize) -> usize {
        let Some(own) = &mut self.own else { return 0 };
        let paid = own.surplus.min(most);
        own.surplus -= paid;
        self.client.discard(paid);
        paid
    }

    pub fn give(&mut self, count: usize) -> io::Result<()> {
        let count = count - self.pay(count);
        self.client.give(count)
    }

    /// The pool has another size.
    pub fn resize(&mut self, pool: usize) -> io::Result<()> {
        let Some(own) = &mut self.own else { return Ok(()) };
        let (before, size) = (std::mem::replace(&mut own.size, tokens_of(pool)), tokens_of(pool));
        own.surplus += before.saturating_sub(size);
        let more = size.saturating_sub(before);
        let kept = own.surplus.min(more);
        own.surplus -= kept;
        self.client.add(more - kept)
    }

    /// Looks for tokens as long as some are wanted.
    pub fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let wanted = self.wanted + self.surplus() > 0 && !self.gone;
        if wanted && !self.watched {
            poller.add(self.client.fd(), Token::Tokens.pack(), Interest::Read)?;
        } else if !wanted && self.watched {
            poller.remove(self.client.fd())?;
        }
        self.watched = wanted;
        Ok(())
    }
}
