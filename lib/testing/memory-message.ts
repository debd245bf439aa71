import { Buffer } from 'node:buffer';
import type { IPublishPacket } from 'mqtt-packet';
import type { PublishProperties, QoS, UserProperties } from '../eventloop/messages.js';

type PacketProperties = NonNullable<IPublishPacket['properties']>;

/** A message as a broker passes it on. @internal */
export interface MemoryMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
}

/** One that waits somewhere, and may have come too late. @internal */
export interface KeptMessage extends MemoryMessage {
  /** Infinite without a message expiry. */
  readonly expiresAtMs: number;
}

/** @internal */
export function keep(message: MemoryMessage, nowMs: number): KeptMessage {
  const { messageExpirySeconds = Infinity } = message.properties ?? {};
  return { ...message, expiresAtMs: nowMs + messageExpirySeconds * 1_000 };
}

/** With what is left of the message expiry [MQTT-3.3.2-6]. @internal */
export function remainingProperties({ properties, expiresAtMs }: KeptMessage, nowMs: number): PublishProperties {
  if (expiresAtMs === Infinity) return properties ?? {};
  return { ...properties, messageExpirySeconds: Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1_000)) };
}

/** A message that a client published. @publicApi */
export class PublishedMessage implements MemoryMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  /** MQTT 5. */
  readonly properties: PublishProperties | undefined;

  /** Whose it is. */
  readonly clientId: string;

  /** @internal */
  constructor({ topic, payload, qos, retain, properties }: MemoryMessage, clientId: string) {
    this.topic = topic;
    this.payload = payload;
    this.qos = qos;
    this.retain = retain;
    this.properties = properties;
    this.clientId = clientId;
  }

  /** The payload as UTF-8. */
  get text(): string {
    return this.payload.toString('utf8');
  }

  /** The payload parsed as JSON. @throws SyntaxError */
  get json(): unknown {
    return JSON.parse(this.text);
  }

  /**
   * What a handler would be given: JSON parsed, Nest's envelope (`{ pattern, data }`, of `emit` and `send`) taken off, text that is no
   * JSON as it is.
   */
  get data(): unknown {
    let value: unknown;
    try {
      value = this.json;
    } catch {
      return this.text;
    }
    const isEnvelope = typeof value === 'object' && value !== null && 'pattern' in value && 'data' in value;
    return isEnvelope ? (value as { data: unknown }).data : value;
  }
}

/** Bytes and text as they are, nothing as an empty payload, everything else as JSON. @internal */
export function toPayload(data: unknown): Buffer {
  if (data === undefined) return Buffer.alloc(0);
  if (data instanceof Uint8Array) return Buffer.from(data);
  return Buffer.from(typeof data === 'string' ? data : JSON.stringify(data));
}

/** @internal */
export function toPacket({ messageExpirySeconds, ...same }: PublishProperties): PacketProperties {
  const properties = { ...same, messageExpiryInterval: messageExpirySeconds };
  const given = Object.entries(properties).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}

/** @internal */
export function fromPacket(properties: PacketProperties): PublishProperties {
  const { payloadFormatIndicator, messageExpiryInterval, responseTopic, correlationData, contentType } = properties;
  const userProperties = properties.userProperties && ({ ...properties.userProperties } as UserProperties);
  const all: PublishProperties = {
    payloadFormatIndicator,
    messageExpirySeconds: messageExpiryInterval,
    responseTopic,
    correlationData,
    contentType,
    userProperties,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
