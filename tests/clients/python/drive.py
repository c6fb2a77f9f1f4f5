"""Drives a Midtrans through the calls that a seller of this kind makes, by Midtrans' own client for Python.

    drive.py URL SERVER_KEY

URL is that of the simulated Midtrans; its controls play the customers. The client has no setting for another address,
but its addresses are constants of its class of settings, which an instance may have otherwise. Its files stay as they
were installed.
"""

import json
import queue
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import midtransclient

URL, KEY = sys.argv[1:]
RUN = str(time.time_ns())


def main():
    core = client(KEY)
    qr(core)
    over_the_counter(core)
    refunds(core)
    notifications(core)
    idempotency(core)
    refusals(core)
    print(f"midtransclient {midtransclient.__version__}: all as wanted")


def client(key):
    made = midtransclient.CoreApi(is_production=False, server_key=key, client_key="")
    made.api_config.CORE_SANDBOX_BASE_URL = URL
    return made


# --- what is sold -------------------------------------------------------------------------------------------------


def qr(core):
    charged = core.charge(charge("gopay", "gopay", {"enable_callback": True, "callback_url": "app://finish"}))
    same(charged, status_code="201", transaction_status="pending", payment_type="gopay", gross_amount="10000.00")
    actions = {action["name"]: action for action in charged["actions"]}
    same({name: action["method"] for name, action in actions.items()},
         **{"generate-qr-code": "GET", "deeplink-redirect": "GET", "get-status": "GET", "cancel": "POST"})
    picture = urllib.request.urlopen(actions["generate-qr-code"]["url"])
    assert picture.headers["content-type"] == "image/png" and picture.read(4) == b"\x89PNG"
    assert "simulated" in urllib.request.urlopen(actions["deeplink-redirect"]["url"]).read().decode()
    same(core.transactions.status(charged["order_id"]), status_code="201", transaction_status="pending")

    # Scanned with another app it comes back as qris.
    control(f"pay/{charged['order_id']}?via=qris")
    for name in (charged["order_id"], charged["transaction_id"]):
        same(core.transactions.status(name), status_code="200", transaction_status="settlement", payment_type="qris",
             transaction_type="off-us")
    fails("412", lambda: core.transactions.cancel(charged["order_id"]))
    fails("406", lambda: core.charge(charge("gopay", order_id=charged["order_id"])))

    for acquirer in ("gopay", "airpay shopee"):
        charged = core.charge(charge("qris", "qris", {"acquirer": acquirer}))
        same(charged, status_code="201", acquirer=acquirer)
        assert charged["qr_string"].startswith("000201010212")
        same(core.transactions.cancel(charged["transaction_id"]), status_code="200", transaction_status="cancel")
        same(core.transactions.status(charged["order_id"]), status_code="200", transaction_status="cancel")
    # What was cancelled frees its order_id.
    same(core.charge(charge("qris", order_id=charged["order_id"])), status_code="201")
    # 407 is no error for this client.
    control(f"expire/{charged['order_id']}")
    same(core.transactions.status(charged["order_id"]), status_code="407", transaction_status="expire")


def over_the_counter(core):
    lines = {"message": "Tea", "alfamart_free_text_1": "one", "alfamart_free_text_2": "two", "alfamart_free_text_3": "three"}
    for store in ("alfamart", "Indomaret"):
        charged = core.charge(charge("cstore", "cstore", {"store": store, **lines}))
        same(charged, status_code="201", store=store.lower(), payment_type="cstore", transaction_status="pending")
        assert ("fraud_status" in charged) == (store == "alfamart"), charged
        control(f"pay/{charged['payment_code']}")
        settled = core.transactions.status(charged["order_id"])
        same(settled, status_code="200", transaction_status="settlement", payment_code=charged["payment_code"])
        fails("412", lambda: core.transactions.refund(charged["order_id"], {"amount": 10000}))
    control(f"reverse/{charged['order_id']}")
    same(core.transactions.status(charged["order_id"]), status_code="202", transaction_status="deny")
    fails("400", lambda: core.charge(charge("cstore", "cstore", {"store": "nowhere"})))


