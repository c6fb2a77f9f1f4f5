//! `qris-backend stock`: what is in the machines, and what to bring to them, as a table, CSV or JSON.

use super::opening::machines;
use super::orders::device_id;
use super::print::Shown::Text;
use super::print::{Field, Out, left, lines_of, right};
use super::progress::Progress;
use super::text::{fill, texts};
use crate::config::Config;
use crate::csv::Separator;
use crate::machines::stock::{self, Kept, Load, Machine, Packing, State, Which};
use clap::Args;
use qris_core::order::ids::DeviceId;
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Wall, Zone};
use qris_core::text::named;
use qris_host::Failure;
use serde_json::{Value, json};

/// So many machines are named to a person of which nothing is known.
const NAMED_MAX: usize = 20;

/// What is shown, and how.
#[derive(Debug, Args)]
pub struct StockArguments {
    /// Only of this machine
    #[arg(long, value_name = "ID", value_parser = device_id)]
    device: Option<DeviceId>,
    /// What to bring: the machines that want to be filled or counted, with all slots in which something fits, and the sum by goods
    #[arg(long)]
    to_fill: bool,
    /// Print CSV (RFC 4180): one record for each slot; with --to-fill the sums by goods come last
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// What stands between two fields of CSV: a spreadsheet with Indonesian settings expects `;`
    #[arg(long, value_name = "SIGN", requires = "csv", default_value = ",", hide_possible_values = true)]
    separator: Separator,
    /// One JSON object a line for each machine; with --to-fill one object
    #[arg(long)]
    json: bool,
}

impl StockArguments {
    pub(super) const fn is_for_a_person(&self) -> bool {
        !self.json && !self.csv
    }
}

pub async fn run(config: &Config, asked: StockArguments) -> Result<(), Failure> {
    let (zone, mut packing, mut out) = (config.zone, Packing::default(), Out::default());
    let store = machines(config, false)?;
    let mut all = Vec::new();
    let mut behind = Some(Box::from(""));
    let which = if asked.to_fill { Which::Wanting } else { Which::All };
    let (mut progress, mut read) = (Progress::begin(), 0);
    while let Some(after) = behind {
        let page = store.read(move |tx| stock::page(tx, which, &after)).await.map_err(Failure::failed)?;
        read += page.machines.len();
        all.extend(page.machines.into_iter().filter(|machine| asked.device.as_ref().is_none_or(|device| *device == machine.device)));
        behind = page.behind;
        progress.says(|| fill(texts().progress_of_machines, &[&read]));
    }
    drop(progress);
    let mut untold = Vec::new();
    if asked.to_fill {
        untold = store.read(stock::untold).await.map_err(Failure::failed)?;
        untold.retain(|machine| asked.device.as_ref().is_none_or(|device| *device == machine.device));
        let loads: Vec<_> = all.into_iter().filter_map(Load::of).collect();
        loads.iter().for_each(|load| packing.add(load));
        all = loads.into_iter().map(|load| load.machine).collect();
    }
    if asked.json {
        if asked.to_fill {
            return out.line(&packing_list(&all, &untold, &packing, zone).to_string());
        }
        return all.iter().try_for_each(|machine| out.line(&as_json(machine, zone).to_string()));
    }
    if asked.csv {
        return out.text(&stock::csv(&all, &untold, &packing, zone, &stock::Form::of_words(asked.separator)));
    }
    match (all.is_empty(), asked.to_fill) {
        (false, true) => out.text(&as_packing_list(&all, &packing, zone))?,
        (false, false) => out.text(&as_table(&all, zone))?,
        (true, true) if untold.is_empty() => out.line(texts().nothing_to_fill)?,
        (true, true) => out.line(texts().nothing_known_to_fill)?,
        (true, false) => out.line(texts().no_stock)?,
    }
    if untold.is_empty() { Ok(()) } else { out.line(&of_untold(&untold)) }
}

/// Silence is not "nothing to bring".
fn of_untold(untold: &[Machine]) -> String {
    let mut names: Vec<_> = untold.iter().take(NAMED_MAX).map(place).collect();
    names.extend(untold.len().checked_sub(NAMED_MAX).filter(|more| *more > 0).map(|more| fill(texts().more_machines, &[&more])));
    fill(texts().stock_untold, &[&names.join(", ")])
}

fn minute(at: Option<Wall>, zone: Zone) -> String {
    at.map_or_else(|| "-".into(), |at| at.to_local(zone)[..16].into())
}

fn place(machine: &Machine) -> String {
    named(machine.name.as_deref(), machine.device.as_str())
}

fn in_it(kept: &Kept) -> String {
    format!("{}/{}", kept.slot.count.map_or_else(|| "?".into(), |count| count.to_string()), kept.slot.capacity)
}

