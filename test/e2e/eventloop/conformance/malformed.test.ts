import { MqttProtocolError } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

/** What a server must not send, one example for each statement; every other form is in test/unit/eventloop/codec/violations.ts. */
describe('on an open connection', () => {
  test.each([
    ['[MQTT-1.5.4-1] a topic that is not UTF-8', 4, '30 04 0002 61ff', 0x81],
    ['[MQTT-1.5.4-1] a topic with a surrogate', 5, '30 06 0003 eda080 00', 0x81],
    ['[MQTT-1.5.4-2] a topic with U+0000', 4, '30 05 0003 610062', 0x81],
    ['[MQTT-1.5.4-2] a reason string with U+0000', 5, '40 08 0001 00 04 1f 0001 00', 0x81],
    ['[MQTT-1.5.5-1] a property length that is not minimal', 5, '30 06 0001 61 82 00 78', 0x81],
    ['[MQTT-1.5.5-1] a remaining length that is not minimal', 4, '30 84 00 0001 61 00', 0x81],
    ['[MQTT-1.5.7-1] a user property whose name is not UTF-8', 5, '30 0a 0001 61 06 26 0001 ff 0000', 0x81],
    ['[MQTT-1.5.7-1] a user property whose value is not UTF-8', 5, '30 0a 0001 61 06 26 0000 0001 ff', 0x81],
    ['[MQTT-2.1.3-1] PUBACK with flags', 4, '42 02 0001', 0x81],
    ['[MQTT-2.1.3-1] SUBACK with flags', 5, '91 04 0001 00 00', 0x81],
    ['[MQTT-2.2.1-4] a QoS 1 message with the identifier 0', 4, '32 05 0001 61 0000', 0x81],
    ['[MQTT-2.2.1-4] a QoS 2 message with the identifier 0', 5, '34 06 0001 61 0000 00', 0x81],
    ['[MQTT-3.1.2-24] a packet over our Maximum Packet Size', 5, '30 ffff7f', 0x95],
    ['[MQTT-3.2.0-2] a second CONNACK', 4, '20 02 00 00', 0x82],
    ['[MQTT-3.2.0-2] a second CONNACK', 5, '20 03 00 00 00', 0x82],
    ['[MQTT-3.3.1-2] DUP on a QoS 0 message', 4, '38 04 0001 61 00', 0x81],
    ['[MQTT-3.3.1-2] DUP on a QoS 0 message', 5, '38 04 0001 61 00', 0x81],
    ['[MQTT-3.3.1-4] QoS 3', 4, '36 06 0001 61 0001 78', 0x81],
    ['[MQTT-3.3.1-4] QoS 3', 5, '36 06 0001 61 0001 78', 0x81],
    ['[MQTT-3.3.2-1] PUBLISH whose topic runs past its end', 5, '30 04 0005 61 62', 0x81],
    ['[MQTT-3.3.2-2] [MQTT-4.7.0-1] a topic with #', 4, '30 05 0003 612f23', 0x90],
    ['[MQTT-3.3.2-2] [MQTT-4.7.0-1] a topic with +', 5, '30 06 0003 2b2f61 00', 0x90],
    ['[MQTT-3.3.2-8] topic alias 0', 5, '30 07 0001 61 03 23 0000', 0x94],
    ['[MQTT-3.3.2-11] [MQTT-3.1.2-26] a topic alias over our maximum', 5, '30 07 0001 61 03 23 000b', 0x94],
    ['[MQTT-3.3.2-13] a Response Topic that is not UTF-8', 5, '30 08 0001 61 04 08 0001 ff', 0x81],
    ['[MQTT-3.3.2-19] a Content Type that is not UTF-8', 5, '30 08 0001 61 04 03 0001 ff', 0x81],
    ['[MQTT-3.4.2-1] a PUBACK reason that is none', 5, '40 03 0001 92', 0x81],
    ['[MQTT-3.5.2-1] a PUBREC reason that is none', 5, '50 03 0001 01', 0x81],
    ['[MQTT-3.6.1-1] PUBREL without its flags', 4, '60 02 0001', 0x81],
    ['[MQTT-3.6.1-1] PUBREL without its flags', 5, '60 02 0001', 0x81],
    ['[MQTT-3.6.2-1] a PUBREL reason that is none', 5, '62 03 0001 80', 0x81],
    ['[MQTT-3.7.2-1] a PUBCOMP reason that is none', 5, '70 03 0001 10', 0x81],
    ['[MQTT-3.8.4-7] [MQTT-3.9.3-2] a SUBACK code that is none', 4, '90 03 0001 03', 0x81],
    ['[MQTT-3.8.4-7] [MQTT-3.9.3-2] a SUBACK code that is none', 5, '90 04 0001 00 03', 0x81],
    ['[MQTT-3.11.3-2] an UNSUBACK code that is none', 5, 'b0 04 0001 00 01', 0x81],
    ['[MQTT-3.14.1-1] DISCONNECT with flags', 5, 'e1 00', 0x81],
    ['[MQTT-3.14.2-1] a DISCONNECT reason that only a client may give', 5, 'e0 01 04', 0x81],
    ['[MQTT-3.14.2-2] the Session Expiry Interval in DISCONNECT', 5, 'e0 07 00 05 11 00000001', 0x82],
    ['[MQTT-3.15.1-1] AUTH with flags', 5, 'f1 00', 0x81],
    ['[MQTT-3.15.2-1] an AUTH reason that only a client may give', 5, 'f0 01 19', 0x81],
    ['[MQTT-4.7.3-1] an empty topic', 4, '30 02 0000', 0x82],
    ['[MQTT-4.7.3-1] an empty topic without an alias', 5, '30 03 0000 00', 0x82],
    ['[MQTT-4.13.1-1] PINGREQ from a server', 4, 'c0 00', 0x82],
    ['[MQTT-4.13.1-1] PINGREQ from a server', 5, 'c0 00', 0x82],
  ] as const)('%s ends the connection (version %i)', async (_what, protocolVersion, bytes, reasonCode) => {
    const { loop, connect, disconnected } = scriptedLoop({ protocolVersion, topicAliasMaximum: 10 });
    loop.onMessage(() => expect.unreachable());
    const connection = await connect();
    connection.send(hex(bytes));
    if (protocolVersion === 5) expect(await connection.next('disconnect')).toMatchObject({ reasonCode });
    await connection.closed();
    expect(connection.received.filter(({ cmd }) => cmd !== 'connect')).toHaveLength(protocolVersion === 5 ? 1 : 0);
    expect(disconnected[0]?.cause).toBeInstanceOf(MqttProtocolError);
    expect(loop.stats().protocolErrors).toBe(1);
  });

  test('[MQTT-3.1.2-27] any topic alias where we allow none ends the connection', async () => {
    const { connect } = scriptedLoop();
    const connection = await connect();
    connection.send(hex('30 07 0001 61 03 23 0001'));
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x94 });
  });

  test.each([
    ['PUBACK', '40 08 0001 00 04 1f 0001 61'],
    ['PUBREC', '50 0b 0001 00 07 26 0001 61 0001 62'],
    ['PUBREL', '62 08 0001 00 04 1f 0001 61'],
    ['PUBCOMP', '70 08 0001 00 04 1f 0001 61'],
    ['SUBACK', '90 08 0001 04 1f 0001 61 00'],
    ['UNSUBACK', 'b0 0b 0001 07 26 0001 61 0001 62 00'],
  ])('[MQTT-3.1.2-29] Problem Information in %s that CONNECT declined ends the connection', async (_packet, bytes) => {
    const declining = scriptedLoop({ requestProblemInformation: false });
    const connection = await declining.connect();
    connection.send(hex(bytes));
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x82 });

    // By default it is welcome, and in PUBLISH and DISCONNECT always.
    const welcoming = scriptedLoop();
    (await welcoming.connect()).send(hex(bytes));
    await welcoming.clock.settle();
    expect(welcoming.disconnected).toEqual([]);
    const other = scriptedLoop({ requestProblemInformation: false });
    const messages: unknown[] = [];
    other.loop.onMessage(({ properties }) => void messages.push(properties?.userProperties));
    const server = await other.connect();
    server.publish({ topic: 'a', properties: { userProperties: { a: 'b' } } });
    server.disconnect({ reasonCode: 0x8b, properties: { reasonString: 'update' } });
    await server.closed();
    expect(messages).toEqual([{ a: 'b' }]);
    expect(other.disconnected).toMatchObject([{ reasonCode: 0x8b }]);
  });
});

