import type { ProtocolVersion } from '../../../../lib/eventloop/codec/packet-types.js';

/** A packet that a server must not send: what is wrong, for which versions, its bytes, and the reason we give. */
export type ForbiddenPacket = readonly [
  what: string,
  versions: readonly ProtocolVersion[],
  bytes: string,
  reasonCode: number,
];

const both = [4, 5] as const;
const v4 = [4] as const;
const v5 = [5] as const;

/** Sent on an open connection. clients.md 4.2 and 4.4; the framer's own rules are in framer.test.ts. */
export const FORBIDDEN: readonly ForbiddenPacket[] = [
  // The header
  ['a second CONNACK', v4, '20 02 00 00', 0x82],
  ['a second CONNACK', v5, '20 03 00 00 00', 0x82],
  ['CONNECT from the server', both, '10 0c 0004 4d515454 04 02 003c 0000', 0x82],
  ['SUBSCRIBE from the server', both, '82 06 0001 0001 61 00', 0x82],
  ['UNSUBSCRIBE from the server', both, 'a2 05 0001 0001 61', 0x82],
  ['PINGREQ from the server', both, 'c0 00', 0x82],
  ['packet type 0', both, '00 00', 0x82],
  ['DISCONNECT on 3.1.1', v4, 'e0 00', 0x82],
  ['AUTH on 3.1.1', v4, 'f0 00', 0x82],
  ['PUBREL without its flags', both, '60 02 0001', 0x81],
  ['PUBACK with flags', both, '42 02 0001', 0x81],
  ['QoS 3', both, '36 06 0001 61 0001 78', 0x81],
  ['DUP on QoS 0', both, '38 04 0001 61 00', 0x81],

  // Lengths
  ['PINGRESP with a body', both, 'd0 01 00', 0x81],
  ['PUBACK of length 0', both, '40 00', 0x81],
  ['PUBACK of length 1', both, '40 01 00', 0x81],
  ['PUBACK with a reason on 3.1.1', v4, '40 03 0001 00', 0x81],
  ['PUBREC with a reason on 3.1.1', v4, '50 03 0001 80', 0x81],
  ['PUBREL with a reason on 3.1.1', v4, '62 03 0001 00', 0x81],
  ['PUBCOMP with a reason on 3.1.1', v4, '70 03 0001 00', 0x81],
  ['UNSUBACK with codes on 3.1.1', v4, 'b0 03 0001 00', 0x81],
  ['SUBACK of length 0', both, '90 00', 0x81],
  ['SUBACK without codes', v4, '90 02 0001', 0x81],
  ['SUBACK without codes', v5, '90 03 0001 00', 0x81],
  ['SUBACK with properties and no codes', v5, '90 08 0001 05 1f 0002 6f6b', 0x81],
  ['UNSUBACK without codes', v5, 'b0 03 0001 00', 0x81],
  ['an empty PUBLISH', both, '30 00', 0x81],
  ['PUBLISH whose topic runs past its end', both, '30 04 0005 61 62', 0x81],
  ['PUBLISH with half a packet identifier', both, '32 04 0001 61 00', 0x81],
  ['PUBLISH without property length', v5, '30 03 0001 61', 0x81],
  ['QoS 1 without property length', v5, '32 05 0001 61 0001', 0x81],
  ['PUBLISH whose properties run past its end', v5, '30 06 0001 61 05 01 00', 0x81],
  ['a property length without an end', v5, '30 05 0001 61 80 80', 0x81],
  ['a property length that is not minimal', v5, '30 06 0001 61 82 00 78', 0x81],
  ['a property length of five bytes', v5, '30 09 0001 61 80 80 80 80 01 00', 0x81],
  ['PUBACK with bytes behind its properties', v5, '40 05 0001 00 00 00', 0x81],
  ['DISCONNECT with bytes behind its properties', v5, 'e0 03 00 00 00', 0x81],

  // Packet identifiers
  ['QoS 1 with packet identifier 0', v4, '32 05 0001 61 0000', 0x81],
  ['QoS 2 with packet identifier 0', v5, '34 06 0001 61 0000 00', 0x81],
  ['PUBACK 0', both, '40 02 0000', 0x81],
  ['PUBREC 0', both, '50 02 0000', 0x81],
  ['PUBREL 0', both, '62 02 0000', 0x81],
  ['PUBCOMP 0', both, '70 02 0000', 0x81],
  ['SUBACK 0', v4, '90 03 0000 00', 0x81],
  ['SUBACK 0', v5, '90 04 0000 00 00', 0x81],
  ['UNSUBACK 0', v4, 'b0 02 0000', 0x81],

  // Topics and text
  ['an empty topic', v4, '30 02 0000', 0x82],
  ['an empty topic without an alias', v5, '30 03 0000 00', 0x82],
  ['a topic with #', v4, '30 05 0003 612f23', 0x90],
  ['a topic with +', v5, '30 06 0003 2b2f61 00', 0x90],
  ['a topic with NUL', v4, '30 05 0003 610062', 0x81],
  ['a topic that is not UTF-8', v4, '30 04 0002 61ff', 0x81],
  ['a topic with an overlong form', v5, '30 05 0002 c080 00', 0x81],
  ['a topic with a surrogate', v5, '30 06 0003 eda080 00', 0x81],
  ['a reason string that is not UTF-8', v5, '40 08 0001 00 04 1f 0001 ff', 0x81],
  ['a reason string with NUL', v5, '40 08 0001 00 04 1f 0001 00', 0x81],

  // Properties
  ['an unknown property', v5, '30 06 0001 61 02 05 00', 0x81],
  ['a property identifier of 0', v5, '30 06 0001 61 02 00 00', 0x81],
  ['a property identifier of two bytes', v5, '30 07 0001 61 03 ff 01 00', 0x81],
  ['a property of CONNACK in PUBLISH', v5, '30 07 0001 61 03 21 0001', 0x81],
  ['a property of PUBLISH in PUBACK', v5, '40 06 0001 00 02 01 00', 0x81],
  ['a reason string in PUBLISH', v5, '30 08 0001 61 04 1f 0001 61', 0x81],
  ['Session Expiry in the DISCONNECT of a server', v5, 'e0 07 00 05 11 00000001', 0x82],
  ['a property twice', v5, '30 08 0001 61 04 01 00 01 00', 0x82],
  ['a property twice, the first 0', v5, '30 0a 0001 61 06 23 0001 23 0002', 0x82],
  ['a reason string twice', v5, '40 0a 0001 00 06 1f 0000 1f 0000', 0x82],
  ['a boolean property of 2', v5, '30 06 0001 61 02 01 02', 0x82],
  ['topic alias 0', v5, '30 07 0001 61 03 23 0000', 0x94],
  ['a topic alias over our maximum', v5, '30 07 0001 61 03 23 000b', 0x94],
  ['a topic alias that was never set', v5, '30 06 0000 03 23 0001', 0x82],
  ['subscription identifier 0', v5, '30 06 0001 61 02 0b 00', 0x82],
  ['a subscription identifier that is not minimal', v5, '30 07 0001 61 03 0b 81 00', 0x81],
  ['a truncated number property', v5, '30 07 0001 61 03 02 0000', 0x81],
  ['a truncated text property', v5, '30 08 0001 61 04 03 0005 61', 0x81],
  ['a user property without a value', v5, '30 08 0001 61 04 26 0001 61', 0x81],

  // Reason codes
  ['a SUBACK code of 3', v4, '90 03 0001 03', 0x81],
  ['a SUBACK code of 3', v5, '90 04 0001 00 03', 0x81],
  ['a SUBACK code of MQTT 5 on 3.1.1', v4, '90 03 0001 87', 0x81],
  ['an UNSUBACK code of SUBACK', v5, 'b0 04 0001 00 01', 0x81],
  ['a PUBACK code that is none', v5, '40 03 0001 92', 0x81],
  ['a PUBREC code that is none', v5, '50 03 0001 01', 0x81],
  ['a PUBREL code that is none', v5, '62 03 0001 80', 0x81],
  ['a PUBCOMP code that is none', v5, '70 03 0001 10', 0x81],
  ['a DISCONNECT with the reason 0x04 of clients', v5, 'e0 01 04', 0x81],
  ['a DISCONNECT with an unknown reason', v5, 'e0 01 77', 0x81],
  ['an AUTH with the reason 0x19 of clients', v5, 'f0 01 19', 0x81],
];

