//! The batch reports of `queries/reports/`, built into the program.
//!
//! A report is one SQL file over the tables that the shipped metrics write. Its header comment
//! says what it shows, what it reads and why its sums are allowed; its first line is the title.
//! `${zone}` in it stands for the time zone of its days, `${dead_letters}` for the dead-letter
//! tables of the lake.

use crate::error::{Error, Result};
use crate::lake::{DEFAULT_SCHEMA, Lake};

/// Table of set-aside records, or the schema that holds one such table per job.
const DEAD_LETTERS: &str = "dead_letters";

/// One report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// File name without `.sql`.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! report_files {
    ($($name:literal),* $(,)?) => {
        &[$(Report { name: $name, text: include_str!(concat!("../reports/", $name, ".sql")) }),*]
    };
}

static REPORTS: &[Report] = report_files![
    "conversion_funnel",
    "daily_cart_abandonment",
    "daily_conversion",
    "daily_product_revenue",
    "dead_letters",
];

/// All reports, by name.
pub fn reports() -> &'static [Report] {
    REPORTS
}

/// The report of that name.
///
/// # Errors
/// [`Error::UnknownReport`], which lists the names.
pub fn report(name: &str) -> Result<&'static Report> {
    REPORTS.iter().find(|report| report.name == name).ok_or_else(|| Error::UnknownReport {
        name: name.to_owned(),
        known: REPORTS.iter().map(|report| report.name).collect::<Vec<_>>().join(", "),
    })
}

impl Report {
    /// One line that says what the report shows.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['-', ' '])
    }

    /// The SQL over the tables that `lake` has now, with days cut in `zone` (an IANA name such as
    /// `Europe/Paris`, or `UTC`).
    ///
    /// # Errors
    /// [`Error::Zone`] when `zone` could be anything but a name, since it goes into the SQL text;
    /// [`Error::ListLake`] when the lake cannot be listed.
    pub async fn sql_over(&self, lake: &Lake, zone: &str) -> Result<String> {
        let tables = lake.tables().await?;
        let letters: Vec<_> = tables
            .iter()
            .filter(|table| {
                table.schema == DEAD_LETTERS || (table.schema == DEFAULT_SCHEMA && table.name == DEAD_LETTERS)
            })
            .map(|table| letters_of(&table.sql_name(), &format!("\"{}\".\"{}\"", table.schema, table.name)))
            .collect();
        if letters.is_empty() {
            return self.sql(zone);
        }
        self.fill(zone, &letters.join(" UNION ALL "))
    }

    /// The SQL as for a lake whose dead letters are in one table, as `plamatio run` writes them.
    ///
    /// # Errors
    /// [`Error::Zone`], as for [`Report::sql_over`].
    pub fn sql(&self, zone: &str) -> Result<String> {
        self.fill(zone, &letters_of(DEAD_LETTERS, DEAD_LETTERS))
    }

    fn fill(&self, zone: &str, letters: &str) -> Result<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '+' | '-' | ':');
        if zone.is_empty() || !zone.chars().all(plain) {
            return Err(Error::Zone { zone: zone.to_owned() });
        }
        Ok(self.text.replace("${zone}", zone).replace("${dead_letters}", letters))
    }
}

/// The rows of one dead-letter table, with its name. Table names of a lake hold no quotes.
fn letters_of(name: &str, table: &str) -> String {
    format!(
        "SELECT '{name}' AS dead_letter_table, kind, topic, reason, \"offset\", set_aside_at FROM {table}"
    )
}
