import type {
  IConnackPacket,
  IDisconnectPacket,
  IPubackPacket,
  IPublishPacket,
  ISubackPacket,
  Packet,
  PacketCmd,
} from 'mqtt-packet';

/** What tells received packets apart. @publicApi */
export type PacketName = PacketCmd;

type PacketOf<C extends PacketName> = Extract<Packet, { cmd: C }>;

interface Wire {
  /** The bytes as they came in, header included. */
  readonly raw: Buffer;
}

/** Every packet but these two carries its identifier, or has none. */
type WithId<C extends PacketName> = C extends 'publish'
  ? { readonly payload: Buffer; readonly messageId: number | undefined }
  : C extends 'puback' | 'pubrec' | 'pubrel' | 'pubcomp' | 'subscribe' | 'unsubscribe'
    ? { readonly messageId: number }
    : unknown;

/** A packet from the client, decoded by mqtt-packet, with its bytes. @publicApi */
export type ReceivedPacket<C extends PacketName = PacketName> = C extends PacketName
  ? Readonly<Omit<PacketOf<C>, keyof WithId<C>>> & WithId<C> & Wire
  : never;

/** @publicApi */
export interface ConnackOptions {
  /** Default false. */
  readonly sessionPresent?: boolean | undefined;
  /** MQTT 5. Default 0: accepted. */
  readonly reasonCode?: number | undefined;
  /** MQTT 3.1.1. Default 0: accepted. */
  readonly returnCode?: number | undefined;
  /** MQTT 5. */
  readonly properties?: NonNullable<IConnackPacket['properties']> | undefined;
}

/** A PUBLISH to the client. @publicApi */
export interface PublishFields {
  readonly topic: string;
  readonly payload?: string | Buffer | undefined;
  /** Default 0. */
  readonly qos?: 0 | 1 | 2 | undefined;
  /** Required with QoS 1 and 2. */
  readonly messageId?: number | undefined;
  readonly retain?: boolean | undefined;
  readonly dup?: boolean | undefined;
  /** MQTT 5. */
  readonly properties?: NonNullable<IPublishPacket['properties']> | undefined;
}

/** MQTT 5 parts of an acknowledgement. @publicApi */
export interface AcknowledgementFields {
  /** Default 0. */
  readonly reasonCode?: number | undefined;
  readonly properties?: NonNullable<IPubackPacket['properties']> | undefined;
}

/** MQTT 5 parts of a SUBACK or UNSUBACK. @publicApi */
export interface SubackFields {
  readonly properties?: NonNullable<ISubackPacket['properties']> | undefined;
}

/** @publicApi */
export interface DisconnectFields {
  /** Default 0. */
  readonly reasonCode?: number | undefined;
  readonly properties?: NonNullable<IDisconnectPacket['properties']> | undefined;
}

/** A packet identifier, or the packet that carries it. @publicApi */
export type PacketReference = number | { readonly messageId?: number | undefined };

/** @internal */
export function packetId(reference: PacketReference): number {
  const id = typeof reference === 'number' ? reference : reference.messageId;
  if (id === undefined) throw new Error('The packet has no packet identifier: a QoS 0 message is not acknowledged');
  return id;
}

/** One line for people. @internal */
export function describePacket(packet: Packet | ReceivedPacket): string {
  const parts = [packet.cmd.toUpperCase()];
  if (packet.cmd === 'publish') {
    parts.push(`"${packet.topic}"`, `qos ${packet.qos}`);
    if (packet.dup) parts.push('dup');
    if (packet.retain) parts.push('retain');
    parts.push(`${packet.payload.length} bytes`);
  } else if (packet.cmd === 'connect') parts.push(`"${packet.clientId}"`, `version ${packet.protocolVersion}`);
  else if (packet.cmd === 'subscribe') parts.push(packet.subscriptions.map(({ topic }) => `"${topic}"`).join(', '));
  else if (packet.cmd === 'unsubscribe') parts.push(packet.unsubscriptions.map((topic) => `"${topic}"`).join(', '));
  if (packet.messageId !== undefined) parts.push(`id ${packet.messageId}`);
  if ('reasonCode' in packet && packet.reasonCode) parts.push(`reason 0x${packet.reasonCode.toString(16)}`);
  return parts.join(' ');
}
