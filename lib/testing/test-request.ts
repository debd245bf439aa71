import { randomUUID } from 'node:crypto';
import type { MemoryBroker, MemoryPublishOptions } from './memory-broker.js';
import { guarded } from './mailbox.js';
import type { PublishedMessage } from './memory-message.js';

/** @publicApi */
export interface TestRequestOptions extends Pick<MemoryPublishOptions, 'qos'> {
  /** Real time until the end of the reply. Default: that of the harness. */
  readonly guardMs?: number | undefined;
}

/** What a request brought. @publicApi */
export interface TestReply {
  /** The last of `values`; undefined when there is none. */
  readonly value: unknown;
  /** All that came; several when the handler returned a stream. */
  readonly values: readonly unknown[];
  /** What the handler answered instead of a value, or after those that came; undefined when it succeeded. */
  readonly error: unknown;
}

interface ReplyEnvelope {
  readonly id?: unknown;
  readonly response?: unknown;
  readonly err?: unknown;
  readonly isDisposed?: unknown;
}

/** A request in Nest's envelope, and its replies on `<topic>/reply`. @internal */
export function exchangeRequest(
  broker: MemoryBroker,
  topic: string,
  data: unknown,
  { qos = 1, guardMs }: TestRequestOptions & { readonly guardMs: number },
): Promise<TestReply> {
  const id = randomUUID();
  const values: unknown[] = [];
  let stop = (): void => undefined;
  const reply = new Promise<TestReply>((resolve) => {
    stop = broker.watch(`${topic}/reply`, (message) => {
      const envelope = read(message);
      if (envelope?.id !== id) return;
      if (envelope.response !== undefined) values.push(envelope.response);
      const error = envelope.err;
      if (envelope.isDisposed !== true && error === undefined) return;
      resolve({ value: values.at(-1), values, error });
    });
    broker.publish(topic, { pattern: topic, data, id }, { qos });
  });
  return guarded(reply, guardMs, () => new Error(`no reply to "${topic}" within ${guardMs} ms`)).finally(() => stop());
}

function read({ data }: PublishedMessage): ReplyEnvelope | undefined {
  return typeof data === 'object' && data !== null ? data : undefined;
}
