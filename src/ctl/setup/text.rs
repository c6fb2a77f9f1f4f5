//! Every word of the set-up's conversation, in one table: one text a line, Indonesian and English. `{0}`, `{1}` and so on are
//! the values that `fill` puts in. What the services, their checks and the operating system say is not translated.

use qris_host::setup::ask::{self, Words};
use std::fmt::Display;
use std::sync::OnceLock;

/// The language of the person in front of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    /// Bahasa Indonesia
    Id,
    /// English
    En,
}

macro_rules! texts {
    ($($name:ident: $id:literal, $en:literal;)*) => {
        /// The texts in one language. The names say where they stand.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub(super) $name: &'static str,)*
        }
        const ID: Texts = Texts { $($name: $id,)* };
        const EN: Texts = Texts { $($name: $en,)* };
        #[cfg(test)]
        const PAIRS: &[(&str, &str)] = &[$(($id, $en),)*];
    };
}

texts! {
    welcome: "Komputer ini akan menjadi mesin penjual. Sebelum selesai, tidak ada yang ditulis. Tekan Enter untuk memakai teks di dalam [kurung].", "This computer becomes a machine that sells. Nothing is written before the end. Enter takes the text in [brackets].";
    welcome_end: "Ctrl-C mengakhiri penyiapan, dan tidak ada yang berubah.", "Ctrl-C ends the set-up, and then nothing was changed.";
    enrolment: "Di server penjual, `qris-backend device invite ID` membuat kode untuk mesin ini, dan `qris-backend device add ID --bundle` menulis satu teks. Keduanya memuat semua yang perlu diketahui mesin ini.", "On the merchant's server, `qris-backend device invite ID` makes a code for this machine, and `qris-backend device add ID --bundle` writes one text. Each of them brings all that this machine must know.";
    paste: "Tempel salah satunya di sini (tidak terlihat; baris kosong mengakhiri; Enter: tidak ada): ", "Paste one of them here (is not shown; an empty line ends it; Enter: there is none): ";
    enrolment_again: "Jika server penjual menulis teks baru untuk mesin ini, teks itu berisi semua jawaban ini.", "If the merchant's server wrote a new text for this machine, that text has all these answers.";
    is_device: "Nama mesin: {0}", "The machine's name: {0}";
    is_broker: "Broker: {0}", "The broker: {0}";
    is_backend: "Backend: {0}", "The backend: {0}";
    device: "Nama mesin", "The machine's name";
    broker: "Broker (mqtts://HOST:8883, atau none jika tidak ada)", "The broker (mqtts://HOST:8883, or none)";
    broker_is_there: "di qrisd.toml sudah ada broker: hapus sendiri bagian [mqtt] di sana", "qrisd.toml has one: take its section [mqtt] out by hand";
    broker_name: "Nama mesin di sana", "The name there";
    broker_password: "Kata sandinya", "Its password";
    broker_password_kept: "Kata sandinya (Enter: tetap)", "Its password (Enter: as it is)";
    broker_password_alone: "Kata sandi mesin di sana", "The machine's password there";
    broker_ca: "CA pribadi broker, berkas PEM (Enter: tidak ada, atau tetap)", "The broker's private CA, a PEM file (Enter: none, or as it is)";
    backend: "Backend (https://…)", "The backend (https://…)";
    token: "Token mesin ini", "This machine's token";
    token_kept: "Token mesin ini (Enter: tetap)", "This machine's token (Enter: as it is)";
    backend_ca: "CA pribadi backend, berkas PEM (Enter: tidak ada, atau tetap)", "The backend's private CA, a PEM file (Enter: none, or as it is)";
    keys: "Berkas yang ditulis `qris-backend keys public`", "The file that `qris-backend keys public` wrote";
    keys_kept: "Berkas yang ditulis `qris-backend keys public` (Enter: tetap)", "The file that `qris-backend keys public` wrote (Enter: as it is)";
    operator: "Server penjual membawa kunci {0}. Dari jauh, pemiliknya boleh ({1}) {2}. Apakah ia sendiri memberi tahu Anda nama kunci ini, dan boleh memerintah mesin ini?", "The merchant's server brought the key {0}. From afar, its owner may ({1}) {2}. Did its owner tell you this name, and may order this machine?";
    may_look: "membaca apa yang diketahui mesin", "read what the machine knows";
    may_desk: "membaca, mengubah setelan, membatalkan pesanan, memulai ulang qrisd", "read, change settings, cancel orders, restart qrisd";
    may_door: "membaca, mengubah setelan, menggerakkan jalur untuk uji coba, memulai ulang dan memperbarui komputernya", "read, change settings, drive a line for a test, reboot the computer, update it";
    operator_left: "kunci {0}:{1} dari server penjual tidak dipakai. Jika pemiliknya boleh memerintah mesin ini, sebutkan dengan --operator {0}:{1}, atau pakai `qrisctl keys add`", "the key {0}:{1} that the merchant's server brought is not taken. If its owner may order this machine, name it by --operator {0}:{1}, or use `qrisctl keys add`";
    operator_misnamed: "kunci {0} dari server penjual tidak dipakai: nama itu milik kunci lain", "the key {0} that the merchant's server brought is not taken: this is the name of another key";
    operator_missing: "--operator {0}: server penjual tidak membawa kunci ini dengan tingkat itu", "--operator {0}: the merchant's server did not bring this key with this level";
    operator_form: "harus berbentuk TINGKAT:KUNCI, dengan look, desk atau door, dan nama yang diberikan `qrisctl keys new`", "must be LEVEL:KEY, with look, desk or door, and the name that `qrisctl keys new` gave";
    name: "Nama di layar mesin", "The name on its screen";
    language: "Bahasa pelanggan: id, en atau both (keduanya)", "The customer's language: id, en or both";
    language_known: "id, en atau both", "id, en or both";
    contact: "Nomor yang dihubungi pelanggan tentang uang", "The number that customers call about money";
    contact_none: "Nomor yang dihubungi pelanggan tentang uang (Enter: tidak ada)", "The number that customers call about money (Enter: nobody)";
    panel: "Panel: auto, none (tidak ada), atau sebuah perangkat", "The panel: auto, none, or a device";
    as_it_is: "tetap", "as it is";
    again: "Jawab lagi bagian itu?", "Answer that again?";
    items: "Barang yang dijual, satu per baris: ID:HARGA:NAMA, misalnya A1:5000:Teh botol 350 ml. -ID menghapusnya. Enter mengakhiri.", "The items that it sells, one a line: ID:PRICE:NAME, such as A1:5000:Teh botol 350 ml. -ID takes one away. Enter ends.";
    item: "  Barang", "  Item";
    one_needed: "  Paling sedikit satu.", "  At least one is needed.";
    lines: "Jalur GPIO yang mengeluarkan setiap barang, satu per baris: BARANG=CHIP:OFFSET, misalnya A1,A2=/dev/gpiochip0:17.", "The GPIO line that hands out each item, one a line: ITEMS=CHIP:OFFSET, such as A1,A2=/dev/gpiochip0:17.";
    lines_more: "Tambahkan :low jika jalur aktif pada level rendah, :300ms jika lamanya bukan 500, :button=26 untuk tombol. -BARANG menghapusnya. Enter mengakhiri.", "Add :low where the low level drives, :300ms for another length than 500, :button=26 for a button. -ITEM takes one away. Enter ends.";
    lines_stay: "  Jalur di `relay.toml` tetap, kecuali Anda menyebut jalur di sini: maka semuanya diganti.", "  The lines in `relay.toml` stay, unless you name lines here: then all of them are replaced.";
    sold: "  Dijual: {0}", "  Sold: {0}";
    line: "  Jalur", "  Line";
    unserved: "  Belum ada jalur yang mengeluarkan {0}.", "  No line hands out {0} yet.";
    away: "tidak ada {0} yang bisa dihapus", "there is no {0} to take away";
    not_there: "{0} tidak ada", "{0} is not there";
    chip_not_there: "{0} tidak ada; qrisctl setup --find menunjukkan yang ada", "{0} is not there; qrisctl setup --find lists those that are";
    at_rest: "Perhatian: {0}. -{1} menghapusnya: {2}.", "Note: {0}. -{1} takes it away: {2}.";
    moved: "Apakah yang bergerak sudah benar?", "Did the right thing move?";
    is_on: "Apakah relainya sekarang aktif, padahal seharusnya diam?", "Is its relay on now, when nothing should move?";
    in_between: "Apakah relainya diam sebelum dan sesudahnya, dan hanya aktif di antaranya?", "Was it at rest before and after, and on only in between?";
    turn_over: "Berarti jalur aktif pada level sebaliknya. Balik active_low?", "Then the other level drives it. Turn active_low over?";
    test_card: "Tampilkan gambar tes di panel?", "Put a test card on the panel?";
    card_seen: "Enter menutupnya", "Enter takes it away";
    pulse: "Jalur {0}: aktifkan sekarang? Ada yang akan bergerak, jauhkan tangan Anda", "Line {0}: pulse it now? Something will move: keep your hands away";
    once_more: "Jalur {0}: sekali lagi?", "Line {0}: once more?";
    turned: "  mulai sekarang active_low = {0}", "  active_low = {0} from now on";
    lines_again: "Sebutkan lagi jalur mana yang mengeluarkan apa?", "Say again which line hands out what?";
    write_all_the_same: "Tetap tulis berkasnya?", "Write the files all the same?";
    write: "Tulis berkas ini?", "Write these files?";
    write_and_start: "Tulis berkas ini, dan mulai layanannya?", "Write these files, and start the services?";
    unchanged: "tidak ada yang berubah", "nothing was changed";
    cannot_be: "Ini tidak bisa dipakai", "This cannot be";
    in_the_file: "Ini tidak bisa dipakai, dan tertulis di berkas: {0}", "This cannot be, and stands in the file: {0}";
    part_device: "nama mesin", "the machine's name";
    part_broker: "broker", "the broker";
    part_backend: "backend", "the backend";
    part_keys: "kunci tanda terima", "the receipt keys";
    part_looks: "teks untuk pelanggan", "the texts for customers";
    part_panel: "panel", "the panel";
    part_items: "barang yang dijual", "the items that it sells";
    part_lines: "jalur yang mengeluarkannya", "the lines that hand them out";
    item_form: "harus berbentuk ID:HARGA[:NAMA], misalnya \u{22}A1:5000:Teh botol\u{22}, atau ID:MIN-MAKS[:NAMA]", "must be ID:PRICE[:NAME], such as \u{22}A1:5000:Teh botol\u{22}, or ID:MIN-MAX[:NAME]";
    item_plain: "{0} harus rupiah bulat dengan angka saja: tulis {1}", "{0} must be whole rupiah in plain digits: write {1}";
    item_least: "harga terendah, {0}, lebih besar daripada yang tertinggi, {1}", "the least price, {0}, is more than the largest, {1}";
    item_there: "{0} sudah ada: {1}", "{0} is there already: {1}";
    line_form: "harus berbentuk BARANG=CHIP:OFFSET[:low][:500ms][:button=OFFSET], misalnya \u{22}A1,A2=/dev/gpiochip0:17\u{22}, tombol di :button=26, atau BARANG=sim:/path", "must be ITEMS=CHIP:OFFSET[:low][:500ms][:button=OFFSET], such as \u{22}A1,A2=/dev/gpiochip0:17\u{22}, or ITEMS=sim:/path";
    line_star: "\u{22}*\u{22} harus sendirian: artinya semua barang yang tidak punya jalur lain", "\u{22}*\u{22} must stand alone: it means every item that no other line has";
    line_offset: "sebuah chip paling banyak punya jalur 0 sampai {0}", "a chip has lines 0 to {0} at most";
    line_twice: "{0} disebut dua kali", "it has {0} twice";
    line_pulse: "relai aktif selama 1 sampai {0} ms", "a pulse takes 1 to {0} ms";
    line_unsold: "jalur ini mengeluarkan {0}, yang tidak dijual: yang dijual {1}", "it hands out {0}, which is not sold: {1} is";
    line_served: "{0} sudah punya jalur: {1}", "{0} has a line already: {1}";
    line_button_items: "tombol itu untuk satu barang: beri jalur barang itu tombol, dan barang lain jalur lain", "a button is for one item: give the line of that item a button, and the other items another line";
    line_button_pin: "tombolnya ada di pin yang sama", "its button is at the same pin";
    line_any: "* (semua barang yang tidak punya jalur lain)", "* (every item that no other line has)";
    line_pin: "pin itu sudah dipakai: {0}. Jika satu pin mengeluarkan beberapa barang, sebut semuanya: A1,A2=CHIP:OFFSET", "that pin is in use already: {0}. If one pin hands out several items, name them all: A1,A2=CHIP:OFFSET";
    line_name: "namanya akan menjadi {0}, yang dipakai jalur lain: {1}", "its name would be {0}, which another line has: {1}";
    line_many: "paling banyak {0} jalur", "at most {0} lines are possible";
    pin_missing: "{0} punya {1} jalur, mulai dari 0: tidak ada {2}", "{0} has {1} lines, from 0: there is no {2}";
    pin_held: "jalur {0} di {1} dipegang {2}: pilih jalur lain, atau hentikan program itu", "line {0} of {1} is held by {2}: choose another line, or end that program";
    screen_form: "harus auto, none, sebuah perangkat seperti /dev/fb0, atau virtual:/path[:LxT]", "must be auto, none, a device such as /dev/fb0, or virtual:/path[:WxH]";
    empty: "tidak boleh kosong", "must not be empty";
    unprintable: "harus berupa teks yang bisa dicetak", "must be printable text";
    letter: "layar tidak punya {0}: tulis dengan huruf Latin", "the screen has no {0}: write it in Latin letters";
    missing: "belum diketahui: {0}", "not known yet: {0}";
    other_device: "mesin ini sudah bernama {0}, dan akan menjadi {1}: pesanannya, buku relainya dan tokennya milik {0}. --force mengganti namanya", "this machine is {0} already, and shall become {1}: its orders, its ledger and its token belong to {0}. --force changes its name";
    begin_anew: "{0}; untuk itu, mulai dari awal dengan --force", "{0}; to do that, begin anew with --force";
    other_enrolment: "teks pendaftaran itu untuk {0}, tetapi --device menyebut {1}: pakai teks untuk {1} ({2} {1} --bundle), atau hilangkan --device", "the enrolment text is for {0}, but --device names {1}: use the text of {1} ({2} {1} --bundle), or leave --device out";
    new_token: "{0} punya token baru: yang lama tidak berlaku. Jika Anda berhenti sekarang, jalankan lagi dengan kode yang sama", "{0} has a new token: an earlier one is void. If you end this now, run it again with the same code";
    not_let_in: "{0} tidak menerima {1}: {2}", "{0} does not let {1} in: {2}";
    unreached: "{0} tidak bisa dihubungi: {1}. Periksa alamat dan jaringan. CA pribadi diberikan dengan --backend-ca-file", "{0} cannot be reached: {1}. Check the address and the network. A private CA is given by --backend-ca-file";
    file_new: "baru", "new";
    file_changed: "berubah", "changed";
    file_removed: "dihapus", "removed";
    mended: "{0}; tidak ada yang berubah. Setelah diperbaiki, jalankan penyiapan lagi{1}", "{0}; nothing was changed. When that is mended, run the set-up again{1}";
    or_with_force: ", atau dengan --force, atau --offline", ", or with --force, or --offline";
    as_root: "perintah ini menulis /etc/qrisd dan memulai layanan: jalankan sebagai root (sudo qrisctl setup), atau tambahkan --dry-run untuk melihat saja", "this writes /etc/qrisd and starts services: run it as root (sudo qrisctl setup), or add --dry-run to look only";
    before: "berkas yang sebelumnya ada sekarang bernama {0}", "the file that was there before is now {0}";
    to_begin: "selesai disiapkan. Untuk mulai menjual: systemctl enable --now {0}", "set up. To begin selling: systemctl enable --now {0}";
    at_boot: "selesai disiapkan, dan layanannya diaktifkan: sistem itu menjual begitu dinyalakan", "set up, and the services are enabled: that system sells when it boots";
    no_systemd: "selesai disiapkan. Di sini tidak ada systemd: jalankan qris-relayd, lalu qrisd, sebagai penggunanya masing-masing", "set up. There is no systemd here: start qris-relayd, then qrisd, as their users";
    relay_key: "relai menandatangani dengan kunci {0}: qris-backend device list harus menunjukkan yang sama", "the relay signs with the key {0}: qris-backend device list must show the same";
    relay_key_unknown: "tidak diketahui dengan kunci apa relai menandatangani ({0}): jalankan `qrisctl relay lines`", "it is not known which key the relay signs with ({0}): run `qrisctl relay lines`";
    file_empty: "{0}: kosong", "{0}: is empty";
    file_large: "{0}: lebih besar dari 64 KiB", "{0}: is larger than 64 KiB";
    no_receipt_key: "{0}: tidak berisi kunci tanda terima", "{0}: holds no receipt key";
    unsold: "sebuah jalur mengeluarkan {0}, yang tidak dijual: tambahkan --item {0}:HARGA, atau keluarkan dari --line", "a line hands out {0}, which is not sold: add --item {0}:PRICE, or leave it out of --line";
    card_not_here: "panel sebuah image tidak ada di sini: tidak ada gambar tes dengan --root", "the panel of an image is not here: no test card with --root";
    card_taken: "qrisd berjalan dan memegang panel: systemctl stop qrisd, lalu siapkan lagi, untuk gambar tes", "qrisd runs and has the panel: systemctl stop qrisd, then set up again, for a test card";
    pulse_not_here: "jalur sebuah image tidak ada di sini: dengan --root, relai tidak bisa diaktifkan", "the lines of an image are not here: no pulse with --root";
    pulse_taken: "{0}: {1}. Hentikan program yang memegangnya: systemctl stop qrisd qris-relayd", "{0}: {1}. End the program that holds it: systemctl stop qrisd qris-relayd";
    pulsed: "jalur {0}: {1}", "line {0}: {1}";
    no_codes: "backend itu tidak mengenal kode: backend penjual harus dari rilis ini", "it knows no codes: the merchant's backend must be of this release";
    answers_status: "jawabannya {0}", "it answers {0}";
    restart: "{0}: mulai ulang komputer ini, supaya hanya layanan relai yang bisa membuka chip", "{0}: restart this computer, so that nobody but the relay service can open the chips";
    not_root: "bukan root: pemilik berkas dibiarkan; rahasia sebaiknya milik root dan grup {0}", "not root: owners were left as they are; secrets should belong to root and the group {0}";
    done: "selesai disiapkan, dan layanannya berjalan. Semua baik? qrisctl doctor", "set up, and the services run. Is all well? qrisctl doctor";
}

