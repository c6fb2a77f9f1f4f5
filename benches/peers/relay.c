// A relay service as a user would write it: it owns io.qrisd.Relay1 on the system bus, and drives a line for whoever calls
// Dispense. It checks nothing and remembers nothing. The line is a file, with the edges in the form of our own service.

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

static void edge(int line, int active) {
    struct timespec now;
    char text[64];
    clock_gettime(CLOCK_BOOTTIME, &now);
    int length = snprintf(text, sizeof text, "%lld tray 1 %d\n", now.tv_sec * 1000LL + now.tv_nsec / 1000000, active);
    if (write(line, text, length) != length) err(1, "the line");
}

// Answers when the pulse is over, as ours does.
static int dispense(sd_bus_message *call, void *data, sd_bus_error *error) {
    const char *receipt;
    (void)error;
    int told = sd_bus_message_read(call, "s", &receipt);
    if (told < 0) return told;
    edge(*(int *)data, 1);
    usleep(1000 * atoi(getenv("PULSE_MS")));
    edge(*(int *)data, 0);
    return sd_bus_reply_method_return(call, "ss", "dispensed", "");
}

static const sd_bus_vtable METHODS[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Dispense", "s", "ss", dispense, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static void check(int result, const char *what) {
    if (result < 0) errx(1, "%s: %s", what, strerror(-result));
}

int main(void) {
    sd_bus *bus = NULL;
    int line = open(getenv("LINE"), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (line < 0) err(1, "the line");
    check(sd_bus_open_system(&bus), "the bus");
    check(sd_bus_add_object_vtable(bus, NULL, "/io/qrisd/Relay1", "io.qrisd.Relay1", METHODS, &line), "the object");
    check(sd_bus_request_name(bus, "io.qrisd.Relay1", 0), "the name");
    sd_notify(0, "READY=1");
    for (;;) {
        int done = sd_bus_process(bus, NULL);
        check(done, "the bus");
        if (done == 0) check(sd_bus_wait(bus, UINT64_MAX), "the bus");
    }
}
