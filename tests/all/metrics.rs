//! What operators watch: a real Prometheus reads `/metrics`, and every query of the rules and of the dashboard finds its figures there.

use crate::rig::http::Http;
use crate::rig::process::Process;
use crate::rig::shop::{DEVICE, PRICE, Shop};
use crate::rig::{command, free_port, source_text, succeed, tool, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const RULES: &str = "config/prometheus/qrisd.rules.yml";
const DASHBOARD: &str = "config/grafana/qrisd.json";

#[test]
fn each_alert_fires_where_it_should() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["prometheus.yml", "qrisd.rules.yml", "qrisd.rules.test.yml"] {
        std::fs::write(directory.path().join(name), source_text(&format!("config/prometheus/{name}"))).expect("written");
    }
    for arguments in [["check", "config", "prometheus.yml"], ["test", "rules", "qrisd.rules.test.yml"]] {
        succeed(command(tool("promtool")).current_dir(directory.path()).args(arguments));
    }
    // Each is tested, and has its page.
    let (tests, runbook) = (source_text("config/prometheus/qrisd.rules.test.yml"), source_text("docs/using/runbook.md"));
    for alert in source_text(RULES).lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} is not tested");
        assert!(runbook.contains(&format!("\n## {alert}\n")), "{alert} is not in the runbook");
    }
}

#[test]
fn prometheus_finds_each_figure_that_is_watched() {
    let shop = Shop::merchants_side();
    shop.reported("dispensed");
    let undelivered = shop.reported("undelivered");
    shop.midtrans.fault(&json!({ "fault": "server_error", "code": 503, "on": "charge", "count": 1 }));
    shop.charge();

    let directory = tempfile::tempdir().expect("a directory");
    let config = source_text("config/prometheus/prometheus.yml").replace("127.0.0.1:8080", shop.backend_url.trim_start_matches("http://"));
    std::fs::write(directory.path().join("prometheus.yml"), config.replace("15s", "1s")).expect("written");
    std::fs::write(directory.path().join("qrisd.rules.yml"), source_text(RULES)).expect("written");
    let port = free_port();
    let mut start = command(tool("prometheus"));
    start.arg(format!("--config.file={}", directory.path().join("prometheus.yml").display()));
    start.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
    let prometheus = Process::start("prometheus", start.arg(format!("--web.listen-address=127.0.0.1:{port}")));
    prometheus.wait_line("ready to receive web requests");
    let http = Http::new();
    let ask = |query: &str| -> Value {
        let query: String = reqwest::Url::parse_with_params("http://x/", [("query", query)]).expect("a query").query().expect("it").into();
        let answer = http.get(&format!("http://127.0.0.1:{port}/api/v1/query?{query}"), None).json();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].clone()
    };
    let has = |query: &str| ask(query).as_array().is_some_and(|found| !found.is_empty());

    wait_for("the money that waits", || has("qris_backend_attention_orders{kind=\"refund_due\"} == 1").then_some(()));
    for (name, value) in [
        ("outcomes_total{outcome=\"dispensed\"}", 1),
        ("outcome_rupiah_total{outcome=\"dispensed\"}", PRICE),
        ("attention_rupiah{kind=\"refund_due\"}", PRICE),
        ("machines{state=\"there\"}", 1),
        ("store_up", 1),
        ("receipt_seconds_count", 2),
    ] {
        // Each comes with one of the next readings.
        wait_for(&format!("{name} to be {value}"), || has(&format!("qris_backend_{name} == {value}")).then_some(()));
    }
    // What is watched is there: each name in a query has a series, and each query can be asked.
    let dashboard: Value = serde_json::from_str(&source_text(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let mut queries: Vec<String> = panels
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
        .map(|target| target["expr"].as_str().expect("text").into())
        .collect();
    queries.extend(source_text(RULES).lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    let mut names = BTreeSet::new();
    for query in &queries {
        ask(query);
        let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':');
        names.extend(words.filter(|word| word.starts_with("qris_backend_") || word.starts_with("qrisd:")).map(str::to_owned));
    }
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        wait_for(&format!("a series of {name}"), || has(&name).then_some(()));
    }
    // Nobody finds out by a label who bought what.
    let text = shop.http.get(&format!("{}/metrics", shop.backend_url), None).text();
    assert!(!text.contains(&undelivered) && !text.contains(DEVICE), "{text}");
}
