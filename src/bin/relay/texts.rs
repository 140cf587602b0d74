//! What relay says: every text, by its place in one table without pointers.

use exec_relay::status::Step;
use exec_relay::sys::Text;
use exec_relay::words;

use crate::{message, slate};

/// The messages of the steps begin here, in the order of their numbers.
pub const MESSAGES: usize = 0;
/// The errnos in words, in the order of [`words::errno_place`].
pub const ERRNOS: usize = MESSAGES + count(Step::MESSAGES);
/// [`slate::FACTS`].
pub const FACTS: usize = ERRNOS + count(words::ERRNOS);
/// [`message::OTHERS`].
pub const OTHERS: usize = FACTS + count(slate::FACTS);

/// All of them, each ended by a NUL.
const TABLES: [&str; 4] = [Step::MESSAGES, words::ERRNOS, slate::FACTS, message::OTHERS];

/// The tables, one after the other.
static TEXTS: [u8; TABLES[0].len() + TABLES[1].len() + TABLES[2].len() + TABLES[3].len()] = {
    let mut texts = [0; _];
    let (mut table, mut from, mut to) = (0, 0, 0);
    while table < TABLES.len() {
        while from < TABLES[table].len() {
            texts[to] = TABLES[table].as_bytes()[from];
            (from, to) = (from + 1, to + 1);
        }
        (table, from) = (table + 1, 0);
    }
    texts
};

/// The text at `place`; nothing beyond the last one.
pub fn at(place: usize) -> Text<'static> {
    words::text_at(&TEXTS, place)
}

/// How many texts there are in `texts`.
const fn count(texts: &str) -> usize {
    let (mut count, mut index) = (0, 0);
    while index < texts.len() {
        count += (texts.as_bytes()[index] == 0) as usize;
        index += 1;
    }
    count
}
