/** What client and peer agree on: topics, payloads, and the filter that asks the peer for a flood. */

export type QoS = 0 | 1 | 2;
export type PayloadKind = 'bytes' | 'json';

export const WINDOW = 100;
export const PAYLOAD_BYTES = 256;

/** Of equal length for every index below 10 000, so that encoded packets are too. */
export function topicOf(index: number): string {
  return `plant/${String(index).padStart(4, '0')}/line/3/state`;
}

/** Matches `topicOf(index)` and nothing else that the benchmarks send. */
export function filterOf(index: number): string {
  return topicOf(index).replace('/3/', '/+/');
}

export function payloadOf(kind: PayloadKind): Buffer {
  return kind === 'bytes'
    ? Buffer.alloc(PAYLOAD_BYTES, 'payload ')
    : Buffer.from('{"sensor":"t-0017","value":21.53,"unit":"C","at":1732400000000,"site":"plant-7","quality":"good"}');
}

export interface Flood {
  readonly messages: number;
  /** The messages go round this many topics, from `topicOf(firstTopic)` on. */
  readonly topics: number;
  readonly firstTopic: number;
  readonly payload: PayloadKind;
}

/** Subscribing to this filter makes the peer send the flood, at the QoS of the subscription. */
export function floodFilter({ messages, topics, firstTopic, payload }: Flood): string {
  return `source/${messages}/${topics}/${firstTopic}/${payload}`;
}

export function parseFloodFilter(filter: string): Flood | undefined {
  const [, messages, topics, firstTopic, payload] = /^source\/(\d+)\/(\d+)\/(\d+)\/(bytes|json)$/.exec(filter) ?? [];
  if (payload === undefined) return undefined;
  return {
    messages: Number(messages),
    topics: Number(topics),
    firstTopic: Number(firstTopic),
    payload: payload as PayloadKind,
  };
}
