import { systemClock, type Clock } from '../eventloop/clock.js';
import type { ConnackOptions, ReceivedPacket } from './packets.js';
import type { ScriptedConnection } from './scripted-connection.js';

/** How `ScriptedBroker.serve` answers. @publicApi */
export interface ServeOptions {
  /** For every CONNACK. Default: accepted, no session. */
  readonly connack?: ConnackOptions | ((connect: ReceivedPacket<'connect'>) => ConnackOptions) | undefined;
  /** Sees every PUBLISH. Returning false leaves it unacknowledged. */
  readonly onPublish?:
    ((packet: ReceivedPacket<'publish'>, connection: ScriptedConnection) => boolean | void) | undefined;
  /** Sees every SUBSCRIBE, before its SUBACK. */
  readonly onSubscribe?: ((packet: ReceivedPacket<'subscribe'>, connection: ScriptedConnection) => void) | undefined;
  /** How long PUBACK, PUBREC and PUBCOMP take. Default 0: at once. */
  readonly ackDelayMs?: number | undefined;
  /** Measures `ackDelayMs`. Default: the computer's. */
  readonly clock?: Clock | undefined;
}

/** Answers everything. @internal */
export class AutoResponder {
  readonly #options: ServeOptions;

  constructor(options: ServeOptions) {
    this.#options = options;
  }

  take(connection: ScriptedConnection): void {
    connection.handle((packet) => this.#answer(connection, packet));
  }

  #answer(connection: ScriptedConnection, packet: ReceivedPacket): void {
    switch (packet.cmd) {
      case 'connect': {
        const { connack } = this.#options;
        return connection.connack(typeof connack === 'function' ? connack(packet) : connack);
      }
      case 'publish':
        if (this.#options.onPublish?.(packet, connection) === false || packet.qos === 0) return;
        return this.#afterDelay(() => (packet.qos === 1 ? connection.puback(packet) : connection.pubrec(packet)));
      case 'pubrel':
        return this.#afterDelay(() => connection.pubcomp(packet));
      case 'pubrec':
        return (packet.reasonCode ?? 0) < 0x80 ? connection.pubrel(packet) : undefined;
      case 'subscribe':
        this.#options.onSubscribe?.(packet, connection);
        return connection.suback(packet);
      case 'unsubscribe':
        return connection.unsuback(packet);
      case 'pingreq':
        return connection.pingresp();
      case 'disconnect':
        return connection.end();
      default:
        return;
    }
  }

  #afterDelay(answer: () => void): void {
    const { ackDelayMs = 0, clock = systemClock } = this.#options;
    if (ackDelayMs > 0) clock.startTimer(answer, ackDelayMs);
    else answer();
  }
}
