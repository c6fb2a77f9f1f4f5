// Copy this file to settings.h, and fill it in. It has passwords: keep it out of your repository.
#define WIFI_NAME "…"
#define WIFI_PASSWORD "…"
#define DEVICE "vm-001"
#define ITEM "A1"
#define BROKER "mqtts://broker.example:8883"
#define USER "vm-001-controller"
#define PASSWORD "…"
// The certificate of the CA that signed the broker's.
#define CA "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"
