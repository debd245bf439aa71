/*
 * The other side of every row but the requests: it looks like a broker to its clients and does nothing but answer and flood, on
 * raw bytes, as fast as it can. In C, and looking for work without sleep, so that what is measured waits for it as little as
 * possible and does not pay for waking it: on a virtual machine that costs a write up to thirty microseconds of system time.
 * Its own CPU time is not counted. What it understands is described in wire.ts.
 *
 *   peer       prints the port that it listens on; ends when its standard input does
 */
#define _GNU_SOURCE
#include "peer.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer than a client takes for what one read brings. */
#define AWAKE_MS 20

static Connection **connections;
static struct pollfd *polled;
static int count;

static int listen_on_any_port(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0) exit(1);
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void accept_one(int listener) {
  int fd = accept(listener, NULL, NULL);
  if (fd < 0) return;
  connections = checked(realloc(connections, (count + 1) * sizeof *connections));
  polled = checked(realloc(polled, (count + 3) * sizeof *polled));
  connections[count++] = open_connection(fd);
}

static void serve(Connection *it, short events) {
  release_delayed(it);
  if (events & POLLOUT) flush(it);
  if (events & (POLLIN | POLLHUP | POLLERR) && receive(it)) {
    handle(it);
    answer(it);
  }
  if (!it->ended) pump(it);
}

/* Waits for something to do: awake for a while, then asleep, so that an idle peer takes no time from others. */
static void wait_for_work(bool delays) {
  for (double asleep_ms = now_ms() + AWAKE_MS; now_ms() < asleep_ms;)
    if (poll(polled, count + 2, 0) != 0 || delays) return;
  poll(polled, count + 2, -1);
}

int main(void) {
  int listener = listen_on_any_port();
  polled = checked(malloc(2 * sizeof *polled));
  for (;;) {
    bool delays = false;
    polled[0] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    polled[1] = (struct pollfd){listener, POLLIN, 0};
    for (int i = 0; i < count; i++) {
      Connection *it = connections[i];
      polled[i + 2] = (struct pollfd){it->fd, POLLIN | (it->out.length > 0 || wants_to_flood(it) ? POLLOUT : 0), 0};
      delays |= it->delayed != NULL;
    }
    wait_for_work(delays);
    if (polled[0].revents != 0) return 0;
    for (int i = count - 1; i >= 0; i--) {
      serve(connections[i], polled[i + 2].revents);
      if (!connections[i]->ended) continue;
      close_connection(connections[i]);
      connections[i] = connections[--count];
    }
    if (polled[1].revents != 0) accept_one(listener);
  }
}
