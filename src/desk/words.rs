//! Every word of the desk, in both languages: one text a line, Indonesian and English. `{0}`, `{1}` and so on are values, which
//! [`fill`](qris_host::speech::fill) puts in. The language is that of the person who asks, so a table is chosen by it.

pub mod machines;
pub mod orders;

/// Makes a table of texts. `in_language` has them in one language. A test looks whether both languages have the same values.
macro_rules! words {
    ($($name:ident: $id:literal, $en:literal;)*) => {
        /// The texts in one language. The names say where they stand.
        #[derive(Debug)]
        pub struct Words {
            $(pub $name: &'static str,)*
        }

        pub fn in_language(language: qris_host::speech::Language) -> &'static Words {
            const ID: Words = Words { $($name: $id,)* };
            const EN: Words = Words { $($name: $en,)* };
            match language {
                qris_host::speech::Language::Id => &ID,
                qris_host::speech::Language::En => &EN,
            }
        }

        #[cfg(test)]
        #[test]
        fn both_languages_have_the_same_values() {
            for (id, en) in [$(($id, $en),)*] {
                assert!(qris_host::speech::is_pair(id, en), "{en}\n{id}");
            }
        }
    };
}
use words;

words! {
    lang: "id", "en";
    skip: "Langsung ke isi", "Skip to the content";
    sandbox: "UJI COBA – BUKAN UANG ASLI", "TEST – NO REAL MONEY";
    menu: "Menu", "Menu";
    today: "Hari ini", "Today";
    yesterday: "Kemarin", "Yesterday";
    orders: "Pesanan", "Orders";
    machines: "Mesin", "Machines";
    bring: "Bawaan", "Bring";
    report: "Laporan", "Report";
    account: "Akun", "Account";
    log: "Catatan", "Log";
    logout: "Keluar", "Log out";
    other_language: "English", "Bahasa Indonesia";
    owner: "pemilik", "owner";
    viewer: "hanya melihat", "only sees";
    back: "Kembali", "Back";
    to_today: "Ke halaman hari ini", "To today's page";

    today_at: "hari ini {0}", "today {0}";
    yesterday_at: "kemarin {0}", "yesterday {0}";
    months: "Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    long_months: "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember", "January February March April May June July August September October November December";
    weekdays: "Kamis Jumat Sabtu Minggu Senin Selasa Rabu", "Thursday Friday Saturday Sunday Monday Tuesday Wednesday";
    day_over: "lewat gateway hanya bisa dikembalikan sampai {0}", "the gateway sent it back until {0} only";
    day_today: "bisa dikembalikan lewat gateway sampai hari ini", "the gateway sends it back until today";
    day_tomorrow: "bisa dikembalikan lewat gateway sampai besok", "the gateway sends it back until tomorrow";
    day_in: "bisa dikembalikan lewat gateway sampai {0}, {1} hari lagi", "the gateway sends it back until {0}, {1} days left";

    login: "Masuk", "Log in";
    login_title: "Masuk ke toko Anda", "Log in to your shop";
    name: "Nama", "Name";
    password: "Kata sandi", "Password";
    login_hint: "Lupa kata sandi, atau belum punya? Minta tautan baru kepada orang yang mengurus server Anda.", "Forgot the password, or have none yet? Ask whoever runs your server for a new link.";
    login_wrong: "Nama atau kata sandi salah.", "The name or the password is wrong.";
    login_wait: "Terlalu banyak percobaan. Coba lagi {0}.", "There were too many tries. Try again {0}.";
    in_seconds: "dalam {0} detik", "in {0} seconds";
    in_minutes: "dalam {0} menit", "in {0} minutes";
    join_title: "Selamat datang, {0}", "Welcome, {0}";
    join_hint: "Pilih kata sandi Anda. Tautan ini hanya berlaku sekali.", "Choose your password. This link is good once.";
    join_role_owner: "Anda boleh melihat semuanya, dan menyelesaikan pesanan.", "You may see everything, and settle orders.";
    join_role_viewer: "Anda boleh melihat semuanya.", "You may see everything.";
    join_again: "Kata sandi sekali lagi", "The password once more";
    join_rule: "Minimal {0} karakter. Kalimat pendek mudah diingat.", "At least {0} characters. A short sentence is easy to keep in mind.";
    join_differ: "Kedua kata sandi tidak sama.", "The two passwords differ.";
    join_bad: "Kata sandi ini terlalu pendek atau terlalu panjang.", "This password is too short or too long.";
    join_do: "Simpan dan masuk", "Save and log in";
    join_over: "Tautan ini sudah dipakai, atau waktunya sudah lewat", "This link was used, or its time is over";
    join_over_hint: "Jika Anda sudah memilih kata sandi, silakan masuk. Jika belum, minta tautan baru kepada orang yang mengurus server Anda.", "If you have chosen a password, log in. If not, ask whoever runs your server for a new link.";

    wanting: "Perlu Anda", "Needs you";
    wanting_one: "1 pesanan perlu Anda", "1 order needs you";
    wanting_many: "{0} pesanan perlu Anda", "{0} orders need you";
    wanting_all: "Semua pesanan yang perlu Anda", "All orders that need you";
    owed: "Harus dikembalikan kepada pelanggan: {0} ({1})", "Owed to customers: {0} ({1})";
    all_well: "Semua beres", "All is well";
    all_well_hint: "Tidak ada pesanan dan mesin yang perlu Anda sekarang.", "No order and no machine needs you now.";
    hears_not: "Server tidak mendengar mesin sekarang, jadi tidak tahu apakah mesinnya masih ada. Barang dan gangguannya seperti yang terakhir didengar.", "The server hears no machine now, so it does not know whether they are there. Stock and faults are as it heard them last.";
    machines_ill: "Mesin yang perlu Anda", "Machines that need you";
    machines_all: "Semua mesin", "All machines";
    of_machines: "{0} dari {1} mesin", "{0} of {1} machines";
    sales: "Penjualan hari ini", "Sales today";
    sold_count: "{0} terjual", "{0} sold";
    until_now: "Kemarin sampai jam ini", "Yesterday until now";
    week_until_now: "Seminggu lalu sampai jam ini", "A week ago until now";
    as_much: "sama", "the same";
    by_hour: "Per jam", "By hour";
    by_hour_alt: "Penjualan per jam hari ini: {0}", "Today's sales by hour: {0}";
    hour: "Jam", "Hour";
    sold: "Terjual", "Sold";
    sum: "Jumlah", "Sum";

    search: "Cari", "Search";
    search_label: "Nomor, jumlah, jam, atau mesin", "Number, sum, time or machine";
    search_hint: "Contoh: 4TS65, 5.000 15.00, kemarin jam 3, 27-11", "For example: 4TS65, 5.000 15:00, yesterday about 3, 27-11";
    search_unclear: "Tidak ada yang cocok dengan yang Anda ketik. Inilah pesanan terbaru.", "Nothing fits what you typed. Here are the newest orders.";
    search_by: "Dicari:", "Searched by:";
    search_number: "nomor diawali {0}", "number begins with {0}";
    search_wanting: "yang perlu Anda", "that need you";
    search_near: "sekitar {0}", "about {0}";
    search_machine: "mesin {0}", "machine {0}";
    search_archived: "Pesanan dengan nomor ini sudah selesai dan diarsipkan, jadi tidak ada di sini lagi. Orang yang mengurus server Anda bisa mencarinya.", "An order of this number is over and archived, so it is not here any more. Whoever runs your server can look it up.";
    search_nothing: "Tidak ada pesanan yang cocok.", "No order fits.";
    search_clear: "Tampilkan semua", "Show all";
    newest: "Pesanan terbaru", "Newest orders";
    found: "Yang ditemukan", "What was found";
    older: "Selanjutnya", "Next";

    by_acquirer: "{0} lewat {1}", "{0} by {1}";
    machine: "Mesin", "Machine";
    time: "Waktu", "Time";
    what_to_do: "Yang bisa Anda lakukan", "What you can do";
    why_not: "Yang tidak bisa, dan sebabnya", "What is not possible, and why";
    story: "Yang terjadi", "What happened";
    details: "Rincian", "Details";
    payment: "Pembayaran", "Payment";
    payment_app: "Aplikasi", "App";
    transaction: "Transaksi di gateway", "Transaction at the gateway";
    number: "Nomor", "Number";
    people_did: "Yang dilakukan orang", "What people did";
    history: "Riwayat lengkap, dalam bahasa Inggris", "The full history, in English";
    cancel: "Tidak, kembali", "No, go back";
    left_today: "Hari ini Anda masih boleh mengembalikan atau mencatat {0}.", "Today you may still send back or write off {0}.";
    sure_first: "Centang dulu bahwa Anda sudah memeriksanya.", "First say by the tick that you have looked.";
    note_label: "Bagaimana Anda mengembalikannya?", "How did you pay it back?";
    note_hint: "Misalnya: tunai, ditransfer ke 0812…", "For example: in cash, sent to 0812…";
    note_first: "Tulis dulu bagaimana Anda mengembalikannya, paling banyak {0} huruf.", "First write how you paid it back, in {0} letters at most.";
    collect_until: "Pelanggan bisa mengambilnya sampai {0}.", "The customer can collect it until {0}.";
    offered_until: "Sampai {0} pelanggan boleh mencoba lagi di mesin, tanpa membayar. Tombolnya ada di halaman pelanggan, yang terbuka lewat kode di layar mesin.", "Until {0} the customer may try again at the machine, and pays nothing. The button is on the customer's page, which opens by the code on the machine's screen.";
    refund_asked_again: "Gateway belum bisa dihubungi, atau belum memastikan pengembalian dananya. Gateway ditanya lagi dengan sendirinya: {0}.", "The gateway could not be reached yet, or has not confirmed the refund. It is asked again by itself: {0}.";
    damaged: "Ada yang tidak bisa dibaca, karena barisnya di basis data rusak: {0}. Hubungi orang yang mengurus server Anda: ia mencarinya di dashboard gateway.", "Some cannot be read, because their rows in the database are damaged: {0}. Ask whoever runs your server: they look for it in the gateway's dashboard.";
    changed: "Pesanan ini sudah berubah", "This order has changed";
    changed_hint: "Ada yang menyelesaikannya, atau mesin melaporkan sesuatu. Tidak ada yang dilakukan. Lihat pesanan ini sekali lagi.", "Somebody settled it, or the machine told something. Nothing was done. Look at this order once more.";
    look_again: "Lihat pesanan", "Look at the order";
    not_possible: "Ini tidak bisa dilakukan", "This is not possible";

    there: "terhubung", "connected";
    not_there: "tidak terhubung", "not connected";
    there_unknown: "tidak diketahui", "not known";
    since: "sejak {0}", "since {0}";
    sold_today: "Terjual hari ini", "Sold today";
    to_fill: "tempat yang perlu diisi: {0}", "slots to fill: {0}";
    no_machines: "Belum ada mesin.", "There is no machine yet.";
    screen_now: "Di layarnya sekarang", "On its screen now";
    faults: "Gangguan", "Faults";
    no_faults: "Tidak ada gangguan.", "There is no fault.";
    stock: "Isi", "Stock";
    stock_at: "Kabar {0}", "Told {0}";
    stock_none: "Mesin ini tidak menghitung isinya.", "This machine does not count what is in it.";
    goods: "Barang", "Goods";
    slot: "Tempat", "Slot";
    left: "Sisa", "Left";
    to_bring: "Bawa", "Bring";
    of_capacity: "{0} dari {1}", "{0} of {1}";
    not_counted: "belum dihitung", "not counted";
    its_orders: "Pesanan terakhirnya", "Its last orders";
    all_its_orders: "Semua pesanannya", "All its orders";
    no_orders: "Belum ada pesanan.", "There is no order yet.";
    version: "Rilis", "Release";
    state: "Keadaan", "State";

    report_of: "Laporan {0}", "Report of {0}";
    this_month: "Bulan ini", "This month";
    last_month: "Bulan lalu", "Last month";
    day: "Hari", "Day";
    month: "Bulan", "Month";
    month_hint: "Tahun-bulan, contoh: 2026-11", "Year-month, for example: 2026-11";
    other_time: "Hari atau bulan lain", "Another day or month";
    show: "Tampilkan", "Show";
    by: "Menurut", "By";
    by_item: "Barang", "Goods";
    by_machine: "Mesin", "Machine";
    by_scheme: "Cara bayar", "Way to pay";
    by_day: "Hari", "Day";
    total: "Semuanya", "Everything";
    paid: "Dibayar", "Paid";
    delivered: "Keluar", "Delivered";
    owed_column: "Harus dikembalikan", "Owed";
    went_back: "Sudah kembali", "Went back";
    unclear: "Belum pasti", "Uncertain";
    payout: "Pencairan dana", "Payout";
    payout_unknown: "belum diketahui", "not known";
    legend: "Dibayar adalah jumlah dari keluar, harus dikembalikan, sudah kembali dan belum pasti.", "Paid is the sum of delivered, owed, went back and uncertain.";
    refused_title: "Ditolak karena habis", "Refused as sold out";
    refused_times: "{0} kali", "{0} times";
    report_archived: "Pesanan yang sudah diarsipkan tidak termasuk di sini: {0}.", "Orders that are archived are not in here: {0}.";
    csv: "Unduh CSV", "Download CSV";
    print_hint: "Untuk mencetak atau menyimpan PDF: menu browser, lalu Cetak.", "To print or save a PDF: the browser's menu, then Print.";
    nothing_paid: "Tidak ada yang dibayar.", "Nothing was paid.";

    bring_title: "Yang harus dibawa", "What to bring";
    bring_sums: "Semuanya", "In all";
    bring_to: "Ke setiap mesin", "To each machine";
    bring_nothing: "Tidak ada mesin yang perlu diisi.", "No machine wants to be filled.";

    sessions: "Perangkat yang masuk", "Devices that are logged in";
    sessions_hint: "Ponsel hilang? Akhiri semuanya, lalu minta tautan baru kepada orang yang mengurus server Anda.", "Lost a phone? End all of them, then ask whoever runs your server for a new link.";
    session_this: "perangkat ini", "this device";
    session_began: "Masuk {0}", "Logged in {0}";
    session_used: "terakhir dipakai {0}", "last used {0}";
    session_from: "dari {0}", "from {0}";
    session_end: "Akhiri", "End";
    session_end_label: "Akhiri {0}, {1}", "End {0}, {1}";
    session_end_all: "Akhiri semua, juga perangkat ini", "End all, this device too";
    you_are: "Anda masuk sebagai {0} ({1}).", "You are logged in as {0} ({1}).";

    log_hint: "Tidak ada yang bisa mengubah catatan ini.", "Nobody can change this log.";
    log_empty: "Belum ada catatan.", "Nothing is in the log yet.";
    log_terminal: "di server", "at the server";
    log_login: "masuk", "logged in";
    log_join: "memilih kata sandi", "chose a password";
    log_logout: "keluar", "logged out";
    log_end_session: "mengeluarkan satu perangkat", "logged one device out";
    log_end_sessions: "mengeluarkan semua perangkat", "logged all devices out";
    log_add: "mengundang", "invited";
    log_link: "membuat tautan baru", "made a new link";
    log_role: "mengubah peran", "changed a role";
    log_remove: "menghapus orang", "removed a person";
    log_refund: "meminta pengembalian dana", "asked for a refund";
    log_by_hand: "mencatat: dikembalikan secara langsung", "noted: paid back by hand";
    log_given: "mencatat: barang diserahkan", "noted: goods handed over";
    log_again: "menawarkan lagi di mesin", "had the machine offer it again";
    log_seen: "menandai sudah dilihat", "marked as seen";
    log_denied: "ditolak: {0}", "denied: {0}";

    not_found: "Tidak ditemukan", "Not found";
    not_found_hint: "Tidak ada apa-apa di alamat ini. Periksa nomornya, atau cari pesanannya.", "There is nothing at this address. Check the number, or search for the order.";
    damaged_title: "Pesanan ini tidak bisa dibaca", "This order cannot be read";
    damaged_hint: "Barisnya di basis data rusak. Hubungi orang yang mengurus server Anda: ia mencarinya di dashboard gateway.", "Its row in the database is damaged. Ask whoever runs your server: they look for it in the gateway's dashboard.";
    archived: "Pesanan ini sudah diarsipkan", "This order is archived";
    archived_hint: "Pesanan ini sudah selesai, dan dipindahkan ke arsip. Orang yang mengurus server Anda bisa mencarinya.", "It is over, and was moved to an archive. Whoever runs your server can look it up.";
    not_understood: "Isian ini tidak dipahami", "This was not understood";
    not_understood_hint: "Buka halamannya sekali lagi, dan coba lagi. Tidak ada yang dilakukan.", "Open the page once more, and try again. Nothing was done.";
    old_form: "Formulir ini sudah lama", "This form is too old";
    old_form_hint: "Demi keamanan, tidak ada yang dilakukan. Buka halamannya sekali lagi, dan coba lagi.", "To be safe, nothing was done. Open the page once more, and try again.";
    too_large: "Isian ini terlalu panjang", "This is too long";
    away: "Toko sedang tidak bisa dihubungi", "The shop cannot be reached now";
    away_hint: "Tidak ada yang hilang, dan mesin tetap berjualan jika bisa. Coba lagi sebentar lagi.", "Nothing is lost, and machines sell if they can. Try again in a moment.";
    away_after_deed: "Tidak ada jawaban. Mungkin sudah dilakukan, mungkin belum: lihat pesanannya sebelum mencoba lagi. Tidak ada yang dilakukan dua kali.", "There is no answer. It may be done, or not: look at the order before you try again. Nothing is done twice.";
    try_again: "Coba lagi", "Try again";
}
