import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet';
import { MqttArgumentError } from '../errors.js';
import type { PublishProperties, QoS, SubscribeOptions, UserProperties } from '../messages.js';
import { assertText } from '../text.js';
import { assertTopicName } from '../topics.js';
import type { ProtocolVersion } from './packet-types.js';

const UINT16 = 0xffff;
const UINT32 = 0xffff_ffff;

/** What a CONNECT says. @internal */
export interface ConnectToEncode {
  readonly clientId: string;
  readonly clean: boolean;
  readonly keepAliveSeconds: number;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly will:
    | {
        readonly topic: string;
        readonly payload: Buffer;
        readonly qos: QoS;
        readonly retain: boolean;
        readonly delaySeconds?: number | undefined;
        readonly properties?: PublishProperties | undefined;
      }
    | undefined;
  readonly sessionExpirySeconds: number;
  readonly receiveMaximum: number;
  readonly maxPacketBytes: number;
  readonly topicAliasMaximum: number;
  readonly requestResponseInformation: boolean;
  readonly requestProblemInformation: boolean;
  readonly userProperties: UserProperties | undefined;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Buffer | undefined;
}

/** @internal */
export function encodeConnect(connect: ConnectToEncode, version: ProtocolVersion): Buffer {
  const { will } = connect;
  const packet: IConnectPacket = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId: connect.clientId,
    clean: connect.clean,
    keepalive: connect.keepAliveSeconds,
    // MQTT 5 allows a password alone; mqtt-packet wants a user name beside it.
    ...(connect.username === undefined && connect.password === undefined ? {} : { username: connect.username ?? '' }),
    ...(connect.password === undefined ? {} : { password: connect.password }),
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            ...(version === 5
              ? {
                  properties: defined({
                    willDelayInterval: will.delaySeconds || undefined,
                    ...wirePublishProperties(will.properties),
                  }),
                }
              : {}),
          },
        }),
    ...(version === 5
      ? {
          properties: defined({
            sessionExpiryInterval: connect.sessionExpirySeconds || undefined,
            receiveMaximum: connect.receiveMaximum,
            maximumPacketSize: connect.maxPacketBytes,
            topicAliasMaximum: connect.topicAliasMaximum || undefined,
            requestResponseInformation: connect.requestResponseInformation || undefined,
            // The protocol's default is true.
            requestProblemInformation: connect.requestProblemInformation ? undefined : false,
            userProperties: wireUserProperties(connect.userProperties),
            authenticationMethod: connect.authenticationMethod,
            authenticationData: connect.authenticationData,
          }),
        }
      : {}),
  };
  return encode(packet, version);
}

/** @internal */
export function encodeSubscribe(
  id: number,
  filters: Iterable<readonly [string, SubscribeOptions]>,
  properties: {
    readonly subscriptionIdentifier: number | undefined;
    readonly userProperties: UserProperties | undefined;
  },
  version: ProtocolVersion,
): Buffer {
  const subscriptions = Array.from(filters, ([topic, options]) => ({
    topic,
    qos: options.qos ?? 0,
    ...(version === 5
      ? { nl: options.noLocal ?? false, rap: options.retainAsPublished ?? false, rh: options.retainHandling ?? 0 }
      : {}),
  }));
  return encode(
    {
      cmd: 'subscribe',
      messageId: id,
      subscriptions,
      properties: defined({
        subscriptionIdentifier: properties.subscriptionIdentifier,
        userProperties: wireUserProperties(properties.userProperties),
      }),
    },
    version,
  );
}

/** @internal */
export function encodeUnsubscribe(id: number, filters: readonly string[], version: ProtocolVersion): Buffer {
  return encode({ cmd: 'unsubscribe', messageId: id, unsubscriptions: [...filters] }, version);
}

/** MQTT 3.1.1 has no reasons, and no session expiry. @internal */
export function encodeDisconnect(reasonCode: number, version: ProtocolVersion, sessionExpirySeconds?: number): Buffer {
  if (version === 4) return encode({ cmd: 'disconnect' }, version);
  const properties = defined({ sessionExpiryInterval: sessionExpirySeconds });
  return encode({ cmd: 'disconnect', reasonCode, properties }, version);
}

/** @internal */
export function encodeAuth(
  reasonCode: number,
  authenticationMethod: string,
  authenticationData: Buffer | undefined,
): Buffer {
  return encode({ cmd: 'auth', reasonCode, properties: defined({ authenticationMethod, authenticationData }) }, 5);
}

/**
 * Encodes the properties of a PUBLISH, without their length, as they are the same for every (re)send of the message.
 *
 * @throws MqttArgumentError naming the property that cannot be sent
 * @internal
 */
export function encodePublishProperties(properties: PublishProperties | undefined): Buffer | undefined {
  if (properties === undefined) return undefined;
  assertPublishProperties(properties, 'properties');
  const wire = wirePublishProperties(properties);
  if (Object.keys(wire).length === 0) return undefined;
  const packet = encode(
    { cmd: 'publish', topic: 't', payload: '', qos: 0, dup: false, retain: false, properties: wire },
    5,
  );
  const TOPIC_BYTES = 3;
  return packet.subarray(endOfVarint(packet, endOfVarint(packet, 1) + TOPIC_BYTES));
}

function endOfVarint(packet: Buffer, at: number): number {
  let end = at;
  while (packet[end]! > 0x7f) end++;
  return end + 1;
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

/** @internal */
export function isInteger(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

function wirePublishProperties(properties: PublishProperties | undefined): Record<string, unknown> {
  if (properties === undefined) return {};
  return defined({
    payloadFormatIndicator: properties.payloadFormatIndicator,
    messageExpiryInterval: properties.messageExpirySeconds,
    responseTopic: properties.responseTopic,
    correlationData: properties.correlationData === undefined ? undefined : asBuffer(properties.correlationData),
    contentType: properties.contentType,
    userProperties: wireUserProperties(properties.userProperties),
  });
}

/** mqtt-packet drops the whole packet for an empty object of user properties. */
function wireUserProperties(userProperties: UserProperties | undefined): Record<string, string | string[]> | undefined {
  if (userProperties === undefined || Object.keys(userProperties).length === 0) return undefined;
  return userProperties as Record<string, string | string[]>;
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The same bytes as a Buffer. @internal */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encode(packet: Packet, version: ProtocolVersion): Buffer {
  const bytes = mqttPacket.generate(packet, { protocolVersion: version });
  // mqtt-packet returns a truncated or empty frame instead of failing; the checks above make that impossible, this proves it.
  let length = 0;
  let position = 1;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[position++];
    if (byte === undefined) throw new Error(`${packet.cmd} could not be encoded`);
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (position + length !== bytes.length) throw new Error(`${packet.cmd} was not encoded completely`);
  return bytes;
}
