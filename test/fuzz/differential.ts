import type { MqttProtocolError } from '../../lib/eventloop/connection-errors.js';
import { describe, MAX_PACKET_BYTES, type Decoded } from './decoding.js';
import { line, type Event } from './events.js';
import { Failure } from './failure.js';
import type { FuzzInput } from './inputs.js';
import { mqttPacketReads, withoutLostValues } from './mqtt-packet.js';
import { judge, type OracleState } from './oracle.js';
import { TOPIC_ALIAS_MAXIMUM } from './packets.js';
import { Type } from './specification.js';

/**
 * The third target: packet by packet, lib agrees with the oracle, and with mqtt-packet wherever that one is right.
 *
 * @returns the broken rule that ended the stream, if any
 */
export function checkAgainstOthers(
  { version, bytes }: FuzzInput,
  { events, bounds, error }: Decoded,
): string | undefined {
  const state: OracleState = {
    version,
    connected: false,
    aliases: new Map(),
    maxPacketBytes: MAX_PACKET_BYTES,
    topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
  };
  let at = 0;
  for (const [index, event] of events.entries()) {
    const ours = line(event);
    const [start, end] = bounds[index]!;
    if (start !== at) throw new Failure('packets do not follow each other', `${start}, not ${at}`);
    const verdict = judge(bytes.subarray(at), state);
    if (verdict.kind !== 'packet')
      throw new Failure('accepted what the oracle does not', `${ours}\n${JSON.stringify(verdict)}`);
    if (verdict.length !== end - start) throw new Failure('another packet length than the oracle', ours);
    same('oracle', ours, line(verdict.event));
    // mqtt-packet knows no aliases: it is asked what stands in the packet itself.
    compareWithMqttPacket(bytes.subarray(start, end), version, event);
    if (verdict.event.type === Type.Connack) state.connected = true;
    at = end;
  }
  return checkEnd(bytes.subarray(at), state, error);
}

function checkEnd(rest: Buffer, state: OracleState, error: MqttProtocolError | undefined): string | undefined {
  const verdict = judge(rest, state);
  if (verdict.kind === 'packet')
    throw new Failure('rejected what the oracle accepts', error ? describe(error) : 'waits for more');
  if (verdict.kind === 'incomplete') {
    if (error !== undefined) throw new Failure('rejected an incomplete packet without a reason', describe(error));
    return undefined;
  }
  const { violations } = verdict;
  if (error === undefined) throw new Failure('waits where the oracle rejects', JSON.stringify(violations));
  if (!violations.some(({ codes }) => codes.includes(error.reasonCode))) {
    throw new Failure('another reason code than the oracle', `${describe(error)}\n${JSON.stringify(violations)}`);
  }
  return violations[0]!.rule;
}

function compareWithMqttPacket(packet: Buffer, version: 4 | 5, event: Event): void {
  const theirs = mqttPacketReads(packet, version);
  if (theirs === 'known to be wrong') return;
  if (typeof theirs === 'string') throw new Failure('accepted what mqtt-packet does not', `${line(event)}\n${theirs}`);
  const ours = theirs.topic === '' ? { ...event, topic: '' } : event;
  same('mqtt-packet', line(withoutLostValues(ours)), line(withoutLostValues(theirs)));
}

function same(other: string, ours: string, theirs: string): void {
  if (ours !== theirs) throw new Failure(`other fields than ${other}`, `ours:   ${ours}\ntheirs: ${theirs}`);
}