def refunds(core):
    charged = core.charge(charge("gopay"))
    order_id = charged["order_id"]
    fails("412", lambda: core.transactions.refund(order_id, {"refund_key": "early", "amount": 5000, "reason": "none"}))
    control(f"pay/{order_id}?via=gopay")
    part = {"refund_key": "part", "amount": 4000, "reason": "the drink jammed"}
    same(core.transactions.refund(order_id, part), status_code="200", transaction_status="partial_refund",
         refund_amount="4000.00", refund_key="part")
    fails("406", lambda: core.transactions.refund(order_id, part))
    fails("414", lambda: core.transactions.refund(order_id, {"refund_key": "much", "amount": 6001}))
    same(core.transactions.refund(order_id), status_code="200", transaction_status="refund", refund_amount="6000.00")
    found = core.transactions.status(order_id)
    same(found, status_code="200", transaction_status="refund", refund_amount="10000.00")
    assert [refund["refund_amount"] for refund in found["refunds"]] == ["4000.00", "6000.00"]


# --- what is told -------------------------------------------------------------------------------------------------


def notifications(core):
    with Merchant() as merchant:
        core.api_config.custom_headers = {"X-Override-Notification": merchant.url}
        charged = core.charge(charge("gopay"))
        core.api_config.custom_headers = {}
        same(json.loads(merchant.next()), transaction_status="pending", status_code="201")
        control(f"pay/{charged['order_id']}?via=qris")
        settled = merchant.next()
        same(json.loads(settled), transaction_status="settlement", status_code="200", payment_type="qris")
        # As text and as a dictionary; either way the client asks for the status.
        for body in (settled, json.loads(settled)):
            same(core.transactions.notification(body), transaction_status="settlement", order_id=charged["order_id"])
        # With headers of its own this call sends them as a query, which must not matter.
        core.api_config.custom_headers = {"X-Append-Notification": merchant.url}
        same(core.transactions.notification(settled), transaction_status="settlement")
        core.api_config.custom_headers = {}
        try:
            core.transactions.notification("")
        except Exception as error:
            assert "JSONDecodeError" in repr(error), repr(error)
        else:
            raise AssertionError("an empty notification was taken")


def idempotency(core):
    wanted = charge("qris")
    core.api_config.custom_headers = {"Idempotency-Key": "key-" + RUN}
    first = core.charge(wanted)
    assert core.charge(wanted) == first
    assert core.charge(charge("qris")) == first, "whatever the body"
    core.api_config.custom_headers = {"Idempotency-Key": "k" * 47}
    fails("406", lambda: core.charge(wanted))
    core.api_config.custom_headers = {}


def refusals(core):
    error = fails("404", lambda: core.transactions.status("nothing"), http=200)
    assert "exist" in error.message and isinstance(error.api_response_dict, dict)
    assert "unexpected" in fails("500", lambda: core.charge(None), http=500).message
    error = fails("400", lambda: core.charge(charge("gopay", gross_amount=0)), http=400)
    assert isinstance(error.api_response_dict["validation_messages"], list)
    fails("400", lambda: core.charge(charge("gopay", order_id="no spaces")), http=400)
    fails("402", lambda: core.charge(charge("echannel")))
    fails("401", lambda: client("another key").transactions.status("nothing"), http=401)
    # A path that is none is answered with a page, which the client cannot read.
    try:
        core.transactions.status("no/such/path")
    except Exception as error:
        assert "JSONDecodeError" in error.__class__.__name__, repr(error)
    else:
        raise AssertionError("a page was read as JSON")


# --- helpers ------------------------------------------------------------------------------------------------------


def charge(payment_type, section=None, value=None, order_id=None, gross_amount=10000):
    order_id = order_id or f"py-{RUN[-9:]}-{time.time_ns()}"
    body = {"payment_type": payment_type, "transaction_details": {"order_id": order_id, "gross_amount": gross_amount}}
    return {**body, section: value} if section else body


def control(path):
    """What customers and shops do."""
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/sim/{path}", method="POST")) as answer:
        return json.load(answer)


def same(answer, **expected):
    seen = {name: answer.get(name) for name in expected}
    assert seen == expected, f"{seen} is not {expected}: {answer}"


def fails(code, call, http=None):
    """The client's own error, with this code of the body or of HTTP."""
    try:
        answer = call()
    except midtransclient.MidtransAPIError as error:
        assert code in error.message, error.message
        assert http in (None, error.http_status_code), error.http_status_code
        return error
    raise AssertionError(f"{code} was expected, not {answer}")


class Merchant:
    """Takes notifications."""

    def __enter__(self):
        bodies = self.bodies = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                bodies.put(self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notifications"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def next(self):
        return self.bodies.get(timeout=30)


main()
