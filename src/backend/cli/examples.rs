//! The examples of all commands: their help and their manual pages show them. A test reads each as the program would.

use qris_host::commands::ExamplesOf;

pub const EXAMPLES: ExamplesOf = &[
    (
        "",
        &[
            ("Is the configuration good?", "qris-backend --check"),
            ("Let a machine in", "qris-backend device invite vm-001"),
            ("Who is owed money?", "qris-backend orders --refund-due"),
            ("What was sold today?", "qris-backend report"),
        ],
    ),
    ("serve", &[("With another configuration", "qris-backend serve --config backend.toml")]),
    ("keys", &[("Make the first key", "qris-backend keys new"), ("For keys.json of machines", "qris-backend keys public")]),
    ("keys new", &[("The first key", "qris-backend keys new"), ("One more, to change over", "qris-backend keys new --rotate")]),
    ("keys public", &[("For keys.json of machines", "qris-backend keys public")]),
    ("keys use", &[("Sign with the key of this name", "qris-backend keys use 2026-11")]),
    ("device", &[("Let a machine in", "qris-backend device invite vm-001"), ("Which are let in?", "qris-backend device list")]),
    (
        "device add",
        &[
            ("With a text for `qrisctl setup --from`", "qris-backend device add vm-001 --bundle"),
            ("The token is known to somebody else", "qris-backend device add vm-001 --replace"),
        ],
    ),
    (
        "device invite",
        &[
            ("With a code for `qrisctl setup --code`", "qris-backend device invite vm-001"),
            ("For one day, as a QR", "qris-backend device invite vm-001 --days 1 --qr"),
        ],
    ),
    ("device list", &[("For people", "qris-backend device list"), ("For another program", "qris-backend device list --json")]),
    ("device relay-key", &[("After a look at the machine", "qris-backend device relay-key vm-001 FINGERPRINT --by Sari")]),
    ("device revoke", &[("The machine was stolen", "qris-backend device revoke vm-001")]),
    (
        "orders",
        &[
            ("Who is owed money?", "qris-backend orders --refund-due"),
            ("What happened to one order?", "qris-backend orders vm-001-20261120-ABCD"),
            ("One machine on one day", "qris-backend orders --device vm-001 --date 2026-11-20"),
        ],
    ),
    (
        "refund",
        &[
            ("Through the gateway", "qris-backend refund vm-001-20261120-ABCD"),
            ("It was given back in cash", "qris-backend refund vm-001-20261120-ABCD --settled-by-hand \"cash, Sari\""),
        ],
    ),
    ("given", &[("Somebody handed the goods over", "qris-backend given vm-001-20261120-ABCD --by Sari")]),
    ("seen", &[("Somebody has looked at it", "qris-backend seen vm-001-20261120-ABCD --by Sari")]),
    (
        "report",
        &[
            ("Today", "qris-backend report"),
            ("A month, for a spreadsheet", "qris-backend report --date 2026-11-01 --until 2026-11-30 --csv"),
        ],
    ),
    (
        "reconcile",
        &[("A day", "qris-backend reconcile --date 2026-11-20"), ("One order", "qris-backend reconcile --order vm-001-20261120-ABCD")],
    ),
    ("backup", &[("To a file", "qris-backend backup /var/backups/orders.db")]),
    ("archive", &[("What is over since summer", "qris-backend archive --before 2026-07-01 /var/backups/orders-2026-1.db")]),
    ("doctor", &[("For people", "qris-backend doctor"), ("For another program", "qris-backend doctor --json")]),
];
