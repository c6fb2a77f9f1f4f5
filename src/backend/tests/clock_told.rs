//! That nothing ends by time is told where people stand, and what commands go by.

use super::*;
use crate::sale::books::{TrustedTime, latest_beside, store_time};
use qris_core::order::time::{Boot, BootId};

impl Rig {
    /// The kinds of the open alerts.
    async fn alerts(&self) -> Vec<String> {
        self.handles.work.alert().await;
        let read = |tx: &mut dyn crate::store::Tx| {
            let rows = tx.rows("SELECT kind FROM alerts WHERE ended_ms IS NULL", &[])?;
            rows.iter().map(|row| Ok(row.text("kind")?.to_owned())).collect::<Result<_, books::BooksError>>()
        };
        self.handles.books.read(read).await.expect("readable")
    }

    async fn ready(&self) -> String {
        let answer = self.http.get(format!("{}/readyz", self.url)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "it sells all the same");
        answer.text().await.expect("text")
    }
}

#[tokio::test]
async fn a_clock_that_differs_is_one_alert_and_a_line_of_readyz_until_it_agrees() {
    let rig = Rig::new().await;
    let reckoning = &rig.journal.1;
    let heard = |off_s: i64| {
        let now = clock::now();
        // The two clocks of a computer are read one after the other.
        reckoning.heard(now.wall - Span::secs(off_s) - Span(500), now.wall, now);
    };
    assert_eq!(rig.alerts().await, [""; 0], "the gateway may be slow");
    assert_eq!(rig.ready().await, "ready\nnothing ends by time: the gateway has told no time since the start\n");
    heard(120);
    assert_eq!((rig.alerts().await, rig.alerts().await), (vec!["clock".to_owned()], vec!["clock".to_owned()]));
    let told = rig
        .handles
        .books
        .read({
            let now = rig.handles.books.now();
            move |tx| books::due_alerts(tx, now)
        })
        .await
        .expect("readable");
    assert_eq!(told.iter().map(books::Alert::kind).collect::<Vec<_>>(), ["clock"]);
    assert_eq!(rig.ready().await, "ready\nnothing ends by time: the clock is 120 s ahead of the gateway's\n");
    heard(0);
    assert_eq!(rig.alerts().await, [""; 0]);
    assert_eq!(rig.ready().await, http::READY);
}

/// Two years.
const YEARS: Span = Span::secs(63_072_000);

#[tokio::test]
async fn a_command_counts_on_from_the_trusted_time_whatever_its_clock_says() {
    let rig = Rig::new().await;
    let (at, this) = (Wall(1_800_000_000_000), BootId("this".into()));
    let beside = async |wall: Wall, boot: &BootId| {
        let (own, boot) = (Now { wall, boot: Boot(100_000) }, boot.clone());
        rig.handles.books.read(move |tx| latest_beside(tx, own, Some(boot))).await.expect("readable")
    };
    assert_eq!(beside(at + YEARS, &this).await, at + YEARS, "nobody has told the time yet");
    let time = TrustedTime { at, boot: this.clone(), since_boot: Boot(60_000) };
    rig.handles.books.write(move |tx, _, _| store_time(tx, &time)).await.expect("written");
    let other = BootId("other".into());
    for (what, wall, boot, latest) in [
        ("ahead", at + YEARS, &this, at + Span::secs(40)),
        ("behind", at - YEARS, &this, at + Span::secs(40)),
        ("ahead, in another boot", at + YEARS, &other, at + YEARS),
        ("behind, in another boot", at - YEARS, &other, at),
    ] {
        assert_eq!(beside(wall, boot).await, latest, "{what}");
    }
}
