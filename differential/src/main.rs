//! Published verifiers and decoders of attestation documents behind one line protocol.
//!
//! Each line of standard input is a request, each line of standard output its answer:
//!
//! ```text
//! judge <peer> <now in ms> <document in hex>            → accepted <JSON, or nothing> | refused <why> | panicked <why>
//! measure <peer> <now in ms> <rounds> <document in hex> → <ns of round 1> <ns of round 2> …
//! ```
//!
//! A peer that reads the system clock takes no heed of `now`: whoever starts this program preloads libfaketime.

mod peers;

use std::io::{self, BufRead, Write};
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use peers::{Judgement, Peer};

fn main() -> io::Result<()> {
    // What a peer has to say when it panics is part of the answer.
    panic::set_hook(Box::new(|_| {}));
    let mut answers = io::stdout().lock();
    for request in io::stdin().lock().lines() {
        let answer = answer(&request?).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn answer(request: &str) -> Result<String, String> {
    let words: Vec<&str> = request.split(' ').collect();
    match words.as_slice() {
        ["judge", peer, now_ms, document] => {
            let (peer, now_ms, document) = (Peer::named(peer)?, number(now_ms)?, bytes(document)?);
            Ok(judge(peer, now_ms, &document))
        }
        ["measure", peer, now_ms, rounds, document] => {
            let (peer, now_ms, document) = (Peer::named(peer)?, number(now_ms)?, bytes(document)?);
            let times = (0..number(rounds)?).map(|_| time(peer, now_ms, &document));
            let nanoseconds = times.map(|time| time.map(|time| time.as_nanos().to_string()));
            Ok(nanoseconds.collect::<Result<Vec<_>, _>>()?.join(" "))
        }
        _ => Err(format!("no such request: {:.40}", request)),
    }
}

fn judge(peer: Peer, now_ms: u64, document: &[u8]) -> String {
    match panic::catch_unwind(AssertUnwindSafe(|| peer.judge(now_ms, document))) {
        Ok(Judgement::Accepted(found)) => format!("accepted {found}"),
        Ok(Judgement::Refused(why)) => format!("refused {}", one_line(&why)),
        Err(payload) => {
            let why = payload.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("?");
            format!("panicked {}", one_line(why))
        }
    }
}

/// The time of one judgement; an error when it is not that the document is accepted, since refusing costs less.
fn time(peer: Peer, now_ms: u64, document: &[u8]) -> Result<Duration, String> {
    let start = Instant::now();
    let judgement = peer.judge(now_ms, document);
    let time = start.elapsed();
    match judgement {
        Judgement::Accepted(_) => Ok(time),
        Judgement::Refused(why) => Err(format!("refused in place of measured: {why}")),
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("no number: {word:.40}"))
}

fn bytes(word: &str) -> Result<Vec<u8>, String> {
    hex::decode(word).map_err(|_| format!("not hex: {word:.40}"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
