// Stand-ins for what the sample uses of the ESP32's Arduino core, so that a compiler of this computer reads the sample. They
// declare, and do nothing. mqtt_client.h, ArduinoJson.h, Preferences.h and WiFi.h stand beside it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

class String {
 public:
  String(const char *text = "");
  String &operator=(const char *text);
  String &operator+=(const String &more);
  String &operator+=(const char *more);
  unsigned int length() const;
  const char *c_str() const;
  bool operator==(const char *text) const;
  bool operator!=(const char *text) const;
};
String operator+(const String &left, const String &right);
String operator+(const String &left, const char *right);
String operator+(const char *left, const String &right);

struct HardwareSerial {
  void begin(unsigned long baud);
  size_t println(const char *text);
  size_t printf(const char *format, ...) __attribute__((format(printf, 2, 3)));
};
extern HardwareSerial Serial;

#define LOW 0
#define INPUT_PULLUP 5
void pinMode(uint8_t pin, uint8_t mode);
int digitalRead(uint8_t pin);
unsigned long millis();
uint32_t esp_random();
size_t esp_strlcpy(char *to, const char *from, size_t size);
#define strlcpy esp_strlcpy

typedef void *QueueHandle_t;
typedef int BaseType_t;
typedef uint32_t TickType_t;
#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))
QueueHandle_t xQueueCreate(unsigned int length, unsigned int size);
BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t wait);
BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t wait);
