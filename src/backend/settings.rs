//! The settings of `backend.toml`.

use qris_host::config::settings::{Setting, flag, said, whole, whole_or};

/// `LimitNOFILE` of the unit: the number of descriptors that the service has.
pub const DESCRIPTORS: u64 = 8192;
/// The descriptors for everything except connections: the books, the broker, calls to the gateway.
pub const DESCRIPTORS_BESIDE: u64 = 256;
/// A smaller number is of no use.
const CONNECTIONS_MIN: i64 = 64;

/// Every key of `backend.toml`, in the order of the document. `[mqtt]` has a table of its own.
pub const SETTINGS: &[Setting] = &[
    said("http.listen", "`\"ADDRESS:PORT\"`", "–", "plain HTTP; a web server in front speaks TLS"),
    said(
        "http.public_url",
        "URL",
        "–",
        "\
        where machines, customers and Midtrans reach it; `http://` on loopback only, or with `allow_plaintext`. Without it only \
        machines on this computer reach it, Midtrans is asked about each order, and customers have no page",
    ),
    flag(
        "http.allow_plaintext",
        false,
        "\
        with it `public_url` may be `http://` everywhere. Then everybody on the way can read and change what is sent: only for trials",
    ),
    whole("http.orders_per_minute", 0..=10_000, "", 10, "of one machine; 0: no limit"),
    whole(
        "http.connections",
        CONNECTIONS_MIN..=DESCRIPTORS.cast_signed() - DESCRIPTORS_BESIDE.cast_signed(),
        "",
        1_024,
        "\
        at once. Each takes at most 44 KiB of memory. With 256 descriptors for all else they must fit into the limit of the process \
        (`LimitNOFILE=8192` in the unit); `--check` compares",
    ),
    said(
        "http.proxies",
        "list of addresses",
        "`[\"127.0.0.1\", \"::1\"]`",
        "\
        the web servers in front. Many clients come through them, so [the limit of an address](protocol.md#time-and-room) does not \
        apply to them. Of their `X-Forwarded-For` the last address is read, to say where a machine is",
    ),
    said(
        "customer.merchant",
        "1–64 characters",
        "the name in the QR",
        "\
        the merchant's name at the top of the customer's page and on its receipt",
    ),
    said(
        "customer.contact",
        "1–64 characters",
        "none",
        "\
        stands on the customer's page; a telephone number becomes a button, and an Indonesian mobile number one for WhatsApp, too. \
        Without it the page says \"Ask the owner of the machine\", and `--check` and `doctor` report it",
    ),
    said(
        "midtrans.base_url",
        "URL",
        "–",
        "\
        `https://api.sandbox.midtrans.com`, or with real money `https://api.midtrans.com`. Any other than the latter counts as a \
        sandbox: a TEST banner is drawn",
    ),
    flag(
        "midtrans.allow_other_host",
        false,
        "\
        `base_url` may be another address, of [a simulator](simulator.md) or a proxy. The Server Key is sent to that address",
    ),
    said(
        "midtrans.server_key_file",
        "secret",
        "–",
        "\
        the Server Key, not the client key. One that begins with `SB-` is of the sandbox alone",
    ),
    said(
        "midtrans.charge_as",
        "`\"gopay\"`, `\"qris\"`",
        "`\"gopay\"`",
        "\
        the payment type of a QR; every QRIS app pays either. `\"qris\"` needs no picture, `\"gopay\"` gives the customer's page its \
        button: [which](midtrans.md#which-product)",
    ),
    said("midtrans.acquirer", "`\"gopay\"`, `\"airpay shopee\"`", "`\"gopay\"`", "of a `qris` charge; only with `charge_as = \"qris\"`"),
    said(
        "midtrans.picture_hosts",
        "host names",
        "`[\"midtrans.com\", \"veritrans.co.id\"]`",
        "\
        the hosts from which pictures of QR codes are fetched, by `https`: these, those below them, and the host of `base_url`. A \
        charge with a picture at another host is cancelled, like a charge whose QR cannot be read",
    ),
    flag(
        "midtrans.deeplink",
        true,
        "\
        a `gopay` charge names `public_url` + `/pay/{order_id}/finish` with the key of the customer's page as the place to which the GoPay app sends the customer back",
    ),
    whole_or(
        "midtrans.qr_expiry_min",
        15..=10_080,
        "min",
        (15, "Midtrans' 15"),
        "\
        when Midtrans expires a QR; with `airpay shopee` at most 7,200. Below 15 minutes its batch is not reliable: the machine's \
        `timeout_s` is a cancel. If the cancel does not come to Midtrans, the machine keeps the order and asks about it until then",
    ),
    whole(
        "midtrans.counter_expiry_min",
        15..=10_080,
        "min",
        120,
        "when Midtrans expires a payment code. Until then a code keeps a piece of its slot",
    ),
    said(
        "midtrans.customer",
        "table",
        "none",
        "\
        `customer_details` of every charge: `first_name`, `last_name`, `email`, `phone` (1–255 characters). Nobody knows who stands at \
        a machine: name yourself, or nobody",
    ),
    whole(
        "midtrans.max_imposed_fee",
        0..=1_000_000,
        "rupiah",
        0,
        "\
        the most that Midtrans may ask above the price, in the charge or only with the payment. For more, the charge is cancelled \
        (`gross_amount`), or the payment is a `mismatch`. Leave it at 0: sellers may not put a fee on top of a QRIS payment",
    ),
    whole(
        "midtrans.refund_days.on_us",
        1..=3_650,
        "days",
        45,
        "\
        for how long Midtrans [refunds a payment](merchant.md#how-long-midtrans-refunds) that was made in the acquirer's own app. These \
        four count for payments that are settled from then on",
    ),
    whole("midtrans.refund_days.off_us", 1..=3_650, "days", 7, "the same in another QRIS app, and where Midtrans does not say how"),
    whole("midtrans.refund_days.deeplink", 1..=3_650, "days", 45, "the same by GoPay's link, or in its own app"),
    whole("midtrans.refund_days.shopeepay", 1..=3_650, "days", 365, "the same by ShopeePay"),
    said("midtrans.notification_url", "URL", "`public_url` + `/midtrans/notifications`", "goes with every charge"),
    said("midtrans.ca_file", "path, PEM", "the system's CAs", "a private CA in front of Midtrans, such as a proxy's"),
    whole(
        "orders.reversal_window_s",
        0..=3_600,
        "s",
        300,
        "\
        an Indomaret may take a settlement back for so long: the receipt waits, and Midtrans is asked once more",
    ),
    whole(
        "orders.collect_within_h",
        1..=720,
        "h",
        72,
        "\
        an order that was paid over the counter can be collected for so long; then its refund is due",
    ),
    flag(
        "orders.auto_refund",
        false,
        "\
        the backend refunds by itself, through Midtrans, two kinds of orders: those that the machine reports as `failed` or \
        `undelivered` with [its relay's proof](merchant.md#the-relays-key), and those that were paid twice. It never refunds an order \
        that is uncertain, has contradicting reports, does not match its charge, or was paid over the counter. What the machine told before \
        this was on is a person's",
    ),
    whole(
        "orders.auto_refund_per_day",
        1..=1_000,
        "",
        10,
        "so many of one machine in 24 hours; any more are listed for a person. As many second tries begin there in 24 hours, without `auto_refund` too",
    ),
    whole(
        "orders.second_tries",
        0..=8,
        "",
        1,
        "\
        how many [other tries](protocol.md#another-try) there may be at an order of which nothing came, by its relay's proof; 0: none from \
        the start of `serve` on. What is on offer then ends, and the money goes back",
    ),
    whole(
        "orders.try_again_within_h",
        1..=720,
        "h",
        24,
        "\
        so long after such an end another try may begin, and never in the last 48 h in which Midtrans refunds the payment. `auto_refund` \
        waits until it is over",
    ),
    said(
        "alerts.command",
        "a list: the absolute path of a program, and its arguments",
        "none",
        "\
        is run for each thing [that a person must look at](merchant.md#alerts), with one JSON object on its standard input; not by a \
        shell",
    ),
    said(
        "alerts.webhook_url",
        "`https://` address, or `http://` for loopback; no query",
        "none",
        "\
        the same object is [posted there](merchant.md#by-webhook), also beside a command",
    ),
    said(
        "alerts.webhook_secret_file",
        "path, credential; 16 characters or more",
        "required with `alerts.webhook_url`",
        "\
        signs what is posted",
    ),
    said(
        "alerts.webhook_ca_file",
        "path, PEM",
        "the system's CAs",
        "\
        a private CA of the server that takes the alerts; only with `https://`",
    ),
    flag("alerts.over", true, "who was told of such a thing is told as well when it is over"),
    whole("alerts.offline_after_s", 10..=86_400, "s", 600, "for a machine that is not there for so long, there is an alert"),
    said(
        "alerts.daily",
        "`\"HH:MM\"`, in the zone of `[reports]`",
        "none",
        "\
        then a message says what was sold in 24 hours, by machine, what is owed and what is out of order. It is told as alerts are",
    ),
    said(
        "reports.zone",
        "`\"WIB\"`, `\"WITA\"`, `\"WIT\"`",
        "`\"WIB\"`",
        "\
        the zone of lists, reports, days and alerts. Midtrans' own times stay WIB",
    ),
    said(
        "desk.url",
        "URL",
        "none: no desk, or one at `desk.home` only",
        "\
        the address at which people reach [the desk](merchant.md#the-desk) on their phones; `http://` on loopback only, and \
        without a path. Links and alerts name it, and forms must come from there",
    ),
    said(
        "desk.home",
        "`\"ADDRESS:PORT\"`",
        "nobody there sees it",
        "\
        there [the desk](desk.md#at-home) listens for people in the local network, over `http://`: they see, and settle nothing. `0.0.0.0:8480` is \
        all networks of this computer. The address is one of a local network; `100.64.0.0/10` is one only if this names such an address. With it \
        `desk.url` may be missing",
    ),
    said(
        "desk.socket",
        "absolute path",
        "`/run/qris-desk/serve.sock`",
        "where `serve` answers the desk. Whoever reaches it reads what sessions may read",
    ),
    whole(
        "desk.limit_per_day",
        0..=1_000_000_000,
        "rupiah",
        500_000,
        "\
        so much money a person may send back or write off in a day at the desk, if `desk add` does not say another sum",
    ),
    whole(
        "desk.log_days",
        30..=3_650,
        "days",
        730,
        "\
        so long the log of the desk keeps who did what, and from which address. Then its lines are deleted, and the names of people who were \
        removed so long ago",
    ),
    said(
        "fees.gopay, fees.qris, fees.alfamart, fees.indomaret",
        "table",
        "not known",
        "\
        [what the gateway keeps of a payment](merchant.md#what-is-left): `basis_points`, `rupiah`, or both",
    ),
    whole("fees.….basis_points", 0..=10_000, "", 0, "70 are 0.70 %"),
    whole("fees.….rupiah", 0..=1_000_000, "", 0, "the fixed part"),
    said("fees.kept_on_refund", "true, false", "not known", "whether the gateway keeps its fee of money that it gives back"),
    said(
        "store.url",
        "`\"sqlite:///PATH\"`, `\"postgres://USER@HOST/DATABASE\"`",
        "–",
        "\
        the books; the machines are in `devices.db` beside them, or in the same [database of \
        PostgreSQL](merchant.md#several-servers-on-postgresql)",
    ),
    said("store.password_file", "path", "none", "PostgreSQL: the password"),
    said("store.ca_file", "path", "the system's CAs", "PostgreSQL: the CA that signed the server's certificate"),
    said("mqtt.*", "", "no section: nothing is pushed", "[the broker](#mqtt); without it machines learn by long poll"),
    said(
        "accounts.username, accounts.password_file",
        "text, secret",
        "no section: you make the accounts",
        "\
        an administrator of Mosquitto's dynamic security plugin at the broker of `[mqtt]`: [the backend makes and ends the machines' \
        accounts](merchant.md#accounts-at-the-broker)",
    ),
    said(
        "machines.broker_url",
        "`mqtts://HOST[:8883]`",
        "`mqtt.url`",
        "\
        the broker as machines reach it, if the backend reaches it otherwise: on its own computer it is `localhost`",
    ),
    said("receipts.issuer", "1–100 bytes", "–", "`iss` of the receipts"),
    said("receipts.signing_key_file", "path", "–", "private keys, made by `keys new` with mode 0600"),
];
