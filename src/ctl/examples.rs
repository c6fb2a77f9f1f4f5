//! The examples of all commands: their help and their manual pages show them. A test reads each as the program would.

use qris_host::commands::ExamplesOf;

pub(super) const EXAMPLES: ExamplesOf = &[
    (
        "",
        &[
            ("On the machine: set it up", "sudo qrisctl setup"),
            ("On the machine: see what is wrong", "sudo qrisctl doctor"),
            ("See which machines are on line", "qrisctl status"),
            ("Sell A1 at vm-001, and show what becomes of it", "qrisctl vend --device vm-001 --item A1 --wait"),
        ],
    ),
    (
        "vend",
        &[
            ("Sell A1, and show what becomes of it", "qrisctl vend --device vm-001 --item A1 --wait"),
            ("On the machine, without a broker", "qrisctl vend --item A1 --wait"),
            ("Sell an item whose price the controller reckons", "qrisctl vend --device vm-001 --item exit --amount 15000"),
            ("Have the customer pay at a store", "qrisctl vend --device vm-001 --item A1 --payment alfamart"),
        ],
    ),
    (
        "cancel",
        &[
            ("Cancel a request, and wait until it is cancelled", "qrisctl cancel --device vm-001 r-1001 --wait"),
            ("Cancel what a machine is serving", "qrisctl cancel --device vm-001"),
            ("On the machine: cancel what it is serving", "qrisctl cancel"),
        ],
    ),
    (
        "collect",
        &[
            ("On the machine: hand out what was paid", "qrisctl collect 2345-6789-0123-4567"),
            ("From afar, and wait until it is dispensed", "qrisctl collect 2345678901234567 --device vm-001 --wait"),
        ],
    ),
    ("watch", &[("All machines", "qrisctl watch"), ("One machine, for another program", "qrisctl watch --device vm-001 --json")]),
    ("status", &[("All machines", "qrisctl status"), ("One machine", "qrisctl status --device vm-001")]),
    (
        "fleet",
        &[
            ("Show the machines in a table", "qrisctl fleet list"),
            ("Change one price, and nothing else", "qrisctl fleet price A1 6000 --label jakarta"),
            ("Give two machines other settings", "qrisctl fleet config set prices.toml --device vm-001 --device vm-002"),
            ("Restart a machine once no customer is there", "qrisctl fleet run restart --device vm-001"),
        ],
    ),
    ("fleet list", &[("All machines", "qrisctl fleet list"), ("Those with a label", "qrisctl fleet list --label jakarta")]),
    ("fleet watch", &[("All machines", "qrisctl fleet watch --all")]),
    ("fleet show", &[("One machine", "qrisctl fleet show --device vm-001")]),
    ("fleet stock", &[("What needs somebody, everywhere", "qrisctl fleet stock --to-fill --all")]),
    (
        "fleet price",
        &[
            ("Everywhere where A1 is sold", "qrisctl fleet price A1 6000 --all"),
            ("What passed over machines that are back now", "qrisctl fleet price --due"),
        ],
    ),
    ("fleet config", &[("What is in force", "qrisctl fleet config get --all")]),
    (
        "fleet config get",
        &[
            ("What is in force", "qrisctl fleet config get --all"),
            ("A text to start from", "qrisctl fleet config get --text --device vm-001"),
        ],
    ),
    (
        "fleet config set",
        &[
            ("Now, at one machine", "qrisctl fleet config set prices.toml --device vm-001"),
            ("From a moment on, everywhere", "qrisctl fleet config set prices.toml --all --at 2026-12-01T06:00:00+07:00"),
        ],
    ),
    ("fleet config diff", &[("Do all machines have these settings?", "qrisctl fleet config diff prices.toml --all")]),
    ("fleet config history", &[("Who changed what", "qrisctl fleet config history --device vm-001")]),
    (
        "fleet run",
        &[
            ("What does the screen show?", "qrisctl fleet run screenshot --device vm-001"),
            ("Restart all machines with a label, five at a time", "qrisctl fleet run restart --label jakarta --at-once 5"),
        ],
    ),
    ("fleet run status", &[("One machine", "qrisctl fleet run status --device vm-001")]),
    ("fleet run config-get", &[("One machine", "qrisctl fleet run config-get --device vm-001")]),
    ("fleet run vitals", &[("All machines, for another program", "qrisctl fleet run vitals --all --json")]),
    ("fleet run diag", &[("One machine", "qrisctl fleet run diag --device vm-001")]),
    ("fleet run screenshot", &[("One machine; the picture is vm-001.png", "qrisctl fleet run screenshot --device vm-001")]),
    ("fleet run orders", &[("One machine", "qrisctl fleet run orders --device vm-001")]),
    (
        "fleet run logs",
        &[
            ("The newest lines, and what comes", "qrisctl fleet run logs --device vm-001 --follow"),
            ("Only warnings and worse", "qrisctl fleet run logs --device vm-001 --priority 4"),
        ],
    ),
    ("fleet run cancel", &[("Cancel a request", "qrisctl fleet run cancel r-1001 --device vm-001")]),
    ("fleet run restart", &[("One machine", "qrisctl fleet run restart --device vm-001")]),
    ("fleet run reboot", &[("One machine", "qrisctl fleet run reboot --device vm-001")]),
    ("fleet run update", &[("One machine", "qrisctl fleet run update https://pay.example/qrisd.raucb --device vm-001")]),
    ("fleet run stock", &[("The slot of A1 is full now", "qrisctl fleet run stock fill A1 --device vm-001")]),
    (
        "fleet run stock fill",
        &[
            ("It is full now", "qrisctl fleet run stock fill A1 --device vm-001"),
            ("It is full in all machines", "qrisctl fleet run stock fill A1 --all"),
        ],
    ),
    ("fleet run stock count", &[("Four are in it", "qrisctl fleet run stock count A1 4 --device vm-001")]),
    ("fleet run stock give", &[("A customer got one by hand", "qrisctl fleet run stock give A1 --device vm-001")]),
    ("fleet run stock set", &[("Six of another drink are in it", "qrisctl fleet run stock set A1 6 --device vm-001")]),
    ("fleet run clear", &[("Once a person has mended the line of A1", "qrisctl fleet run clear A1 --device vm-001")]),
    ("fleet run test-pulse", &[("The line of A1", "qrisctl fleet run test-pulse A1 --device vm-001")]),
    (
        "hold",
        &[
            ("While a command runs", "sudo qrisctl hold -- apt-get upgrade"),
            ("For half an hour", "sudo qrisctl hold --for 1800"),
            ("Let it sell again", "sudo qrisctl hold --release"),
        ],
    ),
    ("keys", &[("Make a key for somebody at the desk", "qrisctl keys new --level manage --name Sari")]),
    ("keys new", &[("For somebody at the desk, with a passphrase", "qrisctl keys new --level manage --name Sari --passphrase")]),
    ("keys add", &[("Believe the key in a file", "sudo qrisctl keys add \"$(cat operator.pub)\"")]),
    ("keys list", &[("Of this machine", "qrisctl keys list")]),
    ("keys retire", &[("The key of this name", "sudo qrisctl keys retire desk-2026")]),
    ("order", &[("Of this machine", "qrisctl order")]),
    ("relay", &[("Is a line blocked?", "qrisctl relay lines"), ("It is mended", "sudo qrisctl relay clear A1")]),
    ("stock", &[("What lies in the slots?", "qrisctl stock"), ("The slot of A1 is full now", "sudo qrisctl stock fill A1")]),
    ("stock fill", &[("It is full now", "sudo qrisctl stock fill A1"), ("Six more are in it", "sudo qrisctl stock fill A1 6")]),
    ("stock count", &[("Four are in it", "sudo qrisctl stock count A1 4")]),
    ("stock give", &[("A customer got one by hand", "sudo qrisctl stock give A1")]),
    ("stock set", &[("Six of another drink are in it", "sudo qrisctl stock set A1 6")]),
    ("relay lines", &[("Of this machine", "qrisctl relay lines")]),
    ("relay clear", &[("Once a person has mended the line of A1", "sudo qrisctl relay clear A1")]),
    (
        "screen",
        &[
            ("What does this machine show?", "qrisctl screen shot --out screen.png"),
            ("What would a customer see?", "qrisctl screen render pay --out pay.png"),
        ],
    ),
    (
        "screen shot",
        &[
            ("This machine", "qrisctl screen shot --out screen.png"),
            ("A machine at the broker", "qrisctl screen shot --device vm-001 --out vm-001.png"),
        ],
    ),
    (
        "screen render",
        &[
            ("A QR that can be paid", "qrisctl screen render pay --out pay.png"),
            ("On another panel, with your own names", "qrisctl screen render idle --size 1024x600 --like qrisd.toml --out idle.png"),
        ],
    ),
    ("screen states", &[("All of them", "qrisctl screen states")]),
    ("screen test", &[("For ten seconds", "sudo qrisctl screen test --seconds 10")]),
    (
        "setup",
        &[
            ("Ask for everything", "sudo qrisctl setup"),
            ("With a code from `qris-backend device invite`", "sudo qrisctl setup --code CODE"),
            ("Look at panels and pins", "qrisctl setup --find"),
            (
                "Without a question, in a script",
                "sudo qrisctl setup --yes --from enrolment.txt --item \"A1:5000:Teh botol\" --line A1=/dev/gpiochip0:6:low --screen auto",
            ),
            ("Change one value", "sudo qrisctl setup --yes --contact 0800-1-000-000"),
        ],
    ),
    (
        "doctor",
        &[
            ("This machine", "sudo qrisctl doctor"),
            ("An image", "qrisctl doctor --root /mnt/image --offline"),
            ("A report for the makers, after a try on a real board", "sudo qrisctl doctor --field-report report.txt"),
        ],
    ),
];
