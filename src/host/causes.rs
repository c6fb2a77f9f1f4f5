//! An error tells what failed. Why it failed is mostly in its causes.

use std::error::Error;

/// The error and its causes in one line. A cause that was quoted already is not told twice.
#[must_use]
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// The last cause, or the error itself. It is mostly enough, and it has no address in it, which may hold private parts.
#[must_use]
pub fn last(error: &dyn Error) -> String {
    let Some(mut last) = error.source() else { return error.to_string() };
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Because {
        said: &'static str,
        source: Option<Box<Because>>,
    }

    #[test]
    fn each_cause_is_told_once() {
        let because = |said, source: Option<Because>| Because { said, source: source.map(Box::new) };
        let error = because("no call: no name", Some(because("no name", Some(because("no server", None)))));
        assert_eq!((in_one_line(&error), last(&error)), ("no call: no name: no server".into(), "no server".into()));
        let alone = because("alone", None);
        assert_eq!((in_one_line(&alone), last(&alone)), ("alone".into(), "alone".into()));
    }
}
