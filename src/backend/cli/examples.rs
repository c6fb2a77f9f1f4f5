//! The examples of all commands: their help and their manual pages show them. A test reads each as the program would.

use qris_host::commands::ExamplesOf;

pub const EXAMPLES: ExamplesOf = &[
    (
        "",
        &[
            ("Set this server up", "qris-backend init"),
            ("Is the configuration good?", "qris-backend --check"),
            ("Let a machine in", "qris-backend device invite vm-001"),
            ("Who is owed money?", "qris-backend orders --refund-due"),
            ("What was sold today?", "qris-backend report"),
            ("What to bring to the machines?", "qris-backend stock --to-fill"),
        ],
    ),
    (
        "init",
        &[
            ("Ask for everything", "qris-backend init"),
            ("Ask in Indonesian", "qris-backend init --speak id"),
            ("What would be written?", "qris-backend init --dry-run"),
            ("One computer alone, in the sandbox", "qris-backend init --sandbox --public-url none --broker none --device vm-001"),
        ],
    ),
    ("serve", &[("With another configuration", "qris-backend serve --config backend.toml")]),
    ("keys", &[("Make the first key", "qris-backend keys new"), ("For keys.json of machines", "qris-backend keys public")]),
    ("keys new", &[("The first key", "qris-backend keys new"), ("One more, to change over", "qris-backend keys new --rotate")]),
    ("keys public", &[("For keys.json of machines", "qris-backend keys public")]),
    ("keys use", &[("Sign with the key of this name", "qris-backend keys use 2026-11")]),
    (
        "device",
        &[
            ("Let a machine in", "qris-backend device invite vm-001"),
            ("Give its controller an account at the broker", "qris-backend device controller vm-001"),
            ("Which are let in?", "qris-backend device list"),
        ],
    ),
    (
        "device add",
        &[
            ("With a text for `qrisctl setup --from`", "qris-backend device add vm-001 --bundle"),
            ("The token is known to somebody else", "qris-backend device add vm-001 --replace"),
            ("A list of machines", "qris-backend device add --from machines.csv --into texts"),
        ],
    ),
    (
        "device invite",
        &[
            ("With a code for `qrisctl setup --code`", "qris-backend device invite vm-001"),
            ("For one day, as a QR", "qris-backend device invite vm-001 --days 1 --qr"),
            ("A list of machines, with labels to print", "qris-backend device invite --from machines.csv --into labels"),
        ],
    ),
    ("device controller", &[("What a sample reads", "qris-backend device controller vm-001")]),
    ("device list", &[("For people", "qris-backend device list"), ("For another program", "qris-backend device list --json")]),
    ("device relay-key", &[("After a look at the machine", "qris-backend device relay-key vm-001 FINGERPRINT --by Sari")]),
    ("device revoke", &[("The machine was stolen", "qris-backend device revoke vm-001")]),
    (
        "desk",
        &[
            ("Let the owner in", "qris-backend desk add Sari --role owner"),
            ("Who is let in?", "qris-backend desk list"),
            ("A password was forgotten", "qris-backend desk link Sari"),
        ],
    ),
    (
        "desk add",
        &[
            ("The owner", "qris-backend desk add Sari --role owner"),
            ("Somebody who may pay back Rp100.000 a day", "qris-backend desk add Budi --role owner --limit-per-day 100000"),
            ("Somebody who only sees", "qris-backend desk add \"Pak Joko\" --role viewer"),
        ],
    ),
    ("desk list", &[("For people", "qris-backend desk list")]),
    ("desk role", &[("From now on this person only sees", "qris-backend desk role Budi --role viewer")]),
    ("desk link", &[("A password was forgotten", "qris-backend desk link Sari")]),
    ("desk home", &[("A phone in the local network, to look only", "qris-backend desk home Sari")]),
    ("desk remove", &[("A person left, or a phone was stolen", "qris-backend desk remove Budi")]),
    (
        "orders",
        &[
            ("Who is owed money?", "qris-backend orders --refund-due"),
            ("What happened to one order?", "qris-backend orders vm-001-20261120-ABCD"),
            ("One machine on one day", "qris-backend orders --device vm-001 --date 2026-11-20"),
            ("The payments of a month, for a spreadsheet", "qris-backend orders --date 2026-11 --csv"),
        ],
    ),
    (
        "refund",
        &[
            ("Through the gateway", "qris-backend refund vm-001-20261120-ABCD"),
            ("It was given back in cash", "qris-backend refund vm-001-20261120-ABCD --settled-by-hand \"cash, Sari\""),
        ],
    ),
    (
        "given",
        &[
            ("Somebody handed the goods over, from a box", "qris-backend given vm-001-20261120-ABCD --by Sari --from elsewhere"),
            (
                "The same, out of the machine's slot: its stock goes down",
                "qris-backend given vm-001-20261120-ABCD --by Sari --from machine",
            ),
        ],
    ),
    ("again", &[("A customer is back and wants the goods, not the money", "qris-backend again vm-001-20261120-ABCD --by Sari")]),
    ("seen", &[("Somebody has looked at it", "qris-backend seen vm-001-20261120-ABCD --by Sari")]),
    (
        "report",
        &[("Today", "qris-backend report"), ("A month by item, for a spreadsheet", "qris-backend report --date 2026-11 --by item --csv")],
    ),
    (
        "stock",
        &[
            ("What is in the machines?", "qris-backend stock"),
            ("What to bring", "qris-backend stock --to-fill"),
            ("The same on paper, for a spreadsheet", "qris-backend stock --to-fill --csv"),
        ],
    ),
    (
        "reconcile",
        &[("A day", "qris-backend reconcile --date 2026-11-20"), ("One order", "qris-backend reconcile --order vm-001-20261120-ABCD")],
    ),
    ("backup", &[("To a file", "qris-backend backup /var/backups/orders.db")]),
    (
        "restore",
        &[
            ("After the disk was replaced", "qris-backend restore /var/backups/orders.db"),
            ("PostgreSQL was put back to a point in time", "qris-backend restore"),
        ],
    ),
    (
        "copy",
        &[("To PostgreSQL", "qris-backend copy --from sqlite:///var/lib/qris-backend/orders.db --to postgres://qris@db.example/qris")],
    ),
    ("archive", &[("What is over since summer", "qris-backend archive --before 2026-07-01 /var/backups/orders-2026-1.db")]),
    (
        "doctor",
        &[
            ("For people", "qris-backend doctor"),
            ("For another program", "qris-backend doctor --json"),
            ("Before the first customer", "qris-backend doctor --charge"),
            ("Before the first payment code", "qris-backend doctor --charge=alfamart"),
        ],
    ),
];
