//! The rows of all tables: each has a checksum, and its values are checked when they are read.

use super::StoreError;
use qris_core::order::money::Rupiah;
use qris_core::order::tries::TryNumber;
use qris_host::checksum::checksum;

/// The checksum of a row, whose first value is what kind of row it is.
pub(super) fn sum(columns: &[&str]) -> String {
    qris_core::hex(&checksum(&columns))
}

pub(super) fn same(written: &str, columns: &[&str], table: &str, key: &str) -> Result<(), StoreError> {
    if sum(columns) == written { Ok(()) } else { Err(StoreError::Damaged(format!("the checksum of {table} {key} is wrong"))) }
}

pub(super) fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Damaged(format!("{text:?}: {error}")))
}

pub(super) fn rupiah(amount: i64) -> Result<Rupiah, StoreError> {
    let amount = u64::try_from(amount).ok().and_then(|amount| Rupiah::new(amount).ok());
    amount.ok_or_else(|| StoreError::Damaged("an amount is out of range".into()))
}

pub(super) fn nth(number: i64) -> Result<TryNumber, StoreError> {
    let number = u32::try_from(number).ok().and_then(|number| TryNumber::try_from(number).ok());
    number.ok_or_else(|| StoreError::Damaged("the number of a try is out of range".into()))
}

pub(super) fn whole(amount: Rupiah) -> i64 {
    i64::try_from(amount.get()).expect("an amount is at most 1,000,000,000")
}
