//! The text of system errors in prun's messages.

use std::io;

use nix::errno::Errno;

/// Returns the text of an error without its number, in lower case as all of prun's messages are.
pub fn reason(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(errno) => Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    };
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_lower_case_and_without_numbers() {
        assert_eq!(reason(&io::Error::from_raw_os_error(13)), "permission denied");
        assert_eq!(reason(&io::Error::other("Odd")), "odd");
    }
}
