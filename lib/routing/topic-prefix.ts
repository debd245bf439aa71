import { MqttArgumentError } from '../eventloop/errors.js';

const dollar = 0x24;

/** Whether a topic stays as it is, by its options. @internal */
export interface Absolute {
  readonly absolute?: boolean | undefined;
}

/**
 * A topic or filter of a registration as the broker knows it. Those that begin with `$` belong to the broker and stay as they
 * are; so do those that are no topics at all, for whoever checks them to find.
 *
 * @throws MqttArgumentError
 * @internal
 */
export function withPrefix(prefix: string | undefined, topic: string, { absolute }: Absolute = {}): string {
  if (absolute !== undefined && typeof absolute !== 'boolean') {
    throw new MqttArgumentError('absolute', absolute, 'true or false');
  }
  if (prefix === undefined || absolute === true) return topic;
  if (typeof topic !== 'string' || topic === '' || topic.charCodeAt(0) === dollar) return topic;
  return `${prefix}/${topic}`;
}
