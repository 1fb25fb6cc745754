//! What a consumer shows to say what became of a delivery: everything about its claim, so that any replica understands it.
//!
//! It is no secret: who may use a queue may use it. The store's fence decides whether it is still good.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{AttemptId, DeliveryId, WorkerId},
    },
    event::{attempt::Trigger, delivery::Fence},
};

/// Of its form: what another version wrote is refused, not misread.
const VERSION: u8 = 1;
const LEN: usize = 1 + 16 + 16 + 16 + 8 + 8 + 4 + 1;

/// One delivery in a consumer's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub delivery_id: DeliveryId,
    /// Of the attempt that this is: said twice, it is recorded once.
    pub attempt_id: AttemptId,
    pub worker: WorkerId,
    pub fence: Fence,
    pub received_at: Timestamp,
    /// 1 for the first attempt.
    pub number: u32,
    pub trigger: Trigger,
}

const TRIGGERS: [Trigger; 3] = [Trigger::Initial, Trigger::Schedule, Trigger::Manual];

impl Receipt {
    pub fn to_text(self) -> String {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(VERSION);
        for id in [
            self.delivery_id.uuid(),
            self.attempt_id.uuid(),
            self.worker.uuid(),
        ] {
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes.extend_from_slice(&self.fence.0.to_be_bytes());
        bytes.extend_from_slice(&self.received_at.as_micros().to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        let trigger = TRIGGERS.iter().position(|it| *it == self.trigger);
        bytes.push(u8::try_from(trigger.unwrap_or_default()).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; LEN] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let uuid = |at: usize| Uuid::from_slice(&bytes[at..at + 16]).ok();
        let long = |at: usize| bytes[at..at + 8].try_into().ok().map(i64::from_be_bytes);
        if bytes[0] != VERSION {
            return None;
        }
        Some(Self {
            delivery_id: DeliveryId::from_uuid(uuid(1)?),
            attempt_id: AttemptId::from_uuid(uuid(17)?),
            worker: WorkerId::from_uuid(uuid(33)?),
            fence: Fence(long(49)?),
            received_at: Timestamp::from_micros(long(57)?),
            number: bytes[65..69].try_into().ok().map(u32::from_be_bytes)?,
            trigger: *TRIGGERS.get(usize::from(bytes[69]))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for trigger in TRIGGERS {
            let receipt = Receipt {
                delivery_id: DeliveryId::new(),
                attempt_id: AttemptId::new(),
                worker: WorkerId::new(),
                fence: Fence(i64::MAX),
                received_at: Timestamp::from_micros(-1),
                number: u32::MAX,
                trigger,
            };
            let text = receipt.to_text();
            assert_eq!(Receipt::parse(&text), Some(receipt));
            // Cut, of another version, and with something after it.
            assert_eq!(Receipt::parse(&text[..text.len() - 1]), None);
            assert_eq!(Receipt::parse(&text.replacen("AQ", "Ag", 1)), None);
            assert_eq!(Receipt::parse(&format!("{text}AAAA")), None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, bytes: Vec<u8>) {
            let _ = Receipt::parse(&text);
            let _ = Receipt::parse(&URL_SAFE_NO_PAD.encode(bytes));
        }
    }
}