describe('in place of CONNACK', () => {
  test.each([
    ['[MQTT-3.2.0-1] PUBLISH', 4, '30 04 0001 61 00'],
    ['[MQTT-3.2.0-1] PUBLISH', 5, '30 04 0001 61 00'],
    ['[MQTT-3.14.0-1] DISCONNECT', 5, 'e0 00'],
    ['[MQTT-3.2.2-1] a CONNACK with reserved flags', 4, '20 02 02 00'],
    ['[MQTT-3.2.2-1] a CONNACK with reserved flags', 5, '20 03 80 00 00'],
    ['[MQTT-3.2.2-6] Session Present in a refusal', 4, '20 02 01 05'],
    ['[MQTT-3.2.2-6] Session Present in a refusal', 5, '20 03 01 87 00'],
    ['[MQTT-3.2.2-8] a reason that is none', 4, '20 02 00 06'],
    ['[MQTT-3.2.2-8] a reason that is none', 5, '20 03 00 01 00'],
    ['[MQTT-4.12.0-6] AUTH that CONNECT did not offer', 5, 'f0 02 18 00'],
  ] as const)('%s fails the attempt (version %i)', async (_what, protocolVersion, bytes) => {
    const { loop, broker, connected } = scriptedLoop({ protocolVersion });
    const started = loop.start().catch((error: unknown) => error);
    const connection = await broker.accept();
    await connection.connect();
    connection.send(hex(bytes));
    expect(await started).toBeInstanceOf(MqttProtocolError);
    await connection.closed();
    expect(connected).toEqual([]);
  });
});

function hex(bytes: string): Buffer {
  return Buffer.from(bytes.replaceAll(' ', ''), 'hex');
}
