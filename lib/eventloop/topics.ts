import { Buffer } from 'node:buffer';
import { MqttArgumentError } from './errors.js';

const nul = 0x00;
const hash = 0x23;
const dollar = 0x24;
const plus = 0x2b;
const slash = 0x2f;
const sharePrefix = '$share/';
const maxBytes = 65_535;

/** A `$share/group/filter` taken apart. @internal */
export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

/**
 * Throws {@link MqttArgumentError} unless `topic` may be published to.
 *
 * @internal
 */
export function assertTopicName(topic: string, field = 'topic'): void {
  assertString(topic, field);
  // One pass: this runs for every publish.
  for (let i = 0, ascii = true; ; i++) {
    if (i === topic.length) {
      if (!ascii || i > maxBytes) assertEncodable(topic, field);
      return;
    }
    const unit = topic.charCodeAt(i);
    if (unit > 0x7f) ascii = false;
    else if (unit === plus || unit === hash) {
      throw new MqttArgumentError(
        field,
        topic,
        'a topic without "+" and "#": those are wildcards, which only a subscription can use',
      );
    } else if (unit === nul) throw nulError(topic, field);
  }
}

/**
 * Throws {@link MqttArgumentError} unless `filter` may be subscribed to; `$share/group/filter` included.
 *
 * @internal
 */
export function assertTopicFilter(filter: string, field = 'filter'): void {
  assertString(filter, field);
  if (filter.includes('\0')) throw nulError(filter, field);
  assertEncodable(filter, field);
  if (filter !== '$share' && !filter.startsWith(sharePrefix)) {
    assertWildcards(filter, 0, field);
    return;
  }
  const groupEnd = filter.indexOf('/', sharePrefix.length);
  if (groupEnd <= sharePrefix.length || groupEnd === filter.length - 1) {
    throw new MqttArgumentError(
      field,
      filter,
      '"$share/group/filter" with a group and a filter of at least one character each',
    );
  }
  for (let i = sharePrefix.length; i < groupEnd; i++) {
    const unit = filter.charCodeAt(i);
    if (unit === plus || unit === hash) {
      throw new MqttArgumentError(
        field,
        filter,
        'a share group without "+" and "#": those belong in the filter after it',
      );
    }
  }
  assertWildcards(filter, groupEnd + 1, field);
}

/**
 * Takes `$share/group/filter` apart; undefined for any other filter.
 * The filter must be valid.
 *
 * @internal
 */
export function parseSharedFilter(filter: string): SharedFilter | undefined {
  if (!filter.startsWith(sharePrefix)) return undefined;
  const groupEnd = filter.indexOf('/', sharePrefix.length);
  if (groupEnd === -1) return undefined;
  return { group: filter.slice(sharePrefix.length, groupEnd), filter: filter.slice(groupEnd + 1) };
}

/**
 * Whether a subscription to `filter` receives messages for `topic`; a shared filter matches as its filter does.
 * Both must be valid. A leading wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
 *
 * @internal
 */
export function topicMatches(filter: string, topic: string): boolean {
  let f = filter.startsWith(sharePrefix) ? filter.indexOf('/', sharePrefix.length) + 1 : 0;
  const first = filter.charCodeAt(f);
  if ((first === plus || first === hash) && topic.charCodeAt(0) === dollar) return false;

  let t = 0;
  for (; f < filter.length; f++) {
    const unit = filter.charCodeAt(f);
    if (unit === hash) return true;
    if (unit === plus) {
      while (t < topic.length && topic.charCodeAt(t) !== slash) t++;
    } else if (t < topic.length && topic.charCodeAt(t) === unit) {
      t++;
    } else {
      // "a/#" also matches its parent "a" [MQTT-4.7.1-2].
      return t === topic.length && unit === slash && filter.charCodeAt(f + 1) === hash;
    }
  }
  return t === topic.length;
}

function assertString(value: unknown, field: string): void {
  if (typeof value !== 'string' || value.length === 0) {
    throw new MqttArgumentError(field, value, 'a string of at least one character');
  }
}

function assertEncodable(value: string, field: string): void {
  // With the "u" flag only a surrogate without its partner is one.
  if (/\p{Surrogate}/u.test(value)) {
    throw new MqttArgumentError(field, value, 'well-formed Unicode: half of a surrogate pair has no UTF-8 form');
  }
  // No UTF-16 unit takes more than three bytes.
  if (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes) {
    throw new MqttArgumentError(
      field,
      value,
      `at most ${maxBytes} bytes of UTF-8, this has ${Buffer.byteLength(value)}`,
    );
  }
}

function assertWildcards(filter: string, start: number, field: string): void {
  for (let i = start; i < filter.length; i++) {
    const unit = filter.charCodeAt(i);
    if (unit !== plus && unit !== hash) continue;
    const opensLevel = i === start || filter.charCodeAt(i - 1) === slash;
    const closesLevel = i === filter.length - 1 || filter.charCodeAt(i + 1) === slash;
    if (!opensLevel || !closesLevel) {
      throw new MqttArgumentError(
        field,
        filter,
        `"${filter[i]}" to stand alone between slashes, as in "a/${filter[i]}"`,
      );
    }
    if (unit === hash && i !== filter.length - 1) {
      throw new MqttArgumentError(field, filter, '"#" only as the last level');
    }
  }
}

function nulError(value: string, field: string): MqttArgumentError {
  return new MqttArgumentError(field, value, 'text without the NUL character (U+0000)');
}
