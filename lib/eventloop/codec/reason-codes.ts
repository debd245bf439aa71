import { PacketType } from './packet-types.js';

/** Reason codes from here on say no. @internal */
export const REFUSED = 0x80;
/** @internal */
export const CONTINUE_AUTHENTICATION = 0x18;
/** @internal */
export const RE_AUTHENTICATE = 0x19;

const reasons: Readonly<Record<number, string>> = {
  0x00: 'success',
  0x01: 'granted QoS 1',
  0x02: 'granted QoS 2',
  0x04: 'disconnect with will message',
  0x10: 'no matching subscribers',
  0x11: 'no subscription existed',
  0x18: 'continue authentication',
  0x19: 're-authenticate',
  0x80: 'unspecified error',
  0x81: 'malformed packet',
  0x82: 'protocol error',
  0x83: 'implementation specific error',
  0x84: 'unsupported protocol version',
  0x85: 'client identifier not valid',
  0x86: 'bad user name or password',
  0x87: 'not authorized',
  0x88: 'server unavailable',
  0x89: 'server busy',
  0x8a: 'banned',
  0x8b: 'server shutting down',
  0x8c: 'bad authentication method',
  0x8d: 'keep alive timeout',
  0x8e: 'session taken over',
  0x8f: 'topic filter invalid',
  0x90: 'topic name invalid',
  0x91: 'packet identifier in use',
  0x92: 'packet identifier not found',
  0x93: 'receive maximum exceeded',
  0x94: 'topic alias invalid',
  0x95: 'packet too large',
  0x96: 'message rate too high',
  0x97: 'quota exceeded',
  0x98: 'administrative action',
  0x99: 'payload format invalid',
  0x9a: 'retain not supported',
  0x9b: 'QoS not supported',
  0x9c: 'use another server',
  0x9d: 'server moved',
  0x9e: 'shared subscriptions not supported',
  0x9f: 'connection rate exceeded',
  0xa0: 'maximum connect time',
  0xa1: 'subscription identifiers not supported',
  0xa2: 'wildcard subscriptions not supported',
};

/** The reason in words, with what the server added to it. @internal */
export function reasonText(reasonCode: number, reasonString?: string): string {
  const text = reasons[reasonCode] ?? 'unknown reason';
  return reasonString === undefined ? text : `${text}: ${reasonString}`;
}

/** MQTT 3.1.1 CONNACK return codes as the MQTT 5 reason codes that mean the same. */
const connackReturnCodes = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87] as const;

/** @internal */
export function reasonOfReturnCode(returnCode: number): number | undefined {
  return connackReturnCodes[returnCode];
}

const { Connack, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth } = PacketType;
const allowed: Readonly<Record<number, ReadonlySet<number>>> = {
  [Connack]: new Set([
    0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c,
    0x9d, 0x9f,
  ]),
  [Puback]: new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  [Pubrec]: new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  [Pubrel]: new Set([0, 0x92]),
  [Pubcomp]: new Set([0, 0x92]),
  [Suback]: new Set([0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
  [Unsuback]: new Set([0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  [Disconnect]: new Set([
    0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ]),
  [Auth]: new Set([0, 0x18]),
};

/** One lookup a code: a SUBACK may hold as many codes as its size allows. */
const CODES = 256;
const table = new Uint8Array(16 * CODES);
for (const [type, codes] of Object.entries(allowed)) for (const code of codes) table[Number(type) * CODES + code] = 1;

/** Whether a server may send this reason code in a packet of this type. @internal */
export function isReasonCodeOf(packetType: number, reasonCode: number): boolean {
  return reasonCode >= 0 && reasonCode < CODES && table[packetType * CODES + reasonCode] === 1;
}
