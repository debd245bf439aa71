/** How patterns become topics; Nest's own normalisation. @internal */
import { Buffer } from 'node:buffer';
export type NormalizePattern = (pattern: never) => string;

/**
 * What Nest's built-in MQTT client puts around data: `{"pattern":…,"data":…}` for an event, with an `id` for a request.
 *
 * @internal
 */
export interface RequestEnvelope {
  readonly pattern: unknown;
  readonly data: unknown;
  readonly id?: string | number;
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Where the reply is expected on MQTT 3.1.1, which has no response topic. Ours; a built-in server ignores it and
   * replies on `<topic>/reply`.
   */
  readonly replyTo?: string;
}

/**
 * What Nest's built-in MQTT server replies: `{"response":…,"isDisposed":true,"id":…}`.
 *
 * @internal
 */
export interface ReplyEnvelope {
  readonly id: unknown;
  readonly err?: unknown;
  readonly response?: unknown;
  readonly isDisposed?: boolean;
  readonly status?: string;
}

/** Nest's own words; clients of the built-in transport compare with them. @internal */
export const noMessageHandler = 'There is no matching message handler defined in the remote service.';

const requestKeys = new Set(['pattern', 'data', 'id', 'metadata', 'replyTo']);
const replyKeys = new Set(['id', 'err', 'response', 'isDisposed', 'status']);

/**
 * The value as a request envelope, or undefined. Only what cannot be anything else is one: no unknown key, and the
 * `pattern` of this very topic. A device's own JSON that happens to have `data` or `id` stays whole.
 *
 * @internal
 */
export function readRequestEnvelope(
  value: unknown,
  topic: string,
  normalizePattern: NormalizePattern,
): RequestEnvelope | undefined {
  // What most other objects lack comes first.
  if (!isPlainObject(value) || !isPatternOf(value['pattern'], topic, normalizePattern)) return undefined;
  if (!hasOnly(value, requestKeys)) return undefined;
  const { id, metadata, replyTo } = value;
  // JSON leaves out undefined data, but an event without data would be no envelope for the built-in transport either.
  if (!Object.hasOwn(value, 'data') && id === undefined) return undefined;
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number') return undefined;
  if (replyTo !== undefined && typeof replyTo !== 'string') return undefined;
  if (metadata !== undefined && !isPlainObject(metadata)) return undefined;
  return value as unknown as RequestEnvelope;
}

/**
 * The value as a reply envelope, or undefined. Judged as the built-in client does: an object with an `id` and no
 * unknown key.
 *
 * @internal
 */
export function readReplyEnvelope(value: unknown): ReplyEnvelope | undefined {
  if (!isPlainObject(value) || !hasOnly(value, replyKeys) || value['id'] === undefined) return undefined;
  return value as unknown as ReplyEnvelope;
}

function isPatternOf(pattern: unknown, topic: string, normalizePattern: NormalizePattern): boolean {
  if (typeof pattern === 'string') return pattern === topic;
  if (typeof pattern === 'number') return String(pattern) === topic;
  // The topic of an object pattern is JSON.
  return isPlainObject(pattern) && topic.startsWith('{') && normalizePattern(pattern as never) === topic;
}

function hasOnly(value: Record<string, unknown>, keys: ReadonlySet<string>): boolean {
  for (const key in value) if (!keys.has(key)) return false;
  return true;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
}