fn state(kept: &Kept) -> String {
    let texts = texts();
    let barred = kept.slot.barred().map(|why| match why {
        NotSold::Blocked => texts.slot_blocked,
        NotSold::Line | NotSold::Price | NotSold::Suspect | NotSold::SoldOut | NotSold::Other(_) => texts.slot_not_sold,
    });
    let state = match kept.state() {
        State::Suspect => texts.slot_suspect.into(),
        State::SoldOut => texts.slot_sold_out.into(),
        State::Low => texts.slot_low.into(),
        State::Soon(0) => texts.slot_today.into(),
        State::Soon(days) => fill(texts.slot_soon, &[&days]),
        State::Unknown => texts.slot_unknown.into(),
        State::Good => String::new(),
    };
    [barred.unwrap_or_default(), &state].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn as_table(all: &[Machine], zone: Zone) -> String {
    let texts = texts();
    let fields: &[Field<(&Machine, &Kept, Zone)>] = &[
        Field(None, Some(left(texts.machine_column, 20)), |(machine, ..)| Text(Some(place(machine)))),
        Field(None, Some(left(texts.slot_column, 8)), |(_, kept, _)| Text(Some(kept.slot.item.to_string()))),
        Field(None, Some(left(texts.goods_column, 24)), |(_, kept, _)| Text(Some(kept.goods().to_owned()))),
        Field(None, Some(right(texts.left_column, 9)), |(_, kept, _)| Text(Some(in_it(kept)))),
        Field(None, Some(right(texts.sold_column, 7)), |(_, kept, _)| Text(Some(kept.slot.sold.to_string()))),
        Field(None, Some(left(texts.filled_column, 16)), |(_, kept, zone)| Text(Some(minute(kept.filled_at(), *zone)))),
        Field(None, Some(left(texts.told_column, 16)), |(machine, _, zone)| Text(Some(minute(machine.at, *zone)))),
        Field(None, Some(left(texts.state_column, 0)), |(_, kept, _)| Text(Some(state(kept)))),
    ];
    let slots: Vec<_> = all.iter().flat_map(|machine| machine.slots.iter().map(move |kept| (machine, kept, zone))).collect();
    lines_of(fields, &slots, zone)
}

/// By machine, and then the sum by goods.
fn as_packing_list(all: &[Machine], packing: &Packing, zone: Zone) -> String {
    let texts = texts();
    let fields: &[Field<&Kept>] = &[
        Field(None, Some(left(texts.slot_column, 8)), |kept| Text(Some(kept.slot.item.to_string()))),
        Field(None, Some(left(texts.goods_column, 40)), |kept| Text(Some(kept.goods().into()))),
        Field(None, Some(right(texts.left_column, 9)), |kept| Text(Some(in_it(kept)))),
        Field(None, Some(right(texts.bring_column, 6)), |kept| {
            Text(Some(kept.slot.room().map_or_else(|| "?".into(), |room| room.to_string())))
        }),
        Field(None, Some(left(texts.state_column, 0)), |kept| Text(Some(state(kept)))),
    ];
    let mut text = String::new();
    for machine in all {
        let at = machine.at.map_or_else(|| "-".into(), |at| at.to_local_named(zone));
        let slots: Vec<_> = machine.slots.iter().collect();
        text += &format!("{}\n{}\n", fill(texts.told_at, &[&place(machine), &at]), lines_of(fields, &slots, zone));
    }
    let fields: &[Field<(&str, u64)>] = &[
        Field(None, Some(right(texts.bring_column, 6)), |(_, count)| Text(Some(count.to_string()))),
        Field(None, Some(left(texts.goods_column, 0)), |(goods, _)| Text(Some((*goods).into()))),
    ];
    text += &if packing.machines == 1 { texts.bring_for_one.to_owned() } else { fill(texts.bring_in_all, &[&packing.machines]) };
    text + "\n" + &lines_of(fields, &packing.most_first(), zone)
}

fn as_json(machine: &Machine, zone: Zone) -> Value {
    let slot = |kept: &Kept| {
        let mut object = kept.object();
        object["bring"] = kept.slot.room().into();
        object["sold"] = kept.slot.sold.into();
        object["unseen"] = kept.slot.unseen.into();
        object["refused"] = kept.slot.refused.into();
        object["filled_at"] = kept.filled_at().map(|at| at.to_rfc3339_in(zone)).into();
        object
    };
    json!({
        "device": machine.device,
        "machine": machine.name,
        "told_at": machine.at.map(|at| at.to_rfc3339_in(zone)),
        "slots": machine.slots.iter().map(slot).collect::<Vec<_>>(),
    })
}

fn packing_list(all: &[Machine], untold: &[Machine], packing: &Packing, zone: Zone) -> Value {
    let name = |machine: &Machine| json!({ "device": machine.device, "machine": machine.name });
    let goods = |(goods, count): (&str, u64)| json!({ "goods": goods, "bring": count });
    json!({
        "machines": all.iter().map(|machine| as_json(machine, zone)).collect::<Vec<_>>(),
        "goods": packing.most_first().into_iter().map(goods).collect::<Vec<_>>(),
        "untold": untold.iter().map(name).collect::<Vec<_>>(),
    })
}
