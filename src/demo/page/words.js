// All words of the page, in both languages. The programs' own messages are not translated.

const en = {
  claim: "GoPay and every QRIS app, on a machine that nobody attends. One payment: one drop, or you hear why not.",
  language: "Indonesia", language_hint: "The machine’s screen follows as soon as no customer is there, for everybody who has this page open. That is why the timeline says: settings from afar.",
  tour: "Show me:",
  machine: "Lobby", phone: "Budi’s phone", owner: "The owner’s phone", to_owner: n => (n ? `The owner’s phone (${n})` : "The owner’s phone"), books: "The books", links: "What is connected: cut it", timeline: "What happens in all programs",
  tray: "take your item here", cancel: "Cancel", fill: item => `Fill ${item}`, screen: "The machine’s screen, pixel for pixel",
  power_on: "Power on", power_off: "No power", power_label: "The machine’s power",
  pulses: n => (n === 1 ? "pulse of the relay" : "pulses of the relay"), driven: "The motor is turning", rest: "The motors stand still",
  b_paid: "paid", b_dispensed: "dispensed", b_refund: "refund due", b_uncertain: "uncertain", b_refunded: "refunded", b_given: "handed over", b_open: "under way",
  under_way: (n, total) => `A sale is under way. ${total} taken so far.`,
  compared: "A moment: not all of them have heard of it yet.",
  balanced: (total, pulses) => `They balance: ${total} taken, ${pulses} ${pulses === 1 ? "pulse" : "pulses"} of the relay.`,
  empty: "Nothing was sold yet. Sources: Midtrans, backend, machine and relay.",
  l_customer: "Customer", l_machine: "Machine", l_relay: "Relay", l_broker: "Broker", l_backend: "Backend", l_merchant: "the merchant’s", l_simulated: "simulated",
  wire_up: "on", wire_cut: "cut", wire_waits: "redials", wire_label: { broker: "Network between machine and broker", backend: "Network between machine and backend", midtrans: "Network between backend and Midtrans" },
  logs: "with the programs’ log lines", gap: s => `${s} s later`,
  camera: "Point at a QR", camera_hint: "Press a product on the machine: its QR comes on the screen, and this phone reads it there.",
  to_phone: "To the phone ↓",
  pay_to: who => `Pay ${who}`, here: "Read off the screen’s pixels", photo: "The QR has left the screen. Budi took a photo of it.",
  pay_gopay: "Pay with GoPay", pay_qris: "Pay with another QRIS app", pay_fail: "Payment fails", leave: "Walk away", close: "Close",
  paid: "Paid", with: via => ({ gopay: "with GoPay", qris: "with another QRIS app", sandbox: "in Midtrans’ simulator" })[via], wrong_pin: "Wrong PIN. Nothing was paid.", not_paid: why => `Not paid: ${why}`,
  x_steps: "Copy this address, open Midtrans’ simulator, paste it there, and pay. The machine hears of it within 12 seconds.",
  x_never: "Never pay it with a real app: the money may be lost.", x_copy: "Copy the address", x_open: "Open Midtrans’ simulator", l_sandbox: "sandbox",
  x_ready: "Ready. Press a product on the machine: Midtrans’ sandbox makes its QR. No real money moves.",
  r_wait: "The machine does not know yet.", r_paid: "The machine has the receipt.", r_dispensed: what => `Take your ${what}.`, r_refund: order => `Refund due. Show this number: ${order}`, r_uncertain: order => `Uncertain: nobody knows whether it came out. Show this number: ${order}`, r_refunded: "The money came back.",
  ended: "The demo has ended, or cannot be reached.",
  ready: "Ready. Press a product on the machine – or let the page show you. No real money moves.",
  s_requested: what => `Budi wants ${what}. The relay promises that it can deliver; then the machine asks the merchant’s backend for a QR.`,
  s_offered: (sum, what) => `The QR for ${sum} is on the screen, and Budi’s phone has read it. Pay for the ${what} there – or cut something first.`,
  s_offered_again: "The power is back, and so is the same QR: the order was stored before it was shown.",
  s_cancelling: { customer: "Cancel was pressed: the QR is gone, and Midtrans is asked to void the charge.", timeout: "Nobody paid in time: the QR is gone, and Midtrans is asked to void the charge.", other: "The QR is gone, and Midtrans is asked to void the charge." },
  s_cancelling_cut: "The QR is gone, but nobody can be asked to void the charge. Anybody with a photo can still pay it.",
  s_cancelled: "Voided at Midtrans: nobody can pay this QR any more, not even from a photo.",
  s_walked: "Budi walked away. After two minutes the machine gives up by itself; Cancel does it now.",
  s_walked_dark: "Budi walked away. The machine is dark; when its power is back it shows the QR once more, and gives up by itself.", s_left: "Budi walked away.",
  s_void: "No money moved: this QR cannot be paid any more, not even from a photo.",
  s_wrong_pin: "The payment failed: no money moved, nothing drops. The QR can still be paid.",
  s_paid_app: "Budi’s money has left his account. Midtrans tells the backend, which asks back before it signs a receipt.",
  s_paid_dark: "Budi paid, but the machine has no power: it cannot know that. Bring the power back.",
  s_paid_midtrans: "Budi paid, but Midtrans and the backend cannot reach each other. Without Midtrans’ word nothing drops. Mend the network.",
  s_paid_both: "Budi paid, but the machine hears from nobody: broker and backend are cut off. Mend one of them.",
  s_paid_broker: "Budi paid. The broker is cut off, so the machine asks the backend by itself.",
  s_paid_backend: "Budi paid. The backend cannot be asked, so the receipt has to come over the broker.",
  s_paid: "Midtrans says settled, the backend signed a receipt, and the machine has verified it.",
  s_trying_again: what => `Nothing came, by the relay’s own word. So Budi may have the ${what} after all, in place of his money.`,
  s_dispensing: "The relay verifies the receipt for itself and writes its ledger, and only then turns the motor.",
  s_done: what => `${what} dropped. One payment, one pulse of the relay.`,
  s_done_power: what => `The power went while Budi’s payment was on its way. The machine came back, found the receipt and dropped the ${what} – once.`,
  s_done_power_paid: what => `The power went after Budi had paid. The machine came back, found the order in its store and dropped the ${what} – once.`,
  s_done_broker: what => `The broker was out of reach, so the machine asked the backend itself, and dropped the ${what} – once.`,
  s_done_backend: what => `The backend could not be asked, so the receipt came over the broker, and the ${what} dropped – once.`,
  s_done_network: what => `The network was down while Budi paid. When the receipt came through, the ${what} dropped – once.`,
  s_refund: { late: "Paid too late: the QR was gone. Nothing drops by itself: the refund is due. If the screen offers it at no cost, Budi may press again.",
    uncertain: "The power went while the motor was turning: nobody can know whether it fell. You see it in the tray; the machine does not. It is never tried again. The books say uncertain, and a person decides.",
    failed: "The motor did not do its work: the refund is due.", relay_refused: "The relay refused the receipt: the refund is due.", not_collected: "Nobody collected it: the refund is due.",
    mismatch: "The amount paid is not the amount asked: the refund is due.", other: "Paid and not delivered: the refund is due." },
  s_refused: { busy: "Somebody is being served: the second press was refused, before any charge.", relay: "The relay is not there (yet): refused, before any charge.", screen: "The screen is not there: refused, before any charge.",
    sold_out: "Nothing is left of it, and the machine counts: refused, before any charge. Fill it, and it sells again.",
    backend: "Refused: the backend cannot be reached. Nothing was charged.", other: why => `Refused before any charge: ${why}.` },
  s_filled: what => `Somebody opened the machine, filled it with ${what.toLowerCase()}, and said so: the machine counts from there.`,
  s_failed: why => `No QR came (${why}). Nothing was charged; a charge that came too late is voided.`,
  s_tries: { backend: what => `Budi wants ${what}, and machine and backend are cut apart. The machine tries for 15 seconds, charges nothing, and says sorry.`,
    midtrans: what => `Budi wants ${what}, and backend and Midtrans are cut apart. The machine tries for 15 seconds, charges nothing, and says sorry.` },
  s_expired: "Midtrans expired the charge: nothing was paid.", s_denied: "Midtrans denied the charge: nothing was paid.", s_refunded: "The money went back to Budi.",
  s_power_off: { waiting: "The machine lost its power while Budi had the QR. Phone, backend and Midtrans go on.", working: "The machine lost its power in the middle of its work. Phone, backend and Midtrans go on.",
    idle: "The machine lost its power while nobody wanted anything. Phone, backend and Midtrans go on." },
  s_power_on: "The machine has power again. It reads its store, and continues its orders.",
  s_cut: { broker: "Machine and broker are cut apart. The buttons now ask inside the machine, and the machine asks the backend by itself.", backend: "Machine and backend are cut apart. There can be no new QR, but receipts of the backend still come over the broker.", machine: "Broker and backend are both cut off. The machine hears from nobody: no QR, no receipt.",
    midtrans: "Backend and Midtrans are cut apart. There can be no new QR, and no payment is believed until they talk again." },
  s_mended: "The network is back. Calls that waited are made again.",
  t_stop: "Stop", t_step: (n, of) => `Step ${n} of ${of}: `,
  t_sale: "Normal sale", t_power: "Power cut", t_late: "Paid too late", t_network: "Network down", t_again: "Second try",
  t_ready: "First everything is repaired.", t_press: what => `Budi presses ${what}.`, t_pay: "Budi pays with GoPay.", t_dropped: "One payment, one pulse.",
  t_cut_power: "The power goes, with the QR on the screen.", t_pay_photo: "Budi pays all the same, from the QR that his phone has read.", t_dark: "The machine is dark and knows nothing of it.", t_power_back: "The power comes back.",
  t_cancel: "Cancel is pressed: the QR goes, and Midtrans cancels the charge.", t_under_way: "But Budi has typed his PIN just before, and Midtrans takes the money all the same.", t_mend: "The network comes back.", t_mend_broker: "The network to the broker comes back. The machine redials within half a minute.", t_owed: "Nothing drops by itself: the refund is due. For a minute the screen offers it at no cost.", t_try_again: "The screen offers it once more. Budi presses again, and pays nothing.", t_in_place: "It came, in place of the money.",
  t_cut_broker: "Machine and broker are cut apart.", t_cut_backend: "Machine and backend, too: the machine hears from nobody.", t_nothing: "Paid, and the machine cannot know. Nothing drops.",
  t_hers_sold: "Sari owns the machine. Her phone says what was sold today.", t_hers_owed: "Sari owns the machine. Her phone says what is owed, and until when. Send the money back there.",
  t_over: "That was it. Try it yourself.", t_stuck: "The expected step did not happen in time. Look at the timeline.", t_stopped: "Stopped. Go on by yourself.",
};

