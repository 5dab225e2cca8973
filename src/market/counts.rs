//! Counters of what became of messages.

/// Number of offsets of a range by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages stored as rows.
    pub stored_offsets: i64,
    /// Rows, at least one per stored message.
    pub rows: i64,
    pub dead: i64,
    pub skipped: i64,
    /// Offsets that Kafka never delivers: transaction markers, compacted records.
    pub holes: i64,
    /// Offsets that an operator gave up.
    pub lost: i64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.stored_offsets += other.stored_offsets;
        self.rows += other.rows;
        self.dead += other.dead;
        self.skipped += other.skipped;
        self.holes += other.holes;
        self.lost += other.lost;
    }

    /// Offsets accounted for; equals the length of the range they belong to.
    pub fn offsets(&self) -> i64 {
        self.stored_offsets + self.dead + self.skipped + self.holes + self.lost
    }
}
