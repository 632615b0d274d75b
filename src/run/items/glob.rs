//! Items that are the paths which match a glob.
//!
//! The walk is lazy, and returns to the loop after a bounded number of entries: a tree has no bound, nor has a folder.
//! `**` does not descend through links to folders, so that a circle of them ends; a link that another component matches
//! is followed. A folder that has vanished meanwhile is passed over. One that can't be read is told, the walk goes on,
//! and fails at its end.
//!
//! The crate glob matches names, as it always did; its walk follows links and reads each folder as a whole.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{FileType, ReadDir};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::event::StartFailure;
use crate::os;
use crate::plan::Item;
use crate::plan::items::Next;

/// Steps that are made in one turn of the loop: entries that are read, or looked at.
const TURN: usize = 10_000;
/// Folders that are told by name, at most.
const TOLD: usize = 10;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The paths of a glob, in alphabetical order.
pub struct Paths {
    /// The folder from which relative paths start.
    base: PathBuf,
    parts: Vec<Part>,
    /// True if the pattern ends with a slash, so that only folders match.
    only_folders: bool,
    /// Places to go to, the next one last.
    todo: Vec<Place>,
    /// The folder that is being read.
    folder: Option<Folder>,
    /// Paths that were found, if several ways may lead to one.
    found: Option<HashSet<PathBuf>>,
    /// Folders that could not be read, and what is told of them.
    unread: usize,
    warnings: Vec<String>,
}

/// A component of the pattern.
enum Part {
    /// A name, or `..`.
    Literal(String),
    Wild(Pattern),
    /// `**`
    Recursive,
}

/// A path, and the part of the pattern that its last name is to match.
struct Place {
    path: PathBuf,
    part: usize,
    kind: Option<FileType>,
}

struct Folder {
    path: PathBuf,
    part: usize,
    entries: ReadDir,
    names: Vec<(OsString, Option<FileType>)>,
}

