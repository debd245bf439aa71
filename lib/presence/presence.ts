import type { LoggerService } from '@nestjs/common';
import type { EventLoop } from '../eventloop/event-loop.js';
import { describeError } from '../mqtt.errors.js';
import type { PresenceSettings } from './presence-settings.js';

/** What of the event loop is needed. @internal */
export type PresenceLoop = Pick<EventLoop, 'on' | 'publish' | 'negotiated'>;

/**
 * Publishes that the application is there after every connect, and that it is gone before it leaves. When the connection is
 * lost the broker publishes the latter itself.
 *
 * @internal
 */
export class Presence {
  readonly #settings: PresenceSettings;
  readonly #loop: PresenceLoop;
  readonly #logger: LoggerService;
  /** The message of an earlier connection is still on its way, and will do for this one. */
  #isAnnouncing = false;

  constructor(settings: PresenceSettings, loop: PresenceLoop, logger: LoggerService) {
    this.#settings = settings;
    this.#loop = loop;
    this.#logger = logger;
    loop.on('connected', () => void this.#announce());
  }

  /** Queues the last message. A normal DISCONNECT cancels the will, so nobody else would publish it. */
  leave(): void {
    // Without a connection the broker has published the will.
    if (this.#loop.negotiated !== undefined) void this.#publish(this.#settings.offline);
  }

  async #announce(): Promise<void> {
    if (this.#isAnnouncing) return;
    this.#isAnnouncing = true;
    await this.#publish(this.#settings.online);
    this.#isAnnouncing = false;
  }

  async #publish(payload: Uint8Array | string): Promise<void> {
    const { topic, publish } = this.#settings;
    try {
      await this.#loop.publish(topic, payload, publish);
    } catch (error) {
      this.#logger.warn(`presence on "${topic}" could not be published: ${describeError(error)}`);
    }
  }
}
