//! Suggestions for misspelt words. Pure.

/// Formats the words as "`a`, `b` or `c`".
pub fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Returns "; did you mean `command`?", or nothing.
pub(super) fn near_word(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Returns the one of `known` that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Up to a third of the letters may be wrong, and one letter of a short word.
    let most = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        // The distance is at least the difference in length.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= most)
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_one_slip_away() {
        assert_eq!(nearest("comand", ["command", "script"]), Some("command"));
        assert_eq!(nearest("ok", ["no", "cwd"]), None);
        assert_eq!(nearest("b", ["a"]), None);
        assert_eq!(nearest("Timeout", ["timeout"]), Some("timeout"));
    }
}
