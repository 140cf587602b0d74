//! What relay says, packed: a third of the file would be text otherwise.
//!
//! Byte-pair encoding, as the kernel has it for its symbols (scripts/kallsyms.c): the most frequent pair of bytes is
//! replaced everywhere by one byte that no text has, then the next one, and so on. All of that happens when this is
//! compiled. A byte from [`FIRST_PAIR`] up stands for its pair, in which there may be such bytes again.

use exec_relay::status::Step;
use exec_relay::sys::Text;
use exec_relay::words;

use crate::{message, slate};

/// The messages of the steps begin here, in the order of their numbers.
pub const MESSAGES: usize = 0;
/// The errnos in words, in the order of [`words::errno_place`].
pub const ERRNOS: usize = MESSAGES + count(Step::MESSAGES);
/// The facts that are signals, then those that are numbers, then those that are descriptors.
pub const FACTS: usize = ERRNOS + count(words::ERRNOS);
/// [`message::OTHERS`].
pub const OTHERS: usize = FACTS + count(slate::FACTS);

/// All of them, each ended by a NUL.
const ALL: [&str; 4] = [Step::MESSAGES, words::ERRNOS, slate::FACTS, message::OTHERS];

const LENGTH: usize = ALL[0].len() + ALL[1].len() + ALL[2].len() + ALL[3].len();
const FIRST_PAIR: u8 = 0x80;
const PAIRS: usize = 128;

static PACKED: [u8; PACKING.length] = {
    let mut packed = [0; PACKING.length];
    let mut index = 0;
    while index < packed.len() {
        packed[index] = PACKING.text[index];
        index += 1;
    }
    packed
};

static PAIR: [[u8; 2]; PAIRS] = PACKING.pairs;

/// The text at `place`, packed; nothing beyond the last one.
pub fn at(place: usize) -> Text<'static> {
    words::text_at(&PACKED, place)
}

/// The two bytes that `byte` stands for, where it is not one of a text's own.
pub fn pair(byte: u8) -> Option<&'static [u8; 2]> {
    PAIR.get(usize::from(byte.wrapping_sub(FIRST_PAIR)))
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

struct Packing {
    text: [u8; LENGTH],
    length: usize,
    pairs: [[u8; 2]; PAIRS],
}

const PACKING: Packing = pack();

#[allow(long_running_const_eval, reason = "a second, and nothing of it is in the program")]
const fn pack() -> Packing {
    let mut packing = Packing { text: [0; LENGTH], length: 0, pairs: [[0; 2]; PAIRS] };
    let (mut table, mut index) = (0, 0);
    while table < ALL.len() {
        while index < ALL[table].len() {
            packing.text[packing.length] = ALL[table].as_bytes()[index];
            packing.length += 1;
            index += 1;
        }
        (table, index) = (table + 1, 0);
    }
    let mut number = 0;
    while number < PAIRS {
        packing.pairs[number] = most_frequent_pair(&packing);
        packing = replace(packing, number);
        number += 1;
    }
    packing
}

/// None has a NUL, which stays what ends a text.
const fn most_frequent_pair(packing: &Packing) -> [u8; 2] {
    let mut counts = [0_u16; 1 << 16];
    let (mut most, mut pair) = (0, [0; 2]);
    let mut index = 1;
    while index < packing.length {
        let (left, right) = (packing.text[index - 1], packing.text[index]);
        if left != 0 && right != 0 {
            let count = &mut counts[(left as usize) << 8 | right as usize];
            *count += 1;
            if *count > most {
                (most, pair) = (*count, [left, right]);
            }
        }
        index += 1;
    }
    pair
}

/// Replaces a pair by the byte that stands for it.
const fn replace(mut packing: Packing, number: usize) -> Packing {
    let [left, right] = packing.pairs[number];
    let (mut from, mut to) = (0, 0);
    while from < packing.length {
        let is_pair = packing.text[from] == left && from + 1 < packing.length && packing.text[from + 1] == right;
        packing.text[to] = if is_pair { FIRST_PAIR + number as u8 } else { packing.text[from] };
        from += 1 + is_pair as usize;
        to += 1;
    }
    packing.length = to;
    packing
}
