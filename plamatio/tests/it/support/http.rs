//! Requests to the API, one connection each.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use super::PATIENCE;

/// An API and the visitor that calls it.
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) visitor: String,
}

impl Client {
    /// Sends a request; answers status and body.
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64) \
             Firefox/140.0\r\nx-visitor-id: {visitor}\r\nx-session-id: {visitor}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
            visitor = self.visitor,
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap_or(Value::Null) };
        (status, body)
    }

    /// Sends a request that must be answered with `status`.
    pub(crate) fn expect(&self, status: u16, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (answered, body) = self.send(method, path, body);
        assert_eq!(answered, status, "{method} {path}: {body}");
        body
    }
}
