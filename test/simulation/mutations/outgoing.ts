import { File, mutation, type Mutation } from './mutation.js';

/** Publishes: resending, identifiers, window, throttle, queue. */
export const outgoingMutations: readonly Mutation[] = [
  // ---- resending
  mutation('a resend goes without DUP', File.OUTGOING, 'dup = exchange.id !== 0;', 'dup = false;'),
  mutation('a lost session is resent with its old ids, and DUP', File.OUTGOING, '      exchange.id = 0;\n', ''),
  mutation(
    'the first publish is forgotten when the rest is resent',
    File.OUTGOING,
    'this.#resend = this.#unanswered.head;',
    'this.#resend = this.#unanswered.head?.next;',
  ),
  mutation(
    'new publishes overtake what has to be resent',
    File.OUTGOING,
    `    if (this.#resend !== undefined && hasSlot) return this.#resend;
    if (this.#isHeld) return undefined;
    const head = this.queue.head;`,
    `    const head = this.queue.head;
    if (this.#resend !== undefined && hasSlot && head === undefined) return this.#resend;
    if (head !== undefined && hasSlot) return head;`,
  ),
  mutation(
    'resends ignore the window',
    File.OUTGOING,
    'if (this.#resend !== undefined && hasSlot)',
    'if (this.#resend !== undefined)',
  ),
  mutation('a PUBREL is not resent', File.OUTGOING, '[...this.#released].toReversed()', '[]'),
  mutation(
    'PUBRELs are resent in the wrong order',
    File.OUTGOING,
    '[...this.#released].toReversed()',
    '[...this.#released]',
  ),
  mutation(
    'a publish past PUBREC is published again',
    File.OUTGOING,
    '    this.#unanswered.remove(exchange);\n    this.#released.push(exchange);\n',
    '    this.#released.push(exchange);\n',
  ),
  mutation(
    'a publish past PUBREC hangs when the session is lost',
    File.OUTGOING,
    '      exchange.complete(0, undefined);\n',
    '',
  ),

  // ---- identifiers and window
  mutation(
    'identifiers in use are handed out',
    'session/packet-ids.ts',
    '    } while (this.#isUsed(this.#last));',
    '    } while (false);\n    this.#last = (this.#last % 3) + 1;',
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
        find: '    do {\n',
        replace: '    this.#last = 0;\n    do {\n',
      },
    ],
  },
  mutation('new publishes ignore the window', File.OUTGOING, 'return hasSlot && this.#resend', 'return this.#resend'),
  mutation(
    "the server's Receive Maximum is ignored",
    'negotiated.ts',
    'properties.receiveMaximum ?? MOST_INFLIGHT',
    'MOST_INFLIGHT',
  ),
  mutation(
    'a refused PUBREC leaks its slot',
    File.OUTGOING,
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
        replace: '    this.#epoch++;\n    this.#gate.refill();\n',
      },
      {
        file: 'lib/eventloop/session/send-gate.ts',
        find: '  idle(nowMs: number): void {',
        replace: '  refill(): void {\n    this.#throttle.refill();\n  }\n\n  idle(nowMs: number): void {',
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
    File.SESSION,
    '      if (!this.#gate.mayLeave(exchange.bytes, writer, nowMs)) return;',
    '      if (exchange.id === 0 && !this.#gate.mayLeave(exchange.bytes, writer, nowMs)) return;',
  ),
  mutation(
    'subscribes are not throttled',
    File.SESSION,
    '      if (!this.#gate.mayLeave(bytes, writer, nowMs)) return;\n      subscriptions',
    '      if (!writer.hasRoom(bytes)) return;\n      subscriptions',
  ),
  mutation(
    'a publish that nothing waits before passes the throttle',
    File.SESSION,
    '      this.outgoing.nothingWaits &&\n      !this.#gate.hasThrottle\n',
    '      this.outgoing.nothingWaits\n',
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
    File.OUTGOING,
    '    this.#resend = undefined;\n  }',
    '    this.#resend = undefined;\n    this.queue.shift();\n  }',
  ),
  mutation(
    'a disconnect fails what is queued',
    File.SESSION,
    '    this.outgoing.disconnected();\n',
    '    this.outgoing.disconnected();\n    this.outgoing.queue.failAll(cause);\n',
  ),
  mutation(
    'callers that wait for the queue are forgotten',
    File.QUEUE,
    '    if (this.#waiting.size > 0) this.#admitWaiting();\n',
    '',
  ),
  mutation(
    'the queue lets a small publish pass those that wait',
    File.QUEUE,
    'return this.#waiting.size === 0 && this.#fits(bytes);',
    'return this.#fits(bytes);',
  ),
  mutation(
    'the queue takes one more than it may',
    File.QUEUE,
    'this.#queue.size + this.#past < this.#limits',
    'this.#queue.size + this.#past <= this.#limits',
  ),
  mutation('a dropped publish is not told', File.QUEUE, '    request.fail(new MqttMessageDroppedError(policy));\n', ''),
  mutation('a QoS 0 publish never settles when its write is lost', File.SESSION, '    flushing?.fail(error);\n', ''),
  mutation(
    'a publish written at once is lost with its connection',
    File.SESSION,
    '    this.takeWritten()?.takeBack(this.outgoing.queue);\n',
    '',
  ),
  mutation(
    'publishes written at once come back in another order',
    'session/written-publishes.ts',
    'queue.takeBack(exchanges);',
    'queue.takeBack(exchanges.toReversed());',
  ),
  mutation(
    'a publish at QoS 0 passes those in the queue',
    File.OUTGOING,
    'this.queue.size === 0 && this.#resend',
    'this.#resend',
  ),
  mutation(
    'a retained publish at QoS 0 goes to a server that takes none',
    File.OUTGOING,
    'bytes > maxPacketBytes || (retain && !retainAvailable) ||',
    'bytes > maxPacketBytes ||',
  ),
  mutation(
    'a publish at QoS 0 may be larger than the server takes',
    File.OUTGOING,
    'bytes > maxPacketBytes || (retain',
    '(retain',
  ),
  mutation(
    'what comes back to the queue makes it larger than it may be',
    File.QUEUE,
    '    this.#pastBytes += bytes;\n    return true;',
    '    this.#past = 0;\n    return true;',
  ),
  mutation(
    'what waits for room is not admitted when what took it has left',
    File.QUEUE,
    '    this.#past = this.#pastBytes = 0;\n    this.#admitWaiting();\n',
    '    this.#past = this.#pastBytes = 0;\n',
  ),
  mutation(
    'an aborted publish is sent nevertheless',
    'operation-limit.ts',
    '    this.#line.withdraw(this.#operation);\n',
    '',
  ),
  mutation(
    'a failure before sending keeps the signal',
    File.REQUESTS,
    '      operation.fail(error as MqttError);\n',
    '',
  ),
  mutation('a settled operation keeps its timer', 'operation-limit.ts', '    this.#alarms.cancel(this);\n', ''),
];
