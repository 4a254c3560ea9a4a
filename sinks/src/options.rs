//! Reading table options that several sinks share.

use std::path::PathBuf;

use stream::{error::StreamError, table::TableDef};
use url::Url;

/// Asks for what every sink understands, so that it counts as known. The engine itself reads `'emit'`.
pub(crate) fn ask_common(table: &TableDef) {
    table.options.get("connector");
    table.options.get("emit");
}

/// Refuses `'emit' = 'updates'`, for sinks that append and so cannot take a row back.
pub(crate) fn final_only(table: &TableDef) -> Result<(), StreamError> {
    match table.options.get("emit") {
        Some(emit) if !emit.eq_ignore_ascii_case("final") => {
            Err(table.options.bad("emit", "'final', the only thing this connector takes"))
        }
        _ => Ok(()),
    }
}

/// The option `'path'`: a plain path or a `file://` URL.
pub(crate) fn local_path(table: &TableDef) -> Result<PathBuf, StreamError> {
    let text = table.options.require("path")?;
    let expected = "a plain path or a file:///… URL (object stores are not built in)";
    if text.trim().is_empty() {
        return Err(table.options.bad("path", expected));
    }
    if !text.contains("://") {
        return Ok(PathBuf::from(text));
    }
    Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| table.options.bad("path", expected))
}

/// A comma-separated list; `None` when the option is absent.
pub(crate) fn list(table: &TableDef, name: &str) -> Option<Vec<String>> {
    let text = table.options.get(name)?;
    Some(text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

/// A list of column names, each declared by the table.
pub(crate) fn columns(table: &TableDef, name: &str) -> Result<Option<Vec<String>>, StreamError> {
    let Some(names) = list(table, name) else { return Ok(None) };
    for column in &names {
        let declared = table.columns.iter().find(|declared| declared.name == *column);
        let problem = match declared {
            None => format!("it has no column '{column}'"),
            Some(declared) if declared.data_type.is_nested() => {
                format!("'{column}' is no plain value, but of several")
            }
            Some(_) => continue,
        };
        return Err(table.options.bad(name, &format!("a list of columns of the table ({problem})")));
    }
    Ok(Some(names))
}

/// A size in bytes: `1048576`, `64 MB`, `128 MiB`; at least 1.
pub(crate) fn bytes_or(table: &TableDef, name: &str, default: u64) -> Result<u64, StreamError> {
    match table.options.get(name) {
        None => Ok(default),
        Some(text) => parse_bytes(text)
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| table.options.bad(name, "a size such as '64 MB'")),
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
pub(crate) mod tests {
    use arrow::datatypes::DataType;
    use stream::{
        options::Options,
        table::{ColumnDef, ColumnKind},
    };

    use super::*;

    /// A table `t` with these columns and options, for the unit tests of this crate.
    pub(crate) fn table(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableDef {
        let column = |(name, data_type): &(&str, DataType)| ColumnDef {
            name: (*name).to_owned(),
            data_type: data_type.clone(),
            is_json: false,
            kind: ColumnKind::Physical,
        };
        TableDef {
            name: "t".to_owned(),
            columns: columns.iter().map(column).collect(),
            watermark: None,
            primary_key: Vec::new(),
            options: Options::new(
                "t",
                options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ),
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("64 MB"), Some(64_000_000));
        assert_eq!(parse_bytes("1KiB"), Some(1024));
        assert_eq!(parse_bytes("12"), Some(12));
        assert_eq!(parse_bytes("12 furlongs"), None);
        assert_eq!(parse_bytes("99999999999 GB"), None);
        assert_eq!(parse_bytes("MB"), None);
    }

    #[test]
    fn paths() {
        let path = |text| local_path(&table(&[], &[("path", text)]));
        assert_eq!(path("lake/x").unwrap(), PathBuf::from("lake/x"));
        assert_eq!(path("file:///lake/a%20b").unwrap(), PathBuf::from("/lake/a b"));
        for bad in ["s3://bucket/x", "file://host/x", " "] {
            let error = path(bad).unwrap_err().to_string();
            assert!(error.contains("option 'path'") && error.contains("a plain path"), "{error}");
        }
    }

    #[test]
    fn lists_of_columns_are_checked() {
        let table = table(&[("a", DataType::Int64), ("b", DataType::Int64)], &[("x", "a; b"), ("y", "a,c")]);
        assert_eq!(columns(&table, "x").unwrap().unwrap(), ["a", "b"]);
        assert!(columns(&table, "y").unwrap_err().to_string().contains("no column 'c'"));
        assert!(columns(&table, "z").unwrap().is_none());
    }
}
