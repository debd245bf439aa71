import type { TaskOptions } from './run.js';
import type { ScenarioOptions } from './scenarios.js';

/** What the rows are asked to do, for `parseArgs`. */
export const rowOptions = {
  messages: { type: 'string' },
  'payload-bytes': { type: 'string', default: '256' },
  'protocol-version': { type: 'string', default: '4' },
  long: { type: 'boolean', default: false },
} as const;

export const rowOptionsHelp = `  --messages n         measured messages of every client, after a warm-up of as many
  --payload-bytes n    of the publish and receive rows (256)
  --protocol-version n 4 (MQTT 3.1.1) or 5 (4)
  --long               flatness up to ten million messages, a million open requests and retries`;

export function optionsOf(values: {
  readonly messages?: string | undefined;
  readonly 'payload-bytes': string;
  readonly 'protocol-version': string;
  readonly long: boolean;
}): ScenarioOptions & TaskOptions {
  const version = values['protocol-version'];
  if (version !== '4' && version !== '5') throw new Error(`--protocol-version is 4 or 5, not ${version}`);
  return {
    payloadBytes: whole('payload-bytes', values['payload-bytes'], 16_000),
    isLong: values.long,
    protocolVersion: version === '4' ? 4 : 5,
    messages: values.messages === undefined ? undefined : whole('messages', values.messages),
  };
}

export function whole(option: string, value: string, most = Infinity): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > most)
    throw new Error(`--${option} is a whole number from 1${most === Infinity ? '' : ` to ${most}`}, not ${value}`);
  return number;
}
