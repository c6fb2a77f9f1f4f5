"""What the examples beside it share: the settings, the words, one call. It is no program."""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

# The backend gives a command 30 s.
TIMEOUT_S = 20
ANSWER_BYTES_MAX = 65536

# For each kind that has no order what happened, and what to do; where that has a command, what to do with a desk. `damaged` is no kind: it is
# an order of which only the name can be read. Of an order, and in English, the backend says all of it itself.
TELL_SERVER = "Hubungi orang yang mengurus server Anda."
FILL = ("Isi mesinnya. Yang harus dibawa: `stock --to-fill`.", "Isi mesinnya.")
INDONESIAN = {
    "damaged": (
        "Data sebuah pesanan rusak dan tidak dapat dibaca.",
        "Cari pesanan itu di dashboard Midtrans. Periksa disk server, dan pulihkan cadangan (`backup`).",
        "Cari pesanan itu di dashboard Midtrans. Hubungi orang yang mengurus server Anda.",
    ),
    "offline": (
        "Mesin tidak terhubung.",
        "Periksa listrik dan jaringannya.",
    ),
    "merchant": (
        "Uang dari QR di mesin ini masuk ke penjual lain daripada sebelumnya.",
        "Cocokkan dengan NMID Anda. Jika bukan milik Anda, matikan mesinnya, dan hubungi Midtrans.",
    ),
    "older_books": (
        "Pembukuan ini lebih lama daripada sebelumnya: sebuah salinan dipasang, atau disk-nya kehilangan sesuatu.",
        "Jika ada salinan yang lebih baru, pasang dengan `restore`. Lalu `reconcile` untuk setiap hari sejak itu.",
        TELL_SERVER,
    ),
    "another_primary": (
        "Basis data punya server utama lain: data dari saat-saat terakhir mungkin hilang.",
        "Jika tidak ada standby sinkron: `restore` tanpa berkas, lalu `reconcile` untuk hari itu.",
        TELL_SERVER,
    ),
    "clock": (
        "Waktu di server penjual tidak bisa dipercaya: penjualan jalan terus, tetapi tidak ada batas waktu yang berakhir.",
        "Atur jam server (`timedatectl`), dan pastikan gateway bisa dihubungi: `doctor`.",
        TELL_SERVER,
    ),
    "restored": (
        "Salinan pembukuan dipasang. Setiap pesanan yang belum selesai di dalamnya harus diputuskan oleh orang.",
        "`reconcile` untuk setiap hari sejak salinan itu dibuat, dan `reconcile --order` untuk yang disebut hilang oleh `restore`. Lalu periksa masing-masing: `orders --attention`.",
        f"{TELL_SERVER} Lalu periksa setiap pesanan.",
    ),
    "taken_over": (
        "Komputer lain memakai nama mesin ini di broker, dan terus memutusnya.",
        "Cari komputer itu, dan matikan. Jika mungkin di tangan orang lain: `device revoke`, lalu kode baru.",
        f"Cari komputer itu, dan matikan. Jika mungkin di tangan orang lain: {TELL_SERVER[0].lower()}{TELL_SERVER[1:]}",
    ),
    "stock_low": (
        "Mesin ini perlu diisi.",
        *FILL,
    ),
    "stock_out": (
        "Ada yang habis di mesin ini.",
        *FILL,
    ),
    "stock_suspect": (
        "Sensor tidak melihat barang keluar, dan slotnya tidak dijual lagi.",
        "Periksa apakah slotnya macet, dan hitung isinya di mesin.",
    ),
    "stock_blocked": (
        "Sebuah jalur diblokir, dan barangnya tidak dijual.",
        "Periksa apakah ada yang macet dan apakah sensornya bersih, lalu tekan tombol di balik pintu.",
    ),
    "stock_price": (
        "Tidak ada jalur atau pembayaran yang menerima sebuah harga, dan barangnya tidak dijual.",
        "Ubah harganya, atau jalurnya.",
    ),
    "people": (
        "Seorang pemilik mengubah orang di desk, atau kata sandinya. Catatan di desk menulis siapa, apa, dan dari mana.",
        "Jika tidak ada pemilik yang menginginkannya: `desk link` untuk pemilik itu, dan periksa `desk list`.",
        f"Jika tidak ada pemilik yang menginginkannya: {TELL_SERVER[0].lower()}{TELL_SERVER[1:]}",
    ),
    "twice": (
        "Dua komputer memakai nama mesin yang sama: kartunya disalin.",
        "Cari yang kedua, dan matikan. Jika mungkin di tangan orang lain: `device revoke`, lalu kode baru.",
        f"Cari yang kedua, dan matikan. Jika mungkin di tangan orang lain: {TELL_SERVER[0].lower()}{TELL_SERVER[1:]}",
    ),
}


