use super::*;

/// The money went back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refunded {
    /// The proof.
    pub receipt: Option<Receipt>,
}

impl Phase for Refunded {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::Refunded, None),
            holds_machine: false,
            is_unfinished: false,
            receipt: self.receipt.as_ref(),
            goods: Goods::AsBefore,
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    fn seen(&self, _seen: &Seen, _at: &At) -> Option<State> {
        None
    }
}
