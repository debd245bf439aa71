/* The flood that a client asks for by a topic filter: source/<messages>/<topics>/<first topic>/<payload bytes, or json>. */
#define _GNU_SOURCE
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 100
#define RING 1000
#define BATCH_BYTES 65536
#define TOPIC "plant/%04d/line/3/state"
#define TOPIC_BYTES 23
#define JSON "{\"sensor\":\"t-0017\",\"value\":21.53,\"unit\":\"C\",\"at\":1732400000000,\"site\":\"plant-7\",\"quality\":\"good\"}"

int write_varint(byte *at, int value) {
  int bytes = 0;
  for (; value > 127; value >>= 7) at[bytes++] = (value & 127) | 128;
  at[bytes++] = value;
  return bytes;
}

void start_flood(Connection *it, long messages, int topics, int first_topic, const char *payload, int qos) {
  bool json = strcmp(payload, "json") == 0;
  long payload_bytes = json ? (long)strlen(JSON) : atol(payload);
  int remaining = 2 + TOPIC_BYTES + (qos > 0 ? 2 : 0) + (it->version == 5 ? 1 : 0) + payload_bytes;
  byte length[4];
  int length_bytes = write_varint(length, remaining);
  Flood *flood = &it->flood;
  flood->qos = qos;
  flood->window = it->receive_maximum < WINDOW ? it->receive_maximum : WINDOW;
  flood->messages = messages;
  flood->sent = flood->completed = 0;
  flood->packets = topics > RING ? topics : RING;
  flood->packet_bytes = 1 + length_bytes + remaining;
  flood->ring = checked(realloc(flood->ring, flood->packets * flood->packet_bytes));
  byte *at = flood->ring;
  for (int index = 0; index < flood->packets; index++) {
    char topic[TOPIC_BYTES + 8];
    snprintf(topic, sizeof topic, TOPIC, (first_topic + index % topics) % 10000);
    *at++ = PUBLISH << 4 | qos << 1;
    at = mempcpy(at, length, length_bytes);
    *at++ = 0;
    *at++ = TOPIC_BYTES;
    at = mempcpy(at, topic, TOPIC_BYTES);
    if (qos > 0) {
      *at++ = (index + 1) >> 8;
      *at++ = index + 1;
    }
    if (it->version == 5) *at++ = 0;
    for (long i = 0; i < payload_bytes; i++) *at++ = json ? JSON[i] : "payload "[i % 8];
  }
}

bool wants_to_flood(const Connection *it) {
  return it->flood.ring != NULL && it->flood.qos == 0 && it->flood.sent < it->flood.messages;
}

/* Within the window at QoS 1 and 2, as fast as the socket drains at QoS 0. */
void pump(Connection *it) {
  Flood *flood = &it->flood;
  if (flood->ring == NULL || it->out.length > 0) return;
  long now = flood->qos == 0 ? 1 + BATCH_BYTES / flood->packet_bytes : flood->window - (flood->sent - flood->completed);
  if (now > flood->messages - flood->sent) now = flood->messages - flood->sent;
  if (now <= 0) return;
  long first = flood->sent % flood->packets;
  long contiguous = now > flood->packets - first ? flood->packets - first : now;
  flood->sent += now;
  write_out(it, flood->ring + first * flood->packet_bytes, contiguous * flood->packet_bytes);
  if (now > contiguous) write_out(it, flood->ring, (now - contiguous) * flood->packet_bytes);
}
