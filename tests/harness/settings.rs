//! Settings as text: what is written reads back as what it was.

use std::ffi::{CStr, CString};

use exec_relay::options::{self, Name};
use exec_relay::settings::{Setting, Settings};
use exec_relay::text::Text;
use exec_relay::value::{Arity, Value};
use proptest::prelude::*;

/// Reads an argument, as relay does, into `settings`.
fn read<'s>(settings: &mut Settings<'s>, argument: &'s CStr) {
    let (name, value) = options::parse(Text::from(argument)).expect("an option");
    let Name::Setting(setting) = name else { panic!("{argument:?} is no setting") };
    let mut value = Value::new(value.expect("a value"));
    settings.read(setting, &mut value).expect("a good value");
    value.finish().expect("nothing is left");
}

fn written(settings: &Settings) -> Vec<String> {
    let mut arguments = Vec::new();
    settings.write(&mut |argument| arguments.push(argument.to_string()));
    arguments
}

fn any() -> impl Strategy<Value = Settings<'static>> {
    prop::collection::vec(prop::num::u32::ANY, 100).prop_map(|numbers| {
        let mut numbers = numbers.into_iter().cycle();
        Settings::any(&mut || numbers.next().expect("an endless supply"))
    })
}

#[test]
fn default_settings_are_no_arguments() {
    assert_eq!(written(&Settings::default()), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(settings in any()) {
        let arguments: Vec<_> = written(&settings).into_iter().map(|text| CString::new(text).expect("no NUL")).collect();
        let mut again = Settings::default();
        arguments.iter().for_each(|argument| read(&mut again, argument));
        prop_assert_eq!(again, settings);
    }
}

/// The property is of use only where every setting takes part in it.
#[test]
fn every_setting_is_written_by_some() {
    let mut number = 0_u32;
    let mut next = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number >> 8
    };
    let all: Vec<String> = (0..100).flat_map(|_| written(&Settings::any(&mut next))).collect();
    for &setting in Setting::ALL {
        let option = format!("--{}", setting.text().as_c_str().to_str().expect("UTF-8"));
        let with_value = format!("{option}=");
        let has = |argument: &String| match setting.arity() {
            Arity::None => *argument == option,
            Arity::Optional | Arity::Required => argument.starts_with(&with_value),
        };
        assert!(all.iter().any(has), "{option} is never written");
    }
}