def stop(why):
    """The backend writes this line into its journal, and runs the command again: after a minute, then two, then four."""
    sys.exit(" ".join(str(why).split())[:500])


def read_settings(needed, defaults):
    """Reads lines `name = value` from the file that the first argument names. A secret never stands in an argument."""
    if len(sys.argv) != 2:
        stop("give one argument: the file with the settings")
    path = sys.argv[1]
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                stop(f"everybody may use {path}, which has a secret: chmod o= {path}")
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        stop(f"{path}: {error}")
    settings = dict(defaults)
    for line in lines:
        if line and not line.startswith("#"):
            name, equals, value = (part.strip() for part in line.partition("="))
            if not equals or name not in (*needed, *defaults):
                stop(f"{path}: a line is NAME = VALUE, with one of {', '.join((*needed, *defaults))}")
            settings[name] = value
    missing = [name for name in needed if not settings.get(name)]
    if missing:
        stop(f"{path}: {', '.join(missing)} is missing")
    if settings["language"] not in ("id", "en"):
        stop(f"{path}: language is id or en")
    base = urllib.parse.urlsplit(settings["base"])
    if base.scheme != "https" and not (base.scheme == "http" and base.hostname == "127.0.0.1"):
        stop(f"{path}: base begins with https://")
    return settings


def read_alert():
    """The object that the backend writes to the standard input."""
    try:
        alert = json.load(sys.stdin)
        return alert if isinstance(alert, dict) else stop("the alert is not an object")
    except ValueError as error:
        stop(f"the alert is not JSON: {error}")


def words(alert, language):
    """Says in few words which machine, what happened, what to do, and where to look it up."""
    order = alert.get("order") or {}
    kind, number = alert.get("over") or alert.get("kind"), order.get("order_id") or ""
    what, to_do = alert.get("message"), alert.get("to_do")
    if order and "amount" not in order:
        kind = "damaged"
    said = alert.get("in_indonesian")
    if language == "id" and (kind in INDONESIAN or said):
        what, to_do, *at_desk = INDONESIAN.get(kind) or (said["message"], sentence(said["to_do"]))
        to_do = at_desk[0] if at_desk and alert.get("desk_url") else to_do
        if alert.get("over"):
            what, to_do = f"SELESAI, tidak perlu dilihat lagi. Tadinya: {what}", "Tidak perlu melakukan apa-apa."
    if language == "id" and alert.get("not_sold"):
        why = {"stock_blocked": "jalurnya diblokir"}.get(kind, "tidak ada yang menerima harganya")
        what = f"Tidak dijual, karena {why}: {alert['not_sold']}."
    elif language == "id" and alert.get("slots"):
        what = slots(alert["slots"])
    day = alert.get("day")
    if language == "id" and day:
        what, to_do = daily(day), "Uang yang harus dikembalikan: `orders --refund-due`. Setiap mesin: `report`."
        if alert.get("desk_url"):
            to_do = "Di sana ada uang yang harus dikembalikan, dan setiap mesin."
    about = [str(order.get("description") or order["item"]), rupiah(order["amount"])] if isinstance(order.get("amount"), int) else []
    if language == "id" or not about:
        what = " ".join(filter(None, [", ".join(about) + "." if about else "", str(what)]))
    test = {"id": "UJI COBA – BUKAN UANG ASLI: ", "en": "TEST – NO REAL MONEY: "}[language] if alert.get("sandbox") else ""
    since = str(alert.get("since") or "").replace("T", " ")
    # In groups, as people read it out.
    groups = " ".join(number[at:at + 5] for at in range(0, len(number), 5)) if number.isalnum() else number
    # In English the message has reason and last day.
    ours = language == "id"
    details = [f"{name} {value}" for name, value in (
        ({"id": "pesanan", "en": "order"}[language], groups),
        ({"id": "transaksi", "en": "transaction"}[language], order.get("transaction_id")),
        ("alasan", ours and order.get("reason")),
        ("Midtrans mengembalikan sampai", ours and str(order.get("refund_until") or "")[:10]),
        ({"id": "sejak", "en": "since"}[language], since),
    ) if value]
    of_all = ({"id": "Pesan harian", "en": "The day"} if day else {"id": "Server penjual", "en": "The merchant's server"})[language]
    machine = named(alert.get("device"), alert.get("machine")) if alert.get("device") else of_all
    return {
        "machine": test + machine,
        "what": what,
        "to_do": link(alert, language) + str(to_do).replace("ORDER", number or "ORDER") + customers(alert, language),
        "details": ", ".join(details),
    }


