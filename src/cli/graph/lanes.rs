//! Lanes: vertical lines that run from a row down to the last row that needs it. Pure.
//!
//! ```text
//! ○ build
//! ├─● docs
//! ├─● test
//! ╰─│─● lint
//! ●─┴─╯ release
//! ```
//!
//! If a row is the only one that needs another, it continues that lane. Any other row has a horizontal line
//! from each lane that it needs. So a row above is joined to a row only if a lane runs down to it.

/// A row as it is drawn.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// The lanes and the row's own sign, before its text.
    pub line: Vec<Sign>,
    /// The lanes before further lines of its text.
    pub below: Vec<Sign>,
    /// Needed rows that have no lane, for want of room.
    pub in_words: Vec<usize>,
}

/// One character of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Blank,
    /// A row that waits for nothing.
    Begin,
    Row,
    Down,
    Across,
    /// A lane that goes on down, with a line to the right.
    Branch,
    Last,
    /// A lane that goes on down, with a line to the left.
    BranchLeft,
    LastLeft,
    /// A horizontal line that meets a lane from above.
    Joined,
    JoinedOn,
    /// A lane that ends here because there was no room for a line.
    End,
    /// A hook of the run.
    Finish,
}

impl Sign {
    pub fn unicode(self) -> char {
        match self {
            Sign::Blank => ' ',
            Sign::Begin => '○',
            Sign::Row => '●',
            Sign::Down => '│',
            Sign::Across => '─',
            Sign::Branch => '├',
            Sign::Last => '╰',
            Sign::BranchLeft => '┤',
            Sign::LastLeft => '╯',
            Sign::Joined => '┴',
            Sign::JoinedOn => '┼',
            Sign::End => '╵',
            Sign::Finish => '◇',
        }
    }

    pub fn ascii(self) -> char {
        match self {
            Sign::Blank => ' ',
            Sign::Begin => 'o',
            Sign::Row => '*',
            Sign::Down => '|',
            Sign::Across => '-',
            Sign::Branch | Sign::BranchLeft | Sign::JoinedOn => '+',
            Sign::Last | Sign::LastLeft | Sign::Joined | Sign::End => '\'',
            Sign::Finish => '=',
        }
    }
}

struct Lane {
    /// The number of rows that need the row of this lane and are not drawn yet.
    open: usize,
    /// True if only one row needs it.
    alone: bool,
}

pub struct Lanes {
    columns: Vec<Option<Lane>>,
    /// For each row: the column of its lane, if it has one now.
    column_of: Vec<Option<usize>>,
}

/// The place of a row.
struct Spot {
    column: usize,
    /// True if there is room for a lane.
    lane: bool,
}

impl Lanes {
    pub fn new(rows: usize, most: usize) -> Lanes {
        Lanes { columns: (0..most).map(|_| None).collect(), column_of: vec![None; rows] }
    }

    /// Draws the next row. `needs` has no duplicates; `dependents` is the number of rows that need this one.
    pub fn draw(&mut self, row: usize, needs: &[usize], dependents: usize) -> Drawn {
        let spot = self.spot(needs);
        let shown = |need: &usize| self.column_of[*need].filter(|_| spot.lane);
        let taps: Vec<usize> = needs.iter().filter_map(shown).collect();
        let in_words = needs.iter().copied().filter(|need| shown(need).is_none()).collect();
        let mut ended = Vec::new();
        for &need in needs {
            let Some(column) = self.column_of[need] else { continue };
            let Some(lane) = &mut self.columns[column] else { continue };
            lane.open -= 1;
            if lane.open == 0 {
                self.column_of[need] = None;
                ended.push(column);
            }
        }
        let line = self.line(&spot, &taps, &ended, needs.is_empty());
        ended.into_iter().for_each(|column| self.columns[column] = None);
        if dependents > 0 && spot.lane {
            self.columns[spot.column] = Some(Lane { open: dependents, alone: dependents == 1 });
            self.column_of[row] = Some(spot.column);
        }
        let mut below: Vec<Sign> = Vec::with_capacity(line.len());
        for at in 0..line.len() {
            let lane = at % 2 == 0 && self.lane(at / 2).is_some();
            below.push(if lane { Sign::Down } else { Sign::Blank });
        }
        Drawn { line, below, in_words }
    }

