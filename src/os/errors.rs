//! The text of system errors in prun's messages.

use std::io;

use nix::errno::Errno;

/// Returns the text of an error without its number, in lower case as all of prun's messages are.
pub fn reason(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    };
    in_lower_case(&text)
}

/// Returns an error of the same kind whose text begins with what was being done.
pub fn with_context(doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {}", reason(error)))
}

/// Returns why a process or a thread could not be started. EAGAIN names nothing: it stands for the limit of processes.
pub fn start_reason(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => "the limit of processes is reached".to_owned(),
        _ => reason(error),
    }
}

/// Returns the text with a small first letter, unless that is part of an abbreviation such as "I/O".
pub fn in_lower_case(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_lower_case_and_without_numbers() {
        assert_eq!(reason(&io::Error::from_raw_os_error(13)), "permission denied");
        assert_eq!(reason(&io::Error::other("Odd")), "odd");
        assert_eq!(reason(&io::Error::from_raw_os_error(5)), "I/O error");
        assert_eq!(reason(&io::Error::from_raw_os_error(121)), "remote I/O error");
    }
}
