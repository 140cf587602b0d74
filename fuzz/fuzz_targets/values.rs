//! The readers of values against simple ones, which have the whole text at once. A setting a line, as relay takes it,
//! `--option=value`.

#![no_main]

mod lines;

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::ops::RangeInclusive;

use exec_relay::attribute::Attribute;
use exec_relay::options::{self, Name};
use exec_relay::scheduling::{MOST_PROCESSORS, NO_PROCESSORS, Processors};
use exec_relay::settings::{Setting, Settings};
use exec_relay::text::Text;
use exec_relay::value::Value;
use exec_relay::{capability, limit, signal};
use libfuzzer_sys::fuzz_target;
use lines::lines;

fuzz_target!(|input: &[u8]| {
    let arguments = lines(input);
    let mut all = Settings::default();
    for argument in &arguments {
        let Ok((Name::Setting(setting), Some(text))) = options::parse(argument.as_c_str().into()) else { continue };
        let mut alone = Settings::default();
        let is_good = read(&mut alone, setting, text);
        let value = text.as_c_str().to_str();
        let expected = value.ok().and_then(|value| expected(setting, value));
        assert_eq!(is_good, expected.is_some(), "{argument:?} is {expected:?}");
        let Some(expected) = expected else { continue };
        assert_eq!(found(&alone, setting), expected, "{argument:?}");
        assert_reads_back(&alone);
        assert!(read(&mut all, setting, text), "{argument:?} is good alone");
    }
    assert_reads_back(&all);
});

fn read<'s>(settings: &mut Settings<'s>, setting: Setting, text: Text<'s>) -> bool {
    let mut value = Value::new(text);
    settings.read(setting, &mut value).is_ok() && value.finish().is_ok()
}

fn written(settings: &Settings) -> Vec<CString> {
    let mut arguments = Vec::new();
    settings.write(&mut |argument| arguments.push(CString::new(argument.to_string()).expect("no NUL")));
    arguments
}

fn assert_reads_back(settings: &Settings) {
    let arguments = written(settings);
    let mut again = Settings::default();
    for argument in &arguments {
        let (name, value) = options::parse(argument.as_c_str().into()).expect("an option");
        let Name::Setting(setting) = name else { panic!("{argument:?} is no setting") };
        assert!(read(&mut again, setting, value.expect("a value")), "{argument:?}");
    }
    assert_eq!(again, *settings);
}

/// What a setting is, as its one argument says it; lists of which the text is kept, by their numbers.
fn found(settings: &Settings, setting: Setting) -> String {
    match (setting, settings.processors, settings.user) {
        (Setting::Cpus, Some(processors @ Processors::List(_)), _) => {
            let mut mask = NO_PROCESSORS;
            processors.add_to(&mut mask);
            let has = |number: &u32| mask[(number / usize::BITS) as usize] >> (number % usize::BITS) & 1 != 0;
            list((0..MOST_PROCESSORS as u32).filter(has))
        }
        (Setting::User, _, Some(user)) => {
            format!(
                "{}:{}:{}",
                user.user,
                user.group,
                user.groups().map(|group| format!("{group},")).collect::<String>()
            )
        }
        _ => {
            let arguments = written(settings);
            let [argument] = arguments.as_slice() else { panic!("{arguments:?}") };
            let argument = argument.to_str().expect("UTF-8");
            argument.split_once('=').map_or("", |(_, value)| value).to_owned()
        }
    }
}

