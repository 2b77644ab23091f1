//! The client's messages, in order and acknowledged.

use std::collections::VecDeque;

use serde_json::json;
use tokio::{sync::mpsc, time::Instant};

use super::{
    super::{
        message::{Kind, Message},
        record::SessionEnd,
    },
    Channel,
    inbox::{Inbox, Place},
};

pub(super) struct Receiver<'a> {
    pub(super) channel: &'a Channel,
    uplink: mpsc::Receiver<Message>,
    inbox: Inbox,
    /// For what was given out last: receipts are sent when it has been processed.
    owed: VecDeque<Vec<u8>>,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(channel: &'a Channel, uplink: mpsc::Receiver<Message>) -> Self {
        Self { channel, uplink, inbox: Inbox::default(), owed: VecDeque::new() }
    }

    /// The next numbered message. Calling it says that the one before has been processed.
    ///
    /// Cancel safety: nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Result<Message, SessionEnd> {
        self.settle();
        loop {
            if let Some(message) = self.inbox.ready() {
                return Ok(message);
            }
            let Some(message) = self.uplink.recv().await else {
                return std::future::pending().await;
            };
            if message.kind == Kind::Acknowledge {
                self.channel.outbox().acknowledged(&message.payload, Instant::now())?;
                continue;
            }
            let receipt = receipt(&message);
            match self.inbox.place(message)? {
                Place::Next(message) => {
                    self.owed.push_back(receipt);
                    return Ok(message);
                }
                Place::Known => self.channel.acknowledge(receipt),
                Place::NoRoom => {}
            }
        }
    }

    fn settle(&mut self) {
        for receipt in self.owed.drain(..) {
            self.channel.acknowledge(receipt);
        }
    }
}

fn receipt(message: &Message) -> Vec<u8> {
    let receipt = json!({
        "AcknowledgedMessageType": "input_stream_data",
        "AcknowledgedMessageId": message.id.to_string(),
        "AcknowledgedMessageSequenceNumber": message.sequence,
        "IsSequentialMessage": true,
    });
    receipt.to_string().into_bytes()
}
