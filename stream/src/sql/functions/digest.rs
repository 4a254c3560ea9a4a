//! Digests of texts and bytes, as lower-case hexadecimal text: `MD5`, `SHA1`, `SHA224` to `SHA512`, and `SHA2(a, bits)`.
//!
//! NULL in, NULL out. Source: Flink's documentation, "Hash Functions".

use datafusion::{
    common::{Result, exec_err},
    logical_expr::ScalarUDF,
};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::row::{
    Eval,
    Kind::{TextOrBytes, Whole},
    Row, RowFunction,
};

pub(super) fn all() -> Vec<ScalarUDF> {
    type Answer = Result<Option<String>>;
    let one = |name, f: fn(&Row<'_>) -> Answer| {
        ScalarUDF::from(RowFunction::new(name, &[TextOrBytes], Eval::Text(f)))
    };
    vec![
        one("md5", |row| Ok(Some(digest::<Md5>(row.bytes(0))))),
        one("sha1", |row| Ok(Some(digest::<Sha1>(row.bytes(0))))),
        one("sha224", |row| Ok(Some(digest::<Sha224>(row.bytes(0))))),
        one("sha256", |row| Ok(Some(digest::<Sha256>(row.bytes(0))))),
        one("sha384", |row| Ok(Some(digest::<Sha384>(row.bytes(0))))),
        one("sha512", |row| Ok(Some(digest::<Sha512>(row.bytes(0))))),
        ScalarUDF::from(RowFunction::new("sha2", &[TextOrBytes, Whole], Eval::Text(sha2))),
    ]
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // A String takes whatever is written to it.
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

fn digest<D: Digest>(bytes: &[u8]) -> String {
    hexadecimal(&D::digest(bytes))
}

fn sha2(row: &Row<'_>) -> Result<Option<String>> {
    let bytes = row.bytes(0);
    Ok(Some(match row.whole(1) {
        224 => digest::<Sha224>(bytes),
        256 => digest::<Sha256>(bytes),
        384 => digest::<Sha384>(bytes),
        512 => digest::<Sha512>(bytes),
        bits => return exec_err!("SHA2 has 224, 256, 384 or 512 bits, not {bits}"),
    }))
}
