//! What tests of power cuts and faults ask of a shop: its machine in a namespace, and how orders and charges end.

use super::caller::Caller;
use super::namespace::Namespace;
use super::shop::{Program, Shop};
use super::wait_for;

impl Shop {
    /// Starts relay service and `qrisd` in a namespace, as [`Shop::start_machine`] does outside.
    pub fn start_machine_in(&mut self, namespace: &Namespace) {
        self.start_in(Program::Relayd, namespace);
        self.start_in(Program::Qrisd, namespace);
    }

    /// Waits until the relay's ledger says this of an order.
    pub fn wait_ledger(&self, order_id: &str, outcome: &str) {
        let caller = Caller::connect(&self.bus.address);
        wait_for(&format!("the ledger to say {outcome}"), || {
            let (said, ..) = caller.relay::<_, (String, bool, String)>("Query", &(order_id, 1_u32)).ok()?;
            (said == outcome).then_some(())
        });
    }

    /// Another program wrote nonsense over a database.
    pub fn spoil(&self, database: &str) {
        for suffix in ["-wal", "-shm"] {
            drop(std::fs::remove_file(self.path().join(format!("{database}{suffix}"))));
        }
        std::fs::write(self.path().join(database), "this is no database; ".repeat(100)).expect("written");
    }

    /// The order of a request, as its events told it.
    pub fn order_id(&self, request_id: &str) -> String {
        let named = self
            .tap
            .events()
            .into_iter()
            .find(|event| event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id) && event.order_id.is_some());
        named.and_then(|event| event.order_id).unwrap_or_else(|| panic!("no event of {request_id} names its order")).to_string()
    }

    /// Waits until the backend was told how an order ended.
    pub fn wait_outcome(&self, order_id: &str, outcome: &str) {
        self.wait_order(order_id, outcome, |order| (order["outcome"]["outcome"] == outcome).then_some(()));
    }

    /// Waits until no charge is left that somebody could still pay.
    pub fn wait_nothing_payable(&self) {
        wait_for("no charge that can be paid", || {
            self.midtrans.transactions().iter().all(|charge| charge["status"] != "pending").then_some(())
        });
    }
}
