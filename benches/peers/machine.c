// A machine as a user would write it in C: one thread, one order at a time. It checks no signature, keeps no ledger and
// forgets at a power cut what it was doing; what a machine needs besides is what `qrisd` is for.
//
// All settings come by the environment: see `peers.rs` of the measuring program.

#define _GNU_SOURCE
#include <curl/curl.h>
#include <err.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <qrencode.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <sys/random.h>
#include <unistd.h>

enum { WIDTH = 480, HEIGHT = 800, QUIET = 4, PRICE = 5000, TEXT = 4096 };

static struct mosquitto *broker;
static CURL *http;
static sqlite3 *database;
static sd_bus *bus;
static int screen;
static char topic_request[128], topic_update[128], topic_event[128], topic_status[128];
// What came and is to be worked on, outside of the library's callback: within it nothing would be sent.
static char request[TEXT], update[TEXT];
// The order on the screen; none, if `order_id` is empty.
static sqlite3_int64 row;
static char request_id[128], order_id[128];
// The rows of the panel that the QR takes, and what stands there.
static int top, side;
static unsigned short pixels[WIDTH * WIDTH];

static const char *setting(const char *name) {
    const char *value = getenv(name);
    if (!value) errx(1, "%s is not set", name);
    return value;
}

// A text of a JSON object that has no escapes in it: so are ours.
static int field(const char *json, const char *name, char *into, size_t size) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr(json, key);
    into[0] = 0;
    if (!at) return 0;
    at += strlen(key);
    size_t length = strcspn(at, "\"");
    if (length >= size) return 0;
    memcpy(into, at, length);
    into[length] = 0;
    return 1;
}

// One statement, one commit.
static void commit(sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) errx(1, "the database: %s", sqlite3_errmsg(database));
    sqlite3_reset(statement);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL))
        errx(1, "the database: %s", sqlite3_errmsg(database));
    return statement;
}

static size_t keep(char *bytes, size_t size, size_t count, void *answer) {
    size_t length = strlen(answer);
    size_t room = TEXT - 1 - length;
    size_t taken = size * count < room ? size * count : room;
    memcpy((char *)answer + length, bytes, taken);
    ((char *)answer)[length + taken] = 0;
    return size * count;
}

