//! The one exception to "goods or money": the goods of another try came, and perhaps to somebody else than the customer. A person may then give
//! the money, or the goods by hand, besides. What the machine delivered stays delivered.

use super::*;

impl Order {
    /// Whether a person may decide so, and whether that gives goods and money. `said`: the person says by name that it may. It counts only
    /// where the goods of another try came.
    pub(super) fn gives_besides(&self, said: bool, by_name: bool) -> Result<bool, Refused> {
        if !self.may_have_been_anothers() {
            return Ok(false);
        }
        match self.money() {
            Money::AtMerchant if said && by_name => Ok(true),
            Money::AtMerchant => Err(Refused::GoodsAndMoney),
            Money::TakenBack => Err(Refused::TakenBack),
            Money::Refunded => Err(Refused::RefundedAlready),
            Money::Unpaid | Money::AtCounter => Err(Refused::NotPaid),
        }
    }

    /// Whether the customer got the money, or the goods by hand, although the goods of another try had come.
    #[must_use]
    pub fn is_goods_and_money(&self) -> bool {
        self.repaying.goods_and_money && self.repaying.is_settled()
    }
}