/// What was chosen for this run of the program.
static SPOKEN: OnceLock<Language> = OnceLock::new();

/// Speaks this language from now on. One person uses the program, so it is chosen once.
pub(super) fn speak(language: Language) {
    SPOKEN.get_or_init(|| language);
}

/// The texts in the language that is spoken; in English until one was chosen.
pub(super) fn texts() -> &'static Texts {
    in_language(SPOKEN.get().copied().unwrap_or(Language::En))
}

/// The words of the conversation itself.
pub(super) fn words() -> &'static Words {
    match SPOKEN.get() {
        Some(Language::Id) => &ask::INDONESIAN,
        Some(Language::En) | None => &ask::ENGLISH,
    }
}

const fn in_language(language: Language) -> &'static Texts {
    match language {
        Language::Id => &ID,
        Language::En => &EN,
    }
}

impl Language {
    /// The language of messages by the variables of the locale, in their order. English where they name another one.
    pub(super) fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let language = said.unwrap_or_default().split(['_', '.', '@']).next().unwrap_or_default().to_lowercase();
        if language == "id" { Self::Id } else { Self::En }
    }
}

/// A text with its values in their places.
pub(super) fn fill(text: &str, values: &[&dyn Display]) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}').and_then(|(at, rest)| Some((values.get(at.parse::<usize>().ok()?)?, rest))) {
            Some((value, rest)) => filled += &format!("{value}{rest}"),
            None => filled += &format!("{{{part}"),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_values() {
        let values = |text: &str| {
            let mut found: Vec<char> = text.match_indices('{').filter_map(|(at, _)| text[at + 1..].chars().next()).collect();
            found.sort_unstable();
            found.dedup();
            found
        };
        for (id, en) in PAIRS {
            assert_eq!(values(id), values(en), "{en}");
            assert_eq!((id.starts_with("  "), id.ends_with(' ')), (en.starts_with("  "), en.ends_with(' ')), "{en}");
        }
    }

    #[test]
    fn values_come_where_they_belong_and_are_not_read_again() {
        assert_eq!(fill("{1} before {0}", &[&"{1}", &7]), "7 before {1}");
        assert_eq!(fill("a { b", &[]), "a { b");
    }

    #[test]
    fn a_locale_says_which_language_is_spoken() {
        for (all, messages, lang, wanted) in [
            ("", "", "id_ID.UTF-8", Language::Id),
            ("", "", "en_GB.UTF-8", Language::En),
            ("", "id_ID", "en_GB.UTF-8", Language::Id),
            ("C.UTF-8", "id_ID", "id_ID", Language::En),
            ("", "", "", Language::En),
            ("", "", "id", Language::Id),
            ("", "", "idk", Language::En),
        ] {
            let variable = |name: &str| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    _ => lang,
                };
                Some(value.to_owned())
            };
            assert_eq!(Language::of_locale(variable), wanted, "{all} {messages} {lang}");
        }
    }
}
