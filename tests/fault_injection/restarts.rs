//! What was answered once is answered again, whoever was restarted in between.

use crate::support::{Scratch, Trio};

#[tokio::test]
async fn the_same_key_gets_the_same_receipt_after_ten_restarts() {
    let scratch = Scratch::new("restarts");
    let mut trio = Trio::start(scratch.path()).await;
    let keys = ["order-7", "0199c0de-0000-7000-8000-00000000abcd"];
    let mut receipts = Vec::new();
    for key in keys {
        let client = trio.client();
        receipts.push(client.post(&format!("for {key}"), Some(key)).await.unwrap().expect(200));
    }

    for round in 1..=10 {
        if round % 2 == 0 {
            trio.logging.kill_hard();
        } else {
            assert_eq!(trio.logging.terminate().await, Some(0));
        }
        trio.logging.restart().await;
        trio.facade.kill_hard();
        trio.facade.restart().await;
        trio.ready().await;
        let client = trio.client();
        client.post(&format!("new in round {round}"), None).await.unwrap().expect(200);
        for (key, receipt) in keys.iter().zip(&receipts) {
            let repeat = client.post(&format!("for {key}"), Some(key)).await.unwrap().expect(200);
            assert_eq!(repeat.text, receipt.text, "round {round}");
            assert_eq!(repeat.header("idempotency-replayed"), "true", "round {round}");
            client.post("another message", Some(key)).await.unwrap().expect(422);
        }
    }

    assert_eq!(trio.client().logs().await.len(), keys.len() + 10);
}