    fn lane(&self, column: usize) -> Option<&Lane> {
        self.columns.get(column).and_then(Option::as_ref)
    }

    fn spot(&self, needs: &[usize]) -> Spot {
        let free = |from: usize| (from..self.columns.len()).find(|column| self.columns[*column].is_none());
        let only = match needs {
            [need] => self.column_of[*need],
            _ => None,
        };
        if let Some(column) = only
            && self.lane(column).is_some_and(|lane| lane.alone)
        {
            return Spot { column, lane: true };
        }
        let column = only.and_then(|column| free(column + 1)).or_else(|| free(0));
        Spot { column: column.unwrap_or(self.columns.len()), lane: column.is_some() }
    }

    fn line(&self, spot: &Spot, taps: &[usize], ended: &[usize], begins: bool) -> Vec<Sign> {
        let last_lane = self.columns.iter().rposition(Option::is_some).unwrap_or(0);
        let from = taps.iter().copied().fold(spot.column, usize::min);
        let to = taps.iter().copied().fold(spot.column, usize::max);
        let mut line = Vec::new();
        for column in 0..=to.max(last_lane) {
            let goes_on = !ended.contains(&column);
            let within = from < column && column < to;
            line.push(match () {
                _ if column == spot.column && begins => Sign::Begin,
                _ if column == spot.column => Sign::Row,
                _ if taps.contains(&column) => match (within, column < spot.column, goes_on) {
                    (true, _, true) => Sign::JoinedOn,
                    (true, _, false) => Sign::Joined,
                    (false, true, true) => Sign::Branch,
                    (false, true, false) => Sign::Last,
                    (false, false, true) => Sign::BranchLeft,
                    (false, false, false) => Sign::LastLeft,
                },
                _ if self.lane(column).is_some() => {
                    if goes_on {
                        Sign::Down
                    } else {
                        Sign::End
                    }
                }
                _ if within => Sign::Across,
                _ => Sign::Blank,
            });
            line.push(if from <= column && column < to { Sign::Across } else { Sign::Blank });
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws rows by what they need, in this order.
    fn drawn(rows: &[&[usize]], most: usize) -> String {
        let mut lanes = Lanes::new(rows.len(), most);
        let mut text = String::new();
        for (number, needs) in rows.iter().enumerate() {
            let dependents = rows.iter().filter(|needs| needs.contains(&number)).count();
            let drawn = lanes.draw(number, needs, dependents);
            let line: String = drawn.line.iter().map(|sign| sign.unicode()).collect();
            text += line.trim_end();
            drawn.in_words.iter().for_each(|need| text += &format!(" {need}"));
            text.push('\n');
        }
        assert!(lanes.columns.iter().all(Option::is_none), "a lane is left:\n{text}");
        text
    }

    #[test]
    fn lanes_join_what_belongs_together() {
        assert_eq!(drawn(&[&[], &[], &[]], 9), "○\n○\n○\n");
        assert_eq!(drawn(&[&[], &[0], &[1]], 9), "○\n●\n●\n");
        assert_eq!(drawn(&[&[], &[0], &[0], &[0]], 9), "○\n├─●\n├─●\n╰─●\n");
        assert_eq!(drawn(&[&[], &[0], &[0], &[1, 2]], 9), "○\n├─●\n╰─│─●\n●─┴─╯\n");
        let through = drawn(&[&[], &[], &[0, 1], &[0, 2], &[0, 1, 3]], 9);
        assert_eq!(through, "○\n│ ○\n├─┼─●\n├─│─┴─●\n╰─┴─●─╯\n");
    }

    #[test]
    fn where_no_lane_is_left_words_say_it() {
        let text = drawn(&[&[], &[], &[0], &[1, 2], &[3]], 1);
        assert_eq!(text, "○\n│ ○\n●\n╵ ● 1 2\n● 3\n");
    }

    #[test]
    fn nothing_above_a_row_is_joined_to_it_unless_a_lane_is() {
        // The third needs the first alone, and the second, right above it, is needed by nobody.
        assert_eq!(drawn(&[&[], &[0], &[0], &[0, 2]], 9), "○\n├─●\n├─●\n╰─┴─●\n");
    }
}
