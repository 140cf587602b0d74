//! Records: what a launcher reads, and what relay writes.

#![no_main]

use exec_relay::errno::Errno;
use exec_relay::status::{Concern, Failure, Record, Report, Step, attendant_record, exit_status};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (records, _) = input.as_chunks::<{ Record::SIZE }>();
    records.iter().for_each(read);
    if let Some(words) = input.first_chunk::<12>() {
        write(*words);
    }
});

/// Any bytes are a record, which says what they say, or none.
fn read(bytes: &[u8; Record::SIZE]) {
    let record = Record::decode(bytes);
    assert_eq!(record.is_some(), bytes.starts_with(b"RLY\x02"));
    let Some(record) = record else { return };
    assert_eq!(record.encode().as_flattened(), bytes);
    assert_eq!(record == Record::READY, bytes[4..] == [0; 12]);
    let Some(step) = Step::from_number(record.step) else {
        assert!(record.step as usize >= Step::ALL.len(), "a step that this version has");
        return;
    };
    assert_eq!(u32::from(step.number()), record.step);
    // What a message calls it.
    if let Some(name) = step.concern().name(record.detail) {
        assert!(name.as_c_str().to_bytes().is_ascii());
        assert!(matches!(step.concern(), Concern::Resource | Concern::Capability | Concern::Attribute));
    }
}

/// What relay says of any failure reads back.
fn write(words: [u8; 12]) {
    let [step, errno, detail] = *words.as_chunks::<4>().0 else { panic!("three words") };
    let [step, errno, detail] = [step, errno, detail].map(u32::from_ne_bytes);
    let step = Step::ALL[step as usize % Step::ALL.len()];
    let errno = errno % 4096;
    let failure =
        if errno == 0 { Failure::without_errno(step, detail) } else { Failure::new(step, Errno::new(errno), detail) };
    assert_eq!((failure.step(), failure.errno(), failure.detail), (step, errno, detail));

    let record = Record::of(failure);
    let bytes = record.encode();
    let bytes = bytes.as_flattened().try_into().expect("the size of a record");
    assert_eq!(Record::decode(bytes), Some(record));
    assert_eq!((record.step, record.detail), (step.number().into(), detail));
    // Nobody takes a failure for success.
    assert_ne!(record.errno, 0);
    assert_ne!(record, Record::READY);
    let [code, attendant_errno] = attendant_record(failure).map(u32::from_ne_bytes);
    assert_eq!((code, attendant_errno), (step.attendant_code().into(), errno));
    for report in [Report::Message(2), Report::Records(9), Report::Attendant(9)] {
        for recorded in [false, true] {
            let status = exit_status::of(report, failure, recorded);
            assert!(matches!(status, 1 | 125..=127), "{status}");
            assert_eq!(status == 1, matches!(report, Report::Attendant(_)) && recorded);
        }
    }
}
