//! The examples of all commands: their help shows them. A test reads each as the program would.

use qris_host::commands::ExamplesOf;

pub(super) const EXAMPLES: ExamplesOf = &[
    ("", &[("One thing goes wrong in every play", "qris-tools search --depth 1")]),
    (
        "fleet",
        &[
            ("Five hundred machines, and one backend", "qris-tools fleet"),
            ("Two backends on PostgreSQL", "qris-tools fleet --backends 2 --database postgres://postgres@127.0.0.1/fleet"),
        ],
    ),
    (
        "search",
        &[("One thing goes wrong in every play", "qris-tools search --depth 1"), ("One performance", "qris-tools search --at sale:17,42")],
    ),
    ("nth", &[("A sample", "qris-tools nth --sample")]),
    (
        "simulate",
        &[("A hundred seeds", "qris-tools simulate --seeds 100"), ("One, with all that happens", "qris-tools simulate --seed 42")],
    ),
    ("manuals", &[("Into ./target/manuals", "qris-tools manuals target/manuals")]),
    ("catalog", &[("The document of all events", "qris-tools catalog --page")]),
    ("settings", &[("The tables of the document", "qris-tools settings docs/using/configuration.md")]),
];
