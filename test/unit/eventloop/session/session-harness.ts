import { parser, type Packet } from 'mqtt-packet';
import { PacketWriter } from '../../../../lib/eventloop/codec/writer.js';
import { negotiate, type Negotiated } from '../../../../lib/eventloop/negotiated.js';
import type { EventLoopOptions } from '../../../../lib/eventloop/options.js';
import { TopicEncoder } from '../../../../lib/eventloop/codec/topic-encoder.js';
import { publishRequest } from '../../../../lib/eventloop/requests.js';
import { resolveOptions } from '../../../../lib/eventloop/resolve-options.js';
import type { IncomingMessage, PublishOptions } from '../../../../lib/eventloop/messages.js';
import { MqttConnectionError } from '../../../../lib/eventloop/connection-errors.js';
import { Session } from '../../../../lib/eventloop/session/session.js';
import type { PublishExchange } from '../../../../lib/eventloop/session/publish-exchange.js';
import type { ReceivedProperties } from '../../../../lib/eventloop/codec/property-reader.js';

interface Connected {
  readonly version?: 4 | 5;
  readonly sessionPresent?: boolean;
  readonly properties?: ReceivedProperties;
}

/** The session without any I/O: a test hands it packets and time, and reads what it writes. */
export class SessionHarness {
  readonly session: Session;
  readonly delivered: IncomingMessage[] = [];
  readonly failures: unknown[] = [];
  nowMs = 0;
  negotiated: Negotiated | undefined;
  readonly #options;
  readonly #writer = new PacketWriter();
  readonly #topics = new TopicEncoder();

  constructor(options: EventLoopOptions = {}, handler: (message: IncomingMessage) => unknown = () => undefined) {
    this.#options = resolveOptions(options);
    this.session = new Session(this.#options, {
      deliver: (message) => {
        this.delivered.push(message);
        return handler(message);
      },
      messageDropped: () => undefined,
      sentAgain: () => undefined,
      handlerFailed: (_message, error) => this.failures.push(error),
      settledLater: () => undefined,
      publishDropped: () => undefined,
      subscriptionRefused: () => undefined,
      authReceived: () => undefined,
      throttled: () => undefined,
    });
  }

  connected({ version = 5, sessionPresent = false, properties = {} }: Connected = {}): this {
    const connack = { sessionPresent, reasonCode: 0, properties };
    this.negotiated = negotiate(this.#options, version, 'mqtt://test:1883', 'me', connack);
    this.session.connected(this.negotiated, sessionPresent, this.nowMs);
    return this;
  }

  disconnected(): this {
    this.session.disconnected(new MqttConnectionError('MQTT_CONNECTION_LOST', 'cut', 'unknown'), undefined, this.nowMs);
    return this;
  }

  /** Queues a publish, as the event loop does. */
  publish(payload: string, options: PublishOptions = {}, topic = 'hello/world'): PublishExchange {
    const exchange = publishRequest(
      topic,
      payload,
      options,
      this.#options.maxPacketBytes,
      this.session.counters,
      this.#topics,
    );
    this.session.outgoing.queue.offer(exchange);
    return exchange;
  }

  /** Everything that the session would send now. */
  written(): Packet[] {
    const packets: Packet[] = [];
    const packetParser = parser({ protocolVersion: this.negotiated!.protocolVersion });
    packetParser.on('packet', (packet) => packets.push(packet));
    packetParser.on('error', (error) => {
      throw error;
    });
    for (;;) {
      this.session.write(this.#writer, this.nowMs);
      if (this.#writer.length === 0) return packets;
      packetParser.parse(Buffer.from(this.#writer.bytes));
      this.session.takeWritten()?.complete();
      this.#writer.reset();
    }
  }

  /** Sends what there is, unseen. */
  flush(): void {
    this.session.write(this.#writer, this.nowMs);
    this.#writer.reset();
  }

  /** The same as `written` in one line a packet, as in `publish 1 one dup`. */
  sent(): string[] {
    return this.written().map(describe);
  }
}

function describe(packet: Packet): string {
  const parts: string[] = [packet.cmd];
  if (packet.messageId !== undefined) parts.push(`${packet.messageId}`);
  if (packet.cmd === 'publish') parts.push(packet.payload.toString());
  if (packet.cmd === 'publish' && packet.dup) parts.push('dup');
  if ('reasonCode' in packet && packet.reasonCode) parts.push(`0x${packet.reasonCode.toString(16)}`);
  return parts.join(' ');
}