impl Paths {
    /// # Errors
    /// When the pattern is no glob. For people.
    pub fn open(pattern: &str, base: &Path) -> Result<Paths, String> {
        let mut parts = Vec::new();
        for text in pattern.split('/').filter(|text| !text.is_empty()) {
            parts.push(match text {
                "." => continue,
                "**" if matches!(parts.last(), Some(Part::Recursive)) => continue,
                "**" => Part::Recursive,
                _ => {
                    let wild = Pattern::new(text)
                        .map_err(|error| format!("the glob `{pattern}` is no pattern: {}", error.msg))?;
                    if text.contains(['*', '?', '[']) {
                        Part::Wild(wild)
                    } else {
                        Part::Literal(text.to_owned())
                    }
                }
            });
        }
        let recursive = parts.iter().filter(|part| matches!(part, Part::Recursive)).count();
        let root = if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() };
        let mut paths = Paths {
            base: base.to_owned(),
            only_folders: pattern.ends_with('/'),
            parts,
            todo: Vec::new(),
            folder: None,
            found: (recursive > 1).then(HashSet::new),
            unread: 0,
            warnings: Vec::new(),
        };
        if !paths.parts.is_empty() {
            paths.enter(root, 0);
        }
        Ok(paths)
    }

    /// Returns the next path.
    ///
    /// # Errors
    /// At the end, if folders could not be read.
    pub fn next_path(&mut self) -> Result<Next, StartFailure> {
        for _ in 0..TURN {
            if self.folder.is_some() {
                self.read_entry();
                continue;
            }
            let Some(place) = self.todo.pop() else { return self.end() };
            if let Some(path) = self.visit(place)
                && self.found.as_mut().is_none_or(|found| found.insert(path.clone()))
            {
                return Ok(Next::Item(Some(Item::new(vec![path.into_os_string().into_vec()]))));
            }
        }
        Ok(Next::Again)
    }

    /// Returns what people should know, once.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warnings.pop()
    }

    fn end(&mut self) -> Result<Next, StartFailure> {
        match std::mem::take(&mut self.unread) {
            0 => Ok(Next::End),
            1 => Err(StartFailure { code: 1, why: "a folder of its glob could not be read".to_owned() }),
            count => {
                Err(StartFailure { code: 1, why: format!("{count} folders of its glob could not be read") })
            }
        }
    }

    /// Goes to a path. Returns it if it matches the whole pattern.
    fn visit(&mut self, Place { path, mut part, kind }: Place) -> Option<PathBuf> {
        if let Part::Recursive = self.parts[part] {
            // Not through links: a circle of them would not end.
            let is_hidden = path.file_name().is_some_and(is_hidden);
            if kind.is_some_and(|kind| kind.is_dir()) && !is_hidden {
                self.enter(path.clone(), part);
            }
            if part + 1 == self.parts.len() {
                return self.is_folder(&path, kind).then_some(path);
            }
            part += 1;
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let matches = match &self.parts[part] {
            Part::Literal(text) => *text == name || text == "..",
            Part::Wild(pattern) => pattern.matches_with(&name, OPTIONS),
            Part::Recursive => false,
        };
        if !matches {
            return None;
        }
        if part + 1 == self.parts.len() {
            return (!self.only_folders || self.is_folder(&path, kind)).then_some(path);
        }
        if self.is_folder(&path, kind) {
            self.enter(path, part + 1);
        }
        None
    }

    /// Looks in a folder for what matches a part of the pattern.
    fn enter(&mut self, path: PathBuf, part: usize) {
        if let Part::Literal(name) = &self.parts[part] {
            let next = path.join(name);
            match self.real(&next).symlink_metadata() {
                Ok(data) => self.todo.push(Place { path: next, part, kind: Some(data.file_type()) }),
                Err(error) => self.note_unread(&path, &error),
            }
            return;
        }
        match self.real(&path).read_dir() {
            Ok(entries) => self.folder = Some(Folder { path, part, entries, names: Vec::new() }),
            Err(error) => self.note_unread(&path, &error),
        }
    }

    /// Reads an entry of the folder. When it was the last, all go on the list of places.
    fn read_entry(&mut self) {
        let Some(folder) = &mut self.folder else { return };
        match folder.entries.next() {
            Some(Ok(entry)) => {
                let (name, kind) = (entry.file_name(), entry.file_type().ok());
                if may_match(&self.parts, folder.part, &name) {
                    folder.names.push((name, kind));
                }
                return;
            }
            Some(Err(error)) => {
                let path = folder.path.clone();
                self.note_unread(&path, &error);
            }
            None => {}
        }
        let Some(Folder { path, part, mut names, .. }) = self.folder.take() else { return };
        names.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        self.todo.extend(names.into_iter().map(|(name, kind)| Place { path: path.join(name), part, kind }));
    }

    fn is_folder(&self, path: &Path, kind: Option<FileType>) -> bool {
        kind.is_some_and(|kind| kind.is_dir()) || self.real(path).is_dir()
    }

    fn real(&self, path: &Path) -> PathBuf {
        let real = self.base.join(path);
        if real.as_os_str().is_empty() { PathBuf::from(".") } else { real }
    }

    /// Notes that a folder could not be read, unless it is none or has vanished.
    fn note_unread(&mut self, path: &Path, error: &io::Error) {
        use io::ErrorKind::{NotADirectory, NotFound};
        if matches!(error.kind(), NotFound | NotADirectory) {
            return;
        }
        self.unread += 1;
        if self.unread <= TOLD {
            let path = self.real(path);
            let why = os::errors::reason(error);
            self.warnings.push(format!("could not read the folder `{}`: {why}", path.display()));
        }
    }
}

/// True if an entry of a folder may match this part of the pattern. What begins with a dot is hidden, unless the
/// pattern begins with one.
fn may_match(parts: &[Part], part: usize, name: &OsStr) -> bool {
    let is_hidden = is_hidden(name);
    let shows = |pattern: &Pattern| !is_hidden || pattern.as_str().starts_with('.');
    match (&parts[part], parts.get(part + 1)) {
        (Part::Wild(pattern), _) => shows(pattern) && pattern.matches_with(&name.to_string_lossy(), OPTIONS),
        (Part::Recursive, Some(Part::Literal(text))) => !is_hidden || name.as_bytes() == text.as_bytes(),
        (Part::Recursive, Some(Part::Wild(pattern))) => shows(pattern),
        _ => !is_hidden,
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}
