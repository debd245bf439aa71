/**
 * What the specifications say of packets from a server, written down from their tables and not from lib/: the fuzzer's
 * generator and its oracle share it.
 */

export type Version = 4 | 5;

export const Type = {
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Suback: 9,
  Unsuback: 11,
  Pingresp: 13,
  Disconnect: 14,
  Auth: 15,
} as const;

export const serverTypes: readonly number[] = Object.values(Type);

/** How a property's value is written. `flag` and `qos` are bytes that may be 0 or 1. */
export type Kind = 'flag' | 'uint16' | 'uint32' | 'varint' | 'text' | 'binary' | 'pair';

export interface PropertyRule {
  readonly id: number;
  /** lib's name. */
  readonly name: string;
  /** mqtt-packet's name. */
  readonly theirs: string;
  readonly kind: Kind;
  readonly in: readonly number[];
  readonly notZero?: boolean;
  readonly repeats?: boolean;
}

const publish = [Type.Publish];
const connack = [Type.Connack];
const answers = serverTypes.filter((type) => type !== Type.Publish && type !== Type.Pingresp);

/** Table 2-4 of MQTT 5, the rows a server may send. */
export const properties: readonly PropertyRule[] = [
  { id: 1, name: 'payloadFormatIndicator', theirs: 'payloadFormatIndicator', kind: 'flag', in: publish },
  { id: 2, name: 'messageExpirySeconds', theirs: 'messageExpiryInterval', kind: 'uint32', in: publish },
  { id: 3, name: 'contentType', theirs: 'contentType', kind: 'text', in: publish },
  { id: 8, name: 'responseTopic', theirs: 'responseTopic', kind: 'text', in: publish },
  { id: 9, name: 'correlationData', theirs: 'correlationData', kind: 'binary', in: publish },
  {
    id: 11,
    name: 'subscriptionIdentifiers',
    theirs: 'subscriptionIdentifier',
    kind: 'varint',
    in: publish,
    notZero: true,
    repeats: true,
  },
  { id: 17, name: 'sessionExpirySeconds', theirs: 'sessionExpiryInterval', kind: 'uint32', in: connack },
  { id: 18, name: 'assignedClientIdentifier', theirs: 'assignedClientIdentifier', kind: 'text', in: connack },
  { id: 19, name: 'serverKeepAliveSeconds', theirs: 'serverKeepAlive', kind: 'uint16', in: connack },
  { id: 21, name: 'authenticationMethod', theirs: 'authenticationMethod', kind: 'text', in: [Type.Connack, Type.Auth] },
  { id: 22, name: 'authenticationData', theirs: 'authenticationData', kind: 'binary', in: [Type.Connack, Type.Auth] },
  { id: 26, name: 'responseInformation', theirs: 'responseInformation', kind: 'text', in: connack },
  {
    id: 28,
    name: 'serverReference',
    theirs: 'serverReference',
    kind: 'text',
    in: [Type.Connack, Type.Disconnect],
  },
  { id: 31, name: 'reasonString', theirs: 'reasonString', kind: 'text', in: answers },
  { id: 33, name: 'receiveMaximum', theirs: 'receiveMaximum', kind: 'uint16', in: connack, notZero: true },
  { id: 34, name: 'topicAliasMaximum', theirs: 'topicAliasMaximum', kind: 'uint16', in: connack },
  { id: 35, name: 'topicAlias', theirs: 'topicAlias', kind: 'uint16', in: publish },
  { id: 36, name: 'maximumQos', theirs: 'maximumQoS', kind: 'flag', in: connack },
  { id: 37, name: 'retainAvailable', theirs: 'retainAvailable', kind: 'flag', in: connack },
  {
    id: 38,
    name: 'userProperties',
    theirs: 'userProperties',
    kind: 'pair',
    in: [...answers, Type.Publish],
    repeats: true,
  },
  { id: 39, name: 'maximumPacketBytes', theirs: 'maximumPacketSize', kind: 'uint32', in: connack, notZero: true },
  {
    id: 40,
    name: 'wildcardSubscriptionAvailable',
    theirs: 'wildcardSubscriptionAvailable',
    kind: 'flag',
    in: connack,
  },
  {
    id: 41,
    name: 'subscriptionIdentifiersAvailable',
    theirs: 'subscriptionIdentifiersAvailable',
    kind: 'flag',
    in: connack,
  },
  {
    id: 42,
    name: 'sharedSubscriptionAvailable',
    theirs: 'sharedSubscriptionAvailable',
    kind: 'flag',
    in: connack,
  },
];

export const propertyOf: ReadonlyMap<number, PropertyRule> = new Map(properties.map((rule) => [rule.id, rule]));

const acknowledged = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const found = [0x00, 0x92];

/** The reason codes a server may use in each packet of MQTT 5. */
export const reasons: Readonly<Record<number, readonly number[]>> = {
  [Type.Connack]: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
    0x9c, 0x9d, 0x9f,
  ],
  [Type.Puback]: acknowledged,
  [Type.Pubrec]: acknowledged,
  [Type.Pubrel]: found,
  [Type.Pubcomp]: found,
  [Type.Suback]: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  [Type.Unsuback]: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  [Type.Disconnect]: [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ],
  [Type.Auth]: [0x00, 0x18],
};

/** SUBACK return codes of MQTT 3.1.1. */
export const grantedReturnCodes: readonly number[] = [0, 1, 2, 0x80];

/** CONNACK return codes of MQTT 3.1.1, as the MQTT 5 reason codes lib reports them. */
export const connackReturnCodes: readonly number[] = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87];

/** Variable byte integer; `padding` adds needless bytes, which the specification forbids. */
export function varint(value: number, padding = 0): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push(rest & 0x7f);
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  for (let i = 0; i < padding; i++) bytes.push(0);
  for (let i = 0; i < bytes.length - 1; i++) bytes[i]! |= 0x80;
  return Buffer.from(bytes);
}
