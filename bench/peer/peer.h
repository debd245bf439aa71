/* The benchmark's peer: see main.c. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>

enum { CONNECT = 1, PUBLISH = 3, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE = 10, PINGREQ = 12, DISCONNECT = 14 };

typedef unsigned char byte;

typedef struct {
  byte *bytes;
  size_t length, room;
} Buffer;

/* Answers that leave later. */
typedef struct Delayed {
  double due_ms;
  Buffer buffer;
  struct Delayed *next;
} Delayed;

/* Packets encoded beforehand, in a ring that is larger than the window, so an id is free again before its turn. */
typedef struct {
  byte *ring;
  int qos, window;
  long packet_bytes, packets, messages, sent, completed;
} Flood;

typedef struct {
  int fd, version, receive_maximum;
  bool ended;
  Buffer in, answers;
  Buffer out; /* what the socket did not take */
  Delayed *delayed, **last_delayed;
  double delay_ms, next_delay_ms; /* of the answers to this chunk, and to those behind it */
  long to_hold; /* publishes that are not acknowledged; with the last of them the connection is cut */
  Flood flood;
} Connection;

/* io.c */
double now_ms(void);
void *checked(void *memory);
byte *reserve(Buffer *buffer, size_t bytes);
void append(Buffer *buffer, const void *bytes, size_t length);
void drop(Buffer *buffer, size_t bytes);
Connection *open_connection(int fd);
void close_connection(Connection *it);
bool receive(Connection *it);
void write_out(Connection *it, const void *bytes, size_t length);
void flush(Connection *it);
void answer(Connection *it);
void release_delayed(Connection *it);

/* flood.c */
int write_varint(byte *at, int value);
void start_flood(Connection *it, long messages, int topics, int first_topic, const char *payload, int qos);
bool wants_to_flood(const Connection *it);
void pump(Connection *it);

/* packets.c */
void handle(Connection *it);

#endif
