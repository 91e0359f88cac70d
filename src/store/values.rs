//! Values of a row as they are kept: short, and in the order of the row's layout.

use std::fmt::Write;

/// Digits that are kept of a number that is not whole.
const DIGITS: i32 = 6;
/// Whole numbers below this are exact in a double.
const EXACT: f64 = 9e15;

/// A value as it is kept: whole numbers exactly, others to six significant digits.
pub(super) fn kept(value: f64) -> f64 {
    if is_whole(value) {
        return value;
    }
    let exponent = value.abs().log10().floor() as i32;
    let shift = DIGITS - 1 - exponent;
    // Powers of ten that a double does not hold exactly would undo the rounding.
    if (-22..=22).contains(&shift) {
        if shift >= 0 {
            let by = 10f64.powi(shift);
            (value * by).round() / by
        } else {
            let by = 10f64.powi(-shift);
            (value / by).round() * by
        }
    } else {
        value
    }
}

fn is_whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() < EXACT
}

/// Writes values as a JSON array.
pub(super) fn to_text(values: &[f64]) -> String {
    let mut text = String::with_capacity(2 + values.len() * 7);
    write_array(&mut text, values);
    text
}

fn write_array(text: &mut String, values: &[f64]) {
    text.push('[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        let value = kept(*value);
        // Writing to a string does not fail.
        let _ = if is_whole(value) { write!(text, "{}", value as i64) } else { write!(text, "{value:?}") };
    }
    text.push(']');
}

/// Writes several lists of values as a JSON array of arrays.
pub(super) fn lists_to_text(lists: [&[f64]; 4]) -> String {
    let mut text = String::with_capacity(10 + lists[0].len() * 26);
    text.push('[');
    for (i, list) in lists.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        write_array(&mut text, list);
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_exact_and_others_keep_six_digits() {
        assert_eq!(to_text(&[12.0, 0.0, -0.0, 7_912_345_678_901.0]), "[12,0,0,7912345678901]");
        assert_eq!(to_text(&[12.345_678_9, 0.000_123_456_789, -99.999_999_9]), "[12.3457,0.000123457,-100]");
        assert_eq!(to_text(&[1e300, 1_234_567.891]), "[1e300,1234570]");
    }

    #[test]
    fn what_was_written_reads_back_as_what_is_kept() {
        for value in [0.1, 1e-9, 123_456.789, 5e-324, f64::MAX, 33.333_333, -7.25] {
            let read: Vec<f64> = serde_json::from_str(&to_text(&[value])).unwrap();
            assert_eq!(read, [kept(value)], "{value}");
        }
    }
}
