//! The batch reports of `queries/reports/`, built into the program.
//!
//! A report is one SQL file over the tables that the shipped metrics write. Its header comment
//! says what it shows, what it reads and why its sums are allowed; its first line is the title.
//! `${zone}` in it stands for the time zone of its days.

use crate::error::{Error, Result};

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

    /// The SQL, with days cut in `zone` (an IANA name such as `Europe/Paris`, or `UTC`).
    ///
    /// # Errors
    /// [`Error::Zone`] when `zone` could be anything but a name, since it goes into the SQL text.
    pub fn sql(&self, zone: &str) -> Result<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '+' | '-' | ':');
        if zone.is_empty() || !zone.chars().all(plain) {
            return Err(Error::Zone { zone: zone.to_owned() });
        }
        Ok(self.text.replace("${zone}", zone))
    }
}
