//! The settings of `relay.toml`.

use qris_core::order::ledger::DRIVE_MAX;
use qris_host::config::settings::{Setting, flag, said, whole_or};

/// Every key of `relay.toml`, in the order of the document.
pub const SETTINGS: &[Setting] = &[
    said("device.id", "device id", "–", "this machine; only receipts for it are taken"),
    said("dbus.bus", "[bus](#d-bus)", "`\"system\"`", "where `io.qrisd.Relay1` is served"),
    said("receipts.keys_file", "path", "`/etc/qrisd/keys.json`", "as in `qrisd.toml`"),
    said("ledger.path", "path", "`/var/lib/qris-relay/ledger.db`", "its directory must be there"),
    said("line", "1–256 of `[[line]]`", "–", "outputs"),
    said("line.name", "1–64 bytes", "–", "for people and the ledger; each once. A block belongs to the name"),
    said("line.items", "item ids, or `[\"*\"]`", "–", "what it hands out; `\"*\"`: every item that no other line has"),
    said("line.min_amount", "rupiah", "1", "a ticket or receipt for less is refused"),
    said(
        "line.chip",
        "[label](hardware.md#name-a-chip-by-what-stays), `\"/devices/…\"` or `\"sim:/PATH\"`",
        "–",
        "\
        a GPIO chip by its label, or by its hardware; or a file to which each edge is written as a line",
    ),
    whole_or("line.offset", 0..=1_023, "", (0, "– (not for `sim:`)"), "the line of the chip"),
    flag("line.active_low", false, "the relay board pulls in at the low level"),
    whole_or("line.pulse_ms", 1..=DRIVE_MAX.0, "ms", (1, "–"), "one pulse, whatever the amount"),
    said(
        "line.rupiah_per_pulse",
        "rupiah",
        "",
        "\
        instead of `pulse_ms`: so many pulses as the amount holds of these; other amounts are refused",
    ),
    whole_or("line.on_ms", 1..=DRIVE_MAX.0, "ms", (1, "– (with `rupiah_per_pulse`)"), "length of a pulse"),
    whole_or("line.off_ms", 1..=DRIVE_MAX.0, "ms", (1, "– (with `rupiah_per_pulse`)"), "the pause after each"),
    said(
        "line.port",
        "path",
        "",
        "instead of `chip`: the serial port of a [machine's own board](hardware.md#a-serial-board), by a name that stays",
    ),
    whole_or("line.slot", 1..=999, "", (0, "– (with `port`)"), "the board's number of the slot"),
    whole_or("line.within_s", 20..=120, "s", (60, "60"), "the board tells the end of a job within this time; else `uncertain`"),
    said(
        "line.board_stock",
        "`\"ignore\"`, `\"count\"`",
        "`\"ignore\"`",
        "`\"count\"`: a slot that is empty by the board's own count gets no ticket",
    ),
    flag("line.block_on_uncertain", false, "an `uncertain` outcome blocks the line, too"),
    whole_or(
        "line.misses",
        1..=9,
        "",
        (1, "1"),
        "so many misses of its sensor in a row block it. Below that each is told, and it goes on selling",
    ),
    said(
        "line.clear_button",
        "table",
        "none",
        "\
        inside the door; a short press [clears a block](hardware.md#the-clear-button): `chip`, `offset`, `active_low`, `bias`, `debounce_ms`",
    ),
    said(
        "line.sensor",
        "table",
        "none",
        "\
        sees the item fall: `chip`, `offset`, `active_low`, `bias`, `debounce_ms`, `within_ms`, `late_within_ms`. No edge: `failed`. Lines that drop into one chute name the same one",
    ),
    whole_or(
        "line.sensor.within_ms",
        1..=DRIVE_MAX.0,
        "ms",
        (1, "–"),
        "\
        counted from the end of the pulses; an edge during them counts",
    ),
    whole_or(
        "line.sensor.late_within_ms",
        0..=DRIVE_MAX.0,
        "ms",
        (3_000, "3,000"),
        "\
        after `within_ms`, for goods that are late; until then nothing is said of the end. 0: none",
    ),
    said(
        "button",
        "up to 256 of `[[button]]`",
        "none",
        "\
        a machine without a controller: `item` (–), `chip`, `offset`, `active_low`, `bias`, `debounce_ms`",
    ),
    said(
        "service_switch",
        "table",
        "none",
        "\
        inside the door; while it is on, somebody [fills the machine](operating.md#fill-it-at-the-open-door): `chip`, `offset`, `active_low`, \
        `bias`, `debounce_ms`",
    ),
    said(
        "….bias",
        "`\"pull_up\"`, `\"pull_down\"`, `\"disabled\"`",
        "as it is",
        "\
        the resistor inside the chip, at a button or sensor; one that has none ignores it",
    ),
    whole_or("….debounce_ms", 0..=1_000, "ms", (50, "50; sensor 1"), "a button or sensor must stand still so long"),
];
