#pragma once
#include "Arduino.h"
struct JsonVariant {
  const char *operator|(const char *otherwise) const;
};
struct JsonDocument {
  JsonVariant operator[](const char *key) const;
};
struct DeserializationError {
  explicit operator bool() const;
};
DeserializationError deserializeJson(JsonDocument &document, const char *text, size_t length);
