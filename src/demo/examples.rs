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
    #[cfg(feature = "conform")]
    (
        "conform",
        &[(
            "A backend of your own, paid at the simulated Midtrans",
            "qris-demo conform --backend http://127.0.0.1:8080 --token-file token --keys keys.json --simulator http://127.0.0.1:8181",
        )],
    ),
];