/** Sent in place of CONNACK. */
export const FORBIDDEN_BEFORE_CONNACK: readonly ForbiddenPacket[] = [
  ['PUBLISH before CONNACK', both, '30 04 0001 61 00', 0x82],
  ['PINGRESP before CONNACK', both, 'd0 00', 0x82],
  ['DISCONNECT before CONNACK', v5, 'e0 00', 0x82],
  ['CONNACK of length 0', both, '20 00', 0x81],
  ['CONNACK of length 1', both, '20 01 00', 0x81],
  ['CONNACK of length 3 on 3.1.1', v4, '20 03 00 00 00', 0x81],
  ['CONNACK with reserved flags', v4, '20 02 02 00', 0x81],
  ['CONNACK with reserved flags', v5, '20 03 80 00 00', 0x81],
  ['a return code of 6', v4, '20 02 00 06', 0x81],
  ['a reason code that is none', v5, '20 03 00 01 00', 0x81],
  ['a 3.1.1 form that accepts MQTT 5', v5, '20 02 00 00', 0x81],
  ['Session Present with a refusal', v4, '20 02 01 05', 0x82],
  ['Session Present with a refusal', v5, '20 03 01 87 00', 0x82],
  ['Session Present with a refusal in the 3.1.1 form', v5, '20 02 01 01', 0x82],
  ['Receive Maximum 0', v5, '20 06 00 00 03 21 0000', 0x82],
  ['Receive Maximum twice', v5, '20 09 00 00 06 21 0001 21 0002', 0x82],
  ['Maximum Packet Size 0', v5, '20 08 00 00 05 27 00000000', 0x82],
  ['Maximum QoS 2', v5, '20 05 00 00 02 24 02', 0x82],
  ['Retain Available 2', v5, '20 05 00 00 02 25 02', 0x82],
  ['a topic alias in CONNACK', v5, '20 06 00 00 03 23 0001', 0x81],
  ['properties that run past the end', v5, '20 04 00 00 02 25', 0x81],
  ['bytes behind the properties', v5, '20 04 00 00 00 00', 0x81],
];
