import type { EventLoop } from 'nestjs-rumqtt/eventloop';
import type { Mosquitto } from '../fixtures/mosquitto.js';
import type { Direction, TcpProxy } from '../fixtures/tcp-proxy.js';
import { integerBetween, shuffled } from './random.js';

export type KillKind =
  /** The link is reset now. */
  | 'cut'
  /** The link is reset after so many more bytes in one direction, so in the middle of some packet. */
  | 'cut-at-byte'
  /** The link is reset, and the next one again within its first bytes: in CONNECT, CONNACK or the resend. */
  | 'cut-twice'
  /** The broker process ends with SIGTERM, which saves its sessions, and comes back. */
  | 'broker';

export interface Kill {
  readonly kind: KillKind;
  /** How far the traffic has come by then. */
  readonly at: number;
  readonly bytes: number;
  readonly direction: Direction;
}

/** Some ten packets one way, up to two hundred acknowledgements the other. After a reconnect: the handshake and the resend. */
const MOST_BYTES = 800;
/** Less than a CONNECT. */
const HANDSHAKE_BYTES = 20;

export interface Fairness {
  /** Whether the broker can take a kill now. Default: always. */
  readonly mayKill?: () => boolean;
  /** The second cut of `cut-twice` falls into CONNECT, never into the resend. Default false. */
  readonly sparesResend?: boolean;
}

/** `count` kills at random points of the first nine tenths of the traffic, a fifth of them of the broker process. */
export function planKills(count: number, messages: number, random: () => number): Kill[] {
  const kinds = Array.from(
    { length: count },
    (_, index): KillKind => (['broker', 'cut', 'cut-at-byte', 'cut-twice', 'cut-at-byte'] as const)[index % 5]!,
  );
  const points = kinds.map(() => integerBetween(random, 1, Math.floor(messages * 0.9))).toSorted((a, b) => a - b);
  return shuffled(kinds, random).map((kind, index) => ({
    kind,
    at: points[index]!,
    bytes: integerBetween(random, 1, MOST_BYTES),
    direction: random() < 0.5 ? 'up' : 'down',
  }));
}

/** Carries kills out as the traffic gets to them, each when the loop has come back from the one before. */
export class Killer {
  /** Kills that have broken something. */
  readonly done: Record<KillKind, number> = { cut: 0, 'cut-at-byte': 0, 'cut-twice': 0, broker: 0 };
  readonly #plan: readonly Kill[];
  readonly #victim: EventLoop;
  readonly #proxy: TcpProxy;
  readonly #broker: Mosquitto;
  readonly #fairness: Fairness;
  #progress = 0;
  #wake: () => void = () => undefined;

  constructor(plan: readonly Kill[], victim: EventLoop, proxy: TcpProxy, broker: Mosquitto, fairness: Fairness = {}) {
    this.#fairness = fairness;
    this.#plan = plan;
    this.#victim = victim;
    this.#proxy = proxy;
    this.#broker = broker;
  }

  get total(): number {
    return Object.values(this.done).reduce((sum, count) => sum + count, 0);
  }

  /** The traffic has come so far. */
  reached(progress: number): void {
    this.#progress = progress;
    this.#wake();
  }

  async run(): Promise<void> {
    for (const kill of this.#plan) {
      while (!this.#isDue(kill)) await this.#change();
      await this.#carryOut(kill);
      this.done[kill.kind]++;
    }
  }

  #isDue({ at }: Kill): boolean {
    return this.#progress >= at && this.#victim.status === 'connected' && (this.#fairness.mayKill?.() ?? true);
  }

  /** The traffic is over: a cut that waits for more bytes comes now. */
  async finish(): Promise<void> {
    while (this.total < this.#plan.length) {
      this.reached(Number.POSITIVE_INFINITY);
      this.#proxy.cut();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #change(): Promise<void> {
    const changed = new Promise<void>((resolve) => (this.#wake = resolve));
    const off = this.#victim.on('connected', () => this.#wake());
    await changed;
    off();
  }

  async #carryOut({ kind, bytes, direction }: Kill): Promise<void> {
    if (kind === 'broker') return this.#broker.restart();
    if (kind !== 'cut-at-byte') await this.#broken(() => this.#proxy.cut());
    if (kind === 'cut') return;
    if (kind === 'cut-twice' && this.#fairness.sparesResend) {
      await this.#broken(() => this.#proxy.cutAfter(1 + (bytes % HANDSHAKE_BYTES), 'up'));
    } else await this.#broken(() => this.#proxy.cutAfter(bytes, direction));
  }

  /** Until the loop has seen it, be it as a lost connection or as a failed attempt. */
  async #broken(breakIt: () => void): Promise<void> {
    const broken = new Promise<void>((resolve) => {
      const off = this.#victim.on('disconnected', () => {
        off();
        resolve();
      });
    });
    breakIt();
    await broken;
  }
}
