/**
 * What client and peer agree on: topics, payloads, and the filters and client identifiers that ask the peer for something. The peer
 * (peer/flood.c) has its own spelling of topics and payloads.
 */

export type QoS = 0 | 1 | 2;
export type Version = 4 | 5;
/** So many bytes, or a sensor's reading as JSON, of about 100 bytes. */
export type Payload = number | 'json';

export const WINDOW = 100;

/** How a server settles messages, where the transport can do it. */
export interface Settlement {
  /** Messages that a handler works on at once. */
  readonly concurrency?: number;
  readonly ordering?: 'topic';
  readonly handlerTimeoutMs?: number;
  readonly retry?: { readonly minDelayMs: number; readonly jitter: 'none' };
  readonly deadLetter?: string;
}

/** Of equal length for every index below 10 000, so that encoded packets are too. */
export function topicOf(index: number): string {
  return `plant/${String(index).padStart(4, '0')}/line/3/state`;
}

/** Matches every `topicOf`. */
export const ALL_TOPICS = 'plant/+/line/3/state';

/** Matches `topicOf(index)` and nothing else that the benchmarks send. */
export function filterOf(index: number): string {
  return topicOf(index).replace('/3/', '/+/');
}

/** The peer never acknowledges a publish to this topic. */
export const HOLD_TOPIC = 'hold';

export function payloadOf(payload: Payload): Buffer {
  return payload === 'json'
    ? Buffer.from('{"sensor":"t-0017","value":21.53,"unit":"C","at":1732400000000,"site":"plant-7","quality":"good"}')
    : Buffer.alloc(payload, 'payload ');
}

/** A PUBLISH to `topicOf(index)`, without properties. */
export function encodePublish(index: number, payload: Payload, qos: QoS, id: number, version: Version): Buffer {
  const topic = Buffer.from(topicOf(index));
  const content = payloadOf(payload);
  const variable = Buffer.concat([
    Buffer.from([topic.length >> 8, topic.length & 0xff]),
    topic,
    Buffer.from(qos > 0 ? [id >> 8, id & 0xff] : []),
    Buffer.from(version === 5 ? [0] : []),
  ]);
  const length = variable.length + content.length;
  const head = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
  return Buffer.concat([Buffer.from([0x30 | (qos << 1), ...head]), variable, content]);
}

export interface Flood {
  readonly messages: number;
  /** The messages go round this many topics, from `topicOf(firstTopic)` on. */
  readonly topics: number;
  readonly firstTopic: number;
  readonly payload: Payload;
}

/** Packets in the flood's ring: more than the window, so an id is free again before its turn. */
export function ringOf({ topics }: Flood): number {
  return Math.max(1_000, topics);
}

/** Subscribing to this filter makes the peer send the flood, at the QoS of the subscription. */
export function floodFilter({ messages, topics, firstTopic, payload }: Flood): string {
  return `source/${messages}/${topics}/${firstTopic}/${payload}`;
}

/**
 * The peer cuts the first connection of such a client once it holds `unacknowledged` publishes, and resumes the session on
 * the next one: with this Receive Maximum, and every answer this late.
 */
export interface Resumption {
  readonly unacknowledged: number;
  readonly receiveMaximum: number;
  readonly rttMs: number;
}

export function resumptionClientId({ unacknowledged, receiveMaximum, rttMs }: Resumption): string {
  return `resume-${unacknowledged}-${receiveMaximum}-${rttMs}-${process.pid}`;
}
