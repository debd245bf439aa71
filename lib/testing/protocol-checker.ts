import type { Packet } from 'mqtt-packet';
import { ClientExchanges } from './client-exchanges.js';
import { decodePacket, findEncodingDefect, type ProtocolVersion } from './packet-codec.js';
import { PacketFramer } from './packet-framer.js';
import {
  checkProperties,
  checkSubscribe,
  checkTopicName,
  checkUnsubscribe,
  grantedBy,
  type Granted,
  type ReportViolation,
} from './packet-rules.js';
import type { ReceivedPacket } from './packets.js';

const NOTHING_GRANTED = grantedBy({ cmd: 'connack', sessionPresent: false });

const FROM_SERVER_ONLY: ReadonlySet<string> = new Set(['connack', 'suback', 'unsuback', 'pingresp']);

/**
 * Watches both directions of one connection and reports every rule of MQTT 3.1.1 or 5 that the client breaks.
 *
 * @internal
 */
export class ProtocolChecker {
  /** What watched the last connection of each session, by client identifier. */
  readonly #sessions: Map<string, ProtocolChecker>;
  readonly #report: ReportViolation;
  readonly #exchanges: ClientExchanges;
  readonly #aliases = new Map<number, string>();
  readonly #sentFramer = new PacketFramer();
  #connect: ReceivedPacket<'connect'> | undefined;
  #granted: Granted | undefined;
  #refused = false;
  #disconnected = false;
  /** The test has sent bytes that are no packets: what the client owes in return is unknown. */
  #lostTrack = false;

  constructor(sessions: Map<string, ProtocolChecker>, report: ReportViolation) {
    this.#sessions = sessions;
    this.#report = report;
    this.#exchanges = new ClientExchanges(report);
  }

  get protocolVersion(): ProtocolVersion {
    return this.#connect?.protocolVersion ?? 4;
  }

  received(packet: ReceivedPacket): void {
    if (this.#disconnected) this.#report('MQTT-3.14.4-1', 'it was sent after DISCONNECT');
    if (this.#refused) this.#report('MQTT-3.2.2-7', 'it was sent after a CONNACK that refused the connection');
    if (packet.cmd === 'connect' && this.#connect) this.#report('MQTT-3.1.0-2', 'a second CONNECT');
    if (packet.cmd !== 'connect' && !this.#connect) this.#report('MQTT-3.1.0-1', 'the first packet is no CONNECT');
    if (FROM_SERVER_ONLY.has(packet.cmd)) this.#report('direction', 'only a server may send it');
    if (packet.cmd === 'connect') this.#connect ??= packet;

    const defect = findEncodingDefect(packet, this.protocolVersion);
    if (defect) this.#report('encoding', defect);
    checkProperties(packet, this.#report);
    const { maximumPacketSize } = this.#limits;
    if (packet.raw.length > maximumPacketSize) {
      this.#report('MQTT-3.2.2-15', `${packet.raw.length} bytes; the server takes ${maximumPacketSize}`);
    }
    this.#receivedByType(packet);
  }

  get #limits(): Granted {
    return this.#granted ?? NOTHING_GRANTED;
  }

  #receivedByType(packet: ReceivedPacket): void {
    switch (packet.cmd) {
      case 'connect':
        if (packet.will) checkTopicName(packet.will.topic, this.#report);
        break;
      case 'publish':
        this.#publish(packet);
        break;
      case 'subscribe':
        checkSubscribe(packet, this.#limits, this.#report);
        this.#exchanges.request(packet);
        break;
      case 'unsubscribe':
        checkUnsubscribe(packet, this.#limits, this.#report);
        this.#exchanges.request(packet);
        break;
      case 'pubrel':
        if (!this.#lostTrack) this.#exchanges.pubrel(packet.messageId);
        break;
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        if (!this.#lostTrack) this.#exchanges.acknowledgement(packet);
        break;
      case 'disconnect':
        this.#disconnected = true;
        if (packet.properties?.sessionExpiryInterval && !this.#connect?.properties?.sessionExpiryInterval) {
          this.#report('MQTT-3.14.2.2.2', 'DISCONNECT raises a Session Expiry that was 0 in CONNECT');
        }
        break;
      case 'auth':
        if (this.#connect?.properties?.authenticationMethod === undefined) {
          this.#report('MQTT-4.12.0-7', 'AUTH without an Authentication Method in CONNECT');
        }
        break;
      default:
        break;
    }
  }

  #publish(packet: ReceivedPacket<'publish'>): void {
    const limits = this.#limits;
    if (packet.qos > limits.maximumQos) {
      this.#report('MQTT-3.2.2-11', `QoS ${packet.qos}; the server allows ${limits.maximumQos}`);
    }
    if (packet.retain && !limits.retainAvailable) this.#report('MQTT-3.2.2-14', 'the server does not retain messages');
    checkTopicName(packet.topic, this.#report);
    if (packet.properties?.responseTopic !== undefined) checkTopicName(packet.properties.responseTopic, this.#report);
    this.#checkAlias(packet);
    this.#exchanges.publish(packet);
    const { unacknowledged } = this.#exchanges;
    if (packet.qos > 0 && this.protocolVersion === 5 && unacknowledged > limits.receiveMaximum) {
      this.#report('MQTT-3.3.4-7', `${unacknowledged} unacknowledged; the Receive Maximum is ${limits.receiveMaximum}`);
    }
  }

  #checkAlias({ topic, properties }: ReceivedPacket<'publish'>): void {
    const alias = properties?.topicAlias;
    if (alias === undefined) {
      if (topic === '') this.#report('MQTT-4.7.3-1', 'an empty topic name without an alias');
      return;
    }
    const { topicAliasMaximum } = this.#limits;
    if (alias > topicAliasMaximum) {
      this.#report('MQTT-3.2.2-17', `topic alias ${alias}; the server allows ${topicAliasMaximum}`);
    }
    if (topic !== '') this.#aliases.set(alias, topic);
    else if (!this.#aliases.has(alias))
      this.#report('MQTT-3.3.2-7', `topic alias ${alias} was not set up on this connection`);
  }

  /** Takes what the broker writes, cut anywhere. Bytes that are no packets are allowed: tests send them on purpose. */
  sent(bytes: Buffer): void {
    if (this.#lostTrack) return;
    try {
      for (const raw of this.#sentFramer.push(bytes))
        this.#sentPacket(decodePacket(raw, this.protocolVersion) as Packet);
    } catch {
      this.#lostTrack = true;
    }
  }

  #sentPacket(packet: Packet): void {
    if (packet.cmd !== 'connack') return this.#exchanges.sent(packet);
    if (this.#granted) return;
    this.#granted = grantedBy(packet);
    this.#refused = (packet.reasonCode ?? packet.returnCode ?? 0) !== 0;
    if (this.#refused) return;
    const clientId = packet.properties?.assignedClientIdentifier ?? this.#connect?.clientId ?? '';
    if (packet.sessionPresent) this.#resume(this.#sessions.get(clientId));
    this.#sessions.set(clientId, this);
  }

  #resume(previous: ProtocolChecker | undefined): void {
    this.#exchanges.resume(previous && previous.#exchanges);
  }
}
