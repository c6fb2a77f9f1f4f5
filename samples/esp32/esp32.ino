// Sells one item over MQTT when a button is pressed, and follows the order to its end. For ESP32 with the Arduino core 3.
//
// It uses the MQTT client that comes with the core (esp-mqtt), and the library ArduinoJson 7. Write the settings into
// settings.h; ../README.md says which.
#include <ArduinoJson.h>
#include <Preferences.h>
#include <WiFi.h>
#include <mqtt_client.h>
#include "settings.h"

const int BUTTON = 0;
struct News { char request_id[65], event_id[80], state[33], reason[33]; };

static esp_mqtt_client_handle_t client;
static QueueHandle_t news_queue;       // From the task of the MQTT client to loop().
static volatile bool connected = false;
static Preferences store;              // Keeps the sale over a power cut.
static String request_id, last_event;  // No request_id: no sale is open.
static uint32_t began, next_ask, asks;
static bool pressed_now = false;       // Else the sale is older than our power.

static String topic(const char *rest) { return String("qrisd/v1/") + DEVICE + "/" + rest; }

// Asks, or asks again: a request_id is sold once, and its last event comes again. So no event is missed for long. After 30 s
// without an answer the customer may be gone, and nothing new may be sold. Cancelling also tells what became of it.
static void ask() {
  bool may_sell = last_event.length() || (pressed_now && millis() - began < 30000);
  String body = String("{\"request_id\":\"") + request_id + "\"";
  if (may_sell) body += String(",\"item\":\"") + ITEM + "\"";
  body += "}";
#ifdef CONFIG_MQTT_PROTOCOL_5
  // A machine that comes back later does not find it. The prebuilt core speaks MQTT 3.1.1, which has no expiry: there the
  // broker drops it with the machine's session, after 60 s, and our cancel follows it.
  esp_mqtt5_publish_property_config_t property = {};
  property.message_expiry_interval = 30;
  esp_mqtt5_client_set_publish_property(client, &property);
#endif
  esp_mqtt_client_publish(client, topic(may_sell ? "vend/request" : "vend/cancel").c_str(), body.c_str(), 0, 1, 0);
  next_ask = millis() + (last_event.length() ? 30000 : 10000);
  asks++;
}

static void on_mqtt(void *, esp_event_base_t, int32_t id, void *data) {
  auto event = static_cast<esp_mqtt_event_handle_t>(data);
  if (id == MQTT_EVENT_CONNECTED) {
    esp_mqtt_client_subscribe_single(client, topic("vend/event").c_str(), 1);
  } else if (id == MQTT_EVENT_SUBSCRIBED) {
    next_ask = millis();  // What happened meanwhile comes again.
    connected = true;
  } else if (id == MQTT_EVENT_DISCONNECTED) {
    connected = false;  // The client connects again by itself.
  } else if (id == MQTT_EVENT_DATA && event->data_len == event->total_data_len) {
    JsonDocument told;
    if (deserializeJson(told, event->data, event->data_len)) return;
    News news;
    strlcpy(news.request_id, told["request_id"] | "", sizeof news.request_id);
    strlcpy(news.event_id, told["event_id"] | "", sizeof news.event_id);
    strlcpy(news.state, told["state"] | "", sizeof news.state);
    strlcpy(news.reason, told["reason"] | "", sizeof news.reason);
    xQueueSend(news_queue, &news, 0);  // If it is full: it comes again.
  }
}

static void end(const char *meaning) {
  Serial.println(meaning);
  request_id = "";
  store.remove("request_id");
}

// An event is news. Never deliver on it: the relay does that, with a proof of the payment.
static void hear(const News &news) {
  if (request_id != news.request_id || last_event == news.event_id) return;  // Another sale, or the same news again.
  last_event = news.event_id;
  Serial.printf("%s %s\n", news.state, news.reason);
  String state = news.state;
  if (state == "dispensed") end("delivered");
  else if (state == "refused") end("not sold: nothing was begun");
  else if (state == "cancelled" || state == "expired" || state == "denied" || state == "failed") end("not sold: nothing was paid");
  else if (state == "refund_due") end("paid and not delivered: the customer must get the money back, call the merchant");
  else if (state == "refunded") end("paid and not delivered: the customer got the money back");
  else if (state != "requested" && state != "awaiting_payment" && state != "awaiting_collection" && state != "paid" &&
           state != "dispensing" && state != "cancelling") Serial.println("a word of a later release: wait for the next one");
}

void setup() {
  Serial.begin(115200);
  pinMode(BUTTON, INPUT_PULLUP);
  news_queue = xQueueCreate(8, sizeof(News));
  store.begin("sale");
  request_id = store.getString("request_id", "");  // A sale that a power cut interrupted.
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  esp_mqtt_client_config_t config = {};
  config.broker.address.uri = BROKER;
  config.broker.verification.certificate = CA;
  config.credentials.username = USER;
  config.credentials.authentication.password = PASSWORD;
#ifdef CONFIG_MQTT_PROTOCOL_5
  config.session.protocol_ver = MQTT_PROTOCOL_V_5;
#endif
  client = esp_mqtt_client_init(&config);
  esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, on_mqtt, nullptr);
  esp_mqtt_client_start(client);
}

void loop() {
  News news;
  if (xQueueReceive(news_queue, &news, pdMS_TO_TICKS(20)) && request_id.length()) hear(news);
  if (!connected) return;
  if (!request_id.length() && digitalRead(BUTTON) == LOW) {
    char id[33];
    snprintf(id, sizeof id, "%08lx%08lx%08lx%08lx", (unsigned long)esp_random(), (unsigned long)esp_random(),
             (unsigned long)esp_random(), (unsigned long)esp_random());
    store.putString("request_id", id);  // Before anybody is asked.
    request_id = id, last_event = "", pressed_now = true, asks = 0, began = next_ask = millis();
  }
  if (!request_id.length() || (int32_t)(millis() - next_ask) < 0) return;
  if (asks < (last_event.length() ? 60 : 6)) ask();
  else end("nobody knows how it ended: look at the machine");
}