// The answer's status.
static long post(const char *path, const char *key, const char *body, char *answer) {
    char url[256], bearer[256], idempotency[192];
    long status = 0;
    snprintf(url, sizeof url, "%s%s", setting("BACKEND"), path);
    snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", setting("BACKEND_TOKEN"));
    snprintf(idempotency, sizeof idempotency, "Idempotency-Key: %s", key);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(curl_slist_append(headers, bearer), idempotency);
    answer[0] = 0;
    curl_easy_setopt(http, CURLOPT_URL, url);
    curl_easy_setopt(http, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(http, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(http, CURLOPT_WRITEDATA, answer);
    CURLcode result = curl_easy_perform(http);
    curl_easy_getinfo(http, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (result) warnx("%s: %s", url, curl_easy_strerror(result));
    return result ? 0 : status;
}

static void publish(const char *state) {
    char event[512];
    int length = snprintf(event, sizeof event,
        "{\"request_id\":\"%s\",\"order_id\":\"%s\",\"state\":\"%s\",\"item\":\"A1\",\"amount\":%d}", request_id, order_id, state, PRICE);
    mosquitto_publish(broker, NULL, topic_event, length, event, 1, false);
}

static void show(void) {
    if (pwrite(screen, pixels, side * WIDTH * 2, top * WIDTH * 2) < 0) err(1, "the screen");
}

static void draw(const char *payload) {
    QRcode *code = QRcode_encodeString8bit(payload, 0, QR_ECLEVEL_M);
    if (!code) err(1, "the QR");
    int modules = code->width + 2 * QUIET, size = WIDTH / modules;
    side = modules * size;
    top = (HEIGHT - side) / 2;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int column = x / size - QUIET, line = y / size - QUIET;
            int within = column >= 0 && column < code->width && line >= 0 && line < code->width;
            int dark = within && (code->data[line * code->width + column] & 1);
            pixels[y * WIDTH + (WIDTH - side) / 2 + x] = dark ? 0 : 0xffff;
        }
    QRcode_free(code);
    show();
}

static void blank(void) {
    memset(pixels, 0, sizeof pixels);
    show();
}

static void sell(void) {
    static sqlite3_stmt *taken, *known;
    if (!taken) taken = prepare("INSERT INTO orders (request_id, item, amount, state) VALUES (?1, 'A1', ?2, 'requested')");
    if (!known) known = prepare("UPDATE orders SET order_id = ?2, qr = ?3, state = 'awaiting_payment' WHERE id = ?1");
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char body[1024], answer[TEXT], payload[1024];
    char ticket[23] = "";
    if (!field(request, "request_id", request_id, sizeof request_id)) return;

    sqlite3_bind_text(taken, 1, request_id, -1, SQLITE_STATIC);
    sqlite3_bind_int(taken, 2, PRICE);
    commit(taken);
    row = sqlite3_last_insert_rowid(database);

    if (getrandom(ticket, 22, 0) != 22) err(1, "random numbers");
    for (int i = 0; i < 22; i++) ticket[i] = LETTERS[ticket[i] & 63];
    snprintf(body, sizeof body,
        "{\"request_id\":\"%s\",\"ticket\":\"%s\",\"kids\":[\"%s\"],\"item\":\"A1\",\"description\":\"Teh botol 350 ml\","
        "\"amount\":%d,\"payment\":\"gopay\",\"timeout_s\":120}",
        request_id, ticket, setting("KID"), PRICE);
    if (post("/v1/orders", request_id, body, answer) != 201 || !field(answer, "order_id", order_id, sizeof order_id)
        || !field(answer, "qr_payload", payload, sizeof payload)) {
        publish("failed");
        return;
    }

    sqlite3_bind_int64(known, 1, row);
    sqlite3_bind_text(known, 2, order_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(known, 3, payload, -1, SQLITE_STATIC);
    commit(known);

    draw(payload);
    publish("awaiting_payment");
}

static void dispense(void) {
    static sqlite3_stmt *paid, *ended;
    if (!paid) paid = prepare("UPDATE orders SET receipt = ?2, state = 'paid' WHERE id = ?1");
    if (!ended) ended = prepare("UPDATE orders SET state = ?2 WHERE id = ?1");
    char receipt[TEXT], status[32], id[128], path[256], body[128], answer[TEXT];
    const char *outcome = "uncertain", *detail;
    sd_bus_message *reply = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    if (!field(update, "status", status, sizeof status) || strcmp(status, "settlement")) return;
    if (!field(update, "order_id", id, sizeof id) || !order_id[0] || strcmp(id, order_id)) return;
    if (!field(update, "receipt", receipt, sizeof receipt)) return;

    sqlite3_bind_int64(paid, 1, row);
    sqlite3_bind_text(paid, 2, receipt, -1, SQLITE_STATIC);
    commit(paid);

    if (sd_bus_call_method(bus, "io.qrisd.Relay1", "/io/qrisd/Relay1", "io.qrisd.Relay1", "Dispense", &error, &reply, "s", receipt) < 0)
        warnx("the relay: %s", error.message);
    else
        sd_bus_message_read(reply, "ss", &outcome, &detail);

    sqlite3_bind_int64(ended, 1, row);
    sqlite3_bind_text(ended, 2, outcome, -1, SQLITE_STATIC);
    commit(ended);

    publish(outcome);
    snprintf(path, sizeof path, "/v1/orders/%s/outcome", order_id);
    snprintf(body, sizeof body, "{\"outcome\":\"%s\",\"reason\":null,\"detail\":null}", outcome);
    if (post(path, order_id, body, answer) != 200) warnx("the backend has not taken the outcome");
    blank();
    order_id[0] = 0;
    sd_bus_message_unref(reply);
    sd_bus_error_free(&error);
}

static void connected(struct mosquitto *client, void *data, int refused) {
    (void)data;
    if (refused) errx(1, "the broker: %s", mosquitto_connack_string(refused));
    char *topics[] = {topic_request, topic_update};
    mosquitto_subscribe_multiple(client, NULL, 2, topics, 1, 0, NULL);
}

static void subscribed(struct mosquitto *client, void *data, int id, int count, const int *granted) {
    (void)data, (void)id, (void)count, (void)granted;
    static const char online[] = "{\"state\":\"online\"}";
    mosquitto_publish(client, NULL, topic_status, sizeof online - 1, online, 1, true);
}

static void came(struct mosquitto *client, void *data, const struct mosquitto_message *message) {
    (void)client, (void)data;
    snprintf(strcmp(message->topic, topic_update) ? request : update, TEXT, "%.*s", message->payloadlen, (char *)message->payload);
}

int main(void) {
    const char *device = setting("DEVICE");
    snprintf(topic_request, sizeof topic_request, "qrisd/v1/%s/vend/request", device);
    snprintf(topic_update, sizeof topic_update, "qrisd/v1/%s/payment/update", device);
    snprintf(topic_event, sizeof topic_event, "qrisd/v1/%s/vend/event", device);
    snprintf(topic_status, sizeof topic_status, "qrisd/v1/%s/status", device);

    if (sqlite3_open(setting("DATABASE"), &database) || sqlite3_exec(database,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, request_id TEXT UNIQUE, order_id TEXT, item TEXT, amount INTEGER,"
        " qr TEXT, receipt TEXT, state TEXT)", NULL, NULL, NULL))
        errx(1, "the database: %s", sqlite3_errmsg(database));
    if ((screen = open(setting("SCREEN"), O_RDWR | O_CLOEXEC)) < 0) err(1, "the screen");
    if (sd_bus_open_system(&bus) < 0) errx(1, "no bus");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    http = curl_easy_init();

    mosquitto_lib_init();
    broker = mosquitto_new(device, true, NULL);
    mosquitto_username_pw_set(broker, device, setting("MQTT_PASSWORD"));
    mosquitto_int_option(broker, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(broker, connected);
    mosquitto_subscribe_callback_set(broker, subscribed);
    mosquitto_message_callback_set(broker, came);
    int failed = mosquitto_connect(broker, "127.0.0.1", atoi(setting("MQTT_PORT")), 60);
    for (;;) {
        if (failed) {
            warnx("the broker: %s", mosquitto_strerror(failed));
            sleep(1);
            failed = mosquitto_reconnect(broker);
            continue;
        }
        failed = mosquitto_loop(broker, 60000, 1);
        if (request[0]) sell(), request[0] = 0;
        if (update[0]) dispense(), update[0] = 0;
    }
}
