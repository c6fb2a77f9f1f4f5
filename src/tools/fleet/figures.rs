//! What was measured, as a table or as JSON.

use super::audit::Audit;
use super::computer::Taken;
use super::status_calls::StatusCalls;
use super::yard::Presence;
use serde::Serialize;

/// The aims, for ten thousand machines and two backends.
const MEMORY_MB: f64 = 200.0;
const P99_MS: f64 = 50.0;
const BACK_S: f64 = 120.0;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// How many machines.
    pub machines: usize,
    /// How many backends.
    pub backends: usize,
    /// How many brokers.
    pub brokers: usize,
    /// `sqlite` or `postgresql`.
    pub database: &'static str,
    /// All got their power at once.
    pub connect: Back,
    /// Nothing happened.
    pub idle: Idle,
    /// Sales at an even pace.
    pub sell: Sold,
    /// A part was away.
    pub silence: Silence,
    /// The broker was away.
    pub restart: Back,
    /// What the backend knows of its machines at the end.
    pub presence: Presence,
    /// The money.
    pub audit: Audit,
}

/// Machines that came back.
#[derive(Debug, Serialize)]
pub struct Back {
    /// How many.
    pub machines: usize,
    /// Until the last one had its open orders from the backend, in seconds.
    pub answered_s: f64,
    /// Until the status of the last one was seen through the broker.
    pub seen_s: f64,
    /// Until every paid order had its receipt, and the backend knew its end.
    pub settled_s: f64,
    /// Orders that were not paid then, and had not ended.
    pub open: usize,
    /// How often Midtrans was asked in this time.
    pub get_status: StatusCalls,
    /// Questions that the backend did not answer in this time. They were asked again.
    pub unanswered: u64,
    /// What the backends took at the end.
    pub backends: Taken,
}

/// What idle machines cost.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// How long.
    pub seconds: u64,
    /// All backends together, at the end.
    pub backends: Taken,
    /// All brokers together, at the end.
    pub brokers: Taken,
    /// A PostgreSQL that it has started, at the end.
    pub postgres: Option<Taken>,
    /// Of one processor.
    pub backends_cpu_percent: f64,
    /// Of one processor.
    pub brokers_cpu_percent: f64,
}

/// What sales cost.
#[derive(Debug, Serialize)]
pub struct Sold {
    /// How many.
    pub sales: u64,
    /// How many a second came to be.
    pub a_second: f64,
    /// How many receipts the broker brought. The others came as an answer of the backend.
    pub by_broker: usize,
    /// From the notification to the receipt at the machine.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// The same.
    pub most_ms: f64,
    /// All backends together.
    pub backends_cpu_ms_a_sale: f64,
    /// A PostgreSQL that it has started.
    pub postgres_cpu_ms_a_sale: Option<f64>,
}

/// Machines that were away.
#[derive(Debug, Serialize)]
pub struct Silence {
    /// How many.
    pub machines: usize,
    /// How many of them had a customer, who paid meanwhile.
    pub busy: usize,
    /// Until the broker had said of all of them that they are offline.
    pub seen_s: f64,
    /// Their return.
    pub back: Back,
}

