//! The examples of all commands: their help and their manual pages show them. A test reads each as the program would.

use qris_host::commands::ExamplesOf;

pub(super) const EXAMPLES: ExamplesOf = &[
    (
        "",
        &[
            ("Play with it in a browser", "qris-demo"),
            ("Sell without a person, and check the books", "qris-demo --script"),
            ("Show it to the others in this room", "qris-demo --listen 0.0.0.0:8080"),
            ("Sell with Midtrans' sandbox", "qris-demo --sandbox sandbox-key"),
        ],
    ),
    ("midtrans", &[("For a backend of your own", "qris-demo midtrans --listen 127.0.0.1:8181 --server-key SB-Mid-server-any")]),
    (
        "conform",
        &[(
            "A backend of your own, paid at the simulated Midtrans",
            "qris-demo conform --backend http://127.0.0.1:8080 --token-file token --keys keys.json --simulator http://127.0.0.1:8181",
        )],
    ),
    (
        "fleet",
        &[
            ("A thousand machines, and one backend", "qris-demo fleet"),
            ("Ten thousand, and two backends on PostgreSQL", "qris-demo fleet --machines 10000 --backends 2"),
        ],
    ),
    (
        "search",
        &[("One thing goes wrong in every play", "qris-demo search --depth 1"), ("One performance", "qris-demo search --at sale:17,42")],
    ),
    ("nth", &[("A sample", "qris-demo nth --sample")]),
    ("simulate", &[("A hundred seeds", "qris-demo simulate --seeds 100"), ("One, with all that happens", "qris-demo simulate --seed 42")]),
    ("manuals", &[("Into ./target/manuals", "qris-demo manuals target/manuals")]),
];
