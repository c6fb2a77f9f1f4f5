//! A charge is entered, or refused.

use super::channel::{Channel, Store};
use super::charge::{self, Charge};
use super::transaction::{Fraud, Status, Transaction};
use super::{Midtrans, Request, SimulatedAnswer};
use crate::midtrans::faults::{Fault, Moment};
use qris_core::order::time::Wall;

/// How many addresses of the two headers count; another page of the documents says two.
const NOTIFICATION_URLS_MAX: usize = 3;

impl Midtrans {
    pub(super) fn charge(&mut self, request: &Request, order_id: &str, now: Wall) -> (SimulatedAnswer, Option<Fault>) {
        let charge = match charge::read(&request.body, &self.options, now) {
            Ok(charge) => charge,
            Err(refused) => return (self.refused(refused), None),
        };
        if self.books.is_full() {
            return (self.error(503, "The simulator's books are full: start it anew"), None);
        }
        if self.books.of_order(order_id).is_some_and(|(_, old)| !old.status.frees_order_id()) {
            let why =
                "The request could not be completed due to a conflict with the current state of the target resource, please try again";
            return (self.error(406, why), None);
        }
        let fault = self.faults.take(Moment::Charge, "charge", order_id);
        let fee = if let Some(Fault::ImposeFee { rupiah }) = fault { rupiah } else { self.options.fee };
        let mut transaction = self.enter(charge, fee, request, now);
        if let Some(Fault::Deny { code }) = fault {
            transaction.status = Status::Deny;
            let answer = self.answer(&transaction.denied(&self.options, code));
            let at = self.books.add(transaction);
            self.notify(at, now);
            return (answer, fault);
        }
        let answer = self.answer(&transaction.charged(&self.options));
        let at = self.books.add(transaction);
        self.notify(at, now);
        (answer, fault)
    }

    fn enter(&mut self, charge: Charge, fee: u64, request: &Request, now: Wall) -> Transaction {
        let gross = charge.amount.saturating_add(fee);
        let channel = charge.channel;
        let code = match channel {
            Channel::Cstore(Store::Alfamart) => format!("8127{}", self.digits(12)),
            Channel::Cstore(Store::Indomaret) => format!("5781{}", self.digits(8)),
            Channel::Gopay | Channel::Qris(_) => String::new(),
        };
        let (payload, image_token) = if channel.has_qr() {
            let asked = if self.options.fee_in_status { charge.amount } else { gross };
            let mut payload = self.options.merchant.payload(asked, &self.rng.uuid());
            if self.options.small_check_value {
                let text = payload.len() - 4;
                payload[text..].make_ascii_lowercase();
            }
            (payload, format!("A1{}{:012}ID", now.0, self.rng.below(1_000_000_000_000)))
        } else {
            (String::new(), String::new())
        };
        Transaction {
            id: self.rng.uuid(),
            gross,
            status: Status::Pending,
            fraud: Fraud::Accept,
            made_at: now,
            settled_at: None,
            paid_via: None,
            failed_attempts: 0,
            payload,
            image_token,
            deeplink_id: self.rng.uuid(),
            code,
            reference: self.rng.uuid(),
            urls: self.notification_urls(request),
            refunds: Vec::new(),
            refund_keys: Vec::new(),
            charged_back: 0,
            charge,
        }
    }

    /// This many digits. They look random, and a number comes again only after 10^`count` others.
    fn digits(&mut self, count: u32) -> String {
        // The step has no factor in common with ten, so the steps go through all numbers.
        const STEP: u64 = 61_803_399;
        self.codes = self.codes.wrapping_add(1);
        let place = self.options.seed.wrapping_add(self.codes) % 10_u64.pow(count);
        let number = u128::from(place) * u128::from(STEP) % 10_u128.pow(count);
        format!("{number:0width$}", width = count as usize)
    }

    fn notification_urls(&self, request: &Request) -> Vec<String> {
        let list = |header: &str| header.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect::<Vec<_>>();
        let mut urls = match (&request.override_notification, &request.append_notification) {
            (Some(instead), _) => list(instead),
            (None, Some(beside)) => [self.options.notification_urls.clone(), list(beside)].concat(),
            (None, None) => self.options.notification_urls.clone(),
        };
        urls.truncate(NOTIFICATION_URLS_MAX);
        urls
    }
}
