/** A bug planted on purpose. */
export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** @param find occurs exactly once in the file */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const CONNECTION = 'connection.ts';
const DRIVER = 'driver.ts';
const INCOMING = 'session/incoming.ts';
const OUTGOING = 'session/outgoing.ts';
const QUEUE = 'admission/request-queue.ts';
const REQUESTS = 'requests.ts';
const SESSION = 'session/session.ts';
const SUBSCRIPTIONS = 'session/subscriptions.ts';

function mutation(name: string, file: string, find: string, replace: string): Mutation {
  return { name, edits: [{ file: `lib/eventloop/${file}`, find, replace }] };
}

/** Each must be found by `npm run simulate:mutations`. */
export const mutations: readonly Mutation[] = [
  // ---- resending
  mutation('a resend goes without DUP', OUTGOING, 'dup = exchange.id !== 0;', 'dup = false;'),
  mutation('a lost session is resent with its old ids, and DUP', OUTGOING, '      exchange.id = 0;\n', ''),
  mutation(
    'the first publish is forgotten when the rest is resent',
    OUTGOING,
    'this.#resend = this.#unanswered.head;',
    'this.#resend = this.#unanswered.head?.next;',
  ),
  mutation(
    'new publishes overtake what has to be resent',
    OUTGOING,
    `    if (this.#resend !== undefined && hasSlot) return this.#resend;
    const head = this.queue.head;`,
    `    const head = this.queue.head;
    if (this.#resend !== undefined && hasSlot && head === undefined) return this.#resend;
    if (head !== undefined && hasSlot) return head;`,
  ),
  mutation(
    'resends ignore the window',
    OUTGOING,
    'if (this.#resend !== undefined && hasSlot)',
    'if (this.#resend !== undefined)',
  ),
  mutation('a PUBREL is not resent', OUTGOING, '[...this.#released].toReversed()', '[]'),
  mutation(
    'PUBRELs are resent in the wrong order',
    OUTGOING,
    '[...this.#released].toReversed()',
    '[...this.#released]',
  ),
  mutation(
    'a publish past PUBREC is published again',
    OUTGOING,
    '    this.#unanswered.remove(exchange);\n    this.#released.push(exchange);\n',
    '    this.#released.push(exchange);\n',
  ),
  mutation(
    'a publish past PUBREC hangs when the session is lost',
    OUTGOING,
    '      complete(exchange, 0, undefined);\n',
    '',
  ),

  // ---- identifiers and window
  mutation(
    'identifiers in use are handed out',
    'session/packet-ids.ts',
    'do this.#last = this.#last === IDS ? 1 : this.#last + 1;\n    while (this.#isUsed(this.#last));',
    'this.#last = (this.#last % 3) + 1;',
  ),
  {
    name: 'an identifier is free at PUBREC',
    edits: [
      {
        file: 'lib/eventloop/session/outgoing.ts',
        find: '    exchange.isReleased = true;\n',
        replace: '    exchange.isReleased = true;\n    this.#ids.release(id);\n',
      },
      {
        file: 'lib/eventloop/session/packet-ids.ts',
        find: 'do this.#last = this.#last === IDS',
        replace: 'this.#last = 0;\n    do this.#last = this.#last === IDS',
      },
    ],
  },
  mutation('new publishes ignore the window', OUTGOING, 'return hasSlot && this.#resend', 'return this.#resend'),
  mutation(
    "the server's Receive Maximum is ignored",
    'negotiated.ts',
    'properties.receiveMaximum ?? MOST_INFLIGHT',
    'MOST_INFLIGHT',
  ),
  mutation(
    'a refused PUBREC leaks its slot',
    OUTGOING,
    '    if (reasonCode >= REFUSED) {\n      this.#inflight--;',
    '    if (reasonCode >= REFUSED) {',
  ),
  {
    name: 'a lost connection leaks its slots',
    edits: [
      { file: 'lib/eventloop/session/outgoing.ts', find: '    this.#inflight = this.#released.size;\n', replace: '' },
      {
        file: 'lib/eventloop/session/outgoing.ts',
        find: '    this.#inflight = 0;\n    this.#resend',
        replace: '    this.#resend',
      },
    ],
  },

  // ---- throttle
  {
    name: 'a reconnect refills the throttle',
    edits: [
      {
        file: 'lib/eventloop/session/session.ts',
        find: '    this.#epoch++;\n',
        replace: '    this.#epoch++;\n    this.#throttle.refill();\n',
      },
      {
        file: 'lib/eventloop/admission/throttle.ts',
        find: '  idle(): void {',
        replace: '  refill(): void {\n    this.#messageDueMs = 0;\n  }\n\n  idle(): void {',
      },
    ],
  },
  mutation(
    'resends are not throttled',
    SESSION,
    '    this.#throttle.take(nowMs, bytes);',
    '    if (exchange === undefined || exchange.id === 0) this.#throttle.take(nowMs, bytes);',
  ),
  mutation(
    'subscribes are not throttled',
    SESSION,
    '    this.#throttle.take(nowMs, bytes);',
    '    if (subscriptionBytes === 0) this.#throttle.take(nowMs, bytes);',
  ),
  mutation(
    'an outage earns the throttle credit',
    'admission/throttle.ts',
    'nowMs - CATCH_UP_MS) : nowMs',
    'nowMs - 60_000) : nowMs',
  ),

  // ---- nothing is lost, every promise settles
  mutation(
    'a disconnect drops the head of the queue',
    OUTGOING,
    '    this.#resend = undefined;\n  }',
    '    this.#resend = undefined;\n    this.queue.shift();\n  }',
  ),
  mutation(
    'a disconnect fails what is queued',
    SESSION,
    '    this.outgoing.disconnected();\n',
    '    this.outgoing.disconnected();\n    this.outgoing.queue.failAll(cause);\n',
  ),
  mutation(
    'callers that wait for the queue are forgotten',
    QUEUE,
    '    if (this.#waiting.size > 0) this.#admitWaiting();\n',
    '',
  ),
  mutation('the queue lets a small publish pass those that wait', QUEUE, '      this.#waiting.size === 0 &&\n', ''),
  mutation(
    'the queue takes one more than it may',
    QUEUE,
    '      this.#waiting.size === 0 &&\n      this.#queue.size < this.#limits',
    '      this.#waiting.size === 0 &&\n      this.#queue.size <= this.#limits',
  ),
  mutation('a dropped publish is not told', QUEUE, '    request.fail(new MqttMessageDroppedError(policy));\n', ''),
  mutation(
    'a QoS 0 publish never settles when its write is lost',
    SESSION,
    'for (const exchange of [...flushing, ...this.takeWritten()]) exchange.fail(error);',
    '',
  ),
  mutation('an aborted publish is sent nevertheless', REQUESTS, '() => queue.remove(exchange)', '() => {}'),
  mutation('a failure before sending keeps the signal', REQUESTS, '      operation.fail(error as MqttError);\n', ''),
  mutation('a settled operation keeps its timer', 'session/operation.ts', '      timer?.cancel();\n', ''),

  // ---- subscriptions
  mutation(
    'a lost session is not subscribed again',
    SUBSCRIPTIONS,
    '    if (sessionPresent) return;\n',
    '    return;\n',
  ),
  mutation('a kept session is subscribed again', SUBSCRIPTIONS, '    if (sessionPresent) return;\n', ''),
  mutation(
    'publishes go before lost subscriptions',
    SESSION,
    '= subscriptions.nextBytes();',
    '= outgoing.next() === undefined ? subscriptions.nextBytes() : 0;',
  ),
  mutation('a session in doubt is believed', SESSION, 'sessionPresent && !isInDoubt', 'sessionPresent'),
  mutation(
    'a subscribe that was not answered is forgotten',
    SUBSCRIPTIONS,
    'if (!exchange.settled) unanswered.push(exchange);',
    '',
  ),

  // ---- incoming
  mutation('QoS 2 is delivered again', INCOMING, '      if (known !== undefined) return this.#repeated(known);\n', ''),
  mutation('acknowledgements cross connections', SESSION, '    this.#acknowledgements.clear();\n', ''),
  mutation(
    'messages of the last connection are acknowledged on this one',
    INCOMING,
    'for (let message = this.#ledger.shift(); message !== undefined; message = this.#ledger.shift()) {',
    'for (let message; message !== undefined; ) {',
  ),
  mutation(
    'acknowledgements leave as handlers finish',
    INCOMING,
    'for (let message = this.#ledger.head; message?.reasonCode !== undefined; message = this.#ledger.head) {',
    'for (const message of [...this.#ledger].filter(({ reasonCode }) => reasonCode !== undefined)) {',
  ),
  mutation(
    'a message is acknowledged before it is handled',
    INCOMING,
    "if (this.#limits.acknowledge === 'on-receive') this.acknowledge",
    'this.acknowledge',
  ),
  mutation(
    'a failed handler leaves its message unanswered',
    INCOMING,
    '    if (message.qos > 0) this.acknowledge(message, REFUSED);\n',
    '',
  ),
  mutation(
    'a server within our Receive Maximum is disconnected',
    INCOMING,
    '      !this.#isBoundByServer &&\n      (',
    '      (',
  ),
  mutation('QoS 0 messages pile up', INCOMING, 'else if (sheds && this.#isQos0Full())', 'else if (false)'),
  mutation('a stopped reader never reads again', DRIVER, '      connection.read();\n', ''),

  // ---- the connection
  mutation(
    'DISCONNECT is left out',
    CONNECTION,
    'return this.#close(farewell && encodeDisconnect(farewell.reasonCode, this.#version, farewell.sessionExpirySeconds));',
    'return this.#close(undefined);',
  ),
  mutation(
    'a buffer is filled while it is being written',
    DRIVER,
    '    if (!connection.isWriting) {',
    '    if (true) {',
  ),
  mutation(
    'a dead link is never found',
    DRIVER,
    'if (keepAlive.service(nowMs)) {',
    'if (keepAlive.service(nowMs) && false) {',
  ),
  mutation(
    'a write that completes proves life',
    DRIVER,
    'this.#session.keepAlive.writeCompleted(this.#clock.now());',
    'this.#session.keepAlive.received(this.#clock.now());',
  ),
  mutation('no PINGREQ is sent', SESSION, 'if (this.keepAlive.wantsPing && ', 'if (false && '),
  mutation('the backoff never grows', 'reconnect/backoff.ts', 'Math.min(this.#failures + 1, 1_000)', '0'),
  mutation(
    'the backoff forgets at every connection',
    'reconnect/backoff.ts',
    'if (lastedMs >= this.#options.stableAfterMs) ',
    '',
  ),
  mutation(
    'the timer of the backoff is left after its end',
    'clock.ts',
    '      timer.cancel();\n      signal',
    '      signal',
  ),
  mutation('the deadline of an attempt is left after its end', 'connector.ts', '      timer.cancel();\n', ''),

  // ---- the end
  mutation(
    'shutdown does not wait for what is under way',
    'shutdown.ts',
    'drainTimeoutMs > 0 && (await drainWithin(drainTimeoutMs, driver, lifecycle, clock))',
    'true',
  ),
  mutation(
    'shutdown takes longer than it may',
    'shutdown.ts',
    'settle(false), timeoutMs)',
    'settle(false), 10 * timeoutMs)',
  ),
  mutation(
    'a drained loop hangs until its deadline',
    DRIVER,
    '    if (this.#drain !== undefined) this.#checkDrained(this.#drain);\n',
    '',
  ),
];
