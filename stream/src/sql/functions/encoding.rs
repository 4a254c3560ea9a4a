//! Texts as bytes and back: base 64, hexadecimal, character sets, URLs.
//!
//! NULL in, NULL out. `UNHEX` and `URL_DECODE` are NULL for a text that is not encoded, `FROM_BASE64` and an unknown
//! character set end the job, all as in Flink. Source: Flink's documentation, "String Functions".

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use datafusion::{
    common::{Result, exec_datafusion_err, exec_err},
    logical_expr::ScalarUDF,
};

use super::{
    digest::hexadecimal,
    row::{
        Eval,
        Kind::{Bytes, Text, TextOrBytes, TextOrWhole},
        Row, RowFunction,
    },
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let functions = [
        RowFunction::new(
            "to_base64",
            &[TextOrBytes],
            Eval::Text(|row| Ok(Some(STANDARD.encode(row.bytes(0))))),
        ),
        RowFunction::new("from_base64", &[TextOrBytes], Eval::Text(from_base64)),
        RowFunction::new("hex", &[TextOrWhole], Eval::Text(hex)),
        RowFunction::new("unhex", &[Text], Eval::Bytes(|row| Ok(unhex(row.text(0))))),
        RowFunction::new("encode", &[Text, Text], Eval::Bytes(encode)),
        RowFunction::new("decode", &[Bytes, Text], Eval::Text(decode)),
        RowFunction::new(
            "url_encode",
            &[Text],
            Eval::Text(|row| {
                Ok(Some(url::form_urlencoded::byte_serialize(row.text(0).as_bytes()).collect()))
            }),
        ),
        RowFunction::new("url_decode", &[Text], Eval::Text(|row| Ok(url_decode(row.text(0))))),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// As Java's decoder: padding may be left out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn from_base64(row: &Row<'_>) -> Result<Option<String>> {
    let bytes = LENIENT.decode(row.bytes(0)).map_err(|_| exec_datafusion_err!("a text is not in base 64"))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn hex(row: &Row<'_>) -> Result<Option<String>> {
    Ok(Some(if row.is_text(0) {
        hexadecimal(row.bytes(0)).to_uppercase()
    } else {
        format!("{:X}", row.whole(0))
    }))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let mut digits = digits?;
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// `%XX` and `+`; `None` for a `%` that two hexadecimal digits do not follow.
fn url_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.extend(unhex(pair)?);
                rest = rest.get(2..)?;
            }
            other => bytes.push(*other),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The character sets that Flink names.
fn character_set(name: &str) -> Result<String> {
    let name = name.to_uppercase();
    match name.as_str() {
        "US-ASCII" | "ISO-8859-1" | "UTF-8" | "UTF-16BE" | "UTF-16LE" | "UTF-16" => Ok(name),
        _ => exec_err!(
            "there is no character set {name}. they are US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE and UTF-16"
        ),
    }
}

fn encode(row: &Row<'_>) -> Result<Option<Vec<u8>>> {
    let text = row.text(0);
    // What a set does not have is a question mark, as in Java.
    let single = |most: u32| {
        text.chars()
            .map(|c| if u32::from(c) <= most { u8::try_from(c).unwrap_or(b'?') } else { b'?' })
            .collect()
    };
    let big = || text.encode_utf16().flat_map(u16::to_be_bytes);
    Ok(Some(match character_set(row.text(1))?.as_str() {
        "US-ASCII" => single(0x7f),
        "ISO-8859-1" => single(0xff),
        "UTF-16BE" => big().collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" => [0xfe, 0xff].into_iter().chain(big()).collect(),
        _ => text.as_bytes().to_vec(),
    }))
}

fn decode(row: &Row<'_>) -> Result<Option<String>> {
    const UNKNOWN: char = char::REPLACEMENT_CHARACTER;
    let bytes = row.bytes(0);
    let wide = |bytes: &[u8], is_little: bool| {
        let units = bytes.chunks(2).map(|pair| match pair {
            [a, b] if is_little => u16::from_le_bytes([*a, *b]),
            [a, b] => u16::from_be_bytes([*a, *b]),
            _ => 0xfffd,
        });
        char::decode_utf16(units).map(|c| c.unwrap_or(UNKNOWN)).collect()
    };
    Ok(Some(match character_set(row.text(1))?.as_str() {
        "US-ASCII" => bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { UNKNOWN }).collect(),
        "ISO-8859-1" => bytes.iter().map(|b| char::from(*b)).collect(),
        "UTF-16BE" => wide(bytes, false),
        "UTF-16LE" => wide(bytes, true),
        "UTF-16" => match bytes {
            [0xff, 0xfe, rest @ ..] => wide(rest, true),
            [0xfe, 0xff, rest @ ..] => wide(rest, false),
            all => wide(all, false),
        },
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }))
}
