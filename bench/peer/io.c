/* Bytes in and out of non-blocking sockets. Whatever a socket does not take waits, so that nothing waits for it. */
#define _GNU_SOURCE
#include "peer.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES 262144

void *checked(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

byte *reserve(Buffer *buffer, size_t bytes) {
  if (buffer->length + bytes > buffer->room) {
    buffer->room = 2 * (buffer->length + bytes);
    buffer->bytes = checked(realloc(buffer->bytes, buffer->room));
  }
  return buffer->bytes + buffer->length;
}

void append(Buffer *buffer, const void *bytes, size_t length) {
  memcpy(reserve(buffer, length), bytes, length);
  buffer->length += length;
}

void drop(Buffer *buffer, size_t bytes) {
  buffer->length -= bytes;
  memmove(buffer->bytes, buffer->bytes + bytes, buffer->length);
}

double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

Connection *open_connection(int fd) {
  Connection *it = checked(calloc(1, sizeof *it));
  it->fd = fd;
  it->receive_maximum = 65535;
  it->last_delayed = &it->delayed;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  return it;
}

void close_connection(Connection *it) {
  close(it->fd);
  for (Delayed *next, *each = it->delayed; each != NULL; each = next) {
    next = each->next;
    free(each->buffer.bytes);
    free(each);
  }
  free(it->in.bytes);
  free(it->answers.bytes);
  free(it->out.bytes);
  free(it->flood.ring);
  free(it);
}

/* Returns whether something came. */
bool receive(Connection *it) {
  ssize_t received = recv(it->fd, reserve(&it->in, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
  if (received == 0 || (received < 0 && errno != EAGAIN)) it->ended = true;
  if (received <= 0) return false;
  it->in.length += received;
  return true;
}

/* Returns how much the socket took. */
static size_t try_write(Connection *it, const void *bytes, size_t length) {
  ssize_t written = send(it->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (written >= 0) return written;
  if (errno != EAGAIN) it->ended = true;
  return 0;
}

void write_out(Connection *it, const void *bytes, size_t length) {
  size_t written = it->out.length > 0 ? 0 : try_write(it, bytes, length);
  if (written < length) append(&it->out, (const byte *)bytes + written, length - written);
}

void flush(Connection *it) {
  if (it->out.length > 0) drop(&it->out, try_write(it, it->out.bytes, it->out.length));
}

/* The answers to all that was read leave in one write. */
void answer(Connection *it) {
  double delay_ms = it->delay_ms;
  it->delay_ms = it->next_delay_ms;
  if (it->answers.length == 0) return;
  if (delay_ms == 0) {
    write_out(it, it->answers.bytes, it->answers.length);
    it->answers.length = 0;
  } else {
    Delayed *delayed = checked(malloc(sizeof *delayed));
    *delayed = (Delayed){now_ms() + delay_ms, it->answers, NULL};
    it->answers = (Buffer){0};
    *it->last_delayed = delayed;
    it->last_delayed = &delayed->next;
  }
}

void release_delayed(Connection *it) {
  while (it->delayed != NULL && it->delayed->due_ms <= now_ms()) {
    Delayed *due = it->delayed;
    if ((it->delayed = due->next) == NULL) it->last_delayed = &it->delayed;
    write_out(it, due->buffer.bytes, due->buffer.length);
    free(due->buffer.bytes);
    free(due);
  }
}
