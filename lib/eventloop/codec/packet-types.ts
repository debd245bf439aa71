/** MQTT control packet types (section 2.1.2 of both specifications). @internal */
export const PacketType = {
  Connect: 1,
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Subscribe: 8,
  Suback: 9,
  Unsubscribe: 10,
  Unsuback: 11,
  Pingreq: 12,
  Pingresp: 13,
  Disconnect: 14,
  Auth: 15,
} as const;

/** @internal */
export type AcknowledgementType =
  typeof PacketType.Puback | typeof PacketType.Pubrec | typeof PacketType.Pubrel | typeof PacketType.Pubcomp;

/** @internal */
export type ProtocolVersion = 4 | 5;

const names = Object.keys(PacketType).map((name) => name.toUpperCase());

/** The name of a packet type for people. @internal */
export function packetTypeName(type: number): string {
  return names[type - 1] ?? `packet type ${type}`;
}
