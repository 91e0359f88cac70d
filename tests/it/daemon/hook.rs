//! A receiver of webhooks on a free port of this machine: it takes every message, notes its key and its document, and takes its
//! time to say so, so that a sender may die before it hears of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// One message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) key: String,
    pub(crate) body: Value,
}

impl Taken {
    /// Alert and occasion.
    pub(crate) fn about(&self) -> (String, String) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&self.body["alert"]["id"]), text(&self.body["occasion"]))
    }
}

/// The receiver. Its thread ends with the process.
pub(crate) struct Hook {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Hook {
    /// One that takes up to `slow` to answer.
    pub(crate) fn new(slow: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let taken: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let book = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let book = Arc::clone(&book);
                std::thread::spawn(move || take(stream, &book, slow));
            }
        });
        Self { url, taken }
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// Messages by key, each with how often it came. Two that share a key have to say the same.
    #[track_caller]
    pub(crate) fn by_key(&self) -> BTreeMap<String, (Taken, usize)> {
        let mut by_key: BTreeMap<String, (Taken, usize)> = BTreeMap::new();
        for taken in self.taken() {
            let known = by_key.entry(taken.key.clone()).or_insert_with(|| (taken.clone(), 0));
            known.1 += 1;
            assert_eq!(known.0.about(), taken.about(), "one key for two messages");
        }
        by_key
    }
}

/// A request that breaks off was not taken.
fn take(stream: TcpStream, book: &Mutex<Vec<Taken>>, slow: Duration) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut key, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => value.trim().clone_into(&mut key),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    book.lock().unwrap().push(Taken { key, body: serde_json::from_slice(&body).ok()? });
    // Between the message and the answer is where a sender may die.
    std::thread::sleep(slow.mul_f64(rand::random()));
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").ok()
}