/// The same by the manual page; nothing where the value is malformed.
fn expected(setting: Setting, value: &str) -> Option<String> {
    let i32_max = i64::from(i32::MAX);
    match setting {
        Setting::Umask => {
            let is_octal = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
            let number = value.trim_start_matches('0');
            (is_octal && number.len() <= 3).then(|| if number.is_empty() { "0" } else { number }.to_owned())
        }
        Setting::Nice => number(value, -20..=19).map(|number| number.to_string()),
        Setting::OomScoreAdj => number(value, -1000..=1000).map(|number| number.to_string()),
        Setting::TimerSlack => number(value, 1..=i32_max).map(|number| number.to_string()),
        Setting::Ctty | Setting::ProcessGroup | Setting::DieWithParent => {
            number(value, 0..=i32_max).map(|number| number.to_string())
        }
        Setting::KeepIgnored if value == "all" => Some("all".to_owned()),
        Setting::Ignore | Setting::Block | Setting::KeepIgnored => {
            let signals: Option<BTreeSet<_>> = value.split(',').map(signal_number).collect();
            signals.filter(|signals| signals.iter().all(|&signal| signal::can_be_changed(signal))).map(list)
        }
        Setting::Caps if value == "none" => Some("none".to_owned()),
        Setting::Caps => {
            let capabilities: Option<BTreeSet<_>> = value.split(',').map(capability_number).collect();
            capabilities.map(list)
        }
        Setting::Reset if value == "all" => Some("all".to_owned()),
        Setting::Reset => {
            let texts: Vec<&str> = Attribute::ALL.iter().map(|attribute| str_of(attribute.text())).collect();
            let asked: Vec<&str> = value.split(',').collect();
            let in_order: Vec<&str> = texts.iter().copied().filter(|text| asked.contains(text)).collect();
            let all = if in_order == texts { "all".to_owned() } else { in_order.join(",") };
            asked.iter().all(|word| texts.contains(word)).then_some(all)
        }
        Setting::Nofile => {
            let limit = |value| if value == "hard" { Some("hard".to_owned()) } else { plain(value, i32_max as u64) };
            let (soft, hard) = value.split_once(':').unwrap_or((value, "hard"));
            Some(format!("{}:{}", limit(soft)?, limit(hard)?))
        }
        Setting::Limit => {
            let (name, limits) = value.split_once('=')?;
            (0..limit::RESOURCES as u32).find(|&resource| str_of(limit::name(resource)) == name)?;
            let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
            let limit = |value| match value {
                "" | "hard" | "unlimited" => Some(value.to_owned()),
                _ => plain(value, u64::MAX - 3),
            };
            (soft, hard).ne(&("", "")).then_some(())?;
            Some(format!("{name}={}:{}", limit(soft)?, limit(hard)?))
        }
        Setting::Sched => match value.split_once(':') {
            Some((policy @ ("fifo" | "rr"), priority)) => Some(format!("{policy}:{}", number(priority, 1..=99)?)),
            _ => matches!(value, "other" | "batch" | "idle").then(|| value.to_owned()),
        },
        Setting::Ionice => match value.split_once(':') {
            Some((class @ ("best-effort" | "realtime"), level)) => Some(format!("{class}:{}", number(level, 0..=7)?)),
            None if matches!(value, "best-effort" | "realtime") => Some(format!("{value}:4")),
            _ => matches!(value, "none" | "idle").then(|| value.to_owned()),
        },
        Setting::Cpus if value == "all" => Some("all".to_owned()),
        Setting::Cpus => {
            let mut processors = BTreeSet::new();
            for range in value.split(',') {
                let highest = MOST_PROCESSORS as i64 - 1;
                let (range, stride) = match range.split_once(':') {
                    Some((range, stride)) if range.contains('-') => (range, number(stride, 1..=highest)?),
                    Some(_) => return None,
                    None => (range, 1),
                };
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let first = number(first, 0..=highest)?;
                processors.extend((first..=number(last, first..=highest)?).step_by(stride as usize));
            }
            Some(list(processors))
        }
        Setting::User => {
            let (user, rest) = value.split_once(':')?;
            let mut ids = rest.split(',').map(|id| plain(id, u64::from(u32::MAX) - 1)).collect::<Option<Vec<_>>>()?;
            let (user, group) = (plain(user, u64::from(u32::MAX) - 1)?, ids.remove(0));
            (ids.len() <= 256)
                .then(|| format!("{user}:{group}:{}", ids.iter().map(|id| format!("{id},")).collect::<String>()))
        }
        Setting::KeepInherited | Setting::KeepTimers | Setting::Setsid | Setting::NoNewPrivs | Setting::NewKeyring => {
            value.is_empty().then(String::new)
        }
    }
}

/// A number in digits alone, up to `most`.
fn plain(value: &str, most: u64) -> Option<String> {
    let is_decimal = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = value.parse().ok().filter(|_| is_decimal)?;
    (number <= most).then(|| number.to_string())
}

/// The same with a minus sign where there are negative ones.
fn number(value: &str, range: RangeInclusive<i64>) -> Option<i64> {
    let digits = if *range.start() < 0 { value.strip_prefix('-').unwrap_or(value) } else { value };
    plain(digits, i32::MAX as u64)?;
    value.parse().ok().filter(|number| range.contains(number))
}

fn signal_number(value: &str) -> Option<u32> {
    let value = value.to_ascii_uppercase();
    let value = value.strip_prefix("SIG").unwrap_or(&value);
    let offset = |digits| plain(digits, 30).and_then(|offset| offset.parse::<u32>().ok());
    match value {
        "RTMIN" => Some(34),
        "RTMAX" => Some(64),
        "POLL" => Some(29),
        _ if value.starts_with("RTMIN+") => Some(34 + offset(&value[6..])?),
        _ if value.starts_with("RTMAX-") => Some(64 - offset(&value[6..])?),
        _ => {
            let by_name = (1..32).find(|&signal| str_of(signal::name(signal)) == value);
            by_name.or_else(|| number(value, 1..=64).map(|signal| signal as u32))
        }
    }
}

fn capability_number(value: &str) -> Option<u32> {
    let value = value.to_ascii_uppercase();
    let value = value.strip_prefix("CAP_").unwrap_or(&value);
    let by_name =
        (0..=capability::HIGHEST).find(|&number| !value.is_empty() && str_of(capability::name(number)) == value);
    by_name.or_else(|| number(value, 0..=i64::from(capability::HIGHEST)).map(|number| number as u32))
}

fn str_of(text: Text<'static>) -> &'static str {
    let text: &CStr = text.as_c_str();
    text.to_str().expect("UTF-8")
}

fn list<Number: ToString>(numbers: impl IntoIterator<Item = Number>) -> String {
    let numbers: Vec<_> = numbers.into_iter().map(|number| number.to_string()).collect();
    numbers.join(",")
}
