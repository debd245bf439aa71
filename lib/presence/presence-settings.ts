import type { OptionIssue } from '../eventloop/errors.js';
import type { PublishOptions } from '../eventloop/messages.js';
import type { OptionChecks } from '../eventloop/option-checks.js';
import type { Will } from '../eventloop/options.js';
import type { MqttPresenceOptions } from '../interfaces/presence.interface.js';
import { withPrefix } from '../routing/topic-prefix.js';
import { encodePayload } from '../serialization/payload.js';

/** The `presence` option with every default filled in. @internal */
export interface PresenceSettings {
  readonly topic: string;
  readonly online: Uint8Array | string;
  readonly offline: Uint8Array | string;
  readonly publish: PublishOptions;
  /** What the broker publishes when the connection is lost. */
  readonly will: Will;
}

const known = ['topic', 'absolute', 'online', 'offline', 'qos', 'delaySeconds', 'properties'];

/**
 * The event loop checks what the will has in common with it; see {@link renameWillIssue}.
 *
 * @param will - the option of that name, which cannot be had as well
 * @param topicPrefix - of the registration
 * @internal
 */
export function readPresence(
  value: unknown,
  will: unknown,
  topicPrefix: string | undefined,
  checks: OptionChecks,
): PresenceSettings | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null) {
    checks.report('presence', value, '{ topic, absolute?, online?, offline?, qos?, delaySeconds?, properties? }');
    return undefined;
  }
  checks.unknownKeys('presence.', value, known);
  if (will !== undefined) checks.report('presence', '…', 'no will beside it: the will is its offline message');
  const {
    topic: declared,
    absolute,
    online = 'online',
    offline = 'offline',
    qos = 1,
    delaySeconds,
    properties,
  } = value as MqttPresenceOptions;
  const payload = (option: string, data: unknown): Uint8Array | string => {
    let encoded: Uint8Array | string = '';
    checks.argument(() => (encoded = encodePayload(data, option)));
    return encoded;
  };
  const topic = withPrefix(topicPrefix, declared, {
    absolute: checks.boolean('presence.absolute', absolute, false),
  });
  const gone = payload('presence.offline', offline);
  return {
    topic,
    online: payload('presence.online', online),
    offline: gone,
    publish: { qos, retain: true, properties },
    will: { topic, payload: gone, qos, retain: true, delaySeconds, properties },
  };
}

/** The will was never given under this name. @internal */
export function renameWillIssue(issue: OptionIssue): OptionIssue {
  const option = issue.option.replace(/^will\b/, 'presence').replace(/^presence\.payload$/, 'presence.offline');
  return { ...issue, option };
}
