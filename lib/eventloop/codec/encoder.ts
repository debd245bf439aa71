import { Buffer } from 'node:buffer';
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet';
import type { PublishProperties, QoS, SubscribeOptions, UserProperties } from '../messages.js';
import type { ProtocolVersion } from './packet-types.js';

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
