import { Buffer } from 'node:buffer';
import { MqttArgumentError } from '../errors.js';
import type { PublishProperties, UserProperties } from '../messages.js';
import { assertText } from '../text.js';
import { assertTopicName } from '../topics.js';
import { asBuffer, isInteger } from './encoder.js';

const UINT16 = 0xffff;
const UINT32 = 0xffff_ffff;

const PAYLOAD_FORMAT_INDICATOR = 0x01;
const MESSAGE_EXPIRY_INTERVAL = 0x02;
const CONTENT_TYPE = 0x03;
const RESPONSE_TOPIC = 0x08;
const CORRELATION_DATA = 0x09;
const USER_PROPERTY = 0x26;

/**
 * Encodes the properties of a PUBLISH, without their length, as they are the same for every (re)send of the message. Every request
 * and every reply has some: this is a hot path, as the packet around it is.
 *
 * @throws MqttArgumentError naming the property that cannot be sent
 * @internal
 */
export function encodePublishProperties(properties: PublishProperties | undefined): Buffer | undefined {
  if (properties === undefined) return undefined;
  assertPublishProperties(properties, 'properties');
  const { payloadFormatIndicator, messageExpirySeconds, responseTopic, correlationData, contentType } = properties;
  const pairs = pairsOf(properties.userProperties);
  const bytes =
    (payloadFormatIndicator === undefined ? 0 : 2) +
    (messageExpirySeconds === undefined ? 0 : 5) +
    (responseTopic === undefined ? 0 : 3 + Buffer.byteLength(responseTopic)) +
    (correlationData === undefined ? 0 : 3 + correlationData.length) +
    (contentType === undefined ? 0 : 3 + Buffer.byteLength(contentType)) +
    pairs.reduce((sum, [name, value]) => sum + 5 + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
  if (bytes === 0) return undefined;
  const writer = new PropertyWriter(bytes);
  if (payloadFormatIndicator !== undefined) writer.byte(PAYLOAD_FORMAT_INDICATOR).byte(Number(payloadFormatIndicator));
  if (messageExpirySeconds !== undefined) writer.byte(MESSAGE_EXPIRY_INTERVAL).uint32(messageExpirySeconds);
  if (responseTopic !== undefined) writer.byte(RESPONSE_TOPIC).text(responseTopic);
  if (correlationData !== undefined) writer.byte(CORRELATION_DATA).binary(asBuffer(correlationData));
  if (contentType !== undefined) writer.byte(CONTENT_TYPE).text(contentType);
  for (const [name, value] of pairs) writer.byte(USER_PROPERTY).text(name).text(value);
  return writer.buffer;
}

const NO_PAIRS: readonly (readonly [string, string])[] = [];

function pairsOf(userProperties: UserProperties | undefined): readonly (readonly [string, string])[] {
  if (userProperties === undefined) return NO_PAIRS;
  return Object.entries(userProperties).flatMap(([name, values]) =>
    (typeof values === 'string' ? [values] : values).map((value) => [name, value] as const),
  );
}

/** Fills a buffer of the right size. */
class PropertyWriter {
  readonly buffer: Buffer;
  #at = 0;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafe(bytes);
  }

  byte(value: number): this {
    this.buffer[this.#at++] = value;
    return this;
  }

  uint32(value: number): this {
    this.#at = this.buffer.writeUInt32BE(value, this.#at);
    return this;
  }

  text(value: string): this {
    const bytes = this.buffer.write(value, this.#at + 2);
    this.buffer.writeUInt16BE(bytes, this.#at);
    this.#at += 2 + bytes;
    return this;
  }

  binary(value: Buffer): this {
    this.#at = this.buffer.writeUInt16BE(value.length, this.#at);
    this.#at += value.copy(this.buffer, this.#at);
    return this;
  }
}

/** @internal */
export function assertPublishProperties(properties: PublishProperties, field: string): void {
  const { payloadFormatIndicator, messageExpirySeconds, responseTopic, correlationData, contentType } = properties;
  if (payloadFormatIndicator !== undefined && typeof payloadFormatIndicator !== 'boolean') {
    throw new MqttArgumentError(`${field}.payloadFormatIndicator`, payloadFormatIndicator, 'a boolean');
  }
  if (messageExpirySeconds !== undefined && !isInteger(messageExpirySeconds, 0, UINT32)) {
    throw new MqttArgumentError(
      `${field}.messageExpirySeconds`,
      messageExpirySeconds,
      `an integer from 0 to ${UINT32}`,
    );
  }
  if (responseTopic !== undefined) assertTopicName(responseTopic, `${field}.responseTopic`);
  if (correlationData !== undefined && !(correlationData instanceof Uint8Array && correlationData.length <= UINT16)) {
    throw new MqttArgumentError(`${field}.correlationData`, correlationData, `a Uint8Array of at most ${UINT16} bytes`);
  }
  if (contentType !== undefined) assertText(contentType, `${field}.contentType`);
  assertUserProperties(properties.userProperties, `${field}.userProperties`);
}

/** @internal */
export function assertUserProperties(userProperties: UserProperties | undefined, field: string): void {
  if (userProperties === undefined) return;
  if (typeof userProperties !== 'object' || userProperties === null) {
    throw new MqttArgumentError(field, userProperties, 'an object of strings or arrays of strings');
  }
  for (const [name, values] of Object.entries(userProperties)) {
    assertText(name, `${field} name`);
    for (const value of Array.isArray(values) ? values : [values]) assertText(value, `${field}.${name}`);
  }
}
