/* Sells one item over D-Bus, on the machine's own board, and follows the order to its end. It needs no broker.
 *
 *     controller ITEM [REQUEST_ID]
 *
 * With the REQUEST_ID of an earlier call it goes on with that sale, for example after a power cut.
 * Exit status: 0 delivered; 1 nothing was paid; 2 wrong use; 3 paid and not delivered; 4 nobody knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define NAME "io.qrisd.Device1"
#define PATH "/io/qrisd/Device1"

/* How an order goes on or ends: our exit status, and what it means. */
static const struct { const char *state; int status; const char *meaning; } WORDS[] = {
    {"requested", -1, NULL}, {"awaiting_payment", -1, NULL}, {"awaiting_collection", -1, NULL},
    {"paid", -1, NULL}, {"dispensing", -1, NULL}, {"cancelling", -1, NULL},
    {"dispensed", 0, "delivered"}, {"refused", 1, "not sold: nothing was begun"},
    {"cancelled", 1, "not sold: nothing was paid"}, {"expired", 1, "not sold: nothing was paid"},
    {"denied", 1, "not sold: nothing was paid"}, {"failed", 1, "not sold: nothing was paid"},
    {"refund_due", 3, "paid and not delivered: the customer must get the money back, call the merchant"},
    {"refunded", 3, "paid and not delivered: the customer got the money back"},
    {NULL, -1, "a word of a later release: wait for the next one"},
};
static char request_id[65], last[33];
static int status = -1;

/* This is news. Never deliver on it: the relay does that, with a proof of the payment. */
static void take(const char *state, const char *reason) {
    size_t i = 0;
    if (!*state || !strcmp(state, last)) return;
    snprintf(last, sizeof last, "%s", state);
    printf(*reason ? "%s (%s)\n" : "%s\n", state, reason);
    while (WORDS[i].state && strcmp(WORDS[i].state, state)) i++;
    if (WORDS[i].meaning) puts(WORDS[i].meaning);
    status = WORDS[i].status;
}

/* Everybody on a bus may send us a signal of any name. Without a bus there is no sender, and nobody else. */
static int is_from_machine(sd_bus_message *m) {
    const char *sender = sd_bus_message_get_sender(m), *owner = NULL;
    sd_bus_creds *creds = NULL;
    int r = !sender;
    if (sender && sd_bus_get_name_creds(sd_bus_message_get_bus(m), NAME, SD_BUS_CREDS_UNIQUE_NAME, &creds) >= 0)
        r = sd_bus_creds_get_unique_name(creds, &owner) >= 0 && !strcmp(sender, owner);
    sd_bus_creds_unref(creds);
    return r;
}

static int changed(sd_bus_message *m, void *unused, sd_bus_error *error) {
    const char *request, *order, *state, *reason;
    (void)unused, (void)error;
    if (!is_from_machine(m) || sd_bus_message_read(m, "ssss", &request, &order, &state, &reason) < 0) return 0;
    if (!strcmp(request, request_id)) take(state, reason);
    return 0;
}

/* Asks, or asks again: a request_id is sold once, and the answer is what became of it. After 30 s without an answer the
 * customer may be gone, and nothing new may be sold. Cancelling also tells what became of it. */
static int ask(sd_bus *bus, const char *item, int may_sell) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    const char *state = "", *reason = "";
    int r;
    if (may_sell) r = sd_bus_call_method(bus, NAME, PATH, NAME, "Vend", &error, &reply, "ssa{sv}", request_id, item, 0);
    else r = sd_bus_call_method(bus, NAME, PATH, NAME, "Cancel", &error, &reply, "s", request_id);
    if (r >= 0 && (r = sd_bus_message_read(reply, may_sell ? "ss" : "s", &state, &reason)) >= 0) {
        if (may_sell || *state) take(state, reason);
        else take("refused", "unknown_request");
    }
    if (r < 0) fprintf(stderr, "the machine does not answer: %s\n", error.message ? error.message : strerror(-r));
    sd_bus_error_free(&error);
    sd_bus_message_unref(reply);
    return r;
}

static time_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

int main(int count, char **arguments) {
    const char *address = getenv("QRISD_BUS"); /* A socket of qrisd without a bus; else the system bus. */
    time_t began = now();
    FILE *uuid = fopen("/proc/sys/kernel/random/uuid", "r");
    if (count < 2 || count > 3 || !uuid || fscanf(uuid, "%64s", request_id) != 1) return fputs("controller ITEM [REQUEST_ID]\n", stderr), 2;
    if (count == 3) snprintf(request_id, sizeof request_id, "%s", arguments[2]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("request %s\n", request_id);
    while (status < 0 && now() < began + (*last ? 1800 : 60)) {
        sd_bus *bus = NULL;
        int r = address ? sd_bus_new(&bus) : sd_bus_open_system(&bus);
        if (r >= 0 && address && (r = sd_bus_set_address(bus, address)) >= 0) r = sd_bus_start(bus);
        if (r >= 0) r = sd_bus_match_signal(bus, NULL, address ? NULL : NAME, PATH, NAME, "OrderChanged", changed, NULL);
        while (r >= 0 && status < 0 && (r = ask(bus, arguments[1], *last || now() < began + 30)) >= 0) {
            time_t until = now() + 30; /* Signals can be missed: ask again now and then. */
            while (r >= 0 && status < 0 && now() < until)
                if ((r = sd_bus_process(bus, NULL)) == 0) r = sd_bus_wait(bus, 1000000);
        }
        sd_bus_close_unref(bus);
        if (status < 0) sleep(1);
    }
    if (status < 0) puts("nobody knows how it ended: look at the machine");
    return status < 0 ? 4 : status;
}
