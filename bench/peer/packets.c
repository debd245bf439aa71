/* What is said to the packets of a client. */
#define _GNU_SOURCE
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_TOPIC_BYTES 4 /* "hold" is never acknowledged; no other topic is as short */
#define MOST_INTERRUPTED 64

/* Clients whose first connection was cut, and whose session is therefore to be resumed. */
static char *interrupted[MOST_INTERRUPTED];

static int word(const byte *at) { return at[0] << 8 | at[1]; }

static void acknowledge(Connection *it, byte head, const byte *id) {
  byte *at = reserve(&it->answers, 4);
  at[0] = head;
  at[1] = 2;
  at[2] = id[0];
  at[3] = id[1];
  it->answers.length += 4;
}

static void published(Connection *it, int qos, const byte *body) {
  if (qos == 0) return;
  if (it->to_hold > 0) it->ended = --it->to_hold == 0;
  else if (word(body) != HOLD_TOPIC_BYTES) acknowledge(it, qos == 1 ? 0x40 : 0x50, body + 2 + word(body));
}

static int read_receive_maximum(const byte *properties) {
  static const byte lengths[256] = {[0x11] = 4, [0x17] = 1, [0x19] = 1, [0x22] = 2, [0x27] = 4};
  const byte *end = properties + 1 + properties[0]; /* the benchmarks send fewer than 128 bytes of them */
  for (const byte *at = properties + 1; at < end; at += 1 + lengths[*at]) {
    if (*at == 0x21) return word(at + 1);
    if (lengths[*at] == 0) break; /* every client puts those of fixed length first */
  }
  return 65535;
}

/* The first connection of such a client is cut once it has sent so many publishes; the next one resumes the session. */
static void interrupt_or_resume(Connection *it, const char *client, long unacknowledged, int receive_maximum, int rtt_ms) {
  char **known = NULL, **vacant = NULL;
  for (int i = 0; i < MOST_INTERRUPTED; i++) {
    if (interrupted[i] == NULL) vacant = &interrupted[i];
    else if (strcmp(interrupted[i], client) == 0) known = &interrupted[i];
  }
  if (known != NULL) {
    append(&it->answers, (byte[]){0x20, 6, 1, 0, 3, 0x21, receive_maximum >> 8, receive_maximum}, 8);
    free(*known);
    *known = NULL;
    it->next_delay_ms = rtt_ms; /* a resumption is counted from CONNACK */
  } else {
    if (vacant == NULL) abort();
    *vacant = checked(strdup(client));
    it->to_hold = unacknowledged;
    append(&it->answers, (byte[]){0x20, 3, 0, 0, 0}, 5);
  }
}

static void connected(Connection *it, const byte *body) {
  const byte *client_id = body + 10;
  it->version = body[6];
  if (it->version == 5) {
    it->receive_maximum = read_receive_maximum(client_id);
    client_id += 1 + client_id[0];
  }
  char client[256];
  long unacknowledged;
  int receive_maximum, rtt_ms;
  snprintf(client, sizeof client, "%.*s", word(client_id), (const char *)client_id + 2);
  if (sscanf(client, "resume-%ld-%d-%d-", &unacknowledged, &receive_maximum, &rtt_ms) == 3)
    interrupt_or_resume(it, client, unacknowledged, receive_maximum, rtt_ms);
  else append(&it->answers, (byte[]){0x20, it->version == 5 ? 3 : 2, 0, 0, 0}, it->version == 5 ? 5 : 4);
}

static void subscribed(Connection *it, const byte *body, const byte *end) {
  Buffer granted = {0};
  int properties = it->version == 5 ? 1 : 0;
  for (const byte *at = body + 2 + (properties ? 1 + body[2] : 0); at < end;) {
    char filter[256], payload[16];
    long messages;
    int topics, first_topic, qos = at[2 + word(at)] & 3;
    snprintf(filter, sizeof filter, "%.*s", word(at), (const char *)at + 2);
    if (sscanf(filter, "source/%ld/%d/%d/%15s", &messages, &topics, &first_topic, payload) == 4)
      start_flood(it, messages, topics, first_topic, payload, qos);
    append(&granted, &(byte){qos}, 1);
    at += 3 + word(at);
  }
  byte head[5] = {0x90};
  int head_bytes = 1 + write_varint(head + 1, 2 + properties + granted.length);
  append(&it->answers, head, head_bytes);
  append(&it->answers, body, 2);
  append(&it->answers, "", properties);
  append(&it->answers, granted.bytes, granted.length);
  free(granted.bytes);
}

static void unsubscribed(Connection *it, const byte *body) {
  bool v5 = it->version == 5;
  append(&it->answers, (byte[]){0xb0, v5 ? 4 : 2, body[0], body[1], 0, 0}, v5 ? 6 : 4);
}

static void packet(Connection *it, byte head, const byte *body, const byte *end) {
  switch (head >> 4) {
  case PUBLISH: published(it, head >> 1 & 3, body); break;
  case PUBREL: acknowledge(it, 0x70, body); break;
  case PUBREC: acknowledge(it, 0x62, body); break;
  case PUBACK:
  case PUBCOMP: it->flood.completed++; break;
  case CONNECT: connected(it, body); break;
  case SUBSCRIBE: subscribed(it, body, end); break;
  case UNSUBSCRIBE: unsubscribed(it, body); break;
  case PINGREQ: append(&it->answers, (byte[]){0xd0, 0}, 2); break;
  case DISCONNECT: it->ended = true;
  }
}

/* Handles the whole packets that have come. */
void handle(Connection *it) {
  byte *at = it->in.bytes, *end = at + it->in.length;
  while (!it->ended && end - at >= 2) {
    byte *body = at + 1;
    long length = 0;
    bool complete = false;
    for (int shift = 0; body < end && !complete; shift += 7) {
      length |= (long)(*body & 127) << shift;
      complete = *body++ < 128;
    }
    if (!complete || length > end - body) break;
    packet(it, *at, body, body + length);
    at = body + length;
  }
  drop(&it->in, at - it->in.bytes);
}