const id = {
  ...en,
  claim: "Bayar sekali, keluar sekali – atau Anda diberi tahu.",
  language: "English", language_hint: "Layar mesin ikut berganti begitu tidak ada pembeli, untuk semua yang membuka halaman ini. Karena itu garis waktu menulis: setelan dari jauh.",
  tour: "Tunjukkan:",
  phone: "Ponsel Budi", owner: "Ponsel pemilik", to_owner: n => (n ? `Ponsel pemilik (${n})` : "Ponsel pemilik"), books: "Pembukuan", links: "Sambungan: coba putuskan", timeline: "Yang terjadi di semua program",
  tray: "ambil barang di sini", cancel: "Batal", fill: item => `Isi ${item}`, screen: "Layar mesin, piksel demi piksel",
  power_on: "Listrik nyala", power_off: "Listrik mati", power_label: "Listrik mesin",
  pulses: () => "kali relai aktif", driven: "Motor berputar", rest: "Motor diam",
  b_paid: "dibayar", b_dispensed: "keluar", b_refund: "harus dikembalikan", b_uncertain: "belum pasti", b_refunded: "dikembalikan", b_given: "diserahkan", b_open: "berjalan",
  under_way: (n, total) => `Penjualan sedang berjalan. ${total} diterima.`,
  compared: "Sebentar: belum semuanya mendengarnya.",
  balanced: (total, pulses) => `Seimbang: ${total} diterima, relai aktif ${pulses} kali.`,
  empty: "Belum ada penjualan. Angka ditanyakan ke Midtrans, backend, mesin dan relai.",
  l_customer: "Pelanggan", l_machine: "Mesin", l_relay: "Relai", l_merchant: "milik penjual", l_simulated: "simulasi",
  wire_up: "nyala", wire_cut: "putus", wire_waits: "coba lagi", wire_label: { broker: "Jaringan mesin dan broker", backend: "Jaringan mesin dan backend", midtrans: "Jaringan backend dan Midtrans" },
  logs: "dengan catatan program", gap: s => `${s} dtk kemudian`,
  camera: "Arahkan ke QR", camera_hint: "Tekan produk di mesin: QR muncul di layar, dan ponsel ini membacanya di sana.",
  to_phone: "Ke ponsel ↓",
  pay_to: who => `Bayar ${who}`, here: "Dibaca dari piksel layar", photo: "QR sudah hilang dari layar. Budi punya fotonya.",
  pay_gopay: "Bayar dengan GoPay", pay_qris: "Bayar dengan aplikasi QRIS lain", pay_fail: "Pembayaran gagal", leave: "Pergi saja", close: "Tutup",
  paid: "Terbayar", with: via => ({ gopay: "dengan GoPay", qris: "dengan aplikasi QRIS lain", sandbox: "di simulator Midtrans" })[via], wrong_pin: "PIN salah. Tidak ada yang terbayar.", not_paid: why => `Tidak terbayar: ${why}`,
  x_steps: "Salin alamat ini, buka simulator Midtrans, tempel di sana, lalu bayar. Mesin mengetahuinya dalam 12 detik.",
  x_never: "Jangan bayar dengan aplikasi sungguhan: uangnya bisa hilang.", x_copy: "Salin alamat", x_open: "Buka simulator Midtrans", l_sandbox: "sandbox",
  x_ready: "Siap. Tekan produk di mesin: sandbox Midtrans membuat QR-nya. Ini bukan uang sungguhan.",
  r_wait: "Mesin belum tahu.", r_paid: "Mesin sudah menerima tanda terima.", r_dispensed: what => `Silakan ambil ${what}.`, r_refund: order => `Uang harus dikembalikan. Tunjukkan nomor ini: ${order}`, r_uncertain: order => `Belum pasti: tidak ada yang tahu apakah barang keluar. Tunjukkan nomor ini: ${order}`, r_refunded: "Uang sudah kembali.",
  ended: "Demo sudah berakhir, atau tidak bisa dihubungi.",
  ready: "Siap. Tekan produk di mesin – atau biarkan halaman ini menunjukkannya. Ini bukan uang sungguhan.",
  s_requested: what => `Budi ingin ${what}. Relai berjanji bisa mengeluarkannya, lalu mesin meminta QR ke backend penjual.`,
  s_offered: (sum, what) => `QR ${sum} ada di layar, dan ponsel Budi sudah membacanya. Bayar ${what} di sana – atau putuskan sesuatu dulu.`,
  s_offered_again: "Listrik kembali, dan QR yang sama juga: pesanan disimpan sebelum ditampilkan.",
  s_cancelling: { customer: "Batal ditekan: QR hilang, dan Midtrans diminta membatalkan tagihan.", timeout: "Tidak ada yang membayar: QR hilang, dan Midtrans diminta membatalkan tagihan.", other: "QR hilang, dan Midtrans diminta membatalkan tagihan." },
  s_cancelling_cut: "QR hilang, tetapi tidak ada yang bisa dihubungi untuk membatalkan tagihan. Orang yang punya fotonya masih bisa membayar.",
  s_cancelled: "Dibatalkan di Midtrans: QR ini tidak bisa dibayar lagi, juga tidak dari foto.",
  s_walked: "Budi pergi. Setelah dua menit mesin berhenti sendiri; Batal melakukannya sekarang.",
  s_walked_dark: "Budi pergi. Mesin gelap; begitu listrik kembali, QR ditampilkan sekali lagi, lalu mesin berhenti sendiri.", s_left: "Budi pergi.",
  s_void: "Uang tidak berpindah: QR ini tidak bisa dibayar lagi, juga tidak dari foto.",
  s_wrong_pin: "Pembayaran gagal: uang tidak berpindah, barang tidak keluar. QR masih bisa dibayar.",
  s_paid_app: "Uang Budi sudah keluar. Midtrans memberi tahu backend, yang bertanya balik sebelum menandatangani tanda terima.",
  s_paid_dark: "Budi sudah membayar, tetapi mesin tidak tahu: listriknya mati. Nyalakan listriknya.",
  s_paid_midtrans: "Budi sudah membayar, tetapi Midtrans dan backend terputus. Tanpa pernyataan Midtrans tidak ada yang keluar. Sambungkan lagi.",
  s_paid_both: "Budi sudah membayar, tetapi mesin tidak mendengar siapa pun: broker dan backend terputus. Sambungkan salah satunya.",
  s_paid_broker: "Budi sudah membayar. Broker terputus, jadi mesin bertanya sendiri ke backend.",
  s_paid_backend: "Budi sudah membayar. Backend tidak bisa ditanya, jadi tanda terima datang lewat broker.",
  s_paid: "Midtrans menyatakan lunas, backend menandatangani tanda terima, dan mesin sudah memeriksanya.",
  s_trying_again: what => `Tidak ada yang keluar, menurut relai sendiri. Jadi Budi tetap boleh mendapat ${what}, sebagai ganti uangnya.`,
  s_dispensing: "Relai memeriksa tanda terima itu sendiri dan mencatatnya di buku relai, baru kemudian memutar motor.",
  s_done: what => `${what} keluar. Satu pembayaran, relai aktif satu kali.`,
  s_done_power: what => `Listrik mati saat pembayaran Budi di jalan. Mesin menyala lagi, menemukan tanda terima dan mengeluarkan ${what} – sekali.`,
  s_done_power_paid: what => `Listrik mati setelah Budi membayar. Mesin menyala lagi, menemukan pesanan itu di basis datanya dan mengeluarkan ${what} – sekali.`,
  s_done_broker: what => `Broker terputus, jadi mesin bertanya sendiri ke backend dan mengeluarkan ${what} – sekali.`,
  s_done_backend: what => `Backend tidak bisa ditanya, jadi tanda terima datang lewat broker, dan ${what} keluar – sekali.`,
  s_done_network: what => `Jaringan putus saat Budi membayar. Begitu tanda terima sampai, ${what} keluar – sekali.`,
  s_refund: { late: "Terlambat dibayar. Barang tidak keluar sendiri: uang harus dikembalikan. Jika layar menawarkannya tanpa bayar, Budi boleh menekan lagi.",
    uncertain: "Listrik mati saat motor berputar: tidak ada yang tahu apakah barang jatuh. Anda melihatnya di bawah; mesin tidak. Tidak pernah dicoba lagi. Di pembukuan: belum pasti, dan orang yang memutuskan.",
    failed: "Motor tidak bekerja: uang harus dikembalikan.", relay_refused: "Relai menolak tanda terima: uang harus dikembalikan.", not_collected: "Tidak ada yang mengambil: uang harus dikembalikan.",
    mismatch: "Yang dibayar bukan yang ditagih: uang harus dikembalikan.", other: "Sudah dibayar, barang tidak keluar: uang harus dikembalikan." },
  s_refused: { busy: "Orang lain sedang dilayani: permintaan kedua ditolak, sebelum ada tagihan.", relay: "Relai belum ada: ditolak, sebelum ada tagihan.", screen: "Layar tidak ada: ditolak, sebelum ada tagihan.",
    sold_out: "Barangnya habis, dan mesin menghitungnya: ditolak, sebelum ada tagihan. Isi lagi, lalu bisa dibeli lagi.",
    backend: "Ditolak: backend tidak bisa dihubungi. Tidak ada tagihan.", other: why => `Ditolak sebelum ada tagihan: ${why}.` },
  s_filled: what => `Petugas membuka mesin, mengisi ${what.toLowerCase()}, dan memberi tahu mesin: mesin menghitung dari situ.`,
  s_failed: why => `QR tidak didapat (${why}). Tidak ada tagihan; yang datang terlambat dibatalkan.`,
  s_tries: { backend: what => `Budi ingin ${what}, tetapi mesin dan backend terputus. Mesin mencoba 15 detik tanpa menagih, lalu meminta maaf.`,
    midtrans: what => `Budi ingin ${what}, tetapi backend dan Midtrans terputus. Mesin mencoba 15 detik tanpa menagih, lalu meminta maaf.` },
  s_expired: "Tagihan kedaluwarsa di Midtrans: tidak ada yang dibayar.", s_denied: "Midtrans menolak tagihan: tidak ada yang dibayar.", s_refunded: "Uang kembali ke Budi.",
  s_power_off: { waiting: "Mesin kehilangan listrik saat Budi sudah mendapat QR. Ponsel, backend dan Midtrans tetap berjalan.", working: "Mesin kehilangan listrik, di tengah pekerjaannya. Ponsel, backend dan Midtrans tetap berjalan.",
    idle: "Mesin kehilangan listrik saat tidak ada pembeli. Ponsel, backend dan Midtrans tetap berjalan." },
  s_power_on: "Mesin menyala lagi. Ia membaca basis datanya dan menyelesaikan pesanannya.",
  s_cut: { broker: "Mesin dan broker terputus. Tombol kini bertanya di dalam mesin, dan mesin bertanya sendiri ke backend.", backend: "Mesin dan backend terputus. QR baru tidak bisa didapat, tetapi yang ditandatangani backend masih datang lewat broker.", machine: "Broker dan backend sama-sama terputus. Mesin tidak mendengar siapa pun: tanpa QR, tanpa tanda terima.",
    midtrans: "Backend dan Midtrans terputus. QR baru tidak bisa didapat, dan pembayaran belum dipercaya sampai keduanya bicara lagi." },
  s_mended: "Jaringan kembali. Yang menunggu ditanyakan lagi.",
  t_stop: "Berhenti", t_step: (n, of) => `Langkah ${n} dari ${of}: `,
  t_sale: "Penjualan biasa", t_power: "Listrik mati", t_late: "Terlambat bayar", t_network: "Jaringan putus", t_again: "Percobaan kedua",
  t_ready: "Mula-mula semuanya dipulihkan.", t_press: what => `Budi menekan ${what}.`, t_pay: "Budi membayar dengan GoPay.", t_dropped: "Satu pembayaran, relai aktif satu kali.",
  t_cut_power: "Listrik mati, QR masih di layar.", t_pay_photo: "Budi tetap membayar, dari QR yang sudah dibaca ponselnya.", t_dark: "Mesin gelap dan tidak tahu apa-apa.", t_power_back: "Listrik kembali.",
  t_cancel: "Batal ditekan: QR hilang, dan Midtrans membatalkan tagihannya.", t_under_way: "Tetapi Budi baru saja memasukkan PIN, dan Midtrans tetap mengambil uangnya.", t_mend: "Jaringan kembali.", t_mend_broker: "Jaringan ke broker kembali. Mesin menyambung lagi dalam setengah menit.", t_owed: "Barang tidak keluar sendiri: uang harus dikembalikan. Selama satu menit layar menawarkannya tanpa bayar.", t_try_again: "Layar menawarkannya sekali lagi. Budi menekan lagi, tanpa bayar.", t_in_place: "Barang keluar, sebagai ganti uang.",
  t_cut_broker: "Mesin dan broker terputus.", t_cut_backend: "Mesin dan backend juga: ia tidak mendengar siapa pun.", t_nothing: "Terbayar, dan mesin tidak bisa tahu. Tidak ada yang keluar.",
  t_hers_sold: "Sari pemilik mesin ini. Ponselnya menunjukkan penjualan hari ini.", t_hers_owed: "Sari pemilik mesin ini. Ponselnya menunjukkan uang yang harus dikembalikan, dan sampai kapan. Kembalikan uangnya di sana.",
  t_over: "Itu saja. Silakan coba sendiri.", t_stuck: "Itu tidak terjadi tepat waktu. Lihat garis waktu.", t_stopped: "Berhenti. Selanjutnya terserah Anda.",
};

const languages = { en, id };
let language = "en";
const listeners = [];

/** A text in the language that is chosen. */
export function t(key, ...values) {
  const text = languages[language][key];
  return typeof text === "function" ? text(...values) : text;
}

/** One of a table's texts; `other` for what it does not name. */
export function choice(key, name, ...values) {
  const table = languages[language][key];
  const text = table[name] ?? table.other;
  return typeof text === "function" ? text(...values) : text;
}

/** A product's name, without its size. */
export const called = product => (product ? (language === "id" ? product.name_id : product.name) : "").replace(/ \d+ (ml|g)$/, "");

/** Calls back whenever the language changes, and once now. */
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

export function speak(name) {
  language = name;
  document.documentElement.lang = name;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const listener of listeners) listener();
}

export const spoken = () => language;
