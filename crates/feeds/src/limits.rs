//! How much of a hostile or broken file is believed before it is refused.

/// Caps on what one file may ask for. The defaults are several times the largest real delivery known,
/// and small enough that refusing costs less than 64 MB and 2 seconds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes between two pieces of markup: one text node, one tag, one comment, the DOCTYPE.
    pub token_bytes: usize,
    /// Bytes of one value, its references resolved. The longest real ones are addresses, under 300.
    pub value_bytes: usize,
    /// Values of one attribute. A teacher in 25 schools has some hundreds of class and subject triples.
    pub values: usize,
    /// Bytes of one record, values and names together.
    pub record_bytes: usize,
    /// Elements open at once. The AAF grammar needs 5, STS 12.
    pub depth: usize,
    /// Records in one file.
    pub records: u64,
    /// Bytes of one row of a table. Real ones are under 2,000.
    pub csv_row_bytes: usize,
    /// Columns of one table.
    pub csv_columns: usize,
    /// Rows in all tables of one delivery, whose children are kept in memory to find them by name. The largest school has
    /// some 15,000.
    pub csv_rows: usize,
    /// Entries in one archive. Real deliveries have some hundreds of parts.
    pub entries: usize,
    /// Unpacked bytes of one archive.
    pub unpacked_bytes: u64,
    /// Unpacked ÷ packed bytes of one entry, once it exceeds `ratio_free_bytes`. Directory XML packs 20 to 40 times.
    pub ratio: u64,
    /// Unpacked bytes of an entry below which its ratio does not matter.
    pub ratio_free_bytes: u64,
    /// Occurrences of lessons that one timetable file may yield. A school of 3,000 pupils has 110,000 a year.
    pub occurrences: usize,
    /// Events or lesson definitions in one timetable file.
    pub events: usize,
    /// Days that all daily and weekly rules of one timetable file may run over together, which bounds the work of following
    /// them. A school of 3,000 weekly lessons needs under a million.
    pub rule_days: u64,
    /// The same for monthly, yearly and other rare rules, whose days cost a thousand times more.
    pub rare_rule_days: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_bytes: 64 << 10,
            value_bytes: 16 << 10,
            values: 4_000,
            record_bytes: 1 << 20,
            depth: 32,
            records: 5_000_000,
            csv_row_bytes: 64 << 10,
            csv_columns: 512,
            csv_rows: 20_000,
            entries: 2_000,
            unpacked_bytes: 32 << 30,
            ratio: 150,
            ratio_free_bytes: 4 << 20,
            occurrences: 120_000,
            events: 120_000,
            rule_days: 10_000_000,
            rare_rule_days: 4_000,
        }
    }
}
