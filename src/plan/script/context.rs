//! The quoting context of a place in a shell script: between words, in which quotes, in a comment … Pure.
//!
//! The scan reads a script as a POSIX shell does, as far as quoting goes. Of the grammar it knows `case`, whose patterns
//! end with a `)` that closes nothing. Where shells differ, or a script is cut short, it errs towards the contexts in
//! which a placeholder is refused.

use std::ops::Range;

use memchr::memchr;

mod here_document;

use here_document::Document;

/// The meaning of bytes at a place of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Bare,
    Single,
    Double,
    // In the contexts below no quoting is safe.
    Comment,
    HereDocument,
    Backquotes,
    /// `$'…'`
    AnsiQuotes,
    Arithmetic,
    /// `${…}`, in which quotes mean different things, and parts of which are arithmetic.
    Expansion,
    AfterBackslash,
    AfterDollar,
    /// A script that is not closed properly, or that shells read differently.
    Unclear,
}

/// Returns the contexts of the holes, which come first to last. A hole's own bytes mean nothing to the shell.
///
/// After an error of syntax some shells run the lines that follow, and an item may have such lines: if the script
/// is not closed properly, no hole in it is safe.
pub(super) fn contexts(text: &[u8], holes: &[Range<usize>]) -> Vec<Context> {
    let top = Frame::Shell(Commands::new(Kind::Top));
    let (found, documents) = (Vec::new(), Vec::new());
    let mut scan = Scan { text, holes, at: 0, found, stack: vec![top], documents, clear: true };
    while scan.at < text.len() && scan.clear {
        scan.step();
    }
    if scan.clear && scan.stack.len() == 1 { scan.found } else { vec![Context::Unclear; holes.len()] }
}

/// A construct that has been opened and not closed.
#[derive(Debug)]
enum Frame {
    Shell(Commands),
    /// `"…"`
    Double,
    /// `${…}`
    Expansion,
}

/// A place where commands stand.
#[derive(Debug)]
struct Commands {
    kind: Kind,
    /// True if the next word is a command's name, or a reserved word of the shell.
    start: bool,
    in_word: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Top,
    /// `$(…)`
    Substitution,
    /// `(…)`
    Group,
    /// `case`, up to its `in`; true once its subject has been read.
    CaseHead(bool),
    CasePattern,
    CaseBody,
}

impl Commands {
    fn new(kind: Kind) -> Commands {
        Commands { kind, start: true, in_word: false }
    }
}

/// The scan of a script.
struct Scan<'a> {
    text: &'a [u8],
    holes: &'a [Range<usize>],
    at: usize,
    /// A context for each hole that was passed.
    found: Vec<Context>,
    stack: Vec<Frame>,
    documents: Vec<Document>,
    /// False once something is closed that was not opened, or not closed, or that shells read differently.
    clear: bool,
}

