use super::*;

/// A receipt is stored. The backend must say that the order may still be delivered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Paid {
    /// The proof.
    pub receipt: Receipt,
    /// The machine is held until then.
    pub deliver_by: Boot,
}

impl Phase for Paid {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::Paid, None),
            holds_machine: true,
            is_unfinished: true,
            receipt: Some(&self.receipt),
            goods: Goods::Promised,
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    fn seen(&self, seen: &Seen, at: &At) -> Option<State> {
        let receipt = self.receipt.clone();
        Some(match seen.may_be_delivered(at) {
            Some(_) if at.with.empty => RefundDue::once_closed(Some(receipt), Undelivered::SoldOut, false),
            Some(deliver_by) => Dispensing::begun(receipt, deliver_by, false),
            None => RefundDue::once_closed(Some(receipt), Undelivered::Late, false),
        })
    }

    fn backend_call(&self, _at: &At) -> Option<BackendCall> {
        Some(BackendCall::Confirm(self.receipt.claims().sub.clone()))
    }

    fn deadline(&self, _at: &At) -> Option<Boot> {
        Some(self.deliver_by)
    }

    fn tick(&self, at: &At) -> Option<State> {
        (at.now >= self.deliver_by).then(|| RefundDue::once_closed(Some(self.receipt.clone()), Undelivered::Late, false))
    }

    fn rebooted(&self, _order: &Order, now: Boot, rules: &Rules) -> Option<State> {
        Some(State::Paid(Self { deliver_by: now + rules.deliver_within, ..self.clone() }))
    }
}
