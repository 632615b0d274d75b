//! `ok` and `retry_on`. Pure.

use crate::jobfile::near::near_word;

/// A set of outcomes: the words of `ok` and `retry_on`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// Exit codes, sorted.
    pub codes: Vec<u8>,
    pub timeout: bool,
    pub signal: bool,
}

impl Outcomes {
    /// Returns exit code 0 alone, the default of `ok`.
    pub fn success() -> Outcomes {
        Outcomes { codes: vec![0], timeout: false, signal: false }
    }

    /// Adds one word of `ok`: an exit code, `timeout` or `signal`.
    pub fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "timeout" => self.timeout = true,
            "signal" => self.signal = true,
            _ => {
                let code = word.parse::<u8>().map_err(|_| {
                    "expected exit codes from 0 to 255, `timeout` or `signal`".to_owned()
                        + &near_word(word, &["timeout", "signal"])
                })?;
                if let Err(at) = self.codes.binary_search(&code) {
                    self.codes.insert(at, code);
                }
            }
        }
        Ok(())
    }
}

/// Parses a comma-separated list of exit codes, `timeout` and `signal`: `0,1,timeout`.
pub fn parse_outcomes(text: &str) -> Result<Outcomes, String> {
    let mut outcomes = Outcomes::default();
    text.split(',').try_for_each(|word| outcomes.add(word.trim()))?;
    Ok(outcomes)
}
