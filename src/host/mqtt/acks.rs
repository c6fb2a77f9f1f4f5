//! Which acknowledgement may leave now.

use super::Ack;
use std::collections::VecDeque;

/// The unacknowledged messages of one connection, in the order in which they came.
///
/// MQTT 5 (4.6) wants acknowledgements in that order, and some brokers lose a message when the order is another. A
/// message of an earlier connection must not be acknowledged on this one: its packet id may mean another message by
/// now.
#[derive(Debug)]
pub(super) struct AckQueue {
    connection: u64,
    /// The number of the front of `waiting`.
    front: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// `None`: QoS 0, nothing to send.
    packet_id: Option<u16>,
    marked: bool,
}

impl AckQueue {
    pub(super) fn new(connection: u64) -> Self {
        Self { connection, front: 0, waiting: VecDeque::new() }
    }

    pub(super) fn admit(&mut self, packet_id: Option<u16>) -> Ack {
        let number = self.front + self.waiting.len() as u64;
        self.waiting.push_back(Waiting { packet_id, marked: packet_id.is_none() });
        Ack { connection: self.connection, number }
    }

    /// A message was stored. Returns the packet ids to acknowledge now, in order.
    pub(super) fn mark(&mut self, ack: Ack) -> Vec<u16> {
        if ack.connection == self.connection
            && let Some(offset) = ack.number.checked_sub(self.front)
            && let Some(waiting) = usize::try_from(offset).ok().and_then(|offset| self.waiting.get_mut(offset))
        {
            waiting.marked = true;
        }
        let mut ready = Vec::new();
        while self.waiting.front().is_some_and(|front| front.marked) {
            self.front += 1;
            ready.extend(self.waiting.pop_front().and_then(|front| front.packet_id));
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_leave_in_the_order_of_arrival() {
        // The packet ids as they come (0: QoS 0); then the message that is marked, and the acknowledgements that leave.
        let arrivals = [7, 3, 0, 9, 4];
        let mut queue = AckQueue::new(1);
        let acks = arrivals.map(|packet_id: u16| queue.admit((packet_id != 0).then_some(packet_id)));
        let steps: [(usize, &[u16]); 6] = [(1, &[]), (3, &[]), (0, &[7, 3, 9]), (0, &[]), (2, &[]), (4, &[4])];
        for (index, leaves) in steps {
            assert_eq!(queue.mark(acks[index]), leaves, "after message {index} was marked");
        }
    }

    #[test]
    fn what_another_connection_delivered_is_dropped() {
        let mut old = AckQueue::new(1);
        let stale = old.admit(Some(1));
        let mut queue = AckQueue::new(2);
        let fresh = queue.admit(Some(1));
        assert!(queue.mark(stale).is_empty());
        assert_eq!(queue.mark(fresh), [1]);
    }
}
