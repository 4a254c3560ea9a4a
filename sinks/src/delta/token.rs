//! What a commit needs, as a checkpoint holds it: JSON with a format number.

use deltalake::kernel::Add;
use serde::{Deserialize, Serialize};
use stream::{error::StreamError, time::Epoch};

/// The format that tokens have now.
const VERSION: u32 = 1;

/// The files of an epoch.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Token {
    version: u32,
    /// Rows in all files together.
    pub(super) rows: u64,
    /// Delta's own record of each file, statistics included.
    pub(super) adds: Vec<Add>,
}

impl Token {
    pub(super) fn new(rows: u64, adds: Vec<Add>) -> Self {
        Token { version: VERSION, rows, adds }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, StreamError> {
        serde_json::to_vec(self)
            .map_err(|e| StreamError::internal(format!("a commit token cannot be written: {e}")))
    }

    pub(super) fn from_bytes(table: &str, epoch: Epoch, bytes: &[u8]) -> Result<Self, StreamError> {
        /// Read first, since another format may have anything else.
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let damaged = |e| {
            let problem =
                format!("the commit token of epoch {epoch} is damaged; restore an older checkpoint");
            StreamError::connector_caused(table, problem, e)
        };
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.version != VERSION {
            let problem = format!(
                "the commit token of epoch {epoch} has format {}, this version reads {VERSION}; finish the \
                 job with the version that wrote it",
                head.version
            );
            return Err(StreamError::connector(table, problem));
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_and_others_are_refused() {
        let add = Add { path: "part-0 ü.parquet".to_owned(), size: 7, ..Add::default() };
        let bytes = Token::new(3, vec![add]).to_bytes().unwrap();
        let token = Token::from_bytes("t", Epoch::new(1), &bytes).unwrap();
        assert_eq!((token.rows, token.adds[0].path.as_str()), (3, "part-0 ü.parquet"));
        let newer = Token::from_bytes("t", Epoch::new(1), br#"{"version":2,"files":[]}"#).unwrap_err();
        assert!(newer.to_string().contains("has format 2"), "{newer}");
        let damaged = Token::from_bytes("t", Epoch::new(1), b"{").unwrap_err();
        assert!(damaged.to_string().contains("is damaged"), "{damaged}");
    }
}
