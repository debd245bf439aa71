import { File, mutation, type Mutation } from './mutation.js';

/** Subscriptions, messages, the connection and its end. */
export const connectionMutations: readonly Mutation[] = [
  // ---- subscriptions
  mutation(
    'a lost session is not subscribed again',
    File.SUBSCRIPTIONS,
    '    if (sessionPresent) return;\n',
    '    return;\n',
  ),
  mutation('a kept session is subscribed again', File.SUBSCRIPTIONS, '    if (sessionPresent) return;\n', ''),
  mutation(
    'publishes go before lost subscriptions',
    File.SESSION,
    '= subscriptions.nextBytes();',
    '= outgoing.next() === undefined ? subscriptions.nextBytes() : 0;',
  ),
  mutation('a session in doubt is believed', File.SESSION, 'sessionPresent && !isInDoubt', 'sessionPresent'),
  mutation(
    'a subscribe that was not answered is forgotten',
    File.SUBSCRIPTIONS,
    'if (!exchange.settled) unanswered.push(exchange);',
    '',
  ),

  // ---- incoming
  mutation(
    'QoS 2 is delivered again',
    File.INCOMING,
    '      if (known !== undefined) return this.#repeated(known);\n',
    '',
  ),
  mutation('acknowledgements cross connections', File.SESSION, '    this.#acknowledgements.clear();\n', ''),
  mutation(
    'messages of the last connection are acknowledged on this one',
    File.INCOMING,
    'for (let message = this.#ledger.shift(); message !== undefined; message = this.#ledger.shift()) {',
    'for (let message; message !== undefined; ) {',
  ),
  mutation(
    'acknowledgements leave as handlers finish',
    File.INCOMING,
    'for (let message = this.#ledger.head; message?.reasonCode !== undefined; message = this.#ledger.head) {',
    'for (const message of [...this.#ledger].filter(({ reasonCode }) => reasonCode !== undefined)) {',
  ),
  mutation(
    'a message is acknowledged before it is handled',
    File.INCOMING,
    "if (this.#limits.acknowledge === 'on-receive' && !",
    'if (!',
  ),
  mutation(
    'a failed handler leaves its message unanswered',
    File.INCOMING,
    '    this.acknowledge(message, REFUSED);\n',
    '',
  ),
  mutation(
    'handlers of earlier connections do not count',
    File.INCOMING,
    'Math.max(this.#handedOver, others)',
    'this.#handedOver',
  ),
  mutation(
    'held messages are never handed over',
    File.INCOMING,
    'if (this.#connected) this.#held.release',
    'if (false) this.#held.release',
  ),
  mutation(
    'a held QoS 2 message counts as delivered on the next connection',
    File.INCOMING,
    'if (qos === 2) this.#unreleased.delete(id);',
    'void [qos, id];',
  ),
  mutation(
    'QoS 0 messages pile up',
    File.INCOMING,
    'else if (this.#deliveries.isQos0Full(this.#limits) && this.#sheds())',
    'else if (false)',
  ),
  mutation('a stopped reader never reads again', File.DRIVER, '      connection.read();\n', ''),

  // ---- the connection
  mutation(
    'DISCONNECT is left out',
    File.CONNECTION,
    'return this.#close(farewell && encodeDisconnect(farewell.reasonCode, this.#version, farewell.sessionExpirySeconds));',
    'return this.#close(undefined);',
  ),
  mutation(
    'a buffer is filled while it is being written',
    File.DRIVER,
    '    if (!connection.isWriting) {',
    '    if (true) {',
  ),
  mutation(
    'a dead link is never found',
    File.DRIVER,
    'if (keepAlive.service(nowMs)) {',
    'if (keepAlive.service(nowMs) && false) {',
  ),
  mutation(
    'a write that completes proves life',
    File.DRIVER,
    'this.#session.keepAlive.writeCompleted(this.#clock.now());',
    'this.#session.keepAlive.received(this.#clock.now());',
  ),
  mutation('no PINGREQ is sent', File.SESSION, 'if (this.keepAlive.wantsPing && ', 'if (false && '),
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
    File.DRIVER,
    '    if (this.#drain !== undefined) this.#checkDrained(this.#drain);\n',
    '',
  ),
];
