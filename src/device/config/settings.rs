//! The settings of `qrisd.toml`.

use qris_core::order::request::TIMEOUT_S;
use qris_core::wire::telemetry::{EVERY_MAX_S, EVERY_S};
use qris_host::config::settings::{Setting, flag, said, whole};

/// Every key of `qrisd.toml`, in the order of the document. `[mqtt]` has a table of its own.
pub const SETTINGS: &[Setting] = &[
    said("device.id", "device id", "–", "this machine, here as in `relay.toml`, at the broker and at the backend"),
    said("device.name", "text, at most 64 characters", "the id", "stands at the top of the screen, in Latin letters").afar(),
    whole(
        "device.report_every_s",
        0..=EVERY_MAX_S as i64,
        "s",
        EVERY_S as i64,
        "\
        a report of [what was sold](protocol.md#telemetry-device--all-retained) goes to the broker after so many seconds; 0: never",
    )
    .afar(),
    said(
        "device.language",
        "`\"id\"`, `\"en\"`, `\"both\"`",
        "`\"id\"`",
        "\
        what the customer reads; `\"both\"`: Indonesian and English by turns, 6 s each",
    )
    .afar(),
    said(
        "mqtt.*",
        "",
        "no section: no broker",
        "\
        [the broker](#mqtt). Without it requests come over D-Bus and from buttons, and payments are known by long poll",
    ),
    said("backend.url", "`https://HOST[:PORT][/PATH]`", "–", "the merchant's backend; `http://` on loopback only"),
    said("backend.token_file", "secret", "–", "from `qris-backend device add`"),
    said("backend.ca_file", "path, PEM", "the system's CAs", "a private CA; only with `https://`"),
    said("receipts.keys_file", "path", "–", "a JWK Set from `qris-backend keys public`; at most 32 keys and 64 KiB"),
    whole(
        "orders.timeout_s",
        *TIMEOUT_S.start() as i64..=*TIMEOUT_S.end() as i64,
        "s",
        120,
        "how long a QR is on the screen, unless a request says otherwise",
    )
    .afar(),
    whole("orders.orders_per_minute", 0..=600, "", 10, "more requests are refused (`rate_limited`); 0: no limit").afar(),
    whole("orders.cancel_wait_s", 1..=120, "s", 15, "how long the machine is held while a cancel is not answered").afar(),
    whole(
        "orders.late_settlement_grace_s",
        0..=2_700,
        "s",
        120,
        "\
        a payment so long after the QR left the screen is still delivered, broker or not, if the machine is free and nobody holds it. The \
        machine asks at once, every 10 s, and once more after that time. A reboot ends it: nobody knows how long it was off, so a \
        payment heard of after it is refunded",
    )
    .afar(),
    whole(
        "orders.deliver_within_s",
        10..=2_700,
        "s",
        600,
        "\
        an order that was paid longer ago is not delivered, but refunded. Together with the grace above at most 2760 s, because the \
        merchant may refund an unreported order an hour after its payment",
    )
    .afar(),
    said("store.path", "path", "`/var/lib/qrisd/qrisd.db`", "the database; its directory must be there"),
    said(
        "screen.device",
        "path",
        "`/dev/fb0`, else the first display with a panel",
        "\
        a framebuffer, or a display's `/dev/dri/card…`: [panels](hardware.md#connect-a-panel)",
    ),
    said("screen.virtual.path", "path", "–", "a file instead of a panel, not beside `device`"),
    whole("screen.virtual.width", 96..=4_096, "", 480, "its pixels in a row; from 240 on a QR fits"),
    whole("screen.virtual.height", 96..=4_096, "", 800, "its rows"),
    said("screen.virtual.format", "`\"rgb565\"`, `\"xrgb8888\"`", "`\"rgb565\"`", "the form of a pixel"),
    said("screen.rotate", "0, 90, 180, 270", "0", "how the panel is mounted"),
    said(
        "screen.contact",
        "text, at most 64 characters",
        "none",
        "\
        the person or number that a customer calls about money, in Latin letters. Without it the screen shows the order number alone, and `--check` and \
        `qrisctl doctor` say so",
    )
    .afar(),
    said(
        "screen.greeting",
        "text, at most 60 characters",
        "none",
        "\
        stands in the place of \"Choose a product\" while nobody buys, in the same words for each language. A panel 480 pixels wide \
        shows some 25 characters; a longer one ends with \"…\" there. All other texts are fixed: they say what became of money",
    )
    .afar(),
    flag(
        "screen.deeplink",
        false,
        "\
        shows the address of the customer's page (`pay_url`) as a second, smaller code beside the QR or payment code, if there is room \
        for both. A customer who scans it with the camera can pay with GoPay on that phone, or take the payment code along",
    ),
    said(
        "screen.logo",
        "path, PNG",
        "none",
        "\
        stands at the top before the name, scaled to the header; at most 512 KiB and 2048 pixels a side; transparent parts stay \
        transparent",
    )
    .afar(),
    said(
        "screen.colours",
        "table of `\"#rrggbb\"`",
        "dark on light",
        "\
        `header`, `header_text` (the name on it), `header_accent` (\"GoPay / QRIS\" on it), `ground`, `card` (below items and \
        numbers), `text`, `muted` (what matters less), `accent` (prices, what to do). A pair that cannot be read in daylight (a \
        contrast below 4.5) is an error. Green, amber, red and the QR are not for choice",
    )
    .afar(),
    flag("screen.required", true, "false: sells also when the panel is gone, or has none"),
    said("relay.bus", "[bus](#d-bus)", "`\"system\"`", "where the relay service is"),
    said(
        "controller.bus",
        "[bus](#d-bus)",
        "as `relay.bus`",
        "\
        where `io.qrisd.Device1` is served; nowhere when `relay.bus` is a `peer:`",
    ),
    said("item", "1–1000 of `[[item]]`", "–", "what is sold").afar(),
    said("item.id", "item id", "–", "each once").afar(),
    said(
        "item.name",
        "text, or `{ id = \"…\", en = \"…\" }`",
        "the id",
        "\
        what the customer reads, at most 100 characters, in Latin letters: the screen has no others; 50 of them reach the gateway",
    )
    .afar(),
    said(
        "item.price",
        "rupiah, or `{ from_request = { min, max, mqtt } }`",
        "–",
        "\
        fixed, or reckoned by the controller between `min` and `max`. With `mqtt = true` (default false) anybody who may publish \
        `vend/request` sets it. No payment takes a price above the gateway's limit: Rp20,000,000 as GoPay, Rp10,000,000 as QRIS",
    )
    .afar(),
    said(
        "item.capacity",
        "1–1000",
        "not counted",
        "\
        how many its slot holds. Then the machine [counts what lies in it](operating.md#stock), and sells nothing that it has not. Not with \
        `rupiah_per_pulse`: an order takes one",
    )
    .afar(),
    said("item.low", "0 to below `capacity`", "0", "with so many or fewer the slot asks to be filled").afar(),
    said(
        "item.same_as",
        "item id",
        "none",
        "\
        the slot holds the goods of this other item: [of both the fuller one is sold](operating.md#two-slots-with-the-same-goods). Both have \
        `capacity` and the same price. `price` and `name` may be left out here",
    )
    .afar(),
];