def sentence(text):
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def link(alert, language):
    """Where it is settled on a phone: whoever has one need not type a command, and finds all else there. Who opens it must be let in there."""
    if not alert.get("desk_url"):
        return ""
    return {"id": "Buka %s. ", "en": "open %s: "}[language] % alert["desk_url"]


def customers(alert, language):
    """What the customer can do. In English the backend says it itself. With a desk there is one link, and no other."""
    customer = alert.get("customer")
    if not customer or alert.get("desk_url"):
        return ""
    if language == "en":
        return f"; {customer.get('message')}"
    page, contact = customer.get("page"), customer.get("contact")
    can = [f"melihat pesanannya di {page}"] if page else []
    can.append(f"bertanya ke {contact}" if contact else "bertanya ke kontak yang tertera di mesin")
    return f" Pelanggan dapat {', dan '.join(can)}."


def daily(day):
    """What was sold, what is owed, what is out of order, and what to bring, in Indonesian. As the backend's sentence, it names ten of each at most."""
    def sold(part):
        return f"{part['orders']}, {rupiah(part['amount'])}"

    names = day["names"]
    machines = "; ".join(f"{named(of['device'], names.get(of['device']))} {sold(of)}" for of in day["machines"][:10])
    if len(day["machines"]) == 1:
        machines = "semuanya di " + named(day["machines"][0]["device"], names.get(day["machines"][0]["device"]))
    out = list(day["out_of_order"].items())[:10]
    barred = day.get("not_sold") or {}
    goods_of = {device: f", tidak dijual: {goods}" for device, goods in barred.items()}
    faults = "; ".join(f"{named(device, names.get(device))}: {' '.join(faults)}{goods_of.get(device, '')}" for device, faults in out)
    fill = day["to_fill"]
    most_first = sorted(fill["goods"].items(), key=lambda of: -of[1])
    goods = ", ".join(f"{count} {name}" for name, count in most_first[:10])
    goods += f", dan {len(most_first) - 10} lagi" if len(most_first) > 10 else ""
    return " ".join(filter(None, [
        f"Terjual dalam 24 jam: {sold(day['sold'])}" + (f" ({machines})." if machines else "."),
        f"Harus dikembalikan ke pelanggan: {sold(day['owed'])}." if day["owed"]["orders"] else "Tidak ada uang yang harus dikembalikan.",
        f"Pesanan lain yang perlu dilihat: {day['attention']}." if day["attention"] else "",
        f"Bermasalah: {faults}." if faults else "",
        f"Mesin yang perlu diisi: {fill['machines']}" + (f", bawa {goods}." if goods else ".") if fill["machines"] else "",
    ]))


def slots(wanting):
    """What lies in a machine, in Indonesian. As the backend's sentence, it names ten of each state at most."""
    def listed(state, say, tell):
        names = [tell(named(of["item"], of.get("name")), of) for of in wanting if of["state"] == state]
        more = f", dan {len(names) - 10} lagi" if len(names) > 10 else ""
        return f"{say}: {', '.join(names[:10])}{more}." if names else ""

    return " ".join(filter(None, [
        listed("sold_out", "Habis", lambda name, of: name),
        listed("suspect", "Tidak dijual, karena tidak ada yang keluar", lambda name, of: name),
        listed("low", "Hampir habis", lambda name, of: f"{name} {of['count']} dari {of['capacity']}"),
        listed("soon", "Segera habis", lambda name, of: f"{name} kira-kira {of['empty_in_days']} hari lagi" if of["empty_in_days"] else f"{name} hari ini"),
    ]))


def named(device, name):
    return f"{name} ({device})" if name else str(device)


def rupiah(amount):
    return "Rp" + f"{amount:,}".replace(",", ".")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the secret to another host."""

    def redirect_request(self, *_):
        return None


def post(url, body, headers):
    """Posts once, and gives the answer's status and object. The backend does the repeating: it survives a restart."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method="POST")
    # No proxy: the backend gives its command no environment that could name one.
    opener = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            status, answer = response.status, response.read(ANSWER_BYTES_MAX)
    except urllib.error.HTTPError as error:
        status, answer = error.code, error.read(ANSWER_BYTES_MAX)
    except (OSError, ValueError) as error:
        # The address may have the secret in it, so only the reason is told.
        stop(f"cannot be reached: {getattr(error, 'reason', None) or type(error).__name__}")
    try:
        answer = json.loads(answer)
    except ValueError:
        answer = None
    return status, answer if isinstance(answer, dict) else {}