impl Scan<'_> {
    fn step(&mut self) {
        if self.hole_at(self.at) {
            self.begin_word();
            return self.take_hole(self.here());
        }
        match (self.stack.last(), self.text[self.at]) {
            (Some(Frame::Shell(_)) | None, byte) => self.step_shell(byte),
            (Some(Frame::Double), b'"') | (Some(Frame::Expansion), b'}') => {
                self.stack.pop();
                self.at += 1;
            }
            (Some(Frame::Expansion), b'"') => self.push(Frame::Double, 1),
            (Some(Frame::Expansion), b'\'') => self.single_in_expansion(),
            (_, byte) => self.step_quoting(byte),
        }
    }

    /// Passes a single quote within `${…}`. If that is within double quotes, the quote is an ordinary character to some
    /// shells in some expansions. Then the script is unclear, unless it makes no difference.
    fn single_in_expansion(&mut self) {
        let from = self.at + 1;
        let special = self.text[from..].iter().find(|byte| b"'\"}\\$`".contains(byte));
        if special == Some(&b'\'') || !self.quotes().any(|frame| matches!(frame, Frame::Double)) {
            self.skip_quoted(1, b'\'', false, Context::Expansion);
        } else {
            self.clear = false;
        }
    }

    /// Passes what means the same between words, in double quotes and in expansions.
    fn step_quoting(&mut self, byte: u8) {
        match byte {
            b'`' => self.skip_quoted(1, b'`', true, Context::Backquotes),
            b'\\' if self.hole_at(self.at + 1) => {
                self.at += 1;
                self.take_hole(Context::AfterBackslash);
            }
            b'\\' => self.at += 2,
            b'$' => self.dollar(),
            _ => self.at += 1,
        }
    }

    fn dollar(&mut self) {
        let bare = matches!(self.stack.last(), Some(Frame::Shell(_)));
        match self.text.get(self.at + 1) {
            Some(_) if self.hole_at(self.at + 1) => {
                self.at += 1;
                self.take_hole(Context::AfterDollar);
            }
            Some(b'(') => match self.arithmetic_end(self.at + 1) {
                Some(end) => self.skip_to(end, Context::Arithmetic),
                None => self.push(Frame::Shell(Commands::new(Kind::Substitution)), 2),
            },
            Some(b'[') => self.skip_quoted(2, b']', false, Context::Arithmetic),
            Some(b'{') => self.push(Frame::Expansion, 2),
            Some(b'\'') if bare => {
                self.skip_quoted(2, b'\'', true, Context::AnsiQuotes);
            }
            Some(b'$' | b'#') => self.at += 2,
            _ => self.at += 1,
        }
    }

    fn step_shell(&mut self, byte: u8) {
        let in_word = self.commands().in_word;
        match byte {
            b' ' | b'\t' | b'>' => self.end_word(1),
            b'\n' => self.newline(),
            b'\\' if self.text.get(self.at + 1) == Some(&b'\n') => self.at += 2,
            b'#' if !in_word => {
                let line = memchr(b'\n', &self.text[self.at..]).unwrap_or(self.text.len() - self.at);
                self.skip_to(self.at + line, Context::Comment);
            }
            b';' | b'&' | b'|' => self.separator(),
            b'<' if self.starts("<<<") => self.end_word(3),
            b'<' if self.starts("<<") => self.here_document(),
            b'<' => self.end_word(1),
            b'(' => self.open_group(),
            b')' => self.close_group(),
            _ if !in_word && self.reserved_word() => {}
            _ => {
                self.begin_word();
                match byte {
                    b'\'' => self.skip_quoted(1, b'\'', false, Context::Single),
                    b'"' => self.push(Frame::Double, 1),
                    _ => self.step_quoting(byte),
                }
            }
        }
    }

    /// Passes a reserved word, if one is here and means something here.
    fn reserved_word(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| b" \t\n;&|()<>".contains(byte)).unwrap_or(rest.len());
        let commands = self.commands();
        match (commands.kind, &rest[..length]) {
            (Kind::CaseHead(true), b"in") => commands.kind = Kind::CasePattern,
            (Kind::CasePattern, b"esac") => drop(self.stack.pop()),
            (Kind::CaseBody, b"esac") if commands.start => drop(self.stack.pop()),
            (Kind::CasePattern | Kind::CaseHead(_), _) => return false,
            // Also after `function name`.
            (_, b"{") => commands.start = true,
            _ if !commands.start => return false,
            (_, b"case") => {
                commands.start = false;
                self.stack.push(Frame::Shell(Commands::new(Kind::CaseHead(false))));
            }
            (_, b"if" | b"then" | b"else" | b"elif" | b"do" | b"while" | b"until" | b"!" | b"time") => {}
            _ => return false,
        }
        self.at += length;
        true
    }

    fn newline(&mut self) {
        self.end_word(1);
        self.commands().start = true;
        for document in std::mem::take(&mut self.documents) {
            self.skip_to(self.here_document_end(&document), Context::HereDocument);
        }
    }

    fn separator(&mut self) {
        let ends_branch = [";;", ";&", ";|"].iter().any(|end| self.starts(end));
        let commands = self.commands();
        if ends_branch && commands.kind == Kind::CaseBody {
            commands.kind = Kind::CasePattern;
            return self.end_word(2);
        }
        commands.start = true;
        self.end_word(1);
    }

    fn open_group(&mut self) {
        let commands = self.commands();
        let (kind, start, in_word) = (commands.kind, commands.start, commands.in_word);
        match self.arithmetic_end(self.at) {
            Some(end) if start => self.skip_to(end, Context::Arithmetic),
            // The parenthesis that a pattern may begin with; within a pattern it is a group.
            _ if kind == Kind::CasePattern && !in_word => self.at += 1,
            _ => self.push(Frame::Shell(Commands::new(Kind::Group)), 1),
        }
    }

    fn close_group(&mut self) {
        match self.commands().kind {
            Kind::CasePattern => {
                *self.commands() = Commands::new(Kind::CaseBody);
                self.at += 1;
            }
            Kind::Substitution => {
                self.stack.pop();
                self.at += 1;
            }
            Kind::Group => {
                self.stack.pop();
                // A function's body may follow.
                self.commands().start = true;
                self.end_word(1);
            }
            // The parenthesis closes nothing.
            Kind::Top | Kind::CaseHead(_) | Kind::CaseBody => self.clear = false,
        }
    }

    /// Returns the place behind `))`, if `((` is at `from` and its parentheses end so.
    fn arithmetic_end(&self, from: usize) -> Option<usize> {
        let mut at = from + 2;
        let mut depth = 0;
        self.text[from..].starts_with(b"((").then_some(())?;
        loop {
            at += 1;
            match self.text.get(at - 1)? {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b')' => return (self.text.get(at) == Some(&b')')).then_some(at + 1),
                quote @ (b'\'' | b'"') => at += memchr(*quote, self.text.get(at..)?)? + 1,
                b'\\' => at += 1,
                _ => {}
            }
        }
    }

    /// Returns the innermost place for commands. It is only called while that is on top.
    fn commands(&mut self) -> &mut Commands {
        match self.stack.last_mut() {
            Some(Frame::Shell(commands)) => commands,
            _ => unreachable!("quotes are on top"),
        }
    }

    fn begin_word(&mut self) {
        if let Some(Frame::Shell(commands)) = self.stack.last_mut() {
            if commands.kind == Kind::CaseHead(false) && !commands.in_word {
                commands.kind = Kind::CaseHead(true);
            }
            commands.in_word = true;
            commands.start = false;
        }
    }

    fn end_word(&mut self, length: usize) {
        self.commands().in_word = false;
        self.at += length;
    }

    fn push(&mut self, frame: Frame, length: usize) {
        self.stack.push(frame);
        self.at += length;
    }

    fn starts(&self, text: &str) -> bool {
        self.text[self.at..].starts_with(text.as_bytes())
    }

    /// True if the next hole begins at `at`.
    fn hole_at(&self, at: usize) -> bool {
        self.holes.get(self.found.len()).is_some_and(|hole| hole.start == at)
    }

    fn take_hole(&mut self, context: Context) {
        self.at = self.holes[self.found.len()].end;
        self.found.push(context);
    }

    /// Passes text in which every hole has the same context.
    fn skip_to(&mut self, end: usize, context: Context) {
        let context = if self.in_expansion() { Context::Expansion } else { context };
        while self.holes.get(self.found.len()).is_some_and(|hole| hole.start < end) {
            self.found.push(context);
        }
        self.at = end.min(self.text.len());
    }

    /// Passes a quotation that opens with the next `opening` bytes and ends with `stop`.
    fn skip_quoted(&mut self, opening: usize, stop: u8, escapes: bool, context: Context) {
        match self.behind(self.at + opening, stop, escapes) {
            Some(end) => self.skip_to(end, context),
            None => self.clear = false,
        }
    }

    /// Returns the place behind the next `stop`, from `from` on.
    fn behind(&self, from: usize, stop: u8, escapes: bool) -> Option<usize> {
        let mut holes = self.holes[self.found.len()..].iter().peekable();
        let mut at = from;
        loop {
            let byte = *self.text.get(at)?;
            match holes.next_if(|hole| hole.start <= at) {
                Some(hole) => at = at.max(hole.end),
                None if byte == stop => return Some(at + 1),
                None if escapes && byte == b'\\' => at += 2,
                None => at += 1,
            }
        }
    }

    /// Returns the context of a hole at this place.
    fn here(&self) -> Context {
        match self.stack.last() {
            _ if self.in_expansion() => Context::Expansion,
            Some(Frame::Double) => Context::Double,
            _ => Context::Bare,
        }
    }

    /// Returns the constructs that are open here, out to the nearest commands.
    fn quotes(&self) -> impl Iterator<Item = &Frame> {
        self.stack.iter().rev().take_while(|frame| !matches!(frame, Frame::Shell(_)))
    }

    fn in_expansion(&self) -> bool {
        self.quotes().any(|frame| matches!(frame, Frame::Expansion))
    }
}

#[cfg(test)]
mod tests;