impl Figures {
    /// A table in markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let Self { machines, backends, brokers, database, connect, idle, sell, silence, restart, presence, audit } = self;
        let mut text = format!("| {machines} machines, {backends} × qris-backend on {database}, {brokers} × Mosquitto | | aim |\n");
        text += "| --- | ---: | --- |\n";
        let mut row = |what: &str, figure: String, aim: &str| text += &format!("| {what} | {figure} | {aim} |\n");
        let seconds = |back: &Back| format!("{:.1} s", back.answered_s.max(back.seen_s).max(back.settled_s));
        let memory = |taken: Taken| format!("{:.1} MB ({:.1})", mb(taken.resident_kib), mb(taken.anonymous_kib));
        let ms = |ms: f64| format!("{ms:.1} ms");
        let asked = |back: &Back| format!("{} ({}, {})", back.get_status.busiest_second, back.get_status.all, back.get_status.hasty);
        row("all get their power at once → all connected, seen and answered", seconds(connect), "");
        row("resident memory of the backends together, idle (anonymous)", memory(idle.backends), &format!("≤ {MEMORY_MB} MB"));
        row("resident memory of the brokers together, idle (anonymous)", memory(idle.brokers), "");
        if let Some(postgres) = idle.postgres {
            row("memory of PostgreSQL's processes that is theirs alone, idle", format!("{:.1} MB", mb(postgres.anonymous_kib)), "");
        }
        row("processor time of the backends, idle, of one core", format!("{:.1} %", idle.backends_cpu_percent), "");
        row("processor time of the brokers, idle, of one core", format!("{:.1} %", idle.brokers_cpu_percent), "");
        row("sales", format!("{} at {:.1} a second", sell.sales, sell.a_second), "");
        row("notification → receipt at the machine, through the broker: p50", ms(sell.p50_ms), "");
        row("… p99", ms(sell.p99_ms), &format!("≤ {P99_MS} ms"));
        row("… the longest", ms(sell.most_ms), "");
        row("processor time of the backends for a sale", ms(sell.backends_cpu_ms_a_sale), "");
        if let Some(postgres) = sell.postgres_cpu_ms_a_sale {
            row("processor time of PostgreSQL for a sale", ms(postgres), "");
        }
        let what = format!("{} machines lose their network → all seen offline (the will waits 30 s)", silence.machines);
        row(&what, format!("{:.1} s", silence.seen_s), "");
        row("… all of them back at once → seen, answered, and every order settled", seconds(&silence.back), "");
        row("the broker was restarted → all machines back, answered, and every order settled", seconds(restart), &format!("≤ {BACK_S} s"));
        row("… get-status in the busiest second (in all, too soon)", asked(restart), "none too soon");
        row("… open orders then", restart.open.to_string(), "");
        row("… resident memory of the backends together (anonymous)", memory(restart.backends), &format!("≤ {MEMORY_MB} MB"));
        row("machines that the backend knows to be there, and to be missing", format!("{}, {}", presence.there, presence.missing), "");
        let Audit { orders, refused, paid, receipts, delivered, refund_due, wrong } = audit;
        let agree = if wrong.is_empty() { "the books agree" } else { "the books do not agree" };
        let what = format!("{orders} orders ({refused} requests without a QR): paid, receipts, delivered, refunds due");
        row(&what, format!("{paid}, {receipts}, {delivered}, {refund_due}"), agree);
        text
    }

    /// Which aims are missed, in words.
    #[must_use]
    pub fn misses(&self) -> Vec<String> {
        let all = [
            ("the backends' memory, idle", mb(self.idle.backends.resident_kib), MEMORY_MB, "MB"),
            ("the backends' memory, after a restart of the broker", mb(self.restart.backends.resident_kib), MEMORY_MB, "MB"),
            ("notification → receipt, p99", self.sell.p99_ms, P99_MS, "ms"),
            ("all back after a restart of the broker", self.restart.settled_s.max(self.restart.seen_s), BACK_S, "s"),
        ];
        let missed = all.into_iter().filter(|(_, figure, aim, _)| figure > aim);
        missed.map(|(what, figure, aim, unit)| format!("{what}: {figure:.1} {unit}, and the aim is {aim} {unit}")).collect()
    }

    /// What must not be, in words.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.audit.wrong.clone();
        for (when, back) in [("connecting", &self.connect), ("returning", &self.silence.back), ("the broker's return", &self.restart)] {
            if back.get_status.hasty > 0 {
                wrong.push(format!("{when}: the backend asked Midtrans too soon, {} times", back.get_status.hasty));
            }
        }
        wrong
    }
}

fn mb(kib: u64) -> f64 {
    kib as f64 * 1.024e-3
}
