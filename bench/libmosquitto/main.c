/*
 * The row of libmosquitto: publishes or receives through its callbacks, on one thread, and prints what it measured as JSON.
 * Compiled by libmosquitto.ts where the headers are installed.
 *
 *   libmosquitto publish|receive <host> <port> <protocol version> <qos> <payload bytes> <warm-up> <messages> <filter>
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define WINDOW 100
#define TOPICS 100

static bool publishes;
static int qos, payload_bytes;
static long warm_up, messages, sent, done;
static const char *filter;
static char topics[TOPICS][32];
static char *payload;
static double start_cpu_micros, start_wall_ms;

static double cpu_micros(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static double wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void check(int result, const char *what) {
  if (result == MOSQ_ERR_SUCCESS) return;
  fprintf(stderr, "%s: %s\n", what, mosquitto_strerror(result));
  exit(1);
}

static void tick(void) {
  done++;
  if (done == warm_up) {
    start_wall_ms = wall_ms();
    start_cpu_micros = cpu_micros();
  } else if (done == warm_up + messages) {
    double cpu = cpu_micros() - start_cpu_micros, wall = wall_ms() - start_wall_ms;
    printf("{\"cpuMicros\":%f,\"messagesPerSecond\":%.0f}\n", cpu / messages, messages / wall * 1e3);
    exit(0);
  }
}

static void publish_next(struct mosquitto *client) {
  if (sent == warm_up + messages) return;
  check(mosquitto_publish(client, NULL, topics[sent++ % TOPICS], payload_bytes, payload, qos, false), "publish");
}

static void on_connect(struct mosquitto *client, void *context, int result) {
  (void)context;
  check(result, "connect");
  if (!publishes) check(mosquitto_subscribe(client, NULL, filter, qos), "subscribe");
  else
    for (int i = 0; i < WINDOW; i++) publish_next(client);
}

static void on_publish(struct mosquitto *client, void *context, int id) {
  (void)context;
  (void)id;
  tick();
  publish_next(client);
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message) {
  (void)client;
  (void)context;
  (void)message;
  tick();
}

int main(int count, char **arguments) {
  if (count != 10) return 2;
  publishes = strcmp(arguments[1], "publish") == 0;
  int version = atoi(arguments[4]);
  qos = atoi(arguments[5]);
  payload_bytes = atoi(arguments[6]);
  warm_up = atol(arguments[7]);
  messages = atol(arguments[8]);
  filter = arguments[9];
  payload = malloc(payload_bytes + 1);
  for (int i = 0; i < payload_bytes; i++) payload[i] = "payload "[i % 8];
  for (int i = 0; i < TOPICS; i++) snprintf(topics[i], sizeof topics[i], "plant/%04d/line/3/state", i);

  mosquitto_lib_init();
  struct mosquitto *client = mosquitto_new(NULL, true, NULL);
  mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, WINDOW);
  mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, WINDOW);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_connect_callback_set(client, on_connect);
  mosquitto_publish_callback_set(client, on_publish);
  mosquitto_message_callback_set(client, on_message);
  check(mosquitto_connect(client, arguments[2], atoi(arguments[3]), 60), "connect");
  check(mosquitto_loop_forever(client, 1000, 1), "loop");
  return 1;
}
